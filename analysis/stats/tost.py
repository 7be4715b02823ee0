"""Equivalence of two means by two one-sided tests: what it takes to say "no difference that matters"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t as t_distribution

from analysis.stats.checks import as_share, as_vector
from analysis.stats.groups import half_width

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray

_ROUNDING = 8 * float(np.finfo(np.float64).eps)
"""A standard error below this share of the largest value is 0."""


@dataclass(frozen=True, slots=True)
class EquivalenceResult:
    """Two one-sided tests of a mean difference, in the unit of the values.

    Attributes:
        low: lower end of the interval of the difference; ``high``: upper end.
        pvalue_lower: of "the difference is at or below the lower bound"; ``pvalue_upper``: at or above the upper bound.
        equivalent: whether both are at most half of what the interval leaves out.
    """

    pvalue_lower: float
    pvalue_upper: float
    low: float
    high: float
    equivalent: bool


def equivalence(x: ArrayLike, y: ArrayLike, low: float, high: float, *, confidence: float = 0.90) -> EquivalenceResult:
    """Test whether the means of ``x`` and ``y`` differ by something between ``low`` and ``high``.

    Schuirmann (1987), with Welch's t. The test at 5 % is the 90 % interval within the bounds; neither needs a
    correction for being two tests.

    Args:
        x: run summaries of one cell.
        y: of the other.
        low: smallest difference ``x - y`` that does not matter.
        high: the largest one.
        confidence: of the interval reported.

    Raises:
        ValueError: fewer than two values, NaN, infinite, bounds in the wrong order, or no variation at all.
    """
    as_share(confidence, "confidence")
    first, second = as_vector(x, "x", least=2), as_vector(y, "y", least=2)
    if not low < high:
        raise ValueError(f"low must be below high: {low} and {high}")
    error, df = _welch(first, second)
    # Equal values leave rounding in their deviation from a mean that is itself rounded.
    if error <= _ROUNDING * max(np.abs(first).max(), np.abs(second).max()):
        raise ValueError("x and y do not vary: a t test has nothing to measure the difference with")
    estimate = float(first.mean() - second.mean())
    half = half_width(error, df, confidence)
    below, above = (estimate - low) / error, (estimate - high) / error
    pvalue_lower, pvalue_upper = float(t_distribution.sf(below, df)), float(t_distribution.cdf(above, df))
    equivalent = max(pvalue_lower, pvalue_upper) <= (1 - confidence) / 2
    return EquivalenceResult(pvalue_lower, pvalue_upper, estimate - half, estimate + half, equivalent)


def _welch(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    of_x, of_y = float(x.var(ddof=1)) / len(x), float(y.var(ddof=1)) / len(y)
    total = of_x + of_y
    if total == 0:
        return 0.0, 1.0
    return float(np.sqrt(total)), total**2 / (of_x**2 / (len(x) - 1) + of_y**2 / (len(y) - 1))
