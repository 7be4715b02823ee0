"""What is promised of the exact test is what it does, where an effect is alone in a family of four."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import stats
from analysis.stats.exact_power import exact_power, smallest_slope

TWO, FIVE = [np.array([0.0, 1.0])] * 3, [np.arange(5.0)] * 2
SD, ALPHA, STUDIES = 0.12, 0.05 / 4, 800


@pytest.mark.parametrize("strata", [TWO, FIVE], ids=["two levels", "five sizes"])
@pytest.mark.parametrize("blocks", [3, 6, 12])
def test_the_power_that_is_promised_is_there(strata: list[np.ndarray], blocks: int) -> None:
    slope = smallest_slope(strata, SD, blocks, alpha=ALPHA)
    promised = exact_power(strata, SD, slope, blocks, alpha=ALPHA)
    assert promised == pytest.approx(0.80, abs=0.03)
    rng = np.random.default_rng(blocks)
    x = np.tile(np.concatenate(strata), blocks)
    stratum = np.repeat(np.arange(blocks * len(strata)), len(strata[0])).tolist()
    noise = SD * rng.standard_normal((STUDIES, len(x)))
    found = [stats.blocked_jonckheere(x, one + slope * x, stratum).pvalue <= ALPHA for one in noise]
    assert np.mean(found) == pytest.approx(promised, abs=0.05)


def test_blocks_that_cannot_reach_the_level_promise_nothing() -> None:
    assert smallest_slope([np.array([0.0, 1.0])], SD, 6, alpha=ALPHA) == float("inf")
    assert smallest_slope([np.array([0.0, 1.0])], SD, 7, alpha=ALPHA) < float("inf")


def test_equals_that_differ_ask_for_more() -> None:
    alone, among = (exact_power(FIVE, SD, 0.03, 6, alpha=ALPHA, pairs=pairs) for pairs in (0, 2))
    assert among < alone


def test_equals_that_may_differ_by_more_than_matters_rule_little_out() -> None:
    one, matters = [np.array([0.0, 1.0])], float(np.log1p(0.05))
    alone, among = (exact_power(one, 0.045, matters, 11, pairs=pairs, within=matters) for pairs in (0, 1))
    assert alone == pytest.approx(exact_power(one, 0.045, matters, 11))
    assert among < alone / 2


def test_growth_that_has_to_be_told_from_an_edge_is_what_lies_above_it() -> None:
    beyond, alone = exact_power(FIVE, SD, 0.05, 6, edge=0.02), exact_power(FIVE, SD, 0.03, 6)
    assert beyond == pytest.approx(alone)
    assert exact_power(FIVE, SD, 0.05, 6, edge=0.02, pairs=2) < beyond
