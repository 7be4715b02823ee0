from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import theilslopes

from analysis.stats import blocked_jonckheere, stratified_theil_sen
from analysis.stats.slopes import fewest_blocks


def test_hollander_wolfe_chicken_9_1() -> None:
    y = [1.26, 1.27, 1.12, 1.16, 1.03]
    result = stratified_theil_sen([1, 2, 3, 4, 5], y, [0] * 5)
    assert result.estimate == pytest.approx(-0.05625)
    assert (result.n, result.strata) == (5, 1)


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("seed", range(4))
def test_one_stratum_is_estimated_as_by_scipy_and_a_large_one_has_its_interval(confidence: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 6, 90).astype(float), rng.normal(size=90)
    result, oracle = stratified_theil_sen(x, y, [0] * 90, confidence=confidence), theilslopes(y, x, confidence)
    assert (result.estimate, result.low, result.high) == pytest.approx(
        (oracle.slope, oracle.low_slope, oracle.high_slope)
    )


@given(st.integers(2, 4), st.integers(1, 7), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_the_interval_holds_what_the_exact_test_does_not_reject(sizes: int, blocks: int, seed: int) -> None:
    x, strata = np.tile(np.arange(float(sizes)), blocks), np.repeat(np.arange(blocks), sizes).tolist()
    y = np.random.default_rng(seed).normal(0.5 * x, 1.0)
    found = stratified_theil_sen(x, y, strata)
    if np.isnan(found.low):
        assert blocked_jonckheere(x, x, strata).pvalue > 0.05
        return
    grows = blocked_jonckheere(x, y, strata).pvalue <= 0.05
    falls = blocked_jonckheere(x, y, strata, alternative="decreasing").pvalue <= 0.05
    assert (found.low > 0, found.high < 0) == (grows, falls)


@pytest.mark.parametrize(("sizes", "blocks", "needed"), [(2, 1, 5), (2, 4, 5), (3, 1, 2), (5, 1, 1)])
def test_where_order_statistics_give_no_interval_there_is_none(sizes: int, blocks: int, needed: int) -> None:
    x, strata = np.tile(np.arange(float(sizes)), blocks), np.repeat(np.arange(blocks), sizes).tolist()
    found = stratified_theil_sen(x, x + np.arange(len(x)) % 3, strata)
    assert np.isnan([found.low, found.high]).all() == (blocks < needed)
    assert fewest_blocks([(1,) * sizes]) == needed


@pytest.mark.parametrize(("strata", "blocks", "needed"), [(2, 1, 3), (3, 2, 4), (4, 5, 7), (1, 2, 10)])
def test_no_part_of_a_stratum_gives_an_interval(strata: int, blocks: int, needed: int) -> None:
    # Two levels take five whole strata: of three in two blocks three blocks may have four.
    assert fewest_blocks([(1, 1)] * strata, blocks) == needed


def test_two_levels_in_five_strata_are_held_as_often_as_claimed() -> None:
    rng = np.random.default_rng(5)
    held = []
    for _ in range(800):
        found = stratified_theil_sen(np.tile([0.0, 1.0], 5), rng.normal(size=10), np.repeat(np.arange(5), 2).tolist())
        held.append(found.low <= 0 <= found.high)
    assert np.mean(held) == pytest.approx(1 - 2 / 32, abs=0.025)


@given(
    st.lists(st.integers(-50, 50), min_size=20, max_size=20, unique=True),
    st.floats(-2, 2),
    st.floats(0.25, 4),
    st.lists(st.floats(-100, 100), min_size=4, max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_offsets_of_strata_do_not_matter_and_slopes_move_with_the_data(
    ys: list[int], slope: float, scale: float, offsets: list[float]
) -> None:
    x, strata = np.tile(np.arange(5.0), 4), np.repeat(np.arange(4), 5)
    y = np.array(ys, dtype=float)
    plain = stratified_theil_sen(x, y, strata.tolist())
    moved = stratified_theil_sen(x, scale * y + slope * x + np.array(offsets)[strata], strata.tolist())
    expected = scale * np.array([plain.low, plain.estimate, plain.high]) + slope
    assert [moved.low, moved.estimate, moved.high] == pytest.approx(expected.tolist(), abs=1e-9)
    assert plain.low <= plain.estimate <= plain.high


def test_a_perfect_line_in_every_stratum_is_recovered() -> None:
    x = np.tile([9.0, 10.0, 11.0], 3)
    result = stratified_theil_sen(x, 0.25 * x + np.repeat([0.0, 5.0, -3.0], 3), list("aaabbbccc"))
    assert (result.low, result.estimate, result.high) == pytest.approx((0.25, 0.25, 0.25))
    assert result.strata == 3


def test_a_stratum_may_be_a_tuple_and_one_that_says_nothing_is_left_out() -> None:
    strata = [(0, "idle"), (0, "idle"), (0, "web"), (1, "web"), (1, "web")]
    result = stratified_theil_sen([1, 2, 3, 1, 2], [1.0, 3.0, 9.0, 1.0, 3.0], strata)
    assert (result.estimate, result.strata, result.n) == (2.0, 2, 4)


def test_tied_values_leave_no_evidence() -> None:
    result = stratified_theil_sen([0, 1, 2], [5, 5, 5], [0] * 3)
    assert result.estimate == 0
    assert np.isnan(result.low)


def test_what_cannot_have_a_slope_is_refused() -> None:
    with pytest.raises(ValueError, match="x needs at least 1"):
        stratified_theil_sen([], [], [])
    with pytest.raises(ValueError, match="no block holds two different x"):
        stratified_theil_sen([3, 3], [1, 2], [0, 0])
    with pytest.raises(ValueError, match="infinite"):
        stratified_theil_sen([3, 4], [1, float("inf")], [0, 0])
    with pytest.raises(ValueError, match="y holds NaN"):
        stratified_theil_sen([3, 4], [1, float("nan")], [0, 0])
    with pytest.raises(ValueError, match="confidence must lie between"):
        stratified_theil_sen([3, 4], [1, 2], [0, 0], confidence=90)
