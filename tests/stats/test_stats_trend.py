from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from analysis.stats import blocked_jonckheere, jonckheere, kendall, trend

# Hollander, Wolfe & Chicken (2014), Example 6.2; published p: .0210 exact with ties, .0231 tie-free, .0207 normal.
HWC_6_2 = [[40, 35, 38, 43, 44, 41], [38, 40, 47, 44, 40, 42], [48, 40, 45, 43, 46, 44]]


def test_jonckheere_reproduces_hollander_wolfe_chicken_with_ties() -> None:
    exact, normal = jonckheere(HWC_6_2, method="exact"), jonckheere(HWC_6_2, method="asymptotic")
    assert exact.statistic == 79
    assert exact.pvalue == pytest.approx(0.0209665, abs=5e-8)
    assert normal.pvalue == pytest.approx(0.020710, abs=5e-7)


def test_the_tie_free_null_reproduces_the_published_table() -> None:
    assert kendall.variance((6, 6, 6), (1,) * 18) / 4 == 153
    mass = kendall.null_mass((6, 6, 6), (1,) * 18)
    assert kendall.tail(mass, 2 * 79 - 108, "increasing") == pytest.approx(0.0230637, abs=5e-8)
    z = (79 - 54) / 153**0.5
    assert z == pytest.approx(2.021130, abs=5e-7)
    assert trend.normal_tail(z, "increasing") == pytest.approx(0.021633, abs=5e-7)
    assert jonckheere(HWC_6_2).method == "exact"


def test_a_perfect_order_of_three_pairs_has_one_chance_in_ninety() -> None:
    result = jonckheere([[1, 2], [3, 4], [5, 6]])  # test_nonparametric.py of statsmodels
    assert result.statistic == 12
    assert result.pvalue == pytest.approx(1 / 90)


def test_the_other_alternatives_look_at_the_other_tails() -> None:
    up, down = ([[1, 2], [3, 4], [5, 6]], [[5, 6], [3, 4], [1, 2]])
    assert jonckheere(down, alternative="decreasing").pvalue == pytest.approx(1 / 90)
    assert jonckheere(up, alternative="two-sided").pvalue == pytest.approx(2 / 90)
    assert jonckheere(up, alternative="decreasing").pvalue == pytest.approx(1)


@pytest.mark.parametrize("seed", range(6))
def test_the_asymptotic_p_is_that_of_kendalls_tau(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = [rng.integers(0, 8, rng.integers(3, 9)).astype(float) for _ in range(4)]
    x = np.repeat(np.arange(4), [len(group) for group in groups])
    oracle = kendalltau(x, np.concatenate(groups), method="asymptotic", alternative="greater")
    assert jonckheere(groups, method="asymptotic").pvalue == pytest.approx(oracle.pvalue, rel=1e-9)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([0, 0, 1, 1, 2, 2], [3, 1, 1, 2, 2, 2]),
        ([0, 1, 2, 3, 4, 5], [1, 1, 2, 2, 3, 9]),
        ([0, 0, 0, 1, 2, 2], [5, 5, 5, 5, 1, 1]),
    ],
)
def test_the_exact_null_with_ties_is_what_enumeration_finds(x: list[float], y: list[float]) -> None:
    across = np.array(x)
    found = [kendall.score((across, np.array(order))) for order in permutations(y)]
    reach = len(x) * (len(x) - 1) // 2
    expected = np.bincount(np.array(found) + reach, minlength=2 * reach + 1) / len(found)
    mass = kendall.null_mass(kendall.tie_counts(across), kendall.tie_counts(np.array(y)))
    assert mass == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("blocks", "critical"), [(2, 12), (3, 14), (4, 16), (5, 18), (6, 18)])
def test_blocks_of_five_sizes_have_the_known_critical_values(blocks: int, critical: int) -> None:
    mass = np.ones(1)
    for _ in range(blocks):
        mass = np.convolve(mass, kendall.null_mass((1,) * 5, (1,) * 5))
    assert kendall.tail(mass, critical, "increasing") <= 0.05 < kendall.tail(mass, critical - 2, "increasing")


