from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import fisher_exact

from analysis.stats import clopper_pearson, cochran_armitage


def test_no_failure_in_six_still_allows_for_nearly_half() -> None:
    result = clopper_pearson(0, 6)
    assert (result.estimate, result.low) == (0, 0)
    assert result.high == pytest.approx(1 - 0.025 ** (1 / 6))


def test_shares_need_attempts() -> None:
    for failures, attempts in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="is not a share"):
            clopper_pearson(failures, attempts)
    with pytest.raises(ValueError, match="confidence"):
        clopper_pearson(1, 2, confidence=1)


def test_two_sizes_in_one_block_are_fishers_exact_test() -> None:
    x, failed = np.repeat([0.0, 1.0], 6), np.array([1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0])
    result = cochran_armitage(x, failed, [0] * 12)
    assert result.pvalue == pytest.approx(fisher_exact([[4, 2], [1, 5]], alternative="greater").pvalue)
    assert (result.method, result.failures, result.attempts, result.blocks) == ("exact", 5, 12, 1)


@pytest.mark.parametrize("alternative", ["increasing", "decreasing", "two-sided"])
def test_the_null_of_two_blocks_is_what_enumeration_finds(alternative: str) -> None:
    x, failed = np.array([0, 1, 3.5, 7, 0, 1, 3.5, 7]), np.array([0, 0, 1, 1, 0, 1, 0, 1.0])
    blocks = [(x[:4] - x[:4].mean(), failed[:4]), (x[4:] - x[4:].mean(), failed[4:])]
    sums = [[float(a @ np.array(order)) for order in permutations(b)] for a, b in blocks]
    null = np.add.outer(sums[0], sums[1]).ravel()
    observed = sum(float(a @ b) for a, b in blocks)
    expected = {
        "increasing": np.mean(null >= observed - 1e-9),
        "decreasing": np.mean(null <= observed + 1e-9),
        "two-sided": np.mean(np.abs(null) >= abs(observed) - 1e-9),
    }[alternative]
    result = cochran_armitage(x, failed, [0] * 4 + [1] * 4, alternative=alternative)
    assert result.statistic == pytest.approx(observed)
    assert result.pvalue == pytest.approx(expected)


def test_large_blocks_are_resampled_and_agree() -> None:
    rng = np.random.default_rng(0)
    x = np.tile([0.0, 1.0, 2.0, 3.0], 8)
    failed = (rng.random(32) < 0.2 + 0.15 * x).astype(float)
    drawn = cochran_armitage(x, failed, [0] * 32, resamples=4999)
    assert drawn.method == "monte-carlo"
    assert drawn.pvalue < 0.05
    assert drawn == cochran_armitage(x, failed, [0] * 32, resamples=4999)


def test_many_blocks_of_uneven_sizes_are_resampled() -> None:
    rng = np.random.default_rng(1)
    result = cochran_armitage(rng.random(48), [0, 1] * 24, np.repeat(np.arange(6), 8).tolist(), resamples=999)
    assert (result.method, result.blocks) == ("monte-carlo", 6)


def test_blocks_without_both_outcomes_say_nothing() -> None:
    result = cochran_armitage([0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 1, 1])
    assert (result.blocks, result.statistic, result.pvalue) == (0, 0, 1)


def test_outcomes_are_zero_or_one() -> None:
    with pytest.raises(ValueError, match="0 and 1 only"):
        cochran_armitage([0, 1], [0, 2], [0, 0])
    with pytest.raises(ValueError, match="lengths differ"):
        cochran_armitage([0, 1], [0, 1, 1], [0, 0])
    with pytest.raises(ValueError, match="alternative must be"):
        cochran_armitage([0, 1], [0, 1], [0, 0], alternative="more")
