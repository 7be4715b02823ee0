"""Failed runs are an outcome: how many of how many, and whether they become more frequent."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest

from analysis.stats.checks import as_codes, as_option, as_share, as_vector, at_least, same_length
from analysis.stats.trend import ALTERNATIVES

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray

    Block = tuple[FloatArray, FloatArray]

_MOST_SUBSETS = 20_000
_MOST_SUMS = 100_000
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share of attempts with its exact interval."""

    estimate: float
    low: float
    high: float
    confidence: float
    failures: int
    attempts: int


@dataclass(frozen=True, slots=True)
class FailureTrend:
    """A trend of failures over an ordered factor, within blocks.

    Attributes:
        statistic: sum over failed runs of ``x`` less its mean in the block; positive when failures grow with ``x``.
        pvalue: of the alternative asked for, by permutation within blocks.
        method: ``exact`` or ``monte-carlo``.
        failures: in all; ``attempts``: runs in all; ``blocks``: with both outcomes and two different ``x``.
    """

    statistic: float
    pvalue: float
    alternative: str
    method: str
    failures: int
    attempts: int
    blocks: int


def clopper_pearson(failures: int, attempts: int, *, confidence: float = 0.95) -> Proportion:
    """Return the share of attempts that failed, with the interval of Clopper & Pearson (1934).

    Raises:
        ValueError: no attempts, or more failures than attempts, or ``confidence`` outside (0, 1).
    """
    if attempts < 1 or not 0 <= failures <= attempts:
        raise ValueError(f"{failures} failures of {attempts} attempts is not a share")
    interval = binomtest(failures, attempts).proportion_ci(as_share(confidence, "confidence"), method="exact")
    return Proportion(
        failures / attempts, float(interval.low), float(interval.high), confidence, int(failures), int(attempts)
    )


def cochran_armitage(
    x: ArrayLike,
    failed: ArrayLike,
    block: Iterable[Hashable],
    *,
    alternative: str = "increasing",
    resamples: int = 9_999,
    seed: int = 1,
) -> FailureTrend:
    """Test whether failures become more frequent with ``x``, by permuting outcomes within blocks.

    The statistic is that of Cochran (1954) and Armitage (1955); its null distribution is exact where enumeration is
    affordable, else ``(1 + #) / (resamples + 1)``.

    Args:
        x: (n,) ordered factor on the scale that matters, such as log2 of the size.
        failed: (n,) 0 or 1 (or booleans).
        block: (n,) labels.
        alternative: ``increasing``, ``decreasing`` or ``two-sided``.
        resamples: permutations of the Monte Carlo.
        seed: of its generator.

    Raises:
        ValueError: empty, NaN, unequal lengths, outcomes other than 0 and 1, a constant ``x``, no resamples, or an
            unknown option.
    """
    at_least(resamples, "resamples", 1)
    as_option(alternative, "alternative", ALTERNATIVES)
    xs, outcome = as_vector(x, "x"), as_vector(failed, "failed")
    same_length(x=xs, failed=outcome)
    if not np.isin(outcome, (0.0, 1.0)).all():
        raise ValueError("failed holds 0 and 1 only")
    if np.ptp(xs) == 0:
        raise ValueError("x is constant: failures have nothing to become more frequent with")
    codes = as_codes(block, "block", len(xs))
    parts = [(xs[codes == code], outcome[codes == code]) for code in range(int(codes.max()) + 1)]
    blocks = [(a - a.mean(), b) for a, b in parts if np.ptp(a) > 0 and 0 < b.sum() < len(b)]
    observed = sum(float(a @ b) for a, b in blocks)
    sums = _enumerate(blocks)
    method = "monte-carlo" if sums is None else "exact"
    values, weights = sums or _resample(blocks, resamples, seed)
    share = float(weights[_extreme(values, observed, alternative)].sum())
    pvalue = share if method == "exact" else (1 + share * resamples) / (resamples + 1)
    return FailureTrend(observed, min(pvalue, 1.0), alternative, method, int(outcome.sum()), len(outcome), len(blocks))


def _extreme(values: FloatArray, observed: float, alternative: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    slack = 10.0**-_DIGITS * (1 + abs(observed)) * 10
    if alternative == "two-sided":
        return np.asarray(np.abs(values) >= abs(observed) - slack)
    return np.asarray(values >= observed - slack if alternative == "increasing" else values <= observed + slack)


def _enumerate(blocks: Sequence[Block]) -> tuple[FloatArray, FloatArray] | None:
    """Return every possible statistic and its probability, or None when there are too many."""
    values, weights = np.zeros(1), np.ones(1)
    for x, outcome in blocks:
        count = int(outcome.sum())
        if comb(len(x), count) > _MOST_SUBSETS:
            return None
        subsets = np.array([x[list(chosen)].sum() for chosen in combinations(range(len(x)), count)])
        own, own_weights = _merged(subsets, np.full(len(subsets), 1 / len(subsets)))
        if len(values) * len(own) > _MOST_SUMS:
            return None
        values, weights = _merged(np.add.outer(values, own).ravel(), np.multiply.outer(weights, own_weights).ravel())
    return values, weights


def _merged(values: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    distinct, places = np.unique(np.round(values, _DIGITS), return_inverse=True)
    return distinct, np.bincount(places.reshape(-1), weights).astype(np.float64)


def _resample(blocks: Sequence[Block], resamples: int, seed: int) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    totals = np.zeros(resamples)
    for x, outcome in blocks:
        totals += rng.permuted(np.tile(outcome, (resamples, 1)), axis=1) @ x
    return totals, np.full(resamples, 1 / resamples)
