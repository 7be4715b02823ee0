"""``calibrate``: methods that are believed are inside their bands, and the naive ones fail on the same campaigns."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from fixtures.changed import columns
from fixtures.fake_campaign import ARMS, HYPOTHESES, IDLE, Fake, write_campaign

from analysis import stats
from analysis.__main__ import main
from analysis.calibrate import cells, comparisons, effects, families
from analysis.calibrate.calibration import QUESTIONS, calibration, own_model, rates, table
from analysis.calibrate.cells import phase_means, pooled_and_by_run
from analysis.calibrate.layouts import assumed, layouts_of, told_apart
from analysis.calibrate.model import model_of
from analysis.calibrate.rates import Asked
from analysis.calibrate.simulate import NOISES, Model, simulate_runs
from analysis.calibrate.trends import attained_level
from analysis.commands import calibrate as command
from analysis.commands.terminal import console
from analysis.compare.judging import judge_all
from analysis.errors import NothingMeasuredError
from analysis.runs.cell_table import t_interval
from analysis.stats.exact_power import smallest_slope
from analysis.stored.load import load_campaign
from analysis.verdicts.designs import POWER
from analysis.verdicts.drift import drift
from analysis.verdicts.effects import across_runs, splits
from analysis.verdicts.hypotheses import judge
from analysis.verdicts.results import derive

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.calibrate.layouts import Layouts
    from analysis.stored.campaign import Run
    from analysis.verdicts.finding import Finding
    from analysis.verdicts.question import Question

STUDIES = 400
GROWS: dict[str, Any] = {"id": "H", "claim": "It grows.", "factor": "mem"}
NAIVE = {"Spearman", "one-way ANOVA", "Welch's t, largest against smallest"}


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    return calibration(None, STUDIES, 1)


def test_every_question_is_answered(found: pd.DataFrame) -> None:
    assert set(found["quantity"]) == set(QUESTIONS)
    assert not found.duplicated(["quantity", "method", "level"]).any()
    assert ((found["low"] <= found["estimate"]) & (found["estimate"] <= found["high"])).all()


def test_a_rough_host_answers_every_question_too() -> None:
    found = table(rates(Asked(NOISES["rough"], 20)))
    assert set(found["quantity"]) == set(QUESTIONS)
    assert found["estimate"].between(0.0, 1.0).all()
    pooled = found[(found["quantity"] == "type I error") & (found["level"] == "pooled")]
    assert (pooled["estimate"] > 0.20).all()  # of runs that are there: what is none is found by no test


def test_methods_in_use_are_inside_their_bands(found: pd.DataFrame) -> None:
    assert found[found["recommended"]]["ok"].all()


def test_of_the_t_intervals_that_of_phase_means_is_in_use_and_that_of_logs_is_not(found: pd.DataFrame) -> None:
    used = found[found["quantity"] == "coverage"].set_index("method")["recommended"]
    assert used["t interval of phase means"]
    assert not used["t on logs of run medians"]


@pytest.mark.parametrize("stalls", [{}, {"slow_share": 0.05, "slow_stay": 0.2}])
def test_the_interval_of_phase_means_holds_the_mean(stalls: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(blocks=6, checkpoints=40, drift=0.1, missing=0.1, **stalls)  # type: ignore[arg-type]
    (rate,) = phase_means(Asked(model, 1501))
    assert rate.ok
    assert rate.studies == 1501

    def too_narrow(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
        """Return the interval of 80 %, by the quantiles of t with five degrees of freedom."""
        low, high = t_interval(values)
        less = (high - low) / 2 * (1 - 1.476 / 2.571)
        return low + less, high - less

    monkeypatch.setattr("analysis.calibrate.cells.t_interval", too_narrow)
    (narrow,) = phase_means(Asked(model, 1501))
    assert narrow.rate == pytest.approx(0.80, abs=0.04)
    assert list(phase_means(Asked(replace(model, blocks=1), 50))) == []


def test_the_true_mean_is_that_of_blocks_that_differ() -> None:
    (rate,) = phase_means(Asked(Model(blocks=50, checkpoints=5, block_sd=0.5, run_sd=0.01), 200))
    assert rate.rate > 0.80


def test_rare_runs_that_stall_throughout_are_seldom_inside_the_interval_of_a_mean() -> None:
    (rate,) = phase_means(Asked(Model(blocks=6, stuck_share=0.05), 400))
    assert rate.rate < 0.6
    assert not rate.ok


def test_pooled_checkpoints_find_what_is_not_there_and_run_medians_do_not(found: pd.DataFrame) -> None:
    same = found[(found["quantity"] == "type I error") & found["method"].isin(list(NAIVE))].pivot_table(
        index="method", columns="level", values="estimate"
    )
    assert set(same.index) == NAIVE
    assert (same["pooled"] > 0.20).all()
    assert (same["run"] < 0.09).all()


@pytest.mark.parametrize(("sizes", "blocks", "critical"), [(5, 2, 12), (5, 3, 14), (5, 5, 18), (5, 6, 18)])
def test_the_exact_level_is_that_of_the_critical_values(sizes: int, blocks: int, critical: int) -> None:
    ones = (1,) * sizes
    mass = np.ones(1)
    for _ in range(blocks):
        mass = np.convolve(mass, stats.kendall.null_mass(ones, ones))
    tail = mass[len(mass) // 2 + critical :].sum()
    assert attained_level(Model(sizes=tuple(map(float, range(sizes))), blocks=blocks)) == pytest.approx(tail)
    assert tail <= 0.05 < mass[len(mass) // 2 + critical - 2 :].sum()


def test_two_sizes_leave_a_rank_test_little_choice() -> None:
    assert attained_level(Model(sizes=(0.0, 1.0), blocks=6)) == pytest.approx(1 / 64)
    assert attained_level(Model(sizes=(0.0, 1.0), blocks=4)) == 0


def test_the_same_seed_gives_the_same_table() -> None:
    one, again, other = (calibration(None, 60, seed, questions=("value", "failures")) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, again)
    assert not one.equals(other)


def test_two_blocks_are_too_few_for_a_comparison() -> None:
    assert list(comparisons.comparisons(Asked(Model(blocks=2), 50))) == []


def test_a_comparison_is_wrong_as_rarely_as_it_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(blocks=6, run_sd=0.06, block_sd=0.06)
    found = list(comparisons.comparisons(Asked(model, 100)))
    assert [rate for rate in found if not rate.ok] == []
    assert len(found) == 16
    # Held against twice the threshold, what is slower by the threshold passes too often, and is seen.
    lenient = lambda pairs, rule: judge_all(pairs, replace(rule, threshold=3 * rule.threshold))  # noqa: E731
    monkeypatch.setattr(comparisons, "judge_all", lenient)
    assert not all(rate.ok for rate in comparisons.comparisons(Asked(model, 50)))


def test_a_threshold_that_most_equals_are_said_to_pass_is_passed_by_most(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(blocks=6, sizes=(0.0, 1.0), run_sd=0.06, block_sd=0.06)

    def passing() -> list[bool]:
        found = comparisons.comparisons(Asked(model, 60))
        return [rate.ok for rate in found if rate.method.endswith("pass what 80 % of equals do")]

    assert passing() == [True, True]
    monkeypatch.setattr(comparisons, "overall_passes_at", lambda pairs, rule: 0.02 * bool(pairs and rule))
    assert passing() == [False, False]


@pytest.mark.parametrize("noise", ["assumed", "rough"])
def test_the_interval_of_a_p95_holds_that_of_the_median_run(noise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = replace(NOISES[noise], blocks=6)
    (rate,) = cells.tails(Asked(model, 150))
    assert rate.ok
    assert list(cells.tails(Asked(replace(model, blocks=5), 10))) == []
    # Each run taken for three, as pooled checkpoints are taken for many.
    monkeypatch.setattr(cells, "median_interval", lambda values: stats.median_interval(np.repeat(values, 3)))
    (narrow,) = cells.tails(Asked(model, 150))
    assert not narrow.ok


@pytest.mark.parametrize("noise", ["assumed", "rough"])
def test_power_promises_what_verdicts_then_do(noise: str) -> None:
    model = replace(NOISES[noise], sizes=(0.0, 1.0, 2.0))
    found = list(families.promises(Asked(model, 100)))
    assert [rate for rate in found if not rate.ok] == []
    assert [rate.claim.nominal for rate in found][1:] == [POWER, POWER]


def test_a_promise_is_of_what_claims_an_effect_and_in_its_direction() -> None:
    model = Model(sizes=(0.0, 1.0, 2.0))

    def claiming(*directions: str) -> Layouts:
        layouts = assumed(model)
        both = zip(layouts.primary, directions, strict=True)
        primary = (replace(one, hypothesis=one.hypothesis.model_copy(update={"direction": way})) for one, way in both)
        return replace(layouts, primary=tuple(primary))

    plan = claiming("none", "decreasing", "none", "increasing")
    found = list(families.promises(Asked(model, 100, plan=plan)))
    assert [rate for rate in found if not rate.ok] == []
    assert [rate.claim.nominal for rate in found][1:] == [POWER, POWER]
    assert list(families.promises(Asked(model, 50, plan=claiming(*["none"] * 4)))) == []


def test_a_promise_that_knows_nothing_of_the_family_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(sizes=(0.0, 1.0, 2.0))
    monkeypatch.setattr(
        families, "smallest_slope", lambda *args, **asked: smallest_slope(*args, **asked | {"alpha": 0.2})
    )
    found = list(families.promises(Asked(model, 100)))
    assert not all(rate.ok for rate in found)


@pytest.mark.parametrize("noise", ["assumed", "rough"])
def test_what_is_no_line_is_seldom_denied(noise: str) -> None:
    found = list(effects.shapes(Asked(NOISES[noise], 100)))
    assert len(found) == 5
    assert [rate for rate in found if not rate.ok] == []
    assert list(effects.shapes(Asked(Model(sizes=(0.0, 1.0)), 50))) == []


def test_a_step_is_as_large_in_a_pause_of_a_millisecond_as_in_a_longer_one() -> None:
    short, long = (effects.shapes(Asked(Model(base_s=base_s), 100)) for base_s in (0.001, 0.020))
    assert [rate.rate for rate in short] == pytest.approx([rate.rate for rate in long], abs=0.02)


def test_long_campaigns_are_simulated_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(blocks=3, checkpoints=20)
    assert {rate.studies for rate in pooled_and_by_run(Asked(model, 80))} == {80}
    monkeypatch.setattr("analysis.calibrate.cells._MOST_VALUES", 1)
    assert {rate.studies for rate in pooled_and_by_run(Asked(model, 80))} == {50}


def test_the_model_is_that_of_the_campaign(tmp_path: Path) -> None:
    fake = Fake(mems=(256 << 20, 512 << 20, 1 << 30), smps=(1, 2), links=("unix",), repeats=8, count=60)
    model = model_of(load_campaign(write_campaign(tmp_path, fake)))
    assert model.sizes == (28.0, 29.0, 30.0)
    assert (model.blocks, model.checkpoints) == (8, 60)
    assert model.run_sd == pytest.approx(0.05, rel=0.4)
    assert model.phi < 0.1
    assert (model.slow_share, model.stuck_share, model.missing) == (0.0, 0.0, 0.0)
    assert abs(model.drift) < 0.05


def test_a_run_with_a_pause_of_0_is_not_what_campaigns_are_simulated_by(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, Fake(links=("unix",), repeats=4)))
    first, *others = campaign.runs
    rows = first.checkpoints
    zero = replace(first, rows=columns(rows.assign(pause_s=rows["pause_s"].where(rows["index"] != 10, 0.0))))
    assert model_of(replace(campaign, runs=(zero, *others))) == model_of(replace(campaign, runs=tuple(others)))


def test_stalls_over_tcp_are_no_variation_between_runs(tmp_path: Path) -> None:
    fake = Fake(smps=(1,), links=("tcp",), repeats=10, count=60)
    model = model_of(load_campaign(write_campaign(tmp_path, fake)))
    assert 0.2 < model.slow_share < 0.5
    assert model.slow_extra_s == pytest.approx(0.041, abs=0.003)
    assert model.checkpoint_sd < 0.15


def test_runs_that_stall_throughout_make_single_stalls_of_the_others_no_rarer(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, Fake(smps=(1,), links=("tcp",), repeats=4, count=60)))

    def stalling(run: Run) -> Run:
        index = run.checkpoints["index"].to_numpy()
        stalled = (index % 5 == 0) | bool(run.record.block % 2)
        pauses = 0.020 * (1 + 0.01 * (index % 3)) + 0.041 * stalled
        return replace(run, rows=columns(run.checkpoints.assign(pause_s=pauses)))

    model = model_of(replace(campaign, runs=tuple(map(stalling, campaign.runs))))
    assert model.stuck_share == 0.5
    assert model.slow_share == pytest.approx(0.2)


def test_a_campaign_that_tells_nothing_of_how_runs_vary(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, Fake(repeats=1))
    campaign = load_campaign(folder)
    with pytest.raises(NothingMeasuredError, match="no cell has two runs"):
        model_of(campaign)
    assert own_model(derive(campaign)) is None
    assert main(["calibrate", "--from", str(folder)]) == 1


def test_what_is_seldom_is_not_printed_as_never(found: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    command.show(replace(Model(), slow_share=0.0003), found.assign(estimate=0.0004), console())
    printed = " ".join(capsys.readouterr().out.split())
    assert "stalled 0.03 % of checkpoints" in printed
    assert " 0.04 % " in printed


def test_the_command_prints_and_writes_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_campaign(tmp_path, Fake(links=("unix",), repeats=4))
    written = tmp_path / "rates.csv"
    assert main(["calibrate", "--from", str(folder), "--studies", "50", "--csv", str(written)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("2 sizes x 4 blocks x 30 checkpoints")
    assert "blocked Jonckheere-Terpstra" in printed
    assert set(pd.read_csv(written)["level"]) == {"pooled", "run"}
    with pytest.raises(SystemExit):
        main(["calibrate", "--studies", "3"])
    capsys.readouterr()
    for option, huge in (("--blocks", "10000000"), ("--studies", "9" * 12), ("--seed", "9" * 5000), ("--blocks", "1")):
        with pytest.raises(SystemExit) as ended:
            main(["calibrate", option, huge])
        assert ended.value.code == 2
        assert f"argument {option}: " in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", "--seed", "-1"])
    assert ended.value.code == 2
    assert "argument --seed: '-1' must be a whole number of at least 0" in capsys.readouterr().err


def test_each_question_is_told_of_and_changes_no_rate() -> None:
    said: list[str] = []
    asked = partial(rates, Asked(Model(), 50), ("value", "failures"))
    assert asked(say=said.append) == asked()
    assert [line.partition(": ")[2] for line in said] == ["value, 1 of 2", "failures, 2 of 2"]


def test_quiet_is_the_table_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "rates", partial(rates, questions=("failures",)))
    assert main(["calibrate", "--studies", "50"]) == 0
    whole = capsys.readouterr().out
    assert main(["calibrate", "--studies", "50", "--quiet"]) == 0
    alone = capsys.readouterr().out
    assert alone.split()[:3] == ["quantity", "method", "level"]
    assert alone in whole
    assert whole.count("\n\n") == 2
    assert "\n\n" not in alone


def test_json_holds_the_model_and_every_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "rates", partial(rates, questions=("value", "failures")))
    assert main(["calibrate", "--studies", "50", "--json"]) == 0
    tree = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (tree["model"]["blocks"], tree["seed"], tree["notes"]) == (NOISES["assumed"].blocks, 1, [])
    assert {row["quantity"] for row in tree["rates"]} == {"value", "failures"}
    assert set(tree["rates"][0]) == set(table(rates(Asked(Model(), 50), ("value",))))


def test_the_interval_of_a_slope_is_held_to_what_its_ranks_attain() -> None:
    model = Model(sizes=(0.0, 1.0), blocks=12)
    logs = simulate_runs(model, np.random.default_rng(1), 600)
    x, strata = np.tile(model.sizes, 12), np.repeat(np.arange(12), 2).tolist()
    found = [stats.stratified_theil_sen(x, one.ravel(), strata) for one in logs]
    assert np.mean([one.low <= 0 <= one.high for one in found]) == pytest.approx(
        1 - 2 * attained_level(model), abs=0.025
    )
    assert 1 - 2 * attained_level(model) == pytest.approx(0.961, abs=0.001)
    assert 0.90 < 1 - 2 * attained_level(Model(blocks=12)) < 0.93


def test_trends_are_judged_in_the_strata_that_the_campaign_has(tmp_path: Path) -> None:
    fake = Fake(
        mems=(256 << 20, 1 << 30, 4 << 30),
        smps=(1, 4),
        workloads=ARMS,
        links=("unix",),
        repeats=3,
        count=12,
        hypotheses=HYPOTHESES,
    )
    campaign = load_campaign(write_campaign(tmp_path, fake))
    model = model_of(campaign)
    layouts = layouts_of(campaign, model)
    assert layouts.trends == (((0.0, 2.0, 4.0), 2), ((0.0, 1.0), 6))
    assert [one.hypothesis.id for one in layouts.primary] == ["H1_total", "H2_direct", "H3_vcpus"]
    assert [len(set(one.strata)) for one in layouts.primary] == [6, 6, 18]
    assert len(layouts.pairs) == 2
    found = {rate.method for rate in rates(Asked(model, 50, plan=layouts), ("verdict",))}
    assert "SUPPORTED without growth, 3 levels in 6 strata" in found
    assert "REFUTED at the smallest effect of interest, 2 levels in 18 strata" in found


def test_a_block_of_which_no_run_counts_is_neither_simulated_nor_asked_about(tmp_path: Path) -> None:
    fake = Fake(smps=(1,), links=("unix",), repeats=4, hypotheses=(GROWS,))
    campaign = load_campaign(write_campaign(tmp_path, fake))

    def unsound(run: Run) -> Run:
        quality = run.record.quality.model_copy(update={"ok": False})
        return replace(run, record=run.record.model_copy(update={"quality": quality}))

    runs = tuple(run if run.record.block else unsound(run) for run in campaign.runs)
    spoiled = replace(campaign, runs=runs)
    model = model_of(spoiled)
    layouts = layouts_of(spoiled, model)
    assert model.blocks == 3
    assert sorted(set(layouts.primary[0].block.tolist())) == [0, 1, 2]
    assert list(families.families(Asked(model, 20, plan=layouts)))
    assert list(families.interactions(Asked(model, 20, plan=layouts)))


def test_blocks_are_simulated_as_the_one_that_compares_most_and_not_as_one_that_lost_runs(tmp_path: Path) -> None:
    fake = Fake(smps=(1,), workloads=(IDLE,), links=("unix",), repeats=4, hypotheses=(GROWS,))
    campaign = load_campaign(write_campaign(tmp_path, fake))
    largest = max(run.record.cell["mem"] for run in campaign.runs)
    kept = tuple(run for run in campaign.runs if run.record.block or run.record.cell["mem"] < largest)
    model = model_of(replace(campaign, runs=kept))
    layouts = layouts_of(replace(campaign, runs=kept), model)
    assert sorted(layouts.primary[0].of_blocks(2).x.tolist()) == [0.0, 0.0, 1.0, 1.0]
    assert list(families.promises(Asked(model, 20, plan=layouts)))


def test_two_cells_have_room_for_the_equals_that_stand_in_for_none(tmp_path: Path) -> None:
    asked = (GROWS, GROWS | {"id": "T", "outcome": "total", "family": "secondary"})
    fake = Fake(smps=(1,), workloads=(IDLE,), links=("unix",), repeats=4, hypotheses=asked)
    campaign = load_campaign(write_campaign(tmp_path, fake))
    model = model_of(campaign)
    layouts = layouts_of(campaign, model)
    assert (layouts.pairs, layouts.cells) == (((0, 1), (2, 3)), 4)
    assert list(families.families(Asked(model, 20, plan=layouts)))
    assert list(cells.equals(Asked(model, 20, plan=layouts)))


def test_designs_that_look_alike_are_told_apart_by_their_span() -> None:
    contrast, trend, other = ((0.0, 1.0), 2), ((0.0, 4.0), 2), ((0.0, 1.0), 6)
    assert list(told_apart([contrast, trend, other]).values()) == [", span 1", ", span 4", ""]


def test_a_sweep_without_hypotheses_has_the_strata_of_its_cells(tmp_path: Path) -> None:
    fake = Fake(mems=(256 << 20, 512 << 20, 1 << 30), smps=(1, 2), links=("unix",), repeats=3, count=12)
    campaign = load_campaign(write_campaign(tmp_path, fake))
    layouts = layouts_of(campaign, model_of(campaign))
    assert ((0.0, 1.0, 2.0), 4) in layouts.trends
    assert len(layouts.primary) == len(layouts.secondary) == 4


HOLM = "Holm: any of 4 falsely SUPPORTED without growth"
HOCHBERG = "Benjamini-Hochberg: share of false ones among SUPPORTED of 4, 4 without growth"


def test_a_family_needs_its_adjustment() -> None:
    model = Model(blocks=6)
    held = {rate.method: rate.rate for rate in families.families(Asked(model, 150))}
    assert max(rate for method, rate in held.items() if not method.startswith("unadjusted")) < 0.09
    assert min(held[f"unadjusted: {name.split(': ')[1]}"] for name in (HOLM, HOCHBERG)) > 0.10


def test_a_family_is_asked_about_a_decline_by_all_there_is_too() -> None:
    model = Model(sizes=(0.0, 1.0), blocks=3)
    layouts = assumed(model)
    doubled = tuple(
        replace(one, hypothesis=one.hypothesis.model_copy(update={"sesoi": 1.0})) for one in layouts.primary
    )
    found = families.families(Asked(model, 20, plan=replace(layouts, primary=doubled)))
    assert "Holm: any of 4 falsely REFUTED at the smallest effect of interest, claimed decreasing, without" in {
        rate.method for rate in found
    }


def test_a_claim_of_no_difference_is_asked_about_both_of_its_false_words() -> None:
    model = Model(sizes=(0.0, 1.0), blocks=6)
    layouts = assumed(model)
    found = families.families(Asked(model, 20))
    none = {rate.method for rate in found if "claimed none, without" in rate.method and rate.recommended}
    assert none == {
        f"Holm: any of 4 falsely {word} at the smallest effect of interest, claimed none, without"
        for word in ("SUPPORTED", "REFUTED")
    }
    one = layouts.primary[0]
    same = replace(one, hypothesis=one.hypothesis.model_copy(update={"direction": "none"}))
    edges = {word: families.edge_of(same, word) for word in ("SUPPORTED", "REFUTED")}
    assert edges == pytest.approx(dict.fromkeys(edges, np.log(1.05)))


def test_equal_slopes_are_found_unequal_as_rarely_as_claimed() -> None:
    for combinations in (1, 3):
        model = Model(blocks=4, combinations=combinations)
        (rate,) = families.interactions(Asked(model, 600))
        assert rate.rate == pytest.approx(0.05, abs=0.03)


def test_a_value_at_the_edge_of_its_range_gets_a_word_as_rarely_as_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(blocks=6)
    assert [rate for rate in effects.values(Asked(model, 600)) if not rate.ok] == []
    assert list(effects.values(Asked(Model(blocks=4), 50))) == []

    def clipped(asked: Question) -> Finding:
        five = asked.runs[asked.runs["block"] < 5]
        return judge(replace(asked, runs=five.assign(pause=five["pause"].clip(upper=0.02))))

    monkeypatch.setattr(effects, "judge", clipped)
    assert not all(rate.ok for rate in effects.values(Asked(model, 100)))


def test_what_ram_costs_is_held_as_often_as_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(blocks=6, sizes=(0.0, 2.0, 4.0))
    found = list(effects.split(Asked(model, 150)))
    assert len(found) == 3
    assert min(rate.rate for rate in found) > 0.90
    assert list(effects.split(Asked(Model(blocks=4), 50))) == []
    swapped = {"mem": "fixed", "fixed": "mem"}
    monkeypatch.setattr(effects, "splits", lambda runs: splits(runs.replace({"workload.scaling": swapped})))
    assert max(rate.rate for rate in effects.split(Asked(model, 50))) < 0.5


def test_what_a_page_costs_is_held_as_often_as_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(blocks=6, sizes=(0.0, 2.0, 4.0), checkpoints=30)
    across, within = effects.page_cost(Asked(model, 150))
    assert across.rate > 0.90
    assert within.rate > 0.90
    assert list(effects.page_cost(Asked(Model(blocks=1), 50))) == []
    monkeypatch.setattr(effects, "across_runs", lambda pages, pauses, cells: across_runs(pages, pauses * 1.5, cells))
    assert next(effects.page_cost(Asked(model, 50))).rate < 0.7


def test_a_drift_is_found_where_none_is_as_rarely_as_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    (rate,) = effects.host_drift(Asked(Model(blocks=6), 200))
    assert rate.rate >= 0.93
    assert list(effects.host_drift(Asked(Model(blocks=4), 50))) == []
    each = pd.Series(range(30))
    monkeypatch.setattr(effects, "drift", lambda runs: drift(runs.assign(block=each)))
    assert next(effects.host_drift(Asked(Model(blocks=6), 200))).rate < 0.85
