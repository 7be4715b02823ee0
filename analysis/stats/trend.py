"""Tests for an ordered trend over sizes: Jonckheere-Terpstra, plain and within blocks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from analysis.stats import kendall
from analysis.stats.checks import as_codes, as_option, as_vector, at_least, same_length

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray, IntArray

    Stratum = tuple[FloatArray, FloatArray]

ALTERNATIVES = ("increasing", "decreasing", "two-sided")
_CHUNK = 2_000_000


@dataclass(frozen=True, slots=True)
class JonckheereResult:
    """The Jonckheere-Terpstra test of ordered groups.

    Attributes:
        statistic: ``J``, the pairs across groups in increasing order; a tied pair counts one half.
        pvalue: of the alternative asked for, by ``method``.
        method: ``exact`` or ``asymptotic``.
    """

    statistic: float
    pvalue: float
    method: str


@dataclass(frozen=True, slots=True)
class BlockedTrendResult:
    """The Jonckheere-Terpstra test within blocks.

    Attributes:
        statistic: ``S``, the sum over blocks of concordant minus discordant pairs.
        pvalue: of the alternative asked for, by ``method``.
        method: ``exact``, ``monte-carlo`` or ``asymptotic``.
    """

    statistic: int
    pvalue: float
    method: str


def jonckheere(samples: Sequence[ArrayLike], alternative: str = "increasing", method: str = "auto") -> JonckheereResult:
    """Test whether values grow with the order of the groups.

    The exact p-value is that of the permutation distribution given the ties (Hollander, Wolfe & Chicken,
    *Nonparametric Statistical Methods*, 3rd ed., 6.2); the asymptotic one equals that of Kendall's tau-b between
    group number and value.

    Args:
        samples: one vector of run summaries per group, in the order of the hypothesis; empty groups are not allowed.
        alternative: ``increasing``, ``decreasing`` or ``two-sided``.
        method: ``exact``, ``asymptotic``, or ``auto``: exact where that takes about a second at most
            (``exact`` takes what it takes).

    Raises:
        ValueError: fewer than two groups, an empty group, NaN, infinite, or an unknown option.
    """
    as_option(alternative, "alternative", ALTERNATIVES)
    as_option(method, "method", ("auto", "exact", "asymptotic"))
    groups = [as_vector(group, f"samples[{k}]") for k, group in enumerate(samples)]
    if len(groups) <= 1:
        raise ValueError(f"samples needs at least two groups and has {len(groups)}")
    y = np.concatenate(groups)
    x = np.repeat(np.arange(len(groups), dtype=np.float64), [len(group) for group in groups])
    x_ties, y_ties = kendall.tie_counts(x), kendall.tie_counts(y)
    pairs = (len(y) ** 2 - sum(size**2 for size in x_ties)) / 2
    s = kendall.score((x, y))
    if method == "exact" or (method == "auto" and kendall.affordable(x_ties, y_ties)):
        pvalue = kendall.tail(kendall.null_mass(x_ties, y_ties), s, alternative)
        return JonckheereResult((s + pairs) / 2, pvalue, "exact")
    pvalue = normal_tail(_z(s, kendall.variance(x_ties, y_ties)), alternative)
    return JonckheereResult((s + pairs) / 2, pvalue, "asymptotic")


def blocked_jonckheere(
    x: ArrayLike,
    y: ArrayLike,
    block: Iterable[Hashable],
    *,
    alternative: str = "increasing",
    method: str = "auto",
    resamples: int = 9_999,
    seed: int = 1,
    allow_infinite: bool = False,
) -> BlockedTrendResult:
    """Test whether ``y`` grows with ``x`` within blocks; differences between blocks do not matter.

    ``S`` is summed over blocks, its exact null distribution is the convolution of theirs, ties and unequal or missing
    cells included. Where a block is too large for that, ``y`` is permuted within blocks and
    ``p = (1 + #{S* as extreme as S}) / (resamples + 1)``.

    Args:
        x: (n,) size or another ordered factor; only its order matters.
        y: (n,) one summary per run, in any unit.
        block: (n,) labels; a block is one pass over all cells, or a tuple of that and every other factor.
        alternative: ``increasing``, ``decreasing`` or ``two-sided``.
        method: ``exact``, ``monte-carlo``, ``asymptotic``, or ``auto``: exact where affordable, else Monte Carlo.
        resamples: permutations of the Monte Carlo.
        seed: of its generator.
        allow_infinite: whether ``y`` may hold ``+inf`` (a failed run), which ranks worst; failures are tied.

    Raises:
        ValueError: empty, NaN, unequal lengths, an unknown option, no resamples, or no block with two different ``x``.
    """
    at_least(resamples, "resamples", 1)
    as_option(alternative, "alternative", ALTERNATIVES)
    as_option(method, "method", ("auto", "exact", "monte-carlo", "asymptotic"))
    strata = informative_strata(x, y, block, allow_infinite=allow_infinite)
    ties = [(kendall.tie_counts(a), kendall.tie_counts(b)) for a, b in strata]
    s = kendall.score(*strata)
    if method == "auto":
        method = "exact" if all(kendall.affordable(*both) for both in ties) else "monte-carlo"
    if method == "exact":
        pvalue = kendall.tail(kendall.summed_mass(tuple(sorted(Counter(ties).items()))), s, alternative)
    elif method == "monte-carlo":
        pvalue = _permuted(strata, s, alternative, resamples, seed)
    else:
        pvalue = normal_tail(_z(s, sum(kendall.variance(*both) for both in ties)), alternative)
    return BlockedTrendResult(s, pvalue, method)


def informative_strata(
    x: ArrayLike, y: ArrayLike, block: Iterable[Hashable], *, allow_infinite: bool = False
) -> list[Stratum]:
    """Split ``x`` and ``y`` by block and keep the blocks with at least two different ``x``.

    Raises:
        ValueError: empty, NaN, unequal lengths, or no such block.
    """
    xs, ys = as_vector(x, "x"), as_vector(y, "y", allow_infinite=allow_infinite)
    same_length(x=xs, y=ys)
    codes: IntArray = as_codes(block, "block", len(xs))
    together, ends = np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes)).tolist()
    xs, ys = xs[together], ys[together]
    strata = [(xs[start:end], ys[start:end]) for start, end in pairwise((0, *ends))]
    kept = [(a, b) for a, b in strata if len(set(a.tolist())) > 1]
    if not kept:
        raise ValueError("no block holds two different x: there is no trend to test within blocks")
    return kept


def normal_tail(z: float, alternative: str) -> float:
    """Return the p-value of a standard normal ``z``."""
    if alternative == "two-sided":
        return float(2 * ndtr(-abs(z)))
    return float(ndtr(-z if alternative == "increasing" else z))


def _z(s: float, variance: float) -> float:
    return s / float(np.sqrt(variance)) if variance > 0 else 0.0


def _permuted(strata: Sequence[Stratum], observed: int, alternative: str, resamples: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    totals = np.zeros(resamples, dtype=np.int64)
    for x, y in strata:
        first, second = kendall.pairs_of(len(x))
        across = np.sign(kendall.order(x)[second] - kendall.order(x)[first])
        for start in range(0, resamples, step := max(1, _CHUNK // len(first))):
            rows = min(step, resamples - start)
            shuffled = rng.permuted(np.tile(kendall.order(y), (rows, 1)), axis=1)
            totals[start : start + rows] += np.sign(shuffled[:, second] - shuffled[:, first]) @ across
    extreme = {"increasing": totals >= observed, "decreasing": totals <= observed}.get(
        alternative, np.abs(totals) >= abs(observed)
    )
    return float((1 + extreme.sum()) / (resamples + 1))