def _blocks(blocks: int, sizes: int, seed: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    rng = np.random.default_rng(seed)
    block = np.repeat(np.arange(blocks), sizes)
    return np.tile(np.arange(float(sizes)), blocks), rng.normal(size=blocks * sizes) + 9 * block, block.tolist()


def test_the_smallest_blocked_p_is_one_over_all_orders() -> None:
    x, _, block = _blocks(3, 5, 0)
    y = x + 10 * np.array(block)
    result = blocked_jonckheere(x, y, block)
    assert result.pvalue == pytest.approx(120.0**-3)
    assert result.statistic == 30
    assert blocked_jonckheere(x, y, block, alternative="two-sided").pvalue == pytest.approx(2 * 120.0**-3)


def test_one_block_is_the_plain_test() -> None:
    x = np.repeat([0.0, 1.0, 2.0], 6)
    result = blocked_jonckheere(x, np.concatenate(HWC_6_2), ["one"] * 18)
    assert result.pvalue == pytest.approx(jonckheere(HWC_6_2).pvalue)


def test_hollander_wolfe_chicken_9_1_has_a_lower_p_of_seven_sixtieths() -> None:
    y = [1.26, 1.27, 1.12, 1.16, 1.03]
    result = blocked_jonckheere(range(1, 6), y, [0] * 5, alternative="decreasing")
    assert result.statistic == -6
    assert result.pvalue == pytest.approx(0.1166667, abs=5e-8)


@given(st.lists(st.integers(0, 4), min_size=24, max_size=24), st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_scores_of_blocks_add_up_and_a_monotone_change_of_scale_does_not_matter(ys: list[int], lost: int) -> None:
    x, _, block = _blocks(4, 6, 1)
    keep = np.arange(24) >= lost
    y = np.array(ys, dtype=float)
    result = blocked_jonckheere(x[keep], y[keep], np.array(block)[keep].tolist(), method="asymptotic")
    parts = [kendall.score((x[keep & (np.array(block) == b)], y[keep & (np.array(block) == b)])) for b in range(4)]
    assert result.statistic == sum(parts)
    changed = blocked_jonckheere(
        2.0 ** x[keep], np.exp(y[keep]) - 3, np.array(block)[keep].tolist(), method="asymptotic"
    )
    assert changed == result
    mirrored = blocked_jonckheere(
        x[keep], -y[keep], np.array(block)[keep].tolist(), method="asymptotic", alternative="decreasing"
    )
    assert mirrored.pvalue == pytest.approx(result.pvalue)


@pytest.mark.parametrize("alternative", ["increasing", "decreasing", "two-sided"])
def test_monte_carlo_agrees_with_the_exact_p(alternative: str) -> None:
    x, y, block = _blocks(4, 5, 3)
    y = np.round(y, 0)
    exact = blocked_jonckheere(x, y, block, alternative=alternative)
    drawn = blocked_jonckheere(x, y, block, alternative=alternative, method="monte-carlo", resamples=20_000)
    assert exact.method == "exact"
    assert drawn.pvalue == pytest.approx(exact.pvalue, abs=0.015)
    assert drawn == blocked_jonckheere(x, y, block, alternative=alternative, method="monte-carlo", resamples=20_000)


def test_a_block_too_large_to_enumerate_is_resampled() -> None:
    rng = np.random.default_rng(4)
    x, y = np.repeat(np.arange(5.0), 8), rng.integers(0, 12, 40).astype(float)
    assert blocked_jonckheere(x, y, [0] * 40, resamples=99).method == "monte-carlo"
    assert jonckheere([y[x == size] for size in range(5)]).method == "asymptotic"


def test_failed_runs_rank_worst_and_tie_with_one_another() -> None:
    x, y, block = _blocks(2, 4, 5)
    with_failures, with_large = y.copy(), y.copy()
    with_failures[[3, 7, 6]], with_large[[3, 7, 6]] = np.inf, 1e9
    failed = blocked_jonckheere(x, with_failures, block, allow_infinite=True)
    assert failed == blocked_jonckheere(x, with_large, block)
    with pytest.raises(ValueError, match="infinite"):
        blocked_jonckheere(x, with_failures, block)


def test_values_that_are_all_tied_say_nothing() -> None:
    assert jonckheere([[1, 1], [1, 1]]).pvalue == 1
    assert jonckheere([[1, 1], [1, 1]], method="asymptotic").pvalue == 0.5


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "two groups"),
        ([[1.0, 2.0]], "two groups"),
        ([[1.0], []], r"samples\[1\] needs at least 1"),
        ([[1.0], [float("nan")]], "NaN"),
        ([[[1.0]], [1.0]], "one-dimensional"),
    ],
)
def test_jonckheere_refuses(samples: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jonckheere(samples)


def test_unknown_options_are_answered_with_the_legal_ones() -> None:
    with pytest.raises(ValueError, match="increasing, decreasing, two-sided"):
        jonckheere([[1.0], [2.0]], alternative="greater")
    with pytest.raises(ValueError, match="exact, monte-carlo, asymptotic"):
        blocked_jonckheere([1, 2], [1, 2], [0, 0], method="fast")


def test_blocked_jonckheere_refuses_what_has_no_trend_within_blocks() -> None:
    with pytest.raises(ValueError, match="no block holds two different x"):
        blocked_jonckheere([1, 2], [1, 2], ["a", "b"])
    with pytest.raises(ValueError, match="lengths differ: x has 2, y has 3"):
        blocked_jonckheere([1, 2], [1, 2, 3], [0, 0, 0])
    with pytest.raises(ValueError, match="one label per value"):
        blocked_jonckheere([1, 2], [1, 2], [0])
    with pytest.raises(ValueError, match="-inf"):
        blocked_jonckheere([1, 2], [1, -np.inf], [0, 0], allow_infinite=True)
