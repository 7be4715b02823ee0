"""Optimal partitioning of many series at once: the cheapest segments, each with a mean and a variance of its own.

Plain dynamic programming looks at every start of the last segment for every end. Here most starts are ruled out for a
block of ends at a time, by a bound that cannot fail, and what is left is computed exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.stats.checks import FloatArray, IntArray

_BLOCK = 16
_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class _Many:
    """Series side by side.

    Attributes:
        total: (R, n + 1) sums of the first values of each, still after its last; ``squares``: of their squares.
        floor: (R, 1) least variance of a segment; ``price``: (R, 1) of a segment.
        shortest: fewest values of a segment.
        cost: (R, n + 1) of the cheapest segments up to an end; ``before``: where the last of them starts.
    """

    total: FloatArray
    squares: FloatArray
    floor: FloatArray
    price: FloatArray
    shortest: int
    cost: FloatArray
    before: IntArray


def cheapest_edges(
    arrays: Sequence[FloatArray], floors: Sequence[float], prices: Sequence[float], shortest: int
) -> list[list[int]]:
    """Return for each series the edges of its cheapest segments, 0 and its length included.

    A segment of ``L`` values costs ``L * (log(max(variance, floor)) + 1) + price``; of equally cheap starts the first
    is taken.

    Args:
        arrays: series of ``shortest`` values or more, each about 0.
        floors: least variance of a segment, per series.
        prices: of a segment, per series; the first segment is free.
        shortest: fewest values of a segment.
    """
    longest = max(len(array) for array in arrays)
    many = _side_by_side(arrays, longest, np.array(floors)[:, None], np.array(prices)[:, None], shortest)
    for first in range(shortest, longest + 1, _BLOCK):
        last = min(first + _BLOCK - 1, longest)
        rows, starts = np.divmod(np.flatnonzero(_possible(many, first, last)), last - shortest + 1)
        firsts = np.searchsorted(rows, np.arange(len(arrays)))
        # A last segment up to any of these ends starts before the first of them, where all costs are known.
        for some in range(first, last + 1, shortest):
            _extend(many, rows, starts, firsts, np.arange(some, min(some + shortest, last + 1)))
    return [_walk_back(one, len(array)) for one, array in zip(many.before, arrays, strict=True)]


def _side_by_side(
    arrays: Sequence[FloatArray], longest: int, floor: FloatArray, price: FloatArray, shortest: int
) -> _Many:
    shape = (len(arrays), longest + 1)
    total, squares, cost = np.zeros(shape), np.zeros(shape), np.full(shape, np.inf)
    for row, array in enumerate(arrays):
        for sums, values in ((total, array), (squares, array**2)):
            sums[row, 1 : len(array) + 1] = np.cumsum(values)
            sums[row, len(array) + 1 :] = sums[row, len(array)]
    cost[:, :1] = -price
    return _Many(total, squares, floor, price, shortest, cost, np.zeros(shape, dtype=np.int64))


def _extend(many: _Many, rows: IntArray, starts: IntArray, firsts: IntArray, ends: IntArray) -> None:
    """Find the cheapest starts of segments up to each of the ends, among the given ones of each series."""
    length = ends[:, None] - starts
    allowed = length >= many.shortest
    length = np.where(allowed, length, many.shortest)
    mean = (many.total[rows, ends[:, None]] - many.total[rows, starts]) / length
    variance = np.maximum(
        (many.squares[rows, ends[:, None]] - many.squares[rows, starts]) / length - mean**2, many.floor[rows, 0]
    )
    costs = many.cost[rows, starts] + length * (np.log(variance) + 1) + many.price[rows, 0]
    costs[~allowed] = np.inf
    least = np.minimum.reduceat(costs, firsts, axis=1)
    many.cost[:, ends] = least.T
    equal = np.where(costs == least[:, rows], np.arange(len(rows)), len(rows))
    many.before[:, ends] = starts[np.minimum.reduceat(equal, firsts, axis=1)].T


def _possible(many: _Many, first: int, last: int) -> NDArray[np.bool_]:
    """Return, per series and start, whether a segment from there could be the cheapest at an end from first to last.

    With ``S`` the sum of squares about the mean of the ``L`` values up to ``first``, those up to a later end have no
    smaller sum, so that a segment costs at least ``g(x) = x * (log(S / x) + 1)`` at its length ``x``: concave, so least
    at the first or the last end. Both sides are compared after ``drift`` per end is taken off, which keeps them close.
    """
    count, more = first - many.shortest + 1, last - first
    length = np.arange(first, first - count, -1.0)
    logs = np.log(_variances(many, slice(0, count), first, length))
    drift = logs[:, :1] + 1
    now = length * (logs + 1)
    later = (length + more) * (logs + np.log(length / (length + more)) + 1) - more * drift
    at_least = many.cost[:, :count] + np.minimum(now, later)
    at_most = (_prolonged(many, first, last) - np.arange(more + 1) * drift).max(axis=1, keepdims=True)
    possible = np.ones((len(many.cost), last - many.shortest + 1), dtype=np.bool_)
    possible[:, :count] = at_least <= at_most + _SLACK * (1 + np.abs(at_most))
    return possible


def _variances(many: _Many, starts: slice, end: int, length: FloatArray) -> FloatArray:
    mean = (many.total[:, end : end + 1] - many.total[:, starts]) / length
    return np.maximum((many.squares[:, end : end + 1] - many.squares[:, starts]) / length - mean**2, many.floor)


def _prolonged(many: _Many, first: int, last: int) -> FloatArray:
    """Return what the cheapest segments up to each end cost at most: the first or the latest one, made longer."""
    rows, ends = np.arange(len(many.cost)), np.arange(first, last + 1)
    costs = []
    for starts in (np.zeros_like(rows), np.minimum(many.before[:, first - 1], first - many.shortest)):
        length = ends - starts[:, None]
        mean = (many.total[:, ends] - many.total[rows, starts][:, None]) / length
        variance = (many.squares[:, ends] - many.squares[rows, starts][:, None]) / length - mean**2
        costs.append(many.cost[rows, starts][:, None] + length * (np.log(np.maximum(variance, many.floor)) + 1))
    least: FloatArray = np.minimum(*costs)
    return least


def _walk_back(before: IntArray, n: int) -> list[int]:
    edges = [n]
    while edges[-1] > 0:
        edges.append(int(before[edges[-1]]))
    return edges[::-1]
