"""COLO against the same machine without it, on FAKE campaigns whose ratios are known."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from fixtures.changed import columns
from fixtures.fake_campaign import (
    ANSWER_S,
    DEMO,
    IDLE,
    SERVICE,
    Fake,
    change_record,
    fake_results,
    of_scenario,
    run_ids,
    write_campaign,
)
from scipy import stats

from analysis.commands.overhead import main
from analysis.errors import NothingMeasuredError
from analysis.plots import overhead as figure
from analysis.plots import triggers
from analysis.plots.drawing import NoFigureError
from analysis.plots.style import look
from analysis.report.service import context, service_files
from analysis.report.verdicts import verdicts_json
from analysis.stored.campaign import Failure
from analysis.stored.load import load_campaign
from analysis.stored.records import Hypothesis
from analysis.verdicts.claims import Effect
from analysis.verdicts.hypotheses import NOTHING_TO_COMPARE
from analysis.verdicts.overhead import left_out, overheads
from analysis.verdicts.overhead_words import sentences, times_text
from analysis.verdicts.results import derive
from analysis.verdicts.trend import HANGS_ON_FAILURES
from bench.run.report import _first_screen

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.stored.campaign import Campaign, Run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_campaign(tmp_path_factory.mktemp("service"), SERVICE)


@pytest.fixture(scope="module")
def campaign(folder: Path) -> Campaign:
    return load_campaign(folder)


def test_colo_and_formed_are_held_against_native(campaign: Campaign) -> None:
    found = overheads(campaign)
    assert {(one.scenario, one.base) for one in found} == {("formed", "native"), ("colo", "native")}
    assert {one.label for one in found} == {"512 MiB · 1 vCPU · http · unix"}
    colo = next(one for one in found if one.scenario == "colo")
    assert colo.throughput is not None
    assert colo.throughput.ratio.estimate == pytest.approx(31.6 / 39.5)
    assert (colo.throughput.value, colo.throughput.base, colo.throughput.blocks) == (31.6, 39.5, 4)
    median = colo.of("client_p50")
    assert median is not None
    assert median.ratio.estimate == pytest.approx(2.0)


@pytest.mark.parametrize("width_in", [3.4, 7.0])
def test_names_of_cells_that_take_many_lines_do_not_touch(folder: Path, width_in: float) -> None:
    results = fake_results(folder)
    ratios = figure.frame(results.overheads)
    machines = pd.concat([ratios, ratios.assign(cell="another")], ignore_index=True)
    long = " · devices.nic=virtio-net-pci · link.quickack=on · migration.multifd=4 · trace=network"
    for module, data in ((triggers, triggers.frame(results)), (figure, machines)):
        with look():
            drawn = module.plot(data.assign(cell=data["cell"] + long), width_in)
            drawn.draw_without_rendering()
        boxes = [label.get_window_extent() for label in drawn.axes[0].get_yticklabels()]
        lower, upper = sorted(boxes, key=lambda box: box.y0)
        assert lower.y1 < upper.y0


def test_checkpoints_of_cells_that_are_compared_with_nothing_are_not_counted(folder: Path) -> None:
    results = fake_results(folder)
    idle = results.runs.assign(cell_id="idle", checkpoints=300)
    both = replace(results, runs=pd.concat([results.runs, idle], ignore_index=True))
    assert ", N = 20 checkpoints per run under COLO. " in figure.sketch(both).words.caption


def test_ratios_that_range_widely_are_on_one_logarithmic_scale_that_says_so(campaign: Campaign) -> None:
    data = figure.frame(overheads(campaign))
    first = data.index == 0
    for times, scale, label in ((1.0, "linear", " (1: the same)"), (100.0, "log", ", log scale")):
        far = data.assign(**{name: data[name].where(~first, times) for name in ("ratio", "low", "high")})
        with look():
            panels = [ax for ax in figure.plot(far, 7.0).axes if ax.get_visible()]
        assert {ax.get_xscale() for ax in panels} == {scale}
        assert panels[-1].get_xlabel() == f"by that without COLO{label}"


def test_a_declared_contrast_of_scenarios_is_judged_from_the_runs_without_colo_too(tmp_path: Path) -> None:
    asked = {"id": "W", "claim": "Under COLO fewer requests are answered.", "kind": "contrast", "factor": "scenario"}
    asked |= {"levels": ["native", "colo"], "outcome": "requests_per_s", "direction": "decreasing"}
    fake = replace(SERVICE, scenarios=("native", "colo"), links=("tcp",), repeats=6, hypotheses=(asked,))
    folder = write_campaign(tmp_path, fake)
    plan = json.loads((folder / "plan.json").read_text())
    for cell in plan["cells"]:  # as a plan has it whose other cells set it
        cell.update({} if "scenario" in cell["cell"] else {"at_default": {"scenario": "colo"}})
    (folder / "plan.json").write_text(json.dumps(plan))
    campaign = load_campaign(folder)
    (found,) = derive(campaign).findings
    assert (found.word, found.label, found.runs, found.notes) == ("SUPPORTED", "material", 12, ())
    assert found.effect.estimate == pytest.approx(31.6 / 39.5 - 1)
    # One of them that failed may have been the worst of all.
    first, *others = campaign.without
    (gone,) = (run for run in campaign.plan.runs if run.run_id == first.record.run_id)
    failures = (Failure(gone, 1, "boot", "timeout", ""),)
    (found,) = derive(replace(campaign, without=tuple(others), failures=failures)).findings
    assert (found.word, found.label, found.failed) == ("INCONCLUSIVE", HANGS_ON_FAILURES, 1)
    # No pause is told of a run that has none to ask for.
    paused = Hypothesis.model_validate(asked | {"outcome": "pause"})
    (found,) = derive(campaign, [paused]).findings
    assert found.label == NOTHING_TO_COMPARE


def test_the_interval_is_student_s_of_the_logs_within_blocks(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, replace(SERVICE, scenarios=("native", "colo")))
    rates = {}
    for place, run_id in enumerate(of_scenario(folder, "colo")):
        rates[run_id] = 20.0 + 3 * place
        record = json.loads((folder / "runs" / run_id / "run.json").read_text())
        change_record(folder, run_id, client=record["client"] | {"requests_per_s": rates[run_id]})
    (found,) = overheads(load_campaign(folder))
    assert found.throughput is not None
    logs = np.log(np.array(list(rates.values())) / 39.5)
    low, high = stats.t.interval(0.95, len(logs) - 1, logs.mean(), logs.std(ddof=1) / math.sqrt(len(logs)))
    ends = (found.throughput.ratio.low, found.throughput.ratio.estimate, found.throughput.ratio.high)
    assert ends == pytest.approx(tuple(np.exp([low, logs.mean(), high])))


def test_only_blocks_with_both_and_sound_runs_count(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVICE)
    first, second, *_ = of_scenario(folder, "native")
    change_record(folder, first, quality={"ok": False, "failures": ["the client did not run for 2.00 s"]})
    (folder / "runs" / second / "run.json").unlink()
    found = overheads(load_campaign(folder))
    assert {ratio.blocks for one in found for ratio in one.ratios} == {2}
    assert left_out(load_campaign(folder)) == (
        "Left out, as their own check failed: 1 of 3 native. "
        "In no ratio, as they failed or cannot be read: 1 native; the others may be the better ones."
    )


def test_a_campaign_whose_runs_with_colo_all_failed_their_check_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_campaign(tmp_path, replace(SERVICE, scenarios=("native", "colo")))
    for run_id in of_scenario(folder, "colo"):
        change_record(folder, run_id, quality={"ok": False, "failures": ["late"]})
    assert main([str(folder)]) == 1
    assert "Left out, as their own check failed: 4 of 4 colo." in capsys.readouterr().err
    told = json.loads(verdicts_json(derive(load_campaign(folder))))["overhead"]
    assert told == {"said": ["Left out, as their own check failed: 4 of 4 colo."], "compared": []}


def test_one_block_has_no_interval_and_says_so(tmp_path: Path) -> None:
    found = overheads(load_campaign(write_campaign(tmp_path, replace(SERVICE, repeats=1))))
    assert [len(one.ratios) > 0 for one in found] == [True, True]  # formed and colo
    assert all(math.isnan(ratio.ratio.low) for one in found for ratio in one.ratios)
    assert all("1 block, no interval" in line for line in sentences(found))


def test_cells_that_differ_in_more_than_the_scenario_are_not_compared(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVICE)
    plan = json.loads((folder / "plan.json").read_text())
    for cell in plan["cells"]:
        if cell["cell"].get("scenario") == "native":
            cell["cell"]["checkpoint"]["interval"] = 9.0
    (folder / "plan.json").write_text(json.dumps(plan))
    for run_id in of_scenario(folder, "native"):
        record = json.loads((folder / "runs" / run_id / "run.json").read_text())
        record["cell"]["checkpoint"]["interval"] = 9.0
        change_record(folder, run_id, cell=record["cell"])
    assert overheads(load_campaign(folder)) == ()


def test_what_the_pauses_explain_is_told_request_by_request(campaign: Campaign) -> None:
    colo, formed = (next(one for one in overheads(campaign) if one.scenario == name) for name in ("colo", "formed"))
    known = colo.explained
    assert known.lost == pytest.approx(0.2)
    assert known.of_throughput == pytest.approx(known.paused / 0.2)
    # Every request takes 4 ms longer, and those that meet a pause wait for what is left of it.
    assert known.added_s > known.in_pauses_s > 0
    assert known.added_s - known.in_pauses_s == pytest.approx(ANSWER_S, abs=0.5e-3)
    assert known.of_latency == pytest.approx(known.in_pauses_s / known.added_s)
    run = next(run for run in campaign.without if run.record.cell_id == formed.cell_id)
    assert len(run.checkpoints) == 2
    assert 0 < formed.explained.paused < known.paused
    assert formed.explained.added_s == pytest.approx(ANSWER_S, abs=0.5e-3)


def test_a_pause_of_before_the_measurement_is_none_of_its_time(campaign: Campaign) -> None:
    formed = next(one.cell_id for one in overheads(campaign) if one.scenario == "formed")

    def early(run: Run) -> Run:
        """As under KVM, where the first checkpoint of a pair carries all of RAM while its workload starts."""
        if run.record.cell_id != formed:
            return run
        rows = run.checkpoints.assign(warmup=[True, False])
        rows.loc[rows["warmup"], "pause_s"] = 30.0
        return replace(run, rows=columns(rows))

    runs = tuple(map(early, campaign.without))
    measured_s = [run.checkpoints["pause_s"].iloc[1] for run in runs if run.record.cell_id == formed]
    (found,) = (one for one in overheads(replace(campaign, without=runs)) if one.scenario == "formed")
    assert found.explained.paused == pytest.approx(np.mean(measured_s) / 12.0)


def test_where_no_throughput_is_lost_no_share_of_it_is_told(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVICE)
    for place, run_id in enumerate(of_scenario(folder, "colo")):
        record = json.loads((folder / "runs" / run_id / "run.json").read_text())
        change_record(folder, run_id, client=record["client"] | {"requests_per_s": 39.5 + (-1) ** place})
    colo = next(one for one in overheads(load_campaign(folder)) if one.scenario == "colo")
    assert math.isnan(colo.explained.of_throughput)
    assert "throughput lost" not in next(iter(sentences([colo])))


def test_an_interval_that_does_not_hold_1_is_not_printed_as_if_it_did() -> None:
    assert times_text(Effect(0.9990, 0.9986, 0.9996)) == "0.999 [0.999, 0.9996]"
    assert times_text(Effect(1.0021, 1.0004, 1.0038)) == "1.002 [1.0004, 1.004]"
    assert times_text(Effect(1.0, math.nan, math.nan)) == "1.00"


def test_work_that_a_guest_got_done_by_the_harness_s_clock_is_a_throughput(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, replace(SERVICE, scenarios=("native", "colo")))
    for scenario, rate in (("native", 20.0), ("colo", 15.0)):
        for run_id in of_scenario(folder, scenario):
            change_record(folder, run_id, workload={"per_second": rate}, client=None)
            (folder / "runs" / run_id / "client.parquet").unlink()
    (found,) = overheads(load_campaign(folder))
    assert [ratio.outcome for ratio in found.ratios] == ["done_per_s"]
    assert "leaves 0.750 [0.750, 0.750] of the work that the guest got done per second" in next(sentences([found]))


def test_the_command_prints_ratios_and_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "COLO leaves 0.800 [0.800, 0.800] of the requests answered per second" in shown
    assert "COLO / native" in shown
    assert "formed / native" in shown
    assert main([str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    by_scenario = {one["scenario"]: one for one in told["compared"]}
    assert by_scenario["colo"]["ratios"]["requests_per_s"]["estimate"] == pytest.approx(0.8)
    assert by_scenario["formed"]["explained"]["paused_share"] > 0
    assert told["left_out"] == ""


def test_without_a_baseline_the_command_names_the_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(write_campaign(tmp_path, DEMO))]) == NothingMeasuredError.exit_code
    assert "-m scenario=native,colo" in capsys.readouterr().err


def test_who_measured_both_with_a_workload_that_tells_nothing_is_not_sent_to_measure_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_campaign(tmp_path, replace(SERVICE, scenarios=("native", "colo")))
    for run_id in run_ids(folder):
        change_record(folder, run_id, workload={"achieved_mb_s": 20.0}, client=None)
        (folder / "runs" / run_id / "client.parquet").unlink()
    assert main([str(folder)]) == NothingMeasuredError.exit_code
    said = capsys.readouterr().err
    assert "its workload tells neither" in said
    assert "choose one that has a client or counts its work: docs/workloads.md" in said
    assert "scenario=native" not in said


def test_a_client_that_was_never_answered_is_not_said_to_be_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_campaign(tmp_path, replace(SERVICE, scenarios=("native", "colo")))
    for run_id in run_ids(folder):
        change_record(folder, run_id, client={"requests": 480, "requests_per_s": 0.0})
        (folder / "runs" / run_id / "client.parquet").unlink()
    assert main([str(folder)]) == NothingMeasuredError.exit_code
    assert "its workload tells neither" not in capsys.readouterr().err


def test_verdicts_hold_it_only_where_there_is_a_baseline(folder: Path, tmp_path: Path) -> None:
    told = json.loads(verdicts_json(derive(load_campaign(folder))))["overhead"]
    assert len(told["said"]) == len(told["compared"]) == 2
    assert "overhead" not in json.loads(verdicts_json(derive(load_campaign(write_campaign(tmp_path, DEMO)))))


def test_page_and_files_have_the_same_figures(folder: Path) -> None:
    results = fake_results(folder)
    page, files = context(results), service_files(results)
    assert page["overhead"] is not None
    table = pd.read_csv(io.BytesIO(files["tables/overhead.csv"]))
    row = table[(table["scenario"] == "colo") & (table["outcome"] == "requests_per_s")].iloc[0]
    assert (row["ratio"], row["blocks"]) == (pytest.approx(0.8), 4)
    assert {"tables/overhead.tex", "tables/triggers.csv", "tables/costs.csv"} <= files.keys()
    assert b"0.800 {[}0.800, 0.800{]}" in files["tables/overhead.tex"]


def test_the_figure_has_a_panel_per_outcome_and_a_mark_per_scenario(folder: Path) -> None:
    results = fake_results(folder)
    sketch = figure.sketch(results)
    assert set(sketch.data["panel"]) == {"requests answered per second", "p50 latency", "p95 latency", "p99 latency"}
    with look():
        drawn = sketch.plot(sketch.data, 7.0)
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == [
        "COLO / native",
        "formed, no checkpoint asked for / native",
    ]


def test_five_scenarios_are_told_apart_and_stay_in_the_row_of_their_machine(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = figure.frame(fake_results(folder).overheads)
    data = data[data["scenario"] == "colo"]
    names = [f"scenario {number}" for number in range(5)]
    monkeypatch.setattr(figure, "_LOOKS", figure.looks(names))
    monkeypatch.setattr(figure, "_SAID", {name: name for name in names})
    drawn = figure.plot(pd.concat([data.assign(scenario=name) for name in names]), 7.0)
    assert drawn.axes
    for ax in drawn.axes:
        marks = [bar.lines[0] for bar in ax.containers]
        rows = sorted(mark.get_ydata()[0] for mark in marks)
        assert len({mark.get_color() for mark in marks}) == len({mark.get_marker() for mark in marks}) == 5
        assert -0.5 < rows[0] < rows[-1] < 0.5
        assert np.diff(rows).min() == pytest.approx(0.168)
    with pytest.raises(ValueError, match="zip"):
        figure.looks([*names, *"abcd"])


def test_the_heading_of_one_scenario_has_no_ratio_of_another(campaign: Campaign) -> None:
    colo, formed = (next(one for one in overheads(campaign) if one.scenario == name) for name in ("colo", "formed"))
    worse = replace(formed, ratios=tuple(replace(ratio, ratio=Effect(0.1, 0.1, 0.1)) for ratio in formed.ratios))
    assert figure._heading((worse, colo)) == figure._heading((colo,)) != figure._heading((worse,))


def test_a_ratio_that_is_not_1_is_not_written_as_1_beside_its_whisker(folder: Path) -> None:
    sketch = figure.sketch(fake_results(folder))
    with look():
        drawn = figure.plot(sketch.data.assign(ratio=1.0004, low=1.0001, high=1.0007), 7.0)
    texts = {text.get_text() for ax in drawn.axes for text in ax.texts}
    assert "1.0004" in texts
    assert "1.00" not in texts


def test_ratios_of_two_blocks_are_not_described_as_having_intervals(tmp_path: Path) -> None:
    few, many = (
        figure.sketch(fake_results(write_campaign(tmp_path, replace(SERVICE, name=f"of-{repeats}", repeats=repeats))))
        for repeats in (2, 3)
    )
    assert few.words.alt.startswith("Ratios for 1 cell, ")
    assert many.words.alt.startswith("Ratios with intervals for 1 cell, ")


@pytest.mark.parametrize("module", [figure, triggers])
def test_checkpoints_of_runs_that_are_not_drawn_are_in_no_count(module: Any, folder: Path) -> None:
    results = fake_results(folder)
    first = results.runs.index == results.runs.index[0]
    short = results.runs.assign(quality_ok=~first, checkpoints=results.runs["checkpoints"].mask(first, 3))
    assert ", N = 20 checkpoints per run" in module.sketch(replace(results, runs=short)).words.caption
    none = results.runs.assign(quality_ok=False)  # where formed pairs alone are sound
    assert "N = " not in module.sketch(replace(results, runs=none)).words.caption


def test_without_a_baseline_there_is_no_figure(tmp_path: Path) -> None:
    small = Fake(mems=(1 << 30,), smps=(1,), workloads=(IDLE,), repeats=2, count=6)
    with pytest.raises(NoFigureError, match="sound runs tell throughput or latency with COLO and without"):
        figure.sketch(fake_results(write_campaign(tmp_path, small)))


def test_a_campaign_ends_with_what_colo_leaves_of_the_service(folder: Path) -> None:
    told = json.loads(verdicts_json(derive(load_campaign(folder))))
    shown = list(_first_screen(told))
    assert shown == told["overhead"]["said"]
    assert any("COLO leaves 0.800" in line for line in shown)
