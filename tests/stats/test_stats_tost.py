from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from analysis.stats import equivalence

# NCSS, chapter 198-1, as the unit tests of TOSTER have it.
A = [452, 874, 554, 447, 356, 754, 558, 574, 664, 682, 547, 435, 245]
B = [546, 547, 774, 465, 459, 665, 467, 365, 589, 534, 456, 651, 654, 665, 546, 537]


def test_ncss_example() -> None:
    result = equivalence(A, B, -110, 110, confidence=0.95)
    assert (result.pvalue_lower, result.pvalue_upper) == pytest.approx((0.03628, 0.02002), abs=5e-6)
    assert (result.low, result.high) == pytest.approx((-120.27336, 104.04259), abs=5e-6)
    assert not result.equivalent
    assert equivalence(A, B, -110, 110).equivalent


def test_scipys_one_sided_tests_agree() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 9))
    result = equivalence(x, y, -1, 1)
    lower = ttest_ind(x + 1, y, equal_var=False, alternative="greater").pvalue
    upper = ttest_ind(x - 1, y, equal_var=False, alternative="less").pvalue
    assert (result.pvalue_lower, result.pvalue_upper) == pytest.approx((lower, upper))


@pytest.mark.parametrize("bound", [0.2, 0.5, 1.0])
def test_equivalent_means_an_interval_within_the_bounds(bound: float) -> None:
    x, y = np.random.default_rng(2).normal(0, 0.4, (2, 12))
    result = equivalence(x, y, -bound, bound)
    assert result.equivalent == (-bound <= result.low and result.high <= bound)


def test_what_cannot_be_equivalent_is_refused() -> None:
    with pytest.raises(ValueError, match="low must be below high"):
        equivalence(A, B, 1, -1)
    with pytest.raises(ValueError, match="do not vary"):
        equivalence([1, 1], [2, 2], -1, 1)
    with pytest.raises(ValueError, match="do not vary"):
        equivalence([0.1] * 3, [0.1 + 1e-16] * 3, -1, 1)
    with pytest.raises(ValueError, match="do not vary"):
        equivalence([0.1, 0.1, 0.1], [0.3, 0.3, 0.3], -1, 1)
    with pytest.raises(ValueError, match="x needs at least 2"):
        equivalence([1], [2, 2], -1, 1)
