"""Optimal partitioning of many series at once: the same segments as the textbook's recursion, one series at a time."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.stats.partition import cheapest_edges


def plain(array: np.ndarray, floor: float, price: float, shortest: int) -> list[int]:
    """Return the edges as Jackson et al. (2005) find them: every start for every end."""
    n = len(array)
    total, squares = (np.concatenate([[0.0], np.cumsum(part)]) for part in (array, array**2))
    cost, before = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=int)
    cost[0] = -price
    for end in range(shortest, n + 1):
        start = np.arange(end - shortest + 1)
        length = end - start
        mean = (total[end] - total[start]) / length
        variance = np.maximum((squares[end] - squares[start]) / length - mean**2, floor)
        candidates = cost[start] + length * (np.log(variance) + 1) + price
        before[end] = int(np.argmin(candidates))
        cost[end] = candidates[before[end]]
    edges = [n]
    while edges[-1] > 0:
        edges.append(int(before[edges[-1]]))
    return edges[::-1]


def series(seed: int) -> np.ndarray:
    """Return a series with or without steps, stalls, ticks of the clock, and one value a hundred times the others."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(12, 400))
    values = rng.lognormal(-4.0, rng.uniform(0.01, 0.5), n)
    if rng.random() < 0.5:
        values[: n // 3] *= 1.5
    if rng.random() < 0.4:
        values[rng.random(n) < 0.1] += 0.04
    if rng.random() < 0.3:
        values = np.round(values, 3)
    if rng.random() < 0.2:
        values[rng.integers(n)] *= 100
    if rng.random() < 0.1:
        values[:] = 0.02
    return values - values.mean()


@pytest.mark.parametrize("price", [3.0, 60.0])
@pytest.mark.parametrize("shortest", [2, 5])
def test_the_edges_are_those_of_the_plain_recursion(price: float, shortest: int) -> None:
    arrays = [series(seed) for seed in range(30)]
    floors, prices = [1e-8 * (1 + place % 3) for place in range(30)], [price + place % 5 for place in range(30)]
    expected = [plain(*one, shortest) for one in zip(arrays, floors, prices, strict=True)]
    assert cheapest_edges(arrays, floors, prices, shortest) == expected
    assert max(len(edges) for edges in expected) > 3


def test_the_shortest_series_is_one_segment() -> None:
    assert cheapest_edges([np.array([0.0, 1.0])], [1e-9], [1.0], 2) == [[0, 2]]
