"""One slope at each level of another factor: do they differ, and what is their mean?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr

from analysis.stats.checks import as_codes, as_vector, same_length
from analysis.stats.groups import centred
from analysis.stats.linear import TINY, FTest, f_test

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class MeanSlope:
    """The mean of the slopes of all levels, in units of ``y`` per unit of ``x``: standard error, degrees of freedom."""

    estimate: float
    standard_error: float
    df: float

    def below(self, edge: float) -> float:
        """Return the one-sided p-value of a mean below ``edge``."""
        return self._tail(self.estimate - edge)

    def above(self, edge: float) -> float:
        """Return the one-sided p-value of a mean above ``edge``."""
        return self._tail(edge - self.estimate)

    def _tail(self, beyond: float) -> float:
        return float(stdtr(self.df, beyond / self.standard_error)) if self.standard_error else float(beyond >= 0)


def interaction(
    x: ArrayLike, y: ArrayLike, level: Iterable[Hashable], block: Iterable[Hashable] | None = None
) -> FTest:
    """Test whether the slope of ``y`` on ``x`` is the same at every level of another factor.

    Each combination of level and block has its own intercept; compared are one slope per level and one for all.

    Args:
        x: (n,) size on the scale of the slope.
        y: (n,) one summary per run, such as the log of its median.
        level: (n,) labels of the other factor, at least two.
        block: (n,) labels of blocks; None for a single one.

    Raises:
        ValueError: NaN, unequal lengths, one level, a level without two different ``x`` in a block, or no degrees of
            freedom left.
    """
    levels, strata, dx, dy, sxx = _within_levels(x, y, level, block)
    sxy = np.bincount(levels, dx * dy)
    slopes, common = sxy / sxx, float(sxy.sum() / sxx.sum())
    full = float(((dy - slopes[levels] * dx) ** 2).sum())
    reduced = float(((dy - common * dx) ** 2).sum())
    df_error = len(dx) - int(strata.max()) - 1 - len(sxx)
    return f_test(reduced - full, len(sxx) - 1, full, df_error)


def mean_slope(
    x: ArrayLike, y: ArrayLike, level: Iterable[Hashable], block: Iterable[Hashable] | None = None
) -> MeanSlope:
    """Estimate the mean over all levels of the slope of ``y`` on ``x``, where each level has a noise of its own.

    A quiet level counts no more than a noisy one: Welch 1947 (Biometrika 34), with Satterthwaite's degrees of freedom.
    Where a level has too few runs to tell its noise, what the levels' slopes differ by stands for that of all.

    Args:
        x: (n,) size on the scale of the slope.
        y: (n,) one summary per run, such as the log of its median.
        level: (n,) labels of the other factor, at least two.
        block: (n,) labels of blocks; None for a single one.

    Raises:
        ValueError: NaN, unequal lengths, one level, or a level without two different ``x`` in a block.
    """
    levels, strata, dx, dy, sxx = _within_levels(x, y, level, block)
    count = len(sxx)
    slopes = np.bincount(levels, dx * dy) / sxx
    rest = np.bincount(levels, (dy - slopes[levels] * dx) ** 2)
    df = np.bincount(levels) - np.array([len(np.unique(strata[levels == one])) + 1 for one in range(count)])
    estimate = float(slopes.mean())
    if df.min() < 1:
        return MeanSlope(estimate, float(slopes.std(ddof=1)) / math.sqrt(count), count - 1.0)
    variances = rest / df / sxx
    whole = float(variances.sum())
    freedom = whole**2 / float((variances**2 / df).sum()) if whole else float(df.sum())
    return MeanSlope(estimate, math.sqrt(whole) / count, freedom)


def _within_levels(
    x: ArrayLike, y: ArrayLike, level: Iterable[Hashable], block: Iterable[Hashable] | None
) -> tuple[IntArray, IntArray, FloatArray, FloatArray, FloatArray]:
    """Return the codes of levels and strata, ``x`` and ``y`` within strata, and by level the squares of that ``x``."""
    xs, ys = as_vector(x, "x"), as_vector(y, "y")
    same_length(x=xs, y=ys)
    levels = as_codes(level, "level", len(xs))
    blocks = as_codes(block, "block", len(xs)) if block is not None else np.zeros_like(levels)
    if not levels.max():
        raise ValueError("level needs at least two different labels")
    strata = as_codes(zip(levels.tolist(), blocks.tolist(), strict=True), "strata", len(xs))
    dx, dy = centred(xs, strata), centred(ys, strata)
    sxx = np.asarray(np.bincount(levels, dx * dx), dtype=np.float64)
    if sxx.min() <= TINY * max(float(xs @ xs), TINY):
        raise ValueError("every level needs two different x within a block")
    return levels, strata, dx, dy, sxx
