"""Each analysis on campaigns with known truth: errors as rare as claimed, and those of pooled checkpoints as common."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import f_oneway, spearmanr, ttest_ind

from analysis.calibrate import cells, naive
from analysis.calibrate.cells import bootstraps, medians, pooled_and_by_run
from analysis.calibrate.layouts import assumed
from analysis.calibrate.rates import Asked
from analysis.calibrate.simulate import Model, simulate_checkpoints, simulate_strata
from analysis.calibrate.trends import coverage, equivalent, power, type_one_error, verdicts
from analysis.stats import blocked_jonckheere, clopper_pearson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analysis.calibrate.rates import Rate

SIX_BLOCKS = Model(blocks=6)


def _by_method(rates: Iterable[Rate]) -> dict[str, float]:
    return {rate.method: rate.rate for rate in rates}


def _equals(model: Model, pairs: tuple[tuple[int, int], ...], count: int, studies: int = 600) -> list[Rate]:
    return list(cells.equals(Asked(model, studies, plan=replace(assumed(model), pairs=pairs, cells=count))))


def _pooled(model: Model, studies: int) -> dict[str, float]:
    return _by_method(rate for rate in pooled_and_by_run(Asked(model, studies)) if rate.level == "pooled")


def test_run_level_tests_are_wrong_as_rarely_as_they_claim() -> None:
    rates = list(type_one_error(Asked(SIX_BLOCKS, 2000)))
    assert [rate for rate in rates if not rate.ok] == []
    assert len(rates) == 4


def test_pooled_checkpoints_find_trends_that_are_not_there() -> None:
    naively = _pooled(SIX_BLOCKS, studies=400)
    assert naively["Spearman"] > 0.20
    assert naively["one-way ANOVA"] > 0.60
    assert naively["Welch's t, largest against smallest"] > 0.20


def test_the_same_data_mislead_when_pooled_and_do_not_by_run() -> None:
    pauses = simulate_checkpoints(SIX_BLOCKS, np.random.default_rng(3), 600)
    x, block = np.tile(SIX_BLOCKS.sizes, 6), np.repeat(np.arange(6), 5).tolist()
    by_run = [
        blocked_jonckheere(x, runs.ravel(), block, alternative="two-sided").pvalue for runs in np.median(pauses, -1)
    ]
    assert np.mean(naive.pooled_spearman(pauses, SIX_BLOCKS.sizes) <= 0.05) > 0.20
    assert np.mean(np.array(by_run) <= 0.05) <= 0.065


def test_more_checkpoints_make_pooling_worse() -> None:
    few, many = (_pooled(Model(checkpoints=n), studies=200) for n in (20, 300))
    assert many["Spearman"] > few["Spearman"] + 0.1


def test_drift_ruins_a_campaign_ordered_by_size_and_not_one_in_blocks() -> None:
    drifting = Model(drift=0.10, run_sd=0.04)
    ordered = _by_method(type_one_error(Asked(replace(drifting, order="by-size"), 300)))
    assert ordered["least squares on logs"] > 0.30
    assert _by_method(type_one_error(Asked(drifting, 600)))["blocked Jonckheere-Terpstra"] <= 0.065


def test_effects_called_detectable_are_detected() -> None:
    rates = list(power(Asked(SIX_BLOCKS, 1500)))
    assert [rate for rate in rates if not rate.ok] == []
    assert _by_method(rates)["least squares on logs"] >= 0.75
    assert _by_method(rates)["Jonckheere-Terpstra"] >= 0.70


@pytest.mark.parametrize("model", [SIX_BLOCKS, Model(blocks=6, missing=0.1, drift=0.1, stuck_share=0.05)])
def test_intervals_of_runs_hold_the_truth(model: Model) -> None:
    rates = [*medians(Asked(model, 2000)), *coverage(Asked(model, 2000))]
    assert len(rates) == 3
    wrong = {rate.method for rate in rates if not rate.ok}
    assert wrong <= ({"t on logs of run medians"} if model.stuck_share else set())


def test_five_blocks_have_no_interval_of_order_statistics() -> None:
    assert "order statistics of run medians" not in _by_method(medians(Asked(Model(blocks=5), 20)))


def test_strata_that_admit_no_interval_of_a_slope_are_not_said_to_have_one_that_misses_the_truth() -> None:
    none, some = (_by_method(coverage(Asked(Model(sizes=(0.0, 1.0), blocks=blocks), 50))) for blocks in (4, 5))
    assert "stratified Theil-Sen" not in none
    assert some["stratified Theil-Sen"] > 0.8


def test_bootstraps_of_few_runs_promise_too_much() -> None:
    pooled, of_medians, means = bootstraps(Asked(Model(blocks=5), 200))
    assert pooled.rate < 0.75
    assert pooled.rate < means.rate < 0.93
    assert means.rate < of_medians.rate
    assert not any(rate.recommended for rate in (pooled, of_medians, means))


def test_verdicts_are_rarely_false_where_it_is_hardest() -> None:
    rates = list(verdicts(Asked(SIX_BLOCKS, 2000)))
    assert [rate for rate in rates if not rate.ok] == []
    wide = verdicts(Asked(Model(blocks=3, run_sd=0.12), 1000))
    assert max(rate.rate for rate in wide) <= 0.08


def test_equivalence_at_the_bound_is_declared_no_more_often_than_claimed() -> None:
    (rate,) = equivalent(Asked(SIX_BLOCKS, 2000))
    assert rate.ok
    assert 0.0 < rate.standard_error < 0.006


def test_the_naive_analyses_are_those_of_scipy() -> None:
    model = Model(blocks=2, checkpoints=30)
    pauses = simulate_checkpoints(model, np.random.default_rng(0), 2)
    x = np.tile(np.repeat(model.sizes, 30), 2)
    cells = [pauses[0, :, size].ravel() for size in range(5)]
    spearman = spearmanr(x, pauses[0].ravel()).pvalue
    assert naive.pooled_spearman(pauses, model.sizes)[0] == pytest.approx(spearman)
    assert naive.pooled_anova(pauses, model.sizes)[0] == pytest.approx(f_oneway(*cells).pvalue)
    assert naive.pooled_welch(pauses, model.sizes)[0] == pytest.approx(
        ttest_ind(cells[0], cells[-1], equal_var=False).pvalue
    )


def test_combinations_of_other_factors_count_like_more_blocks() -> None:
    model = Model(blocks=4, combinations=3)
    assert simulate_strata(model, np.random.default_rng(1), 2).shape == (2, 4, 3, 5)
    found, same = (list(power(Asked(one, 300))) for one in (model, Model(blocks=12)))
    assert [rate.claim for rate in found] == [rate.claim for rate in same]
    assert [rate.rate for rate in found] == pytest.approx([rate.rate for rate in same], abs=0.1)
    assert [rate for rate in type_one_error(Asked(model, 600)) if not rate.ok] == []


def test_the_difference_of_equals_is_0_as_often_as_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, pairs = Model(blocks=6, drift=0.1), ((0, 1), (2, 3))
    (rate,) = _equals(model, pairs, 4)
    assert rate.ok
    assert _equals(Model(blocks=4), ((0, 1),), 2, 50) == []
    monkeypatch.setattr("analysis.stats.intervals._OF_SHIFT", 0.80)
    (narrow,) = _equals(model, pairs, 4)
    assert narrow.rate < rate.claim.low


def test_equals_that_share_a_cell_say_less_than_others() -> None:
    apart, shared = (_equals(SIX_BLOCKS, pairs, 6)[0] for pairs in (((0, 1), (2, 3)), ((0, 1), (0, 2))))
    assert apart.ok
    assert shared.rate < apart.rate


def test_shares_of_failures_are_held_at_least_as_often_as_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [rate for rate in cells.failures(Asked(SIX_BLOCKS, 2000)) if not rate.ok] == []
    assert min(rate.rate for rate in cells.failures(Asked(Model(blocks=200), 2000))) >= 0.935
    monkeypatch.setattr(cells, "clopper_pearson", partial(clopper_pearson, confidence=0.50))
    assert not any(rate.ok for rate in cells.failures(Asked(Model(blocks=200), 2000)))


def test_runs_without_stalls_are_seldom_said_to_have_some(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(Model(checkpoints=30), 200)
    assert [rate for rate in cells.false_modes(asked) if not rate.ok] == []
    assert len(list(cells.false_modes(Asked(Model(checkpoints=9), 50)))) == 1
    monkeypatch.setattr("analysis.stats.modality._FEWEST_OF_MODE", 1)
    monkeypatch.setattr("analysis.stats.modality._DEPTH", 0.99)
    monkeypatch.setattr("analysis.stats.modality._FLAGGED", 0)
    assert not any(rate.ok for rate in cells.false_modes(asked))
