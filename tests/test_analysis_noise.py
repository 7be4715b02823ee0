"""The noise floor by simulation: why it is the interval of the comparison of equals, not the spread of single runs."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import stats

STUDIES, SIZES, SPREAD, SESOI = 300, np.log2([1.0, 2.0, 4.0, 8.0]), 0.10, 0.05


def share_supported(slope: float, blocks: int, *, floor_of: str) -> float:
    """Return how often a true relative growth per doubling is called supported, with an A/A pair in every block."""
    rng = np.random.default_rng(20_260_101)
    supported = 0
    for _ in range(STUDIES):
        equals = rng.normal(0, SPREAD * np.sqrt(2), blocks)
        logs = np.log1p(slope) * SIZES + rng.normal(0, SPREAD, (blocks, len(SIZES)))
        strata = np.repeat(np.arange(blocks), len(SIZES))
        found = stats.stratified_theil_sen(np.tile(SIZES, blocks), logs.ravel(), strata)
        edge = max(np.log1p(SESOI), floor(equals, floor_of))
        supported += stats.verdict(found.low, found.high, edge).word is stats.Word.SUPPORTED
    return supported / STUDIES


def floor(equals: np.ndarray, which: str) -> float:
    if which == "spread":
        return float(np.quantile(np.abs(equals), 0.95))
    shift = stats.hodges_lehmann(equals, np.zeros(len(equals)))
    assert shift.low is not None
    assert shift.high is not None
    return max(abs(shift.low), abs(shift.high))


@pytest.mark.parametrize("blocks", [6, 24])
def test_without_an_effect_few_are_called_supported(blocks: int) -> None:
    assert share_supported(0.0, blocks, floor_of="interval") <= 0.065


def test_with_enough_blocks_an_effect_is_seen_below_the_spread_of_single_runs() -> None:
    assert share_supported(0.12, 24, floor_of="interval") >= 0.8
    assert share_supported(0.12, 24, floor_of="spread") <= 0.2
