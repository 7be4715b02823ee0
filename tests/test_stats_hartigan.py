from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from analysis.stats import dip, dip_statistic
from analysis.stats.dip_table import PROBABILITIES, SCALED_DIPS, SIZES
from analysis.stats.hartigan import simulated_quantiles

# Critical values at 5 % and 1 % of the table of R's diptest, rounded to four digits.
CRITICAL = {
    10: (0.1396, 0.1597),
    20: (0.1051, 0.1206),
    50: (0.0703, 0.0812),
    100: (0.0511, 0.0590),
    200: (0.0368, 0.0427),
}


def _distance_by_linear_programming(values: np.ndarray) -> float:
    """Return the least distance to a function that is convex up to some value and concave from there on."""
    x = np.sort(values)
    return min(_distance_with_mode_at(mode, x) for mode in range(len(x)))


def _distance_with_mode_at(mode: int, x: np.ndarray) -> float:
    """Unknown are the function at ``0..mode`` from the left, at ``mode..n-1`` from the right, and the distance."""
    n = len(x)
    after, before = np.arange(1, n + 1) / n, np.arange(n) / n
    rows: list[np.ndarray] = []
    bounds: list[float] = []

    def at_most(bound: float, *terms: tuple[int, float]) -> None:
        row = np.zeros(n + 2)
        for index, value in terms:
            row[index] += value
        rows.append(row)
        bounds.append(bound)

    for i in range(n):
        sides = [(i, before, before)] if i == mode else [(i + (i > mode), before, after)]
        if i == mode:
            sides.append((i + 1, after, after))
        for index, lowest, highest in sides:
            at_most(lowest[i], (index, 1), (n + 1, -1))
            at_most(-highest[i], (index, -1), (n + 1, -1))
    at_most(0, (mode, 1), (mode + 1, -1))
    for points, shift, sign in ((range(mode - 1), 0, 1), (range(mode, n - 2), 1, -1)):
        for i in points:
            a, b = 1 / (x[i + 1] - x[i]), 1 / (x[i + 2] - x[i + 1])
            at_most(0, (i + shift + 1, sign * (a + b)), (i + shift, -sign * a), (i + shift + 2, -sign * b))
    if mode > 0:
        at_most(0, (0, 1), (1, -1))
    if mode < n - 1:
        at_most(0, (n - 1, 1), (n, -1))
    cost = np.zeros(n + 2)
    cost[-1] = 1
    found = linprog(cost, A_ub=np.array(rows), b_ub=bounds, bounds=[(0, 1)] * (n + 2))
    return float(found.fun) if found.status == 0 else 1.0


@pytest.mark.parametrize("seed", range(8))
def test_the_dip_is_the_least_distance_to_one_mode(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random(14) if seed % 2 else np.concatenate([rng.normal(0, 1, 7), rng.normal(6, 1, 7)])
    assert dip_statistic(values) == pytest.approx(_distance_by_linear_programming(values), abs=1e-7)


@given(st.lists(st.integers(-500, 500), min_size=5, max_size=40, unique=True), st.floats(0.1, 9), st.floats(-5, 5))
@settings(max_examples=40, deadline=None)
def test_the_dip_has_no_unit_and_stays_within_its_limits(values: list[int], scale: float, shift: float) -> None:
    plain = dip_statistic(values)
    assert 1 / (2 * len(values)) <= plain <= 0.25
    assert dip_statistic(scale * np.array(values) + shift) == pytest.approx(plain, abs=1e-9)
    assert dip_statistic(-np.array(values)) == pytest.approx(plain, abs=1e-9)


@pytest.mark.parametrize("n", CRITICAL)
def test_the_embedded_table_has_the_published_critical_values(n: int) -> None:
    row = np.array(SCALED_DIPS[SIZES.index(n)]) / np.sqrt(n)
    found = row[PROBABILITIES.index(0.95)], row[PROBABILITIES.index(0.99)]
    assert found == pytest.approx(CRITICAL[n], rel=0.015)


def test_the_embedded_table_is_what_its_generator_prints() -> None:
    again = simulated_quantiles(50, PROBABILITIES, samples=1500)
    assert again[:7] == pytest.approx(SCALED_DIPS[SIZES.index(50)][:7], rel=0.04)
    with pytest.raises(ValueError, match="at least 4"):
        simulated_quantiles(3, PROBABILITIES)


def test_uniform_values_are_rejected_as_often_as_claimed() -> None:
    rng = np.random.default_rng(0)
    pvalues = [dip(rng.random(70)).pvalue for _ in range(1500)]
    assert 0.035 <= np.mean(np.array(pvalues) <= 0.05) <= 0.065


def test_one_mode_keeps_and_two_modes_lose() -> None:
    rng = np.random.default_rng(1)
    pauses = 0.020 * rng.lognormal(0, 0.25, 1000)
    assert dip(pauses).pvalue > 0.2
    pauses[:200] += 0.040
    assert dip(pauses).pvalue == pytest.approx(0.001)
    assert dip(np.arange(5.0)).pvalue == 1


def test_ticks_look_like_modes_until_their_resolution_is_given() -> None:
    pauses = np.round(0.020 * np.random.default_rng(2).lognormal(0, 0.25, 300), 3)
    with pytest.raises(ValueError, match="give the resolution"):
        dip(pauses)
    result = dip(pauses, resolution=0.001)
    assert result.jittered
    assert result.pvalue > 0.05
    assert result == dip(pauses, resolution=0.001)


def test_what_has_no_dip_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        dip([1, 2, 3])
    with pytest.raises(ValueError, match="resolution must be"):
        dip([1, 2, 3, 4], resolution=0)
