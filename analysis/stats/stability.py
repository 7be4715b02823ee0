"""Whether a run reaches a steady state: changepoints in mean and variance, and the classes of Barrett et al. (2017)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analysis.stats.checks import as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray

_PENALTY = 15.0
_SHORTEST = 5
_FLOOR = 0.01
_REACH = 3.0
_LAST_PART = 0.25
_WINDOW = 200


@dataclass(frozen=True, slots=True)
class ChangePoints:
    """Segments of a series, each with its own mean and variance.

    Attributes:
        starts: index at which each segment after the first begins.
        means: per segment; ``variances``: per segment; ``lengths``: values per segment.
        penalty: what one more segment had to gain in twice the log likelihood.
    """

    starts: tuple[int, ...]
    means: tuple[float, ...]
    variances: tuple[float, ...]
    lengths: tuple[int, ...]
    penalty: float


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How a run behaves over time.

    Attributes:
        kind: ``flat``, ``warmup`` (ends faster than it began), ``slowdown`` (ends slower), or ``no-steady``.
        steady_from: index from which every segment is like the last one; None without a steady state.
        changepoints: the segments it was read from.
    """

    kind: str
    steady_from: int | None
    changepoints: ChangePoints


def changepoints(values: ArrayLike, *, penalty: float | None = None, shortest: int = _SHORTEST) -> ChangePoints:
    """Split a series where its mean or variance changes, by optimal partitioning with normal likelihood.

    Minimises ``sum over segments of n * (log(variance) + 1) + penalty`` (Jackson et al. 2005; the cost ``meanvar`` of
    Killick et al. 2012). Deviations have a floor of 1 % of the typical step, so that repeated values do not count as
    infinitely certain.

    Args:
        values: (n,) in the order measured; ``n`` up to some thousands (time grows with its square).
        penalty: per changepoint; None for ``15 * log(n)``, as Barrett et al. (2017).
        shortest: fewest values of a segment.

    Raises:
        ValueError: fewer than two shortest segments, NaN, infinite, or ``shortest`` below 2.
    """
    if shortest < 2:  # noqa: PLR2004 - a variance needs two
        raise ValueError(f"shortest must be at least 2 and is {shortest}")
    array = as_vector(values, "values", least=2 * shortest)
    n = len(array)
    price = _PENALTY * float(np.log(n)) if penalty is None else float(penalty)
    edges = _partition(array - array.mean(), price, shortest)
    parts = [array[a:b] for a, b in pairwise(edges)]
    return ChangePoints(
        starts=tuple(edges[1:-1]),
        means=tuple(float(part.mean()) for part in parts),
        variances=tuple(float(part.var()) for part in parts),
        lengths=tuple(len(part) for part in parts),
        penalty=price,
    )


def steadiness(values: ArrayLike, *, tolerance: float = 0.05, tolerance_s: float = 0.001) -> Steadiness:
    """Classify a run as flat, warming up, slowing down, or never steady.

    After Barrett et al., *Virtual Machine Warmup Blows Hot and Cold* (OOPSLA 2017): values beyond three p10-p90 ranges
    of the median are set to that bound before segments are sought; a changepoint within the last quarter means no
    steady state. Segments count as alike when their means differ by no more than ``tolerance`` of the last one or
    ``tolerance_s``, whichever is larger: a pause of milliseconds needs a relative rule where the paper has 1 ms.

    Args:
        values: (n,) pauses of one run in seconds, in the order measured.
        tolerance: relative difference between segments that does not matter.
        tolerance_s: the same in seconds.

    Raises:
        ValueError: as ``changepoints``.
    """
    array = as_vector(values, "values", least=2 * _SHORTEST)
    found = changepoints(_clamped(array))
    starts, last = (0, *found.starts), found.means[-1]
    apart = np.array(found.means) - last
    alike = np.abs(apart) <= max(tolerance * abs(last), tolerance_s)
    if alike.all():
        return Steadiness("flat", 0, found)
    steady_from = starts[len(alike) - int(np.argmin(alike[::-1]))]
    if steady_from > (1 - _LAST_PART) * len(array):
        return Steadiness("no-steady", None, found)
    slower_before = bool((apart[~alike] > 0).all())
    return Steadiness("warmup" if slower_before else "slowdown", steady_from, found)


def _clamped(array: FloatArray) -> FloatArray:
    """Pull extreme values back to the bound of their window, so that one of them is not a segment."""
    clamped = array.copy()
    for start in range(0, len(array), _WINDOW):
        window = array[max(0, min(start, len(array) - _WINDOW)) : start + _WINDOW]
        low, middle, high = np.quantile(window, [0.1, 0.5, 0.9])
        reach = _REACH * (high - low)
        clamped[start : start + _WINDOW] = np.clip(array[start : start + _WINDOW], middle - reach, middle + reach)
    return clamped


def _partition(array: FloatArray, penalty: float, shortest: int) -> list[int]:
    """Return the edges of the cheapest segments, 0 and ``n`` included."""
    n = len(array)
    total, squares = (np.concatenate([[0.0], np.cumsum(part)]) for part in (array, array**2))
    steps = np.diff(array)
    floor = (_FLOOR * float(np.median(np.abs(steps[steps != 0])) if (steps != 0).any() else 1.0)) ** 2
    cost, before = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.int64)
    cost[0] = -penalty
    for end in range(shortest, n + 1):
        start = np.arange(end - shortest + 1)
        length = end - start
        mean = (total[end] - total[start]) / length
        variance = np.maximum((squares[end] - squares[start]) / length - mean**2, floor)
        candidates = cost[start] + length * (np.log(variance) + 1) + penalty
        before[end] = int(np.argmin(candidates))
        cost[end] = candidates[before[end]]
    edges = [n]
    while edges[-1] > 0:
        edges.append(int(before[edges[-1]]))
    return edges[::-1]
