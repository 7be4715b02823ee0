"""Is an effect a line? The steps between neighbouring sizes, and whether a line through them is enough."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.verdicts.claims import ALPHA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.stored.records import Hypothesis
    from analysis.verdicts.claims import Claims
    from analysis.verdicts.trend import Sample

_FEWEST_SIZES = 3
NO_LINE, A_STEP = "no straight line, and a step that may matter", "a step that may matter"


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

    @property
    def why(self) -> str:
        """Return why there is no word where it is withheld."""
        return NO_LINE if self.pvalue <= ALPHA else A_STEP

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
        bent = upward and self.pvalue <= ALPHA
        refutes = 1.0 if bent and direction != "none" else claims.refutes
        return replace(claims, equivalent=1.0 if large else claims.equivalent, refutes=refutes)


def shape_of(sample: Sample, hypothesis: Hypothesis) -> Shape | None:
    """Return the shape of a trend; None for a contrast, and where sizes or runs are too few to tell.

    A step lies between two sizes that some stratum has both of; a size that shares none with its neighbour is held
    against the next one.
    """
    sample = sample.where(sample.compared, np.zeros(len(sample.failed_x), dtype=bool))
    sizes = np.unique(sample.x).tolist()
    if hypothesis.kind != "trend" or len(sizes) < _FEWEST_SIZES:
        return None
    try:
        by_doubling = stats.lack_of_fit(sample.x, sample.logs, sample.strata).pvalue
        by_unit = stats.lack_of_fit(sample.raw, sample.y, sample.strata).pvalue
    except ValueError:
        return None
    steps = tuple(_steps(sample, sizes))
    return Shape(steps, by_doubling, by_unit) if steps else None


def _steps(sample: Sample, sizes: Sequence[float]) -> Iterator[Step]:
    nobody = np.zeros(len(sample.failed_x), dtype=bool)
    low = sizes[0]
    for high in sizes[1:]:
        own = sample.where((sample.x == low) | (sample.x == high), nobody)
        if own.compares:
            slope = stats.stratified_theil_sen(own.x, own.logs, own.strata).estimate
            first, second = (float(own.raw[own.x == size][0]) for size in (low, high))
            yield Step(first, second, float(np.expm1(slope * (high - low))), float(np.expm1(slope)))
            low = high
