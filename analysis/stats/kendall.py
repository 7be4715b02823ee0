"""Kendall's S and its null distribution, ties included: what every ordered-trend test of this package is made of.

``S`` is the number of pairs in which ``x`` and ``y`` agree in order minus those in which they disagree. The
Jonckheere-Terpstra statistic of ordered groups is ``(S + pairs across groups) / 2``.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from math import comb, prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analysis.stats.checks import FloatArray

    Counts = tuple[int, ...]
    Exact = NDArray[Any]

_MOST_TIE_FREE = 80
_MOST_STEPS = 60_000
_TRIPLE = 3


def order(values: FloatArray) -> NDArray[np.int64]:
    """Return each value's place among the distinct values; ``+inf`` counts as one value, the largest."""
    places: NDArray[np.int64] = np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return places


def tie_counts(values: FloatArray) -> Counts:
    """Return how often each distinct value occurs, in increasing order of the values."""
    listed = values.tolist()
    if len(set(listed)) == len(listed):
        return (1,) * len(listed)
    return tuple(len(list(group)) for _, group in groupby(sorted(listed)))


@lru_cache(maxsize=256)
def pairs_of(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the second index of every pair among ``n``."""
    return np.triu_indices(n, 1)


@lru_cache(maxsize=16)
def _pairs_within(lengths: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the same of every pair within vectors of these lengths that stand one after another."""
    if len(lengths) == 1:
        return pairs_of(lengths[0])
    starts = np.cumsum((0, *lengths[:-1]))
    both = zip(*(pairs_of(length) for length in lengths), strict=True)
    first, second = (np.concatenate([own + start for own, start in zip(each, starts, strict=True)]) for each in both)
    return first, second


def score(*strata: tuple[FloatArray, FloatArray]) -> int:
    """Return ``S``, summed over pairs of vectors ``x`` and ``y`` of the same length."""
    pairs = _pairs_within(tuple(len(x) for x, _ in strata))
    x, y = (np.concatenate(own) for own in zip(*strata, strict=True))
    return int(_signs(x, *pairs) @ _signs(y, *pairs))


def _signs(values: FloatArray, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return the sign of second minus first for every pair, by comparison so that two infinities are equal."""
    a, b = values[first], values[second]
    return (b > a).astype(np.int64) - (b < a)


@lru_cache(maxsize=512)
def variance(x_ties: Counts, y_ties: Counts) -> float:
    """Return the variance of ``S`` of two or more values under the null, corrected for ties (Kendall 1970, ch. 4)."""
    n = sum(x_ties)
    pairs_x, pairs_y = (sum(t * (t - 1) for t in ties) for ties in (x_ties, y_ties))
    triples_x, triples_y = (sum(t * (t - 1) * (t - 2) for t in ties) for ties in (x_ties, y_ties))
    fives = n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in (*x_ties, *y_ties))
    total = fives / 18 + pairs_x * pairs_y / (2 * n * (n - 1))
    if n >= _TRIPLE:
        total += triples_x * triples_y / (9 * n * (n - 1) * (n - 2))
    return total


@lru_cache(maxsize=512)
def affordable(x_ties: Counts, y_ties: Counts) -> bool:
    """Tell whether ``null_mass`` answers within about a second."""
    if max(x_ties) == 1 or max(y_ties) == 1:
        return sum(x_ties) <= _MOST_TIE_FREE
    groups, ties = sorted((x_ties, y_ties), key=_states)
    splits = max(comb(tie + len(groups) - 1, tie) for tie in ties)
    return _states(groups) * min(splits, _states(groups)) <= _MOST_STEPS


def _states(counts: Counts) -> int:
    return prod(count + 1 for count in counts)


@lru_cache(maxsize=512)
def null_mass(x_ties: Counts, y_ties: Counts) -> FloatArray:
    """Return the exact probability of each ``S`` from ``-n(n-1)/2`` to ``n(n-1)/2`` when ``y`` is in random order.

    Conditional on the ties of both margins: every assignment of the observed values to the groups is equally likely.

    Args:
        x_ties: how often each distinct ``x`` occurs, in increasing order of ``x`` (the sizes of the groups).
        y_ties: the same of ``y``.

    Returns:
        array of odd length ``n(n-1) + 1``, read-only; the middle entry is ``S = 0``.
    """
    if max(y_ties) == 1:
        mass = _tie_free(x_ties)
    elif max(x_ties) == 1:
        mass = _tie_free(y_ties)
    else:
        mass = _tied(*sorted((x_ties, y_ties), key=_states))
    mass.setflags(write=False)
    return mass


@lru_cache(maxsize=64)
def summed_mass(strata: tuple[tuple[tuple[Counts, Counts], int], ...]) -> FloatArray:
    """Return the exact probability of each sum of ``S`` over independent strata.

    Args:
        strata: the ties of ``x`` and of ``y`` in a stratum, and how many strata have these.

    Returns:
        array of odd length centred on ``S = 0``, read-only.
    """
    total = np.ones(1)
    for (x_ties, y_ties), count in strata:
        total = np.convolve(total, _power(null_mass(x_ties, y_ties), count))
    total.setflags(write=False)
    return total


def _power(mass: FloatArray, count: int) -> FloatArray:
    """Convolve a mass ``count`` times with itself by squaring; every term is positive, so nothing cancels."""
    total = np.ones(1)
    while count:
        if count % 2:
            total = np.convolve(total, mass)
        count //= 2
        if count:
            mass = np.convolve(mass, mass)
    return total


def tail(mass: FloatArray, observed: int, alternative: str) -> float:
    """Return the probability of ``S`` at least as extreme as ``observed`` under ``mass`` (centred on 0)."""
    reach = len(mass) // 2
    values = np.arange(-reach, reach + 1)
    chosen = {"increasing": values >= observed, "decreasing": values <= observed}.get(
        alternative, np.abs(values) >= abs(observed)
    )
    return min(float(mass[chosen].sum()), 1.0)


def _tie_free(sizes: Counts) -> FloatArray:
    """Expand the Gaussian multinomial coefficient, which counts orders by concordant pairs."""
    counts: Exact = np.array([1], dtype=object)
    before = 0
    for size in sizes:
        for place in range(1, size + 1):
            counts = _divide(_multiply(counts, before + place), place)
        before += size
    concordant, n = len(counts) - 1, sum(sizes)
    total = int(counts.sum())
    mass = np.zeros(n * (n - 1) + 1)
    start = n * (n - 1) // 2 - concordant
    mass[start : start + 2 * concordant + 1 : 2] = [int(count) / total for count in counts]
    return mass


def _multiply(counts: Exact, power: int) -> Exact:
    product = np.concatenate([counts, np.zeros(power, dtype=object)])
    product[power:] -= counts
    return product


def _divide(counts: Exact, power: int) -> Exact:
    quotient = counts.copy()
    for start in range(power):
        quotient[start::power] = np.add.accumulate(counts[start::power])
    return quotient[: len(counts) - power]


def _tied(groups: Counts, ties: Counts) -> FloatArray:
    """Deal the tied classes to the groups in increasing order; the state is how full each group is."""
    n = sum(groups)
    start = np.zeros(n * (n - 1) + 1)
    start[len(start) // 2] = 1.0
    states = {(0,) * len(groups): start}
    for tie in ties:
        following: dict[Counts, FloatArray] = {}
        for used, mass in states.items():
            free = tuple(size - taken for size, taken in zip(groups, used, strict=True))
            for taken in _splits(tie, free):
                weight = prod(map(comb, free, taken)) / comb(sum(free), tie)
                moved = weight * np.roll(mass, _gain(used, taken))
                filled = tuple(map(sum, zip(used, taken, strict=True)))
                following[filled] = following[filled] + moved if filled in following else moved
        states = following
    return states[groups]


def _gain(used: Counts, taken: Counts) -> int:
    """Return what a class adds to ``S``: every member is above all that was dealt before it."""
    return sum(count * (sum(used[:group]) - sum(used[group + 1 :])) for group, count in enumerate(taken))


def _splits(count: int, free: Counts) -> Iterator[Counts]:
    """Yield every way to put ``count`` equal things into groups with ``free`` places."""
    if len(free) == 1:
        if count <= free[0]:
            yield (count,)
        return
    for here in range(min(count, free[0]) + 1):
        for rest in _splits(count - here, free[1:]):
            yield (here, *rest)
