"""Least squares over run summaries: a line, and whether a straight one is enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import f as f_distribution
from scipy.stats import linregress
from scipy.stats import t as t_distribution

from analysis.stats.checks import as_codes, as_vector, same_length
from analysis.stats.groups import RANK, centred, half_width, spread_of_sum

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from numpy.typing import ArrayLike


TINY = 1e-12
_LINE = 2


@dataclass(frozen=True, slots=True)
class FTest:
    """An F test."""

    statistic: float
    pvalue: float


@dataclass(frozen=True, slots=True)
class LineResult:
    """A least-squares slope with its 95 % t interval, in units of ``y`` per unit of ``x``; ``pvalue`` is two-sided.

    Attributes:
        df: degrees of freedom of the interval; no whole number where runs of a group vary by themselves.
    """

    estimate: float
    low: float
    high: float
    standard_error: float
    statistic: float
    pvalue: float
    df: float


def least_squares(
    x: ArrayLike,
    y: ArrayLike,
    group: Iterable[Hashable] | None = None,
    strata: Iterable[Hashable] | None = None,
) -> LineResult:
    """Fit a straight line to run summaries.

    Args:
        x: (n,) size on the scale of the slope.
        y: (n,) one summary per run; three or more.
        group: (n,) label of each run, such as its cell: runs of a group vary alike, about their own mean, those of two
            groups need not (``spread_of_sum``). None where all vary alike, about the line.
        strata: (n,) label of each run; each has an intercept of its own, so that only runs of one are compared. None
            for a single one.

    Raises:
        ValueError: fewer than three values (two and one for each stratum), NaN, unequal lengths, an ``x`` that is
            constant (in every stratum), or a group of one run.
    """
    xs, ys = as_vector(x, "x", least=_LINE + 1), as_vector(y, "y")
    same_length(x=xs, y=ys)
    centre, df = float(xs.mean()), float(len(xs) - _LINE)
    if strata is not None:
        codes = as_codes(strata, "strata", len(xs))
        xs, ys = centred(xs, codes), centred(ys, codes)
        df -= int(codes.max())
    if np.ptp(xs) <= TINY * abs(centre):
        raise ValueError("x is constant: there is no slope")
    if df < 1:
        raise ValueError("no degrees of freedom are left: more runs are needed")
    fit = linregress(xs, ys)
    slope, residuals = float(fit.slope), ys - fit.intercept - fit.slope * xs
    error = float(fit.stderr) * float(np.sqrt((len(xs) - _LINE) / df))
    if group is not None:
        about = xs - xs.mean()
        error, df = spread_of_sum(about * residuals / float(about @ about), as_codes(group, "group", len(xs)))
    half = half_width(error, df, 0.95)
    statistic = slope / error if error > 0 else float("inf")
    return LineResult(
        estimate=slope,
        low=slope - half,
        high=slope + half,
        standard_error=error,
        statistic=statistic,
        pvalue=float(2 * t_distribution.sf(abs(statistic), df)),
        df=df,
    )


def lack_of_fit(x: ArrayLike, y: ArrayLike, strata: Iterable[Hashable] | None = None) -> FTest:
    """Test a straight line against one mean per ``x``, with the replicates as pure error (Draper & Smith, ch. 2).

    Args:
        x: (n,) at least three different values, some of them repeated.
        y: (n,) one summary per run.
        strata: (n,) labels, each with an intercept of its own; None for a single one.

    Raises:
        ValueError: NaN, unequal lengths, fewer than three different ``x``, or no replicates.
    """
    xs, ys = as_vector(x, "x"), as_vector(y, "y")
    same_length(x=xs, y=ys)
    groups = as_codes(strata, "strata", len(xs)) if strata is not None else np.zeros(len(xs), dtype=np.int64)
    places = np.unique(xs, return_inverse=True)[1].reshape(-1)
    sizes = int(places.max()) + 1
    if sizes <= _LINE:
        raise ValueError(f"x needs three or more different values and has {sizes}")
    dx, dy = centred(xs, groups), centred(ys, groups)
    means = np.column_stack([centred(column, groups) for column in np.eye(sizes)[places].T])
    found, _, rank, _ = np.linalg.lstsq(means, dy, rcond=RANK)
    rest = float(((dy - means @ found) ** 2).sum())
    pure = rest if rest > TINY * float(dy @ dy) else 0.0  # what is left of a perfect fit is rounding
    line = float(((dy - float(dx @ dy) / float(dx @ dx) * dx) ** 2).sum())
    line = line if line > TINY * float(dy @ dy) else 0.0
    return f_test(line - pure, int(rank) - 1, pure, len(xs) - int(groups.max()) - 1 - int(rank))


def f_test(model: float, df_model: int, error: float, df_error: int) -> FTest:
    """Return the test of a model's sum of squares against that of the error.

    Raises:
        ValueError: either has no degrees of freedom.
    """
    if df_model < 1:
        raise ValueError("no degrees of freedom are left for the model: it is the line itself")
    if df_error < 1:
        raise ValueError("no degrees of freedom are left for the error: more runs are needed")
    if error <= 0:  # what does not vary is told apart with certainty, or is the same
        return FTest(np.inf, 0.0) if model > 0 else FTest(0.0, 1.0)
    statistic = max(model, 0.0) / df_model / (error / df_error)
    return FTest(statistic, float(f_distribution.sf(statistic, df_model, df_error)))
