"""How often the exact test of Kendall's S within strata finds a slope: what a verdict can be promised."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr, ndtri

from analysis.stats import kendall
from analysis.stats.checks import as_positive, as_share, at_least
from analysis.stats.intervals import hodges_lehmann
from analysis.stats.slopes import critical_score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.stats.checks import FloatArray

_DRAWS, _FLOORS, _FLOOR_DRAWS = 8_000, 7, 200
_MANY_EQUALS, _MANY_DRAWS = 24, 4_000
_WALSH = 3 / np.pi
"""The efficiency of the Hodges-Lehmann estimate of normal differences (Hollander, Wolfe & Chicken, 3.11)."""
_MOST_EXACT = 40
"""Blocks up to which the distribution of S is convolved; above it is as good as normal."""


def exact_power(
    strata: Sequence[FloatArray],
    sd: float,
    slope: float,
    blocks: int,
    *,
    alpha: float = 0.05,
    pairs: int = 0,
    edge: float = 0.0,
    within: float | None = None,
    seed: int = 1,
) -> float:
    """Return the chance that growth by ``slope`` is found at one-sided ``alpha``, for normal logs.

    The chance that growth by ``slope`` is ruled out where there is none is the same, but for equals (``within``).

    Args:
        strata: of one block, the ``x`` of each stratum's runs.
        sd: standard deviation between runs, within cell and block.
        slope: true growth of the logs per unit of ``x``.
        blocks: how many.
        alpha: level of the exact test; in a family of m, 0.05 / m for an effect that is alone.
        pairs: of equal cells in each block: growth has to be told from what these differ by, not from none.
        edge: what growth has to be told from at least, per unit of ``x``.
        within: given where growth is ruled out: what equals may differ by, per unit of ``x``, for anything to be said.
        seed: of the generator.

    Raises:
        ValueError: a number out of range, or no stratum with two different ``x``.
    """
    as_positive(sd, "sd")
    as_share(alpha, "alpha")
    at_least(blocks, "blocks", 1)
    kept = [x for x in strata if np.ptp(x) > 0]
    if not kept:
        raise ValueError("no stratum holds two different x")
    rng = np.random.default_rng(seed)
    span = float(np.median([np.ptp(x) for x in kept]))  # as verdicts have it
    floors = np.zeros(1)
    if pairs:
        unit, rng.bit_generator.state = _floors(blocks * pairs, seed)
        floors = sd * unit / span
    draws = [sd * rng.standard_normal((_DRAWS, len(x))) for x in kept]
    if within is not None:
        return float(np.mean(floors <= within)) * _found(kept, draws, slope, blocks, alpha)
    return float(np.mean([_found(kept, draws, slope - max(edge, floor), blocks, alpha) for floor in floors]))


def smallest_slope(
    strata: Sequence[FloatArray], sd: float, blocks: int, *, alpha: float = 0.05, power: float = 0.80, pairs: int = 0
) -> float:
    """Return the smallest slope that is found with ``power``; infinite where these blocks can find none.

    Args:
        strata: as in :func:`exact_power`, ``sd``, ``blocks``, ``alpha`` and ``pairs`` too.
        sd: as there.
        blocks: as there.
        alpha: as there.
        power: chance to find it.
        pairs: as there.
    """
    low, high = 0.0, sd / 8
    while exact_power(strata, sd, high, blocks, alpha=alpha, pairs=pairs) < power:
        low, high = high, 2 * high
        if high > _FAR * sd:
            return float("inf")
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if exact_power(strata, sd, middle, blocks, alpha=alpha, pairs=pairs) < power:
            low = middle
        else:
            high = middle
    return high


_FAR, _HALVINGS = 200.0, 7


def _found(strata: Sequence[FloatArray], draws: Sequence[FloatArray], slope: float, blocks: int, alpha: float) -> float:
    score = np.zeros(_DRAWS, dtype=np.int64)
    ties: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
    for x, noise in zip(strata, draws, strict=True):
        first, second = kendall.pairs_of(len(x))
        y = noise + slope * x
        score += (np.sign(x[second] - x[first]) * np.sign(y[:, second] - y[:, first])).sum(axis=1).astype(np.int64)
        ties[kendall.tie_counts(x), (1,) * len(x)] += 1
    if blocks > _MOST_EXACT:
        variance = sum(times * kendall.variance(*both) for both, times in ties.items())
        critical = float(ndtri(1 - alpha)) * sqrt(blocks * variance)
        return float(ndtr((blocks * score.mean() - critical) / sqrt(blocks * max(score.var(), 1e-12))))
    null = kendall.summed_mass(tuple(sorted((both, times * blocks) for both, times in ties.items())))
    limit = critical_score(null, alpha)
    if limit is None:
        return 0.0
    reach = sum(len(x) * (len(x) - 1) // 2 for x in strata)
    mass = np.bincount(score + reach, minlength=2 * reach + 1) / _DRAWS
    total = np.ones(1)
    for _ in range(blocks):
        total = np.convolve(total, mass)
    return float(total[limit + len(total) // 2 :].sum())


@lru_cache(maxsize=64)
def _floors(count: int, seed: int) -> tuple[FloatArray, Mapping[str, Any]]:
    """Return a few quantiles of what equals are found to differ by, in deviations; and how the generator goes on."""
    rng = np.random.default_rng(seed)
    return _floor_quantiles(count, rng), rng.bit_generator.state


def _floor_quantiles(count: int, rng: np.random.Generator) -> FloatArray:
    if count > _MANY_EQUALS:  # the estimate is as good as normal, and the exact test of so many takes minutes
        error = sqrt(2 / (_WALSH * count))
        reaches = np.abs(error * rng.standard_normal(_MANY_DRAWS)) + float(ndtri(0.975)) * error
        return np.asarray(np.quantile(reaches, (np.arange(_FLOORS) + 0.5) / _FLOORS))
    found = []
    for differences in np.sqrt(2) * rng.standard_normal((_FLOOR_DRAWS, count)):
        shift = hodges_lehmann(differences, np.zeros(count))
        found.append(max(abs(shift.low), abs(shift.high)) if shift.rank else float(np.abs(differences).max()))
    quantiles: FloatArray = np.quantile(found, (np.arange(_FLOORS) + 0.5) / _FLOORS)
    return quantiles
