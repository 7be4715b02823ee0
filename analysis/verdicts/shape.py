"""Is an effect a line? The steps between neighbouring sizes, and whether a line through them is enough."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats

if TYPE_CHECKING:
    from analysis.stored.records import Hypothesis
    from analysis.verdicts.claims import Claims
    from analysis.verdicts.trend import Sample

_FEWEST_SIZES, _ALPHA = 3, 0.05


@dataclass(frozen=True)
class Step:
    """What changes from one size to the next: relative, in all and per doubling."""

    from_size: float
    to_size: float
    change: float
    per_doubling: float


@dataclass(frozen=True)
class Shape:
    """How an outcome goes with a size of three levels or more.

    Attributes:
        steps: from each size to the next, within strata.
        pvalue: against a line of the log outcome in doublings of the size (F test within strata).
        pvalue_per_unit: against a line of the outcome in the size itself, such as GiB.
    """

    steps: tuple[Step, ...]
    pvalue: float
    pvalue_per_unit: float

    def withheld(self, claims: Claims, direction: str, sesoi: float) -> Claims:
        """Return what can still be said where one number stands for steps that are not alike.

        That there is no effect either way is withheld when any step is larger than what matters; that there is no
        effect in the direction claimed, when sizes are on no line and a step in that direction is.

        Args:
            claims: those of the line.
            direction: that the hypothesis claims.
            sesoi: smallest effect of interest, per doubling.
        """
        rises, falls = (any(sign * step.per_doubling > sesoi for step in self.steps) for sign in (1, -1))
        upward = falls if direction == "decreasing" else rises
        large = rises or falls
        if large and direction == "none":
            return replace(claims, supports=1.0)
        bent = upward and self.pvalue <= _ALPHA
        refutes = 1.0 if bent and direction != "none" else claims.refutes
        return replace(claims, equivalent=1.0 if large else claims.equivalent, refutes=refutes)


def shape_of(sample: Sample, hypothesis: Hypothesis) -> Shape | None:
    """Return the shape of a trend; None for a contrast, and where sizes or runs are too few to tell."""
    sizes = np.unique(sample.x)
    if hypothesis.kind != "trend" or len(sizes) < _FEWEST_SIZES:
        return None
    try:
        by_doubling = stats.lack_of_fit(sample.x, sample.logs, sample.strata).pvalue
        by_unit = stats.lack_of_fit(sample.raw, sample.y, sample.strata).pvalue
    except ValueError:
        return None
    steps = []
    for low, high in pairwise(sizes):
        both = (sample.x == low) | (sample.x == high)
        own = sample.where(both, np.zeros(len(sample.failed_x), dtype=bool))
        if not own.compares:
            return None
        slope = stats.stratified_theil_sen(own.x, own.logs, own.strata).estimate
        raw = np.unique(own.raw)
        steps.append(Step(float(raw[0]), float(raw[1]), float(np.expm1(slope * (high - low))), float(np.expm1(slope))))
    return Shape(tuple(steps), by_doubling, by_unit)
