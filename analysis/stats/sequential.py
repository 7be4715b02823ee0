"""Looking after each block, and still wrong no more often: what a look may call significant when others came before it.

Who tests after every block and stops at the first success is wrong far more often than 5 %. Here the 5 % are spent look
by look (Lan & DeMets, *Discrete sequential boundaries for clinical trials*, Biometrika 70, 1983, doi:10.2307/2336502):
the chance that a look is the first to be wrong is what the spending function gives it, by the joint distribution of
sums of independent blocks (Armitage, McPherson & Rowe, JRSS A 132, 1969, doi:10.2307/2343787).
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import fftconvolve
from scipy.special import ndtr, ndtri

from analysis.stats.checks import as_share, at_least

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.stats.checks import FloatArray

FIRST_BLOCKS = 2
"""Blocks after which nothing is spent yet, so that nothing is decided: ranks within so few tell little."""

HALF_SPENT_IN = 5
"""Further blocks in which half of what is left is spent: there is no last look, and more blocks may always follow."""

FEWEST_TESTS = 4
"""Tests among which a level is shared, at least.

The rarer the errors of neighbouring looks are, the less they overlap, and the more of them there are in all. Tests that
share the level (a family adjusted by Holm, both ways of a two-sided one) test at parts of it: a level is worked out for
the smallest part, for which it is right, and a little small for a larger one.
"""

_STEP = 0.02
_REACH = 9.0


def spent(blocks: int) -> float:
    """Return the share of the error rate that may be spent by the look after so many blocks."""
    return 1.0 - _left(blocks)


def _left(blocks: int) -> float:
    """Return the rest of it: never none, where what is spent is rounded to all of it after some 270 blocks."""
    return float(0.5 ** (max(blocks - FIRST_BLOCKS, 0) / HALF_SPENT_IN))


def look_level(looks: Sequence[int], alpha: float = 0.05, *, series: bool = False, tests: int = 1) -> float:
    """Return the one-sided level of the last look, so that all of them together are wrong at a rate of ``alpha``.

    A single look has all of it: nobody looked before, and nobody was to look again. With others every look has its
    share, also where it was not planned; that of the first :data:`FIRST_BLOCKS` blocks is 0.

    Args:
        looks: after how many blocks, in rising order; the same number again where runs of these were measured between
            two looks, which then have that number's share together.
        alpha: of all looks together.
        series: whether the first look was to be followed by others, so that it is no single one.
        tests: among which the level is shared; what each of them has may be as little as its ``tests``-th part.

    Raises:
        ValueError: no look, looks that fall or begin below 1, no test, or ``alpha`` outside (0, 1).
    """
    as_share(alpha, "alpha")
    at_least(tests, "tests", 1)
    after = tuple(looks)
    if not after or after[0] < 1 or any(late < early for early, late in pairwise(after)):
        raise ValueError(f"looks are numbers of blocks that rise from 1 on, not {list(after)}")
    return alpha if len(after) == 1 and not series else _levels(after, alpha, max(tests, FEWEST_TESTS))[-1]


def cost_in_blocks(
    looks: Sequence[int], alpha: float = 0.05, power: float = 0.80, *, series: bool = False, tests: int = 1
) -> float:
    """Return how many times the blocks the last look needs for what a single look finds with ``power``.

    Args:
        looks: after how many blocks.
        alpha: of all looks together.
        power: of the test.
        series: as in :func:`look_level`.
        tests: likewise.
    """
    once, again = (-ndtri(level) for level in (alpha, look_level(looks, alpha, series=series, tests=tests)))
    return float(((again + ndtri(power)) / (once + ndtri(power))) ** 2)  # infinite before anything is spent


@lru_cache(maxsize=256)
def _levels(looks: tuple[int, ...], alpha: float, tests: int) -> tuple[float, ...]:
    """Return the level of the looks after each number of blocks, for tests at a ``tests``-th part of it.

    The sum over blocks of independent standard normal increments, of which those go that have crossed before.
    """
    small, times = alpha / tests, Counter(looks)
    shares = -small * np.diff([1.0, *map(_left, times)]) / list(times.values())
    grid = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)  # in deviations of the sum at each look
    density: FloatArray | None = None
    levels, before = [], 0
    for look, share in zip(times, shares, strict=True):
        density = _moved(density, grid, before, look)
        crossing = np.cumsum((density * _STEP)[::-1])[::-1]  # at or beyond each point
        bound = float(np.interp(-share, -crossing, grid)) if share else np.inf
        levels.append(float(ndtr(-bound)) * tests)
        density = np.where(grid < bound, density, 0.0)
        before = look
    return tuple(min(level, alpha) for level in levels)


def _moved(density: FloatArray | None, grid: FloatArray, before: int, look: int) -> FloatArray:
    """Return the density of the standardised sum at a look, from that of those who had not stopped before."""
    if density is None:
        first: FloatArray = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)
        return first
    kept, added = np.sqrt(before / look), np.sqrt(1 - before / look)
    shrunk = np.interp(grid, grid * kept, density, left=0.0, right=0.0) / kept
    noise = np.exp(-((grid / added) ** 2) / 2) / (np.sqrt(2 * np.pi) * added)
    moved: FloatArray = fftconvolve(shrunk, noise, mode="same") * _STEP
    return np.maximum(moved, 0.0)
