from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from analysis.stats import interaction, lack_of_fit, least_squares

NORRIS = Path(scipy.stats.__file__).parent / "tests" / "data" / "nist_linregress" / "Norris.dat"


def test_certified_line_of_nist() -> None:
    rows = np.array([line.split() for line in NORRIS.read_text().splitlines()[60:] if line.strip()], dtype=float)
    result = least_squares(rows[:, 1], rows[:, 0])
    assert result.estimate == pytest.approx(1.00211681802045, rel=1e-12)
    assert result.standard_error == pytest.approx(0.429796848199937e-03, rel=1e-9)
    assert result.statistic**2 == pytest.approx(5436385.54079785, rel=1e-8)
    assert result.df == 34
    assert result.statistic**2 / (result.statistic**2 + result.df) == pytest.approx(0.999993745883712, rel=1e-12)
    fit = scipy.stats.linregress(rows[:, 1], rows[:, 0])  # what least_squares rests on
    assert fit.rvalue**2 == pytest.approx(0.999993745883712, rel=1e-12)
    assert fit.intercept_stderr == pytest.approx(0.232818234301152, rel=1e-9)
    assert result.low < result.estimate < result.high


def test_the_line_through_two_unequal_groups_is_welchs_t_test() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(10, 1, 6), rng.normal(12, 5, 9)
    welch = scipy.stats.ttest_ind(other, one, equal_var=False)
    result = least_squares(np.repeat([0.0, 1.0], [6, 9]), np.concatenate([one, other]), ["a"] * 6 + ["b"] * 9)
    assert result.statistic == pytest.approx(welch.statistic)
    assert result.pvalue == pytest.approx(welch.pvalue)
    assert result.df == pytest.approx(welch.df)
    assert (result.low, result.high) == pytest.approx(welch.confidence_interval())


def test_runs_that_vary_with_their_size_are_covered_by_groups_only() -> None:
    x = np.tile(2.0 ** np.arange(5), 6)
    hits = []
    for seed in range(1000):
        y = x * (1 + 0.1 * np.random.default_rng(seed).normal(size=30))
        found = (least_squares(x, y), least_squares(x, y, x.tolist()))
        hits.append([one.low <= 1 <= one.high for one in found])
    alike, grouped = np.mean(hits, axis=0)
    assert alike < 0.85
    assert 0.93 <= grouped <= 0.98


def test_a_line_without_any_error_has_no_width() -> None:
    result = least_squares([1, 1, 2, 2], [3, 3, 5, 5], list("aabb"))
    assert (result.low, result.high, result.df) == (2.0, 2.0, 2.0)


def _data(slopes: tuple[float, float], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    x, level, block = np.tile(np.arange(5.0), 12), np.repeat([0, 1], 30), np.repeat(np.arange(12) % 6, 5)
    noise = np.random.default_rng(seed).normal(0, 0.06, 60)
    return x, np.array(slopes)[level] * x + 3.0 * block + noise, level, block


def test_equal_slopes_are_not_told_apart_more_often_than_claimed() -> None:
    pvalues = []
    for seed in range(1000):
        x, y, level, block = _data((0.1, 0.1), seed)
        pvalues.append(interaction(x, y, level.tolist(), block.tolist()).pvalue)
    assert 0.03 <= np.mean(np.array(pvalues) <= 0.05) <= 0.07


def test_the_interaction_is_the_f_of_two_nested_models() -> None:
    x, y, level, block = _data((0.1, 0.02))
    result = interaction(x, y, level.tolist(), block.tolist())
    strata = np.eye(12)[level * 6 + block]
    reduced, full = np.column_stack([strata, x]), np.column_stack([strata, x * (level == 0), x * (level == 1)])
    sse = [float(np.linalg.lstsq(design, y)[1][0]) for design in (reduced, full)]
    assert result.statistic == pytest.approx((sse[0] - sse[1]) / (sse[1] / (60 - 14)))
    assert result.pvalue == pytest.approx(scipy.stats.f.sf(result.statistic, 1, 46))


def test_lack_of_fit_sees_a_bend_and_not_a_line() -> None:
    rng = np.random.default_rng(1)
    x = np.tile(np.arange(5.0), 6)
    noise = rng.normal(0, 1, 30)
    assert lack_of_fit(x, 2 * x + noise).pvalue > 0.05
    bent = lack_of_fit(x, x**2 + noise)
    assert bent.pvalue == pytest.approx(scipy.stats.f.sf(bent.statistic, 3, 25))
    assert bent.pvalue < 1e-4


def test_models_without_data_for_them_are_refused() -> None:
    with pytest.raises(ValueError, match="x is constant"):
        least_squares([1, 1, 1], [1, 2, 3])
    with pytest.raises(ValueError, match="x needs at least 3"):
        least_squares([1, 2], [1, 2])
    with pytest.raises(ValueError, match="at least two runs"):
        least_squares([1, 2, 2], [1, 2, 3], ["a", "b", "b"])
    with pytest.raises(ValueError, match="two different labels"):
        interaction([1, 2], [1, 2], ["a", "a"])
    with pytest.raises(ValueError, match="two different x within a block"):
        interaction([1, 2, 1, 1], [1, 2, 3, 4], list("aabb"))
    with pytest.raises(ValueError, match="no degrees of freedom"):
        interaction([1, 2, 1, 2], [1, 2, 3, 5], list("aabb"))
    with pytest.raises(ValueError, match="three or more different"):
        lack_of_fit([1, 2, 1], [1, 2, 3])
    with pytest.raises(ValueError, match="no degrees of freedom"):
        lack_of_fit([1, 2, 3], [1, 2, 4])


def test_what_does_not_vary_is_on_a_line_or_is_not_for_certain() -> None:
    assert lack_of_fit([1, 2, 3, 3], [1, 2, 3, 3]).pvalue == 1
    assert lack_of_fit([1, 2, 3] * 4, [1000, 4000, 1000] * 4).pvalue == 0
