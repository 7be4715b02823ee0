"""Is an effect a line? The steps between neighbouring sizes, and whether a line through them is enough."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.verdicts.claims import ALPHA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analysis.format.factors import Level
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
        steps: from each size to the nearest ones that it shares strata with, within these.
        pvalue: against a line of the log outcome in doublings of the size (F test within strata).
        pvalue_per_unit: against a line of the outcome in the size itself, such as GiB. Both are NaN where runs are too
            few to tell a bend from what they differ by, as in one block: its steps are there all the same.
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
    """Return the shape of a trend; None for a contrast, and where there are fewer than three sizes.

    A step lies between two sizes that some stratum has both of: each size is held against the nearest ones, below and
    above, that it shares any with, so that none is left out where parts of blocks were lost.
    """
    sample = sample.where(sample.compared, np.zeros(len(sample.lost_x), dtype=bool))
    if hypothesis.kind != "trend" or len(set(sample.x.tolist())) < _FEWEST_SIZES:
        return None
    by_doubling, by_unit = (_bend(x, y, sample) for x, y in ((sample.x, sample.logs), (sample.raw, sample.y)))
    return Shape(tuple(_steps(sample)), by_doubling, by_unit)


def _bend(x: NDArray[np.float64], y: NDArray[np.float64], sample: Sample) -> float:
    """Return the p-value against a line of ``y`` on ``x`` within strata; NaN where runs are too few to tell."""
    try:
        return stats.lack_of_fit(x, y, sample.strata).pvalue
    except ValueError:
        return float("nan")


def _steps(sample: Sample) -> Iterator[Step]:
    nobody = np.zeros(len(sample.lost_x), dtype=bool)
    for low, high in _neighbours(sample):
        own = sample.where((sample.x == low) | (sample.x == high), nobody)
        slope = stats.stratified_theil_sen(own.x, own.logs, own.strata).estimate
        first, second = (float(own.raw[own.x == size][0]) for size in (low, high))
        yield Step(first, second, float(np.expm1(slope * (high - low))), float(np.expm1(slope)))


def _neighbours(sample: Sample) -> list[tuple[float, float]]:
    """Return each size with the nearest larger one, and each with the nearest smaller one, that shares a stratum."""
    strata: dict[float, set[tuple[Level, ...]]] = {}
    for x, stratum in zip(sample.x.tolist(), sample.strata, strict=True):
        strata.setdefault(x, set()).add(stratum)
    both = [(low, high) for low, high in combinations(sorted(strata), 2) if strata[low] & strata[high]]
    above, below = dict(reversed(both)), {high: low for low, high in both}
    return sorted({*above.items(), *((low, high) for high, low in below.items())})
