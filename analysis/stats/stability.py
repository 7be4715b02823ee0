"""Whether a run reaches a steady state: changepoints in mean and variance, and the classes of Barrett et al. (2017)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analysis.stats.checks import as_vector
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
class Steadiness:
    """How a run behaves over time.

    Attributes:
        kind: ``flat``, ``warmup`` (ends faster than it began), ``slowdown`` (ends slower), or ``no-steady``.
        steady_from: index from which every segment is like the last one; None without a steady state.
    """

    kind: str
    steady_from: int | None


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
        ValueError: a run of fewer than ten values, NaN or infinite.
    """
    arrays = [as_vector(run, "values", least=2 * _SHORTEST) for run in runs]
    edges = _segments([_clamped(array) for array in arrays])
    return tuple(_classified(*one) for one in edges)


def _classified(array: FloatArray, edges: Sequence[int]) -> Steadiness:
    starts, means = edges[:-1], np.array([array[a:b].mean() for a, b in pairwise(edges)])
    last = float(means[-1])
    apart = means - last
    alike = np.abs(apart) <= max(_ALIKE * abs(last), _ALIKE_S)
    if alike.all():
        return Steadiness("flat", 0)
    steady_from = starts[len(alike) - int(np.argmin(alike[::-1]))]
    if steady_from > (1 - _LAST_PART) * len(array):
        return Steadiness("no-steady", None)
    slower_before = bool((apart[~alike] > 0).all())
    return Steadiness("warmup" if slower_before else "slowdown", steady_from)


def _clamped(array: FloatArray) -> FloatArray:
    """Pull extreme values back to the bound of their window, so that one of them is not a segment."""
    width = min(_WINDOW, len(array))
    firsts = np.arange(0, len(array), _WINDOW)
    windows = array[np.minimum(firsts, len(array) - width)[:, None] + np.arange(width)]
    low, middle, high = np.quantile(windows, [0.1, 0.5, 0.9], axis=1)
    own = np.arange(len(array)) // _WINDOW
    reach = (_REACH * (high - low))[own]
    return np.clip(array, middle[own] - reach, middle[own] + reach)


def _segments(arrays: Sequence[FloatArray]) -> Iterator[tuple[FloatArray, list[int]]]:
    """Yield each series with the edges of its segments, where its mean or variance changes.

    Minimises ``sum over segments of n * (log(variance) + 1) + penalty`` (Jackson et al. 2005; the cost ``meanvar`` of
    Killick et al. 2012) with a penalty of ``15 * log(n)``, as Barrett et al. have it. Deviations have a floor of 1 % of
    the typical step, so that repeated values do not count as infinitely certain.
    """
    for first in range(0, len(arrays), _TOGETHER):
        some = arrays[first : first + _TOGETHER]
        centred = [array - array.mean() for array in some]
        prices = [_PENALTY * float(np.log(len(array))) for array in some]
        edges = cheapest_edges(centred, [_floor(array) for array in centred], prices, _SHORTEST)
        yield from zip(some, edges, strict=True)


def _floor(array: FloatArray) -> float:
    """Return the least variance of a segment: that of 1 % of the typical step."""
    steps = np.diff(array)
    return float((_FLOOR * float(np.median(np.abs(steps[steps != 0])) if (steps != 0).any() else 1.0)) ** 2)
