"""What captions tell of runs that are few, or that no figure draws."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fixtures.failovers import fake, told
from fixtures.fake_campaign import (
    ARMS,
    IDLE,
    SERVICE,
    SWEEP,
    Fake,
    change_record,
    fake_results,
    of_scenario,
    run_ids,
    write_campaign,
)
from matplotlib.collections import PathCollection

from analysis.format.outcomes import PAUSES_IN_DOUBT
from analysis.plots import (
    ecdf,
    failures,
    forest,
    gantt,
    interaction,
    overhead,
    pages,
    phases,
    timelines,
    triggers,
    violin,
)
from analysis.plots.drawing import NoFigureError
from analysis.plots.sizes import SizeKey
from analysis.plots.style import look
from analysis.plots.words import design_text, few_runs, whiskers_text
from analysis.report.latex import escape
from analysis.report.service import context, overhead_files
from analysis.stored.campaign import Failure
from analysis.stored.load import load_campaign
from analysis.verdicts.results import derive

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.stored.campaign import Run
    from analysis.verdicts.results import Results

GIB = 1 << 30


@pytest.mark.parametrize("module", [violin, phases])
def test_a_single_run_has_no_whiskers_to_be_told_of(module: Any, single: Results) -> None:
    caption = module.sketch(single).words.caption
    assert "Whiskers" not in caption
    assert "No interval is drawn." in caption


def test_runs_whose_pauses_alone_are_in_doubt_are_in_no_slope_and_told_of(tmp_path: Path) -> None:
    folder = fake(tmp_path, *[told()] * 3)
    doubted, *_ = run_ids(folder)
    change_record(folder, doubted, quality={"ok": True, "notes": [f"{PAUSES_IN_DOUBT}: no event"]})
    results = fake_results(folder)
    assert doubted not in set(pages.frame(results)["run_id"].dropna())
    said = "1 run whose own check failed, or whose pauses alone are in doubt."
    assert f"; not used: {said}" in pages.sketch(results).words.caption
    assert "Left out: warm-up (9 checkpoints). " in design_text(results, "None.", outcome="outage")


def test_no_run_whose_pauses_are_in_doubt_is_said_to_have_the_longest_pause(sweep: Results) -> None:
    def doubted(run: Run) -> Run:
        quality = run.record.quality.model_copy(update={"notes": (f"{PAUSES_IN_DOUBT}: no event",)})
        return run.of_study(run.record.model_copy(update={"quality": quality}), 0)

    worst = max(sweep.campaign.runs, key=timelines.badness)
    runs = tuple(doubted(run) if run is worst else run for run in sweep.campaign.runs)
    said = ", and without an answer those whose pauses alone are in doubt."
    for campaign, drawn in ((sweep.campaign, True), (replace(sweep.campaign, runs=runs), False)):
        sketch = timelines.sketch(replace(sweep, campaign=campaign))
        assert (worst.record.run_id in set(sketch.data["run_id"])) == drawn
        assert (said in sketch.words.caption) == (not drawn)
    none = replace(sweep.campaign, runs=tuple(map(doubted, sweep.campaign.runs)))
    with pytest.raises(NoFigureError, match=r"has passed its check, with pauses that are not in doubt$"):
        timelines.sketch(replace(sweep, campaign=none))


def test_a_cell_of_one_run_beside_others_has_no_range_to_be_told_of(sweep: Results) -> None:
    first = sweep.per_cell.index == 0
    for runs, ranged in ((1, False), (3, True)):
        fewer = sweep.per_cell.assign(
            runs=sweep.per_cell["runs"].mask(first, runs), pause_low=sweep.per_cell["pause_low"].mask(first)
        )
        said = whiskers_text(fewer)
        assert "order-statistic interval of the median run" in said
        assert ("thin without ends the range of the runs" in said) == ranged
        data = phases.frame(sweep)
        one = data["cell"] == data["cell"].iloc[0]
        few = data.assign(runs=data["runs"].mask(one, runs), whisker=data["whisker"].mask(one, "range"))
        assert ("in cells of few runs the range of the runs" in phases._words(sweep, few).caption) == ranged


def test_one_cell_of_few_runs_takes_no_interval_from_the_others(sweep: Results) -> None:
    space = "\N{NO-BREAK SPACE}"
    one_less = replace(sweep, runs=sweep.runs.drop(index=sweep.runs.index[0]))
    assert few_runs(one_less) == f" (R = 5 to 6: not everywhere a 95{space}% interval)"
    assert few_runs(sweep) == ""


def test_a_size_looks_the_same_in_every_figure(sweep: Results) -> None:
    whole = SizeKey.of_all(sweep.cells)
    data = interaction.frame(sweep)
    part = whole.within(data[data["mem_bytes"] == GIB])
    assert part.memories == ("1 GiB",)
    assert part.colours["1 GiB"] == whole.colours["1 GiB"] != whole.colours["256 MiB"]


def test_runs_that_failed_their_check_are_in_no_slope_and_the_caption_says_so(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, Fake(workloads=ARMS, links=("unix",), repeats=6, count=12))
    path = folder / "runs" / run_ids(folder)[0] / "run.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"quality": record["quality"] | {"ok": False, "failures": ["too few"]}}))
    results = fake_results(folder)
    bad = results.runs.loc[~results.runs["quality_ok"], "run_id"].iloc[0]
    assert bad not in set(pages.frame(results)["run_id"].dropna())
    assert "; not used: 1 run whose own check failed." in pages.sketch(results).words.caption
    assert "; kept: 1 run whose own check failed." in ecdf.sketch(results).words.caption
    # No interval has it, and a verdict may hang on it.
    judged = fake_results(write_campaign(tmp_path, replace(SWEEP, name="judged", quality_problems=True)))
    said = "in no interval, and ranked worst in the tests"
    caption = forest.sketch(judged).words.caption
    assert f" Up to 1 run per hypothesis {said}. " in caption
    assert f"; {said}: 1 run whose own check failed." in caption


def test_a_checkpoint_that_is_drawn_may_be_of_a_run_that_failed_its_check_and_is_told_so(sweep: Results) -> None:
    slowest = sweep.per_cell["pause"].idxmax()
    for cell in sweep.per_cell.index:
        first = sweep.runs.index[sweep.runs["cell"] == cell][0]
        unsound = replace(sweep, runs=sweep.runs.assign(quality_ok=sweep.runs.index != first))
        told = "after warm-up; kept: 1 run whose own check failed. " in gantt.sketch(unsound).words.caption
        assert told == (cell == slowest)


def test_what_measured_cells_share_is_not_said_of_others_that_a_figure_shows(tmp_path: Path) -> None:
    both = ({"name": "http", "rate": 40.0}, IDLE)
    campaign = load_campaign(write_campaign(tmp_path, replace(SERVICE, workloads=both, repeats=2)))
    idle = tuple(run for run in campaign.runs if run.record.cell["workload"] == IDLE)
    lost = next(run for run in campaign.plan.runs if run.label.endswith("http · unix"))
    failed = (Failure(lost, 1, "launch", "qemu-exited", "QEMU ended"),)
    for runs, attempts, where in ((campaign.runs, (), "unix · pairs under"), (idle, (), ""), (idle, failed, "")):
        results = derive(replace(campaign, runs=runs, attempts=attempts))
        for module in (triggers, overhead, failures):
            sketch = module.sketch(results)
            told: str = sketch.plot.keywords["where"]  # type: ignore[attr-defined]
            assert told.startswith(where)
            assert bool(told) == bool(where)
            ran = "Pairs ran under emulation" if where else "Pairs whose pauses were measured ran under emulation"
            assert f" {ran} (TCG)." in sketch.words.caption
    assert {"512 MiB · 1 vCPU · http · unix", "512 MiB · 1 vCPU · idle · unix"} <= set(sketch.data["text"])


def test_a_cut_whisker_is_told_of_where_one_is_drawn(sweep: Results) -> None:
    data = phases.frame(sweep)
    said = "One cut off at 0"
    for phase, drawn in (("prepare", False), ("save", True)):
        low = data["low_ms"].mask(data["phase"] == phase, -0.1)
        assert (said in phases._words(sweep, data.assign(low_ms=low)).caption) == drawn


def test_a_baseline_that_failed_is_no_pause_that_a_figure_lacks(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, replace(SERVICE, failed=2))
    results = fake_results(folder)
    asked = {run.planned.label.partition("scenario=")[2] for run in results.campaign.failures}
    assert asked == {"", "formed"}
    said = "Left out: warm-up (9 checkpoints), 1 run that failed, 7 runs of which no checkpoint was asked. "
    assert said in violin.sketch(results).words.caption


def test_blocks_in_which_one_of_the_two_has_nothing_are_told_of_beside_the_ratio(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVICE)
    first = of_scenario(folder, "colo")[0]
    record = json.loads((folder / "runs" / first / "run.json").read_text())
    change_record(folder, first, client=record["client"] | {"requests_per_s": None})
    results = derive(load_campaign(folder))
    said = "COLO / native: in 1 of 4 blocks one of the two has none of the requests answered per second: in no ratio."
    assert said in overhead.sketch(results).words.caption
    assert escape(said) in overhead_files(results)["tables/overhead.tex"].decode()


def test_a_machine_of_which_nothing_was_answered_is_not_dropped_in_silence(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, replace(SERVICE, mems=(GIB // 2, GIB), scenarios=("native", "colo")))
    for run_id in of_scenario(folder, "colo"):
        record = json.loads((folder / "runs" / run_id / "run.json").read_text())
        if record["cell"]["mem"] == GIB:
            change_record(folder, run_id, client=record["client"] | {"requests_per_s": 0.0})
            (folder / "runs" / run_id / "client.parquet").unlink()
    results = derive(load_campaign(folder))
    said = "COLO / native: in none of 4 blocks have both any of the requests answered per second: in no ratio."
    assert f" http \N{MIDDLE DOT} unix, {said}" in overhead.sketch(results).words.caption
    assert sum(said in line for line in context(results)["overhead_lines"]) == 1
    assert escape(said) in overhead_files(results)["tables/overhead.tex"].decode()


def test_a_refutation_of_what_is_there_and_does_not_matter_says_so_in_the_figure_too(sweep: Results) -> None:
    data = forest.frame(sweep.findings)
    refuted = data.assign(word="REFUTED", label="trivially positive")
    assert "REFUTED as material" in forest._words(sweep, refuted).alt
    for width_in in (7.0, 3.4):
        with look():
            figure = forest.plot(refuted, width_in)
        texts = [text.get_text() for ax in figure.axes for text in ax.texts]
        assert any(text.startswith("REFUTED as material") for text in texts)


def test_every_run_lies_within_the_axes_however_many_lines_stand_side_by_side(tmp_path: Path) -> None:
    sizes = tuple(GIB // 4 << place for place in range(7))
    folder = write_campaign(tmp_path, Fake(mems=sizes, smps=(1, 2, 3, 4, 6, 8, 12, 16), repeats=1, count=4))
    results = fake_results(folder)
    for axis, width_in in product((interaction.MEMORY, interaction.VCPUS), (7.0, 3.4)):
        with look():
            figure = interaction.plot(interaction.frame(results), width_in, axis=axis)
        for ax in figure.axes:
            low, high = ax.get_xlim()
            points = np.concatenate([np.asarray(some.get_offsets())[:, 0] for some in ax.collections if _dots(some)])
            assert low < points.min() <= points.max() < high


def _dots(some: Any) -> bool:
    return isinstance(some, PathCollection)
