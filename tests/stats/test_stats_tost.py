from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_ind

from analysis.stats import equivalence

# NCSS, chapter 198-1, as the unit tests of TOSTER have it.
A = [452, 874, 554, 447, 356, 754, 558, 574, 664, 682, 547, 435, 245]
B = [546, 547, 774, 465, 459, 665, 467, 365, 589, 534, 456, 651, 654, 665, 546, 537]


@pytest.mark.parametrize(
    ("method", "df", "error", "pvalues", "interval"),
    [
        ("pooled", 27, 51.114285, (0.02821, 0.01436), (-112.99323, 96.76246)),
        ("welch", 19.169, 53.618547, (0.03628, 0.02002), (-120.27336, 104.04259)),
    ],
)
def test_ncss_example(
    method: str, df: float, error: float, pvalues: tuple[float, float], interval: tuple[float, float]
) -> None:
    result = equivalence(A, B, -110, 110, method=method, confidence=0.95)
    assert result.estimate == pytest.approx(-8.1153846)
    assert result.df == pytest.approx(df, abs=5e-4)
    assert result.standard_error == pytest.approx(error, abs=5e-7)
    assert (result.pvalue_lower, result.pvalue_upper) == pytest.approx(pvalues, abs=5e-6)
    assert result.pvalue == result.pvalue_lower
    assert (result.low, result.high) == pytest.approx(interval, abs=5e-6)
    assert not result.equivalent
    assert equivalence(A, B, -110, 110, method=method).equivalent


@pytest.mark.parametrize(("method", "equal"), [("welch", False), ("pooled", True)])
def test_scipys_one_sided_tests_agree(method: str, equal: bool) -> None:  # noqa: FBT001
    x, y = np.random.default_rng(0).normal(size=(2, 9))
    result = equivalence(x, y, -1, 1, method=method)
    lower = ttest_ind(x + 1, y, equal_var=equal, alternative="greater").pvalue
    upper = ttest_ind(x - 1, y, equal_var=equal, alternative="less").pvalue
    assert (result.pvalue_lower, result.pvalue_upper) == pytest.approx((lower, upper))


def test_pairs_are_a_test_of_their_differences() -> None:
    x, y = np.random.default_rng(1).normal(size=(2, 9))
    result = equivalence(x, y, -1, 1, method="paired")
    assert result.pvalue_lower == pytest.approx(ttest_1samp(x - y, -1, alternative="greater").pvalue)
    assert result.pvalue_upper == pytest.approx(ttest_1samp(x - y, 1, alternative="less").pvalue)


@pytest.mark.parametrize("bound", [0.2, 0.5, 1.0])
def test_equivalent_means_an_interval_within_the_bounds(bound: float) -> None:
    x, y = np.random.default_rng(2).normal(0, 0.4, (2, 12))
    result = equivalence(x, y, -bound, bound)
    assert result.equivalent == (-bound <= result.low and result.high <= bound)


def test_what_cannot_be_equivalent_is_refused() -> None:
    with pytest.raises(ValueError, match="welch, pooled, paired"):
        equivalence(A, B, -1, 1, method="student")
    with pytest.raises(ValueError, match="low must be below high"):
        equivalence(A, B, 1, -1)
    with pytest.raises(ValueError, match="lengths differ"):
        equivalence(A, B, -1, 1, method="paired")
    with pytest.raises(ValueError, match="do not vary"):
        equivalence([1, 1], [2, 2], -1, 1)
    for method in ("welch", "pooled", "paired"):
        with pytest.raises(ValueError, match="do not vary"):
            equivalence([0.1] * 3, [0.1 + 1e-16] * 3, -1, 1, method=method)
        with pytest.raises(ValueError, match="do not vary"):
            equivalence([0.1, 0.1, 0.1], [0.3, 0.3, 0.3], -1, 1, method=method)
    with pytest.raises(ValueError, match="x needs at least 2"):
        equivalence([1], [2, 2], -1, 1)
