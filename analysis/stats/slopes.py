"""The size of an ordered trend: the stratified Theil-Sen slope with the interval that Kendall's S gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from analysis.stats import kendall
from analysis.stats.checks import as_share
from analysis.stats.trend import informative_strata, normal_tail

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray


@dataclass(frozen=True, slots=True)
class SlopeResult:
    """A slope of ``y`` on ``x`` within strata, in units of ``y`` per unit of ``x``.

    Attributes:
        estimate: median of the slopes of all pairs within a stratum.
        low: lower end of the two-sided interval at ``confidence``; ``high``: the upper one. Infinite when failed runs
            (``+inf``) reach that far.
        statistic: ``S``, concordant minus discordant pairs; ``variance``: of ``S`` under no trend.
        pvalue_increasing: one-sided, normal approximation; ``pvalue_two_sided``: two-sided.
        pairs: slopes that entered; ``n``: runs; ``strata``: strata with two different ``x``.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    statistic: int
    variance: float
    pvalue_increasing: float
    pvalue_two_sided: float
    pairs: int
    n: int
    strata: int


def stratified_theil_sen(
    x: ArrayLike,
    y: ArrayLike,
    strata: Iterable[Hashable],
    confidence: float = 0.90,
    *,
    allow_infinite: bool = False,
) -> SlopeResult:
    """Estimate one slope common to all strata, and its interval.

    With one stratum this is Sen (1968) as ``scipy.stats.theilslopes`` has it. Take ``y = log(run median)`` and
    ``x = log2(size)`` for the relative growth per doubling. The default of 90 % makes the interval two one-sided tests
    at 5 %, which is what a verdict needs.

    Args:
        x: (n,) size on the scale of the slope.
        y: (n,) one summary per run; with ``allow_infinite`` a failed run is ``+inf``. Two failures are a tied pair.
        strata: (n,) labels: block and every factor other than ``x``, as a tuple or any other hashable.
        confidence: of the interval.
        allow_infinite: whether ``+inf`` may occur in ``y``.

    Raises:
        ValueError: empty, NaN, unequal lengths, ``confidence`` outside (0, 1), no stratum with two different ``x``.
    """
    as_share(confidence, "confidence")
    parts = informative_strata(x, y, strata, allow_infinite=allow_infinite)
    slopes = np.sort(np.concatenate([_pair_slopes(a, b) for a, b in parts]))
    s = sum(kendall.score(a, b) for a, b in parts)
    variance = sum(kendall.variance(kendall.tie_counts(a), kendall.tie_counts(b)) for a, b in parts)
    pairs, deviation = len(slopes), float(np.sqrt(variance))
    low, high = interval_places(pairs, deviation, confidence)
    z = s / deviation if deviation > 0 else 0.0
    return SlopeResult(
        estimate=_median(slopes),
        low=float(slopes[low]),
        high=float(slopes[high]),
        confidence=confidence,
        statistic=s,
        variance=variance,
        pvalue_increasing=normal_tail(z, "increasing"),
        pvalue_two_sided=normal_tail(z, "two-sided"),
        pairs=pairs,
        n=sum(len(a) for a, _ in parts),
        strata=len(parts),
    )


def interval_places(pairs: int, deviation: float, confidence: float) -> tuple[int, int]:
    """Return which of the sorted slopes, counted from 0, are the ends of the interval (Sen 1968).

    Args:
        pairs: how many slopes.
        deviation: standard deviation of ``S`` under no trend.
        confidence: of the interval.
    """
    reach = float(ndtri((1 + confidence) / 2)) * deviation
    return max(round((pairs - reach) / 2) - 1, 0), min(round((pairs + reach) / 2), pairs - 1)


def _pair_slopes(x: FloatArray, y: FloatArray) -> FloatArray:
    first, second = kendall.pairs_of(len(x))
    run = x[second] - x[first]
    tied = y[second] == y[first]
    rise = np.zeros_like(run)
    np.subtract(y[second], y[first], out=rise, where=~tied)
    slopes: FloatArray = rise[run != 0] / run[run != 0]
    return slopes


def _median(ordered: FloatArray) -> float:
    """Return the median of sorted slopes; between ``-inf`` and ``+inf`` there is none, so NaN."""
    below, above = float(ordered[(len(ordered) - 1) // 2]), float(ordered[len(ordered) // 2])
    return below if below == above else (below + above) / 2
