from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from analysis.stats import mean_slope


def test_with_two_groups_at_each_level_the_noise_is_that_of_each_levels_own_t_test() -> None:
    rng = np.random.default_rng(3)
    x = np.tile([0.0, 1.0], 6)
    quiet, noisy = x * 0.2 + rng.normal(0, 0.1, 12), x * 0.4 + rng.normal(0, 2.0, 12)
    found = mean_slope(np.tile(x, 2), np.concatenate([quiet, noisy]), ["quiet"] * 12 + ["noisy"] * 12)
    tests = [scipy.stats.ttest_ind(y[x == 1], y[x == 0]) for y in (quiet, noisy)]
    slopes = [float(y[x == 1].mean() - y[x == 0].mean()) for y in (quiet, noisy)]
    variances = [(slope / test.statistic) ** 2 for slope, test in zip(slopes, tests, strict=True)]
    assert found.estimate == pytest.approx(np.mean(slopes))
    assert found.standard_error == pytest.approx(np.sqrt(sum(variances)) / 2)
    assert found.df == pytest.approx(sum(variances) ** 2 / sum(one**2 / 10 for one in variances))
    assert found.below(1.0) == pytest.approx(scipy.stats.t.cdf((found.estimate - 1) / found.standard_error, found.df))
    assert found.below(1.0) + found.above(1.0) == pytest.approx(1.0)


@pytest.mark.parametrize("deviations", [(0.1, 0.1), (0.05, 0.4)])
def test_a_mean_at_the_edge_is_said_to_lie_below_it_in_one_of_twenty_studies(deviations: tuple[float, float]) -> None:
    rng, studies, blocks = np.random.default_rng(4), 2000, 6
    x = np.tile([0.0, 1.0, 2.0], 2 * blocks)
    level, block = np.repeat([0, 1], 3 * blocks), np.tile(np.repeat(np.arange(blocks), 3), 2)
    noise = rng.normal(0, np.array(deviations)[level], (studies, len(x)))
    noise += rng.normal(0, 1, (studies, blocks))[:, block]
    edge = 0.05
    hits = [mean_slope(x, 2 * edge * level * x + one, level, block).below(edge) <= 0.05 for one in noise]
    assert 0.035 <= np.mean(hits) <= 0.07


def test_levels_too_small_to_tell_their_noise_are_judged_by_what_they_differ_by() -> None:
    slopes = (0.1, 0.3, 0.2)
    found = mean_slope([0.0, 1.0] * 3, [value for one in slopes for value in (5.0, 5.0 + one)], np.repeat([0, 1, 2], 2))
    assert found.estimate == pytest.approx(0.2)
    assert found.standard_error == pytest.approx(0.1 / np.sqrt(3))
    assert found.df == 2


def test_what_does_not_vary_is_told_with_certainty() -> None:
    x = np.tile([0.0, 1.0, 2.0], 4)
    found = mean_slope(x, 0.1 * x, np.repeat([0, 1], 6), np.repeat([0, 1, 2, 3], 3))
    assert found.standard_error == pytest.approx(0, abs=1e-15)
    assert found.below(0.2) == pytest.approx(0)
    assert found.above(0.2) == pytest.approx(1)


@pytest.mark.parametrize("levels", [[0, 0, 0, 0], [0, 0, 1, 1]])
def test_one_level_or_one_size_at_a_level_has_no_mean_slope(levels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"two different"):
        mean_slope([0.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0], levels)
