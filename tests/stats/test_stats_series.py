from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from analysis.stats import autocorrelation, mser5, outliers


def test_a_decaying_start_is_cut_and_a_steady_run_is_not() -> None:
    rng = np.random.default_rng(0)
    steady = 10 + rng.normal(size=100)
    warm = steady + 15 * np.exp(-np.arange(100) / 3)
    assert mser5(warm) in (10, 15, 20)
    cuts = [mser5(10 + rng.normal(size=100)) for _ in range(200)]
    assert np.median(cuts) <= 5


def test_the_cut_minimises_the_marginal_standard_error() -> None:
    values = np.random.default_rng(1).normal(size=63)
    means = values[:60].reshape(12, 5).mean(axis=1)
    scores = [((means[d:] - means[d:].mean()) ** 2).sum() / (12 - d) ** 2 for d in range(7)]
    assert mser5(values) == 5 * int(np.argmin(scores))


def test_a_run_that_never_settles_is_cut_at_the_limit() -> None:
    assert mser5(np.linspace(1, 0, 60) ** 2) == 30


def test_the_correlation_of_an_autoregression_falls_geometrically() -> None:
    rng = np.random.default_rng(2)
    result = autocorrelation(lfilter([1], [1, -0.6], rng.normal(size=20_000)), lags=20)
    assert result[:3] == pytest.approx((0.6, 0.36, 0.216), abs=0.03)
    assert len(result) == 20


def test_independent_values_stay_in_the_band() -> None:
    result = autocorrelation(np.random.default_rng(3).normal(size=2_000), lags=40)
    assert np.mean(np.abs(result) > 1.96 / np.sqrt(2_000)) <= 0.125


def test_fences_classify_and_count() -> None:
    values = [*range(1, 12), 20, 40, -30]  # quartiles 3.25 and 9.75: fences at -6.5 and 19.5, -16.25 and 29.25
    result = outliers(values)
    assert (result.mild, result.severe) == (1, 2)
    assert outliers([*np.linspace(0, 1, 50), 99]).modified_z == 1
    assert outliers([5.0] * 9).modified_z == 0


@given(st.lists(st.integers(-1000, 1000), min_size=4, max_size=30))
def test_both_sides_and_every_unit_are_alike(values: list[int]) -> None:
    plain = outliers(values)
    assert outliers(-np.array(values)) == plain
    assert outliers(np.array(values) * 2.0).severe == plain.severe


def test_series_too_short_or_constant_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 20"):
        mser5(np.arange(19.0))
    with pytest.raises(ValueError, match="needs at least 21"):
        autocorrelation(np.arange(20.0))
    with pytest.raises(ValueError, match="constant"):
        autocorrelation([1.0] * 30)
    with pytest.raises(ValueError, match="lags must be"):
        autocorrelation([1.0, 2.0], lags=0)
