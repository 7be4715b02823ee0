from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from analysis.stats import hodges_lehmann, median_interval, quantile_allowed


@pytest.mark.parametrize(
    ("runs", "low", "high", "percent"),
    [
        (6, 1, 6, 96.9),
        (7, 1, 7, 98.4),
        (8, 1, 8, 99.2),
        (9, 2, 8, 96.1),
        (10, 2, 9, 97.9),
        (12, 3, 10, 96.1),
        (15, 4, 12, 96.5),
        (20, 6, 15, 95.9),
        (30, 10, 21, 95.7),
    ],
)
def test_ranks_and_coverage_follow_the_binomial(runs: int, low: int, high: int, percent: float) -> None:
    result = median_interval(np.random.default_rng(runs).permutation(np.arange(1.0, runs + 1)))
    assert (result.low, result.high, result.rank) == (low, high, low)
    assert 100 * result.coverage == pytest.approx(percent, abs=0.06)


def test_five_runs_have_no_interval_and_say_so() -> None:
    result = median_interval([1, 2, 3, 4, 5])
    assert (result.estimate, result.rank) == (3, 0)
    assert np.isnan([result.low, result.high]).all()
    assert result.coverage == pytest.approx(0.9375)
    assert median_interval([1, 2, 3, 4, 5], confidence=0.9).low == 1
    assert median_interval([7]).coverage == pytest.approx(0, abs=1e-12)


def test_failed_runs_are_the_largest_values() -> None:
    result = median_interval([1, 2, 3, 4, 5, np.inf])
    assert (result.estimate, result.low, result.high) == (3.5, 1, np.inf)
    assert median_interval([1, np.inf, np.inf]).estimate == np.inf


@given(st.lists(st.floats(0.001, 1e3), min_size=6, max_size=30))
@settings(max_examples=40, deadline=None)
def test_the_interval_of_the_median_goes_along_with_a_monotone_scale(values: list[float]) -> None:
    plain, logs = median_interval(values), median_interval(np.log(values))
    assert logs.low == pytest.approx(np.log(plain.low))
    assert plain.low <= plain.estimate <= plain.high


def test_five_pairs_cannot_reach_five_percent_and_six_can() -> None:
    five, six = (hodges_lehmann(np.arange(1.0, n + 1), np.zeros(n)) for n in (5, 6))
    assert (five.pvalue, six.pvalue) == (0.0625, 0.03125)
    assert np.isnan([five.low, five.high]).all()
    assert (six.low, six.high, six.coverage) == (1, 6, pytest.approx(0.96875))
    assert (five.rank, five.coverage) == (0, pytest.approx(0.9375))


def test_the_paired_shift_is_the_median_of_walsh_averages() -> None:
    result = hodges_lehmann([1.0, 4.0, 9.0], [0.0, 0.0, 0.0])
    assert result.estimate == np.median([1, 2.5, 5, 4, 6.5, 9])


@pytest.mark.parametrize("seed", range(4))
def test_the_signed_rank_p_is_scipys(seed: int) -> None:
    x, y = np.random.default_rng(seed).normal(0.3, 1, (2, 12))
    result = hodges_lehmann(x, y)
    assert result.pvalue == pytest.approx(wilcoxon(x, y, method="exact").pvalue)
    assert (result.pvalue < 1 - result.coverage) == (result.low > 0 or result.high < 0)


def test_equal_pairs_have_no_shift() -> None:
    assert hodges_lehmann([1, 2, 3], [1, 2, 3]).pvalue == 1


def test_quantiles_need_five_checkpoints_beyond_them() -> None:
    assert [quantile_allowed(n, 0.95) for n in (99, 100)] == [False, True]
    assert [quantile_allowed(n, 0.99) for n in (499, 500)] == [False, True]


def test_what_has_no_interval_by_mistake_is_refused() -> None:
    with pytest.raises(ValueError, match="values needs at least 1"):
        median_interval([])
    with pytest.raises(ValueError, match="NaN"):
        median_interval([1, float("nan")])
    with pytest.raises(ValueError, match="lengths differ"):
        hodges_lehmann([1, 2], [1])
    with pytest.raises(ValueError, match="p must lie"):
        quantile_allowed(10, 1.0)
    with pytest.raises(ValueError, match="n must be at least 0"):
        quantile_allowed(-1, 0.5)
