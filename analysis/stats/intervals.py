"""Distribution-free intervals from ranks: exact at few runs, and plain about it where no interval exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom, rankdata

from analysis.format.outcomes import FEWEST_BEYOND
from analysis.stats.checks import as_share, as_vector, at_least, same_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray

_SLACK = 1e-9
_OF_SHIFT = 0.95


@dataclass(frozen=True, slots=True)
class RankInterval:
    """An estimate between two order statistics, in the unit of the values.

    Attributes:
        low: lower end, NaN when no interval reaches the confidence asked for; ``high``: the upper end.
        coverage: what ``(low, high)`` attains; where there is none, what the widest possible interval would.
        rank: ``low`` is the ``rank``-th smallest; 0 when there is no interval.
        n: values (or pairs) that entered.
    """

    estimate: float
    low: float
    high: float
    coverage: float
    rank: int
    n: int


@dataclass(frozen=True, slots=True)
class ShiftInterval(RankInterval):
    """A paired shift; ``pvalue`` is that of the signed-rank test, two-sided and exact given ties."""

    pvalue: float


def median_interval(values: ArrayLike, confidence: float = 0.95) -> RankInterval:
    """Return the median and its order-statistic interval: exact for independent runs of any distribution.

    The ends have ranks ``j`` and ``R + 1 - j`` with the largest ``j`` that reaches ``confidence`` (David & Nagaraja,
    *Order Statistics*, 7.1). At 95 % that needs six runs.

    Args:
        values: (R,) run summaries; a failed run is ``+inf``, which keeps the interval valid.
        confidence: the least coverage.

    Raises:
        ValueError: empty, NaN, -inf, or ``confidence`` outside (0, 1).
    """
    ordered = np.sort(as_vector(values, "values", allow_infinite=True))
    n = len(ordered)
    mass = binom.pmf(np.arange(n + 1), n, 0.5)
    rank, coverage = _widest_rank(mass, as_share(confidence, "confidence"))
    low, high = _ends(ordered, rank)
    return RankInterval(float(np.median(ordered)), low, high, coverage, rank, n)


def hodges_lehmann(x: ArrayLike, y: ArrayLike) -> ShiftInterval:
    """Return the paired difference ``x - y``: the median of the Walsh averages, with the signed-rank interval of 95 %.

    Hollander, Wolfe & Chicken, 3.2 and 3.3. Assumes that differences are symmetric about their centre.

    Args:
        x: (R,) one summary per block of the first cell.
        y: (R,) of the second, in the same order of blocks.

    Raises:
        ValueError: empty, NaN, infinite, or unequal lengths.
    """
    first, second = as_vector(x, "x"), as_vector(y, "y")
    same_length(x=first, y=second)
    differences = first - second
    n = len(differences)
    left, right = np.triu_indices(n)
    walsh = np.sort((differences[left] + differences[right]) / 2)
    rank, coverage = _widest_rank(_subset_sums(np.arange(1, n + 1)), _OF_SHIFT)
    low, high = _ends(walsh, rank)
    return ShiftInterval(float(np.median(walsh)), low, high, coverage, rank, n, _signed_rank(differences))


def quantile_allowed(n: int, p: float) -> bool:
    """Tell whether a run of ``n`` checkpoints is long enough for its quantile ``p``: five or more beyond it.

    Raises:
        ValueError: ``p`` outside (0, 1), or ``n`` negative or NaN.
    """
    as_share(p, "p")
    at_least(n, "n", 0)
    return n * (1.0 - p) >= FEWEST_BEYOND - _SLACK


def _widest_rank(mass: FloatArray, confidence: float) -> tuple[int, float]:
    """Return the largest rank whose symmetric interval still covers, and its coverage.

    ``mass`` is the null distribution of a count of values below the truth, symmetric, on ``0..len(values)``.
    """
    covered = 1.0 - 2.0 * np.cumsum(mass)
    rank = int(np.count_nonzero(covered >= confidence - _SLACK))
    return rank, max(float(covered[max(rank - 1, 0)]), 0.0)


def _ends(ordered: FloatArray, rank: int) -> tuple[float, float]:
    if rank == 0:
        return float("nan"), float("nan")
    return float(ordered[rank - 1]), float(ordered[len(ordered) - rank])


def _subset_sums(weights: FloatArray | np.ndarray[tuple[int], np.dtype[np.int64]]) -> FloatArray:
    """Return the distribution of the sum of weights when each is in with probability one half."""
    mass = np.zeros(int(weights.sum()) + 1)
    mass[0] = 1.0
    for weight in weights.astype(int):
        moved = np.roll(mass, weight)
        mass = (mass + moved) / 2
    return mass


def _signed_rank(differences: FloatArray) -> float:
    """Return the exact two-sided p-value given ties; zero differences are left out, as Wilcoxon did."""
    kept = differences[differences != 0]
    if len(kept) == 0:
        return 1.0
    doubled = np.rint(2 * rankdata(np.abs(kept)))
    mass = _subset_sums(doubled)
    distance = np.abs(np.arange(len(mass)) - doubled.sum() / 2)
    observed = abs(doubled[kept > 0].sum() - doubled.sum() / 2)
    return min(float(mass[distance >= observed - _SLACK].sum()), 1.0)
