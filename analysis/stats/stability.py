"""Whether a run reaches a steady state: changepoints in mean and variance, and the classes of Barrett et al. (2017)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analysis.stats.checks import as_positive, as_vector, at_least
from analysis.stats.partition import cheapest_edges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray

_PENALTY = 15.0
_SHORTEST = 5
_FLOOR = 0.01
_REACH = 3.0
_LAST_PART = 0.25
_ALIKE, _ALIKE_S = 0.05, 0.001
_WINDOW = 200
_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class ChangePoints:
    """Segments of a series, each with its own mean and variance.

    Attributes:
        starts: index at which each segment after the first begins.
        means: per segment; ``lengths``: values per segment.
        penalty: what one more segment had to gain in twice the log likelihood.
    """

    starts: tuple[int, ...]
    means: tuple[float, ...]
    lengths: tuple[int, ...]
    penalty: float


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How a run behaves over time.

    Attributes:
        kind: ``flat``, ``warmup`` (ends faster than it began), ``slowdown`` (ends slower), or ``no-steady``.
        steady_from: index from which every segment is like the last one; None without a steady state.
    """

    kind: str
    steady_from: int | None


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
        ValueError: fewer than two shortest segments, NaN, infinite, ``shortest`` below 2, or ``penalty`` not positive.
    """
    at_least(shortest, "shortest", 2)
    if penalty is not None:
        as_positive(penalty, "penalty")
    array = as_vector(values, "values", least=2 * shortest)
    (found,) = _changepoints([array], penalty, shortest)
    return found


def steadiness_of(runs: Sequence[ArrayLike]) -> tuple[Steadiness, ...]:
    """Classify each run as flat, warming up, slowing down, or never steady.

    After Barrett et al., *Virtual Machine Warmup Blows Hot and Cold* (OOPSLA 2017): values beyond three p10-p90 ranges
    of the median are set to that bound before segments are sought; a changepoint within the last quarter means no
    steady state. Segments count as alike when their means differ by no more than 5 % of the last one or 1 ms, whichever
    is larger: a pause of milliseconds needs a relative rule where the paper has 1 ms. Many runs at once take a fraction
    of the time that each of them takes alone.

    Args:
        runs: for each its pauses in seconds, in the order measured; they may differ in length. None give none: an
            empty sequence is no error here.

    Raises:
        ValueError: as ``changepoints``.
    """
    arrays = [as_vector(run, "values", least=2 * _SHORTEST) for run in runs]
    segments = _changepoints([_clamped(array) for array in arrays], None, _SHORTEST)
    return tuple(_classified(found, len(array)) for found, array in zip(segments, arrays, strict=True))


def _classified(found: ChangePoints, n: int) -> Steadiness:
    starts, last = (0, *found.starts), found.means[-1]
    apart = np.array(found.means) - last
    alike = np.abs(apart) <= max(_ALIKE * abs(last), _ALIKE_S)
    if alike.all():
        return Steadiness("flat", 0)
    steady_from = starts[len(alike) - int(np.argmin(alike[::-1]))]
    if steady_from > (1 - _LAST_PART) * n:
        return Steadiness("no-steady", None)
    slower_before = bool((apart[~alike] > 0).all())
    return Steadiness("warmup" if slower_before else "slowdown", steady_from)


def _clamped(array: FloatArray) -> FloatArray:
    """Pull extreme values back to the bound of their window, so that one of them is not a segment."""
    clamped = array.copy()
    for start in range(0, len(array), _WINDOW):
        window = array[max(0, min(start, len(array) - _WINDOW)) : start + _WINDOW]
        low, middle, high = np.quantile(window, [0.1, 0.5, 0.9])
        reach = _REACH * (high - low)
        clamped[start : start + _WINDOW] = np.clip(array[start : start + _WINDOW], middle - reach, middle + reach)
    return clamped


def _changepoints(arrays: Sequence[FloatArray], penalty: float | None, shortest: int) -> Iterator[ChangePoints]:
    prices = [_PENALTY * float(np.log(len(array))) if penalty is None else float(penalty) for array in arrays]
    for first in range(0, len(arrays), _TOGETHER):
        some, their = arrays[first : first + _TOGETHER], prices[first : first + _TOGETHER]
        centred = [array - array.mean() for array in some]
        edges = cheapest_edges(centred, [_floor(array) for array in centred], their, shortest)
        yield from (_segments(*one) for one in zip(some, edges, their, strict=True))


def _segments(array: FloatArray, edges: list[int], price: float) -> ChangePoints:
    parts = [array[a:b] for a, b in pairwise(edges)]
    return ChangePoints(
        starts=tuple(edges[1:-1]),
        means=tuple(float(part.mean()) for part in parts),
        lengths=tuple(len(part) for part in parts),
        penalty=price,
    )


def _floor(array: FloatArray) -> float:
    """Return the least variance of a segment: that of 1 % of the typical step."""
    steps = np.diff(array)
    return float((_FLOOR * float(np.median(np.abs(steps[steps != 0])) if (steps != 0).any() else 1.0)) ** 2)
