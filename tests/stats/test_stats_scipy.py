"""What the method takes from SciPy as it is: published values that the installed version must reproduce."""

from __future__ import annotations

import pytest
from scipy.stats import page_trend_test

CRAIG = [
    [0.797, 0.873, 0.888, 0.923, 0.942, 0.956],
    [0.794, 0.772, 0.908, 0.982, 0.946, 0.913],
    [0.838, 0.801, 0.853, 0.951, 0.883, 0.837],
    [0.815, 0.801, 0.747, 0.859, 0.887, 0.902],
]
STATEXT = [
    [3, 4, 3],
    [2, 2, 4],
    [3, 3, 5],
    [1, 3, 2],
    [2, 3, 2],
    [2, 4, 5],
    [1, 2, 4],
    [3, 4, 4],
    [2, 4, 5],
    [1, 3, 4],
]


def test_page_of_siegel_and_castellan() -> None:
    exact, asymptotic = (page_trend_test(CRAIG, method=method) for method in ("exact", "asymptotic"))
    assert exact.statistic == 342
    assert exact.pvalue == pytest.approx(0.0005661, abs=5e-8)
    assert asymptotic.pvalue == pytest.approx(0.0010825, abs=5e-8)


def test_page_of_statext() -> None:
    exact, asymptotic = (page_trend_test(STATEXT, method=method) for method in ("exact", "asymptotic"))
    assert exact.statistic == 133.5
    assert exact.pvalue == pytest.approx(0.0018191161948)
    assert asymptotic.pvalue == pytest.approx(0.0012693434)


def test_page_of_scipys_own_suite() -> None:
    data = [[1.5, 4, 8.3, 5, 19, 11], [5, 4, 3.5, 10, 20, 21], [8.4, 3.2, 10, 12, 14, 15]]
    result = page_trend_test(data)
    assert result.statistic == 266
    assert result.pvalue == pytest.approx(4.121656378600823e-05)
