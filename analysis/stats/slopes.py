"""The size of an ordered trend: the stratified Theil-Sen slope with the interval that Kendall's S gives."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import count
from math import ceil, log, nan
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from analysis.stats import kendall
from analysis.stats.checks import as_share
from analysis.stats.trend import informative_strata

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray
    from analysis.stats.kendall import Counts

_SLACK = 1e-12


@dataclass(frozen=True, slots=True)
class SlopeResult:
    """A slope of ``y`` on ``x`` within strata, in units of ``y`` per unit of ``x``.

    Attributes:
        estimate: median of the slopes of all pairs within a stratum.
        low: lower end of the two-sided interval; ``high``: the upper one. NaN where these strata admit none of the
            confidence asked for.
        n: runs in strata that compare anything; ``strata``: how many of these.
    """

    estimate: float
    low: float
    high: float
    n: int
    strata: int


def stratified_theil_sen(
    x: ArrayLike, y: ArrayLike, strata: Iterable[Hashable], confidence: float = 0.90
) -> SlopeResult:
    """Estimate one slope common to all strata, and its interval.

    With one stratum the estimate is that of Sen (1968), ``scipy.stats.theilslopes``. The interval holds every slope
    that the exact test of Kendall's S within strata does not reject: its ends are order statistics of the slopes, and
    where the strata are too few for a test at that level there is none. Take ``y = log(run median)`` and
    ``x = log2(size)`` for the relative growth per doubling. The default of 90 % makes the interval two one-sided tests
    at 5 %, which is what a verdict needs.

    Args:
        x: (n,) size on the scale of the slope.
        y: (n,) one summary per run.
        strata: (n,) labels: block and every factor other than ``x``, as a tuple or any other hashable.
        confidence: of the interval.

    Raises:
        ValueError: empty, NaN, infinite, unequal lengths, ``confidence`` outside (0, 1), no stratum with two different
            ``x``.
    """
    as_share(confidence, "confidence")
    parts = informative_strata(x, y, strata)
    slopes = np.sort(np.concatenate([_pair_slopes(a, b) for a, b in parts]))
    below = slopes_below([kendall.tie_counts(a) for a, _ in parts], confidence)
    return SlopeResult(
        estimate=_median(slopes),
        low=nan if below is None else float(slopes[below]),
        high=nan if below is None else float(slopes[len(slopes) - 1 - below]),
        n=sum(len(a) for a, _ in parts),
        strata=len(parts),
    )


def slopes_below(sizes: Iterable[Counts], confidence: float) -> int | None:
    """Return how many of the sorted slopes lie below the interval, as many as above it; None where there is none.

    Args:
        sizes: of each stratum, how many runs each ``x`` has, in increasing order of ``x``.
        confidence: of the interval, attained at least; by the normal approximation where a stratum is too large.
    """
    counted = Counter(sizes)
    pairs: int = sum(times * (sum(ties) ** 2 - sum(size**2 for size in ties)) // 2 for ties, times in counted.items())
    alike = {ties: (1,) * sum(ties) for ties in counted}
    if not all(kendall.affordable(*both) for both in alike.items()):
        variance = sum(times * kendall.variance(ties, alike[ties]) for ties, times in counted.items())
        reach = float(ndtri((1 + confidence) / 2)) * float(np.sqrt(variance))
        return max(round((pairs - reach) / 2) - 1, 0)
    mass = kendall.summed_mass(tuple(sorted(((ties, alike[ties]), times) for ties, times in counted.items())))
    critical = critical_score(mass, (1 - confidence) / 2)
    if critical is None:
        return None
    below: int = (pairs - critical) // 2
    return below


def critical_score(mass: FloatArray, alpha: float) -> int | None:
    """Return the smallest ``S`` that a one-sided test at ``alpha`` rejects; None where it can reject nothing.

    Args:
        mass: null distribution of ``S``, centred on 0 (:func:`analysis.stats.kendall.summed_mass`).
        alpha: level of the test.
    """
    beyond = mass[::-1].cumsum()[::-1]
    rejected = np.flatnonzero((beyond <= alpha + _SLACK) & (beyond > 0))
    return int(rejected[0]) - len(mass) // 2 if len(rejected) else None


def fewest_blocks(strata: Sequence[Counts], blocks: int = 1, alpha: float = 0.05) -> int:
    """Return how many blocks it takes until the most extreme order is significant at ``alpha``, one-sided.

    Args:
        strata: of each stratum of so many ``blocks``, how many runs each ``x`` has.
        blocks: others are taken to be as these are on average, strata whole.
        alpha: level of the test.
    """
    found = [(times, log(_extreme(ties))) for ties, times in Counter(strata).items()]
    fewest = max(ceil(log(alpha) * blocks / sum(times * least for times, least in found) - _SLACK), 1)
    return next(
        many
        for many in count(fewest)
        if sum(times * many // blocks * least for times, least in found) <= log(alpha) + _SLACK
    )


def _extreme(ties: Counts) -> float:
    """Return the chance of the one order of a stratum in which all pairs agree."""
    mass = kendall.null_mass(ties, (1,) * sum(ties))
    return float(mass[np.flatnonzero(mass)[-1]])


def _pair_slopes(x: FloatArray, y: FloatArray) -> FloatArray:
    first, second = kendall.pairs_of(len(x))
    run, rise = x[second] - x[first], y[second] - y[first]
    slopes: FloatArray = rise[run != 0] / run[run != 0]
    return slopes


def _median(ordered: FloatArray) -> float:
    below, above = float(ordered[(len(ordered) - 1) // 2]), float(ordered[len(ordered) // 2])
    return below if below == above else (below + above) / 2
