"""What runs of a group have in common, how they spread about it, and the t interval that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t as t_distribution

from analysis.stats.checks import as_share

if TYPE_CHECKING:
    from analysis.stats.checks import FloatArray, IntArray

_FEWEST = 2
RANK = 1e-10
"""A singular value below this share of the largest is none: centred indicators hold rounding where one is missing."""


def centred(values: FloatArray, groups: IntArray) -> FloatArray:
    """Return values about the mean of their group.

    Args:
        values: (n,) numbers.
        groups: (n,) code of the group of each, from 0.
    """
    about: FloatArray = values - (np.bincount(groups, values) / np.bincount(groups))[groups]
    return about


def spread_of_sum(parts: FloatArray, groups: IntArray) -> tuple[float, float]:
    """Return the standard error of ``parts.sum()`` and its degrees of freedom.

    A group's share of the variance is ``R / (R - 1)`` times the squares of its parts about their mean; Welch (1947) and
    Satterthwaite (1946) weigh the degrees of freedom by those shares. For a difference of two means this is Welch's t
    test.

    Args:
        parts: (n,) what each run adds to the estimate.
        groups: (n,) code of the group of each run, from 0.

    Raises:
        ValueError: a group of one run.
    """
    runs = np.bincount(groups)
    if runs.min() < _FEWEST:
        raise ValueError("every group needs at least two runs to see how they vary")
    shares = runs / (runs - 1) * np.bincount(groups, centred(parts, groups) ** 2)
    variance = float(shares.sum())
    if variance <= 0:
        return 0.0, float((runs - 1).sum())
    return float(np.sqrt(variance)), variance**2 / float((shares**2 / (runs - 1)).sum())


def half_width(standard_error: float, df: float, confidence: float) -> float:
    """Return half the width of a t interval.

    Raises:
        ValueError: a confidence that is not between 0 and 1.
    """
    return float(t_distribution.ppf((1 + as_share(confidence, "confidence")) / 2, df)) * standard_error
