"""The noise floor by simulation: why it is the interval of the comparison of equals, not the spread of single runs."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import stats
from analysis.derived import trend
from analysis.stored.records import Hypothesis

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


def shares_refuted(blocks: int, *, strata_per_block: int = 3, spread: float = 0.15) -> tuple[float, float]:
    """Return how often a growth of just the effect judged by, and one of just the declared effect, are called refuted.

    One and four vCPUs, as in ``conf/experiment/size_sweep.yaml``, with one pair of equals in every block.
    """
    rng = np.random.default_rng(20_260_102)
    x = np.tile([0.0, 2.0], blocks * strata_per_block)
    strata = np.repeat(np.arange(blocks * strata_per_block), 2).tolist()
    asked = Hypothesis(id="H", claim="It grows.", factor="smp", sesoi=SESOI, sesoi_ms=0.0)
    refuted = np.zeros((2, STUDIES), dtype=bool)
    for study in range(STUDIES):
        equal = np.expm1(floor(rng.normal(0, spread * np.sqrt(2), blocks), "interval"))
        noise = rng.normal(0, spread, len(x))
        sample = trend.Sample.of(asked, x, 2**x, np.exp(noise), strata)
        edge = trend.smallest_effect(asked, sample, equal).judged_by
        for row, slope in enumerate((edge, SESOI)):
            grown = trend.Sample.of(asked, x, 2**x, np.exp(np.log1p(slope) * x + noise), strata)
            refuted[row, study] = trend.tests(grown, "increasing", edge).refutes <= 0.05
    return float(refuted[0].mean()), float(refuted[1].mean())


@pytest.mark.parametrize(("blocks", "share_at_declared"), [(6, 0.87), (24, 0.21)])
def test_an_effect_of_the_size_judged_by_is_seldom_refuted_one_of_the_declared_size_is(
    blocks: int, share_at_declared: float
) -> None:
    at_judged, at_declared = shares_refuted(blocks)
    assert at_judged <= 0.065
    # Why the sentence names both: where equals differ by more than what was declared, a refutation is of that much.
    assert at_declared == pytest.approx(share_at_declared, abs=0.03)
