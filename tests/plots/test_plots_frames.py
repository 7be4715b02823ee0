"""What is drawn of pauses and their phases, on FAKE campaigns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from fixtures.changed import columns, with_parts
from fixtures.fake_campaign import (
    IDLE,
    Fake,
    fake_results,
    replace_parquet,
    run_ids,
    write_campaign,
)
from matplotlib.collections import LineCollection

from analysis import stats
from analysis.plots import (
    ecdf,
    gantt,
    heatmap,
    interaction,
    pages,
    phases,
    violin,
)
from analysis.plots.data import unmeasured
from analysis.plots.drawing import NoFigureError
from analysis.plots.style import CATEGORIES, look
from analysis.runs.outcomes import used
from analysis.stored.campaign import Unread
from analysis.stored.records import PlannedCell
from analysis.verdicts.claims import Effect
from analysis.verdicts.effects import PageRow

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.verdicts.results import Results

GIB = 1 << 30


def _fake(parent: Path, **settings: object) -> Results:
    fake = replace(Fake(mems=(GIB,), smps=(1,), workloads=(IDLE,), links=("unix",), repeats=1), **settings)  # type: ignore[arg-type]
    return fake_results(write_campaign(parent, fake))


class TestEcdf:
    def test_a_line_rises_from_zero_to_one_at_the_sorted_pauses_of_its_run(self, sweep: Results) -> None:
        run = sweep.campaign.runs[0]
        line = ecdf.frame(sweep).query("line == @run.record.run_id")
        pauses = np.sort(used(run)["pause_s"]) * 1e3
        assert list(line["pause_ms"]) == [pauses[0], *pauses]
        np.testing.assert_allclose(line["share"], np.arange(13) / 12)

    def test_a_pause_of_0_is_drawn_on_no_logarithmic_axis(self, sweep: Results) -> None:
        sketch = ecdf.sketch(sweep)
        pauses = sketch.data["pause_ms"].where(sketch.data.index > 0, 0.0)
        with look():
            figure = sketch.plot(sketch.data.assign(pause_ms=pauses), 7.0)
        assert {ax.get_xscale() for ax in figure.axes} == {"linear"}

    def test_there_is_a_line_for_every_run(self, sweep: Results) -> None:
        data = ecdf.frame(sweep)
        assert set(data["line"]) == set(sweep.runs["run_id"])
        assert set(data["of"]) == {"run"}

    def test_runs_of_two_campaigns_of_one_seed_are_two_lines(self, tmp_path: Path) -> None:
        results = _fake(tmp_path, count=20, repeats=2)
        one, other = results.campaign.runs
        again = replace(other, record=other.record.model_copy(update={"run_id": one.record.run_id}), folder=1)
        table = results.runs.assign(run_id=one.record.run_id, folder=[0, 1])
        data = ecdf.frame(replace(results, campaign=replace(results.campaign, runs=(one, again)), runs=table))
        assert set(data["line"]) == {f"{one.record.run_id}.{folder}" for folder in (0, 1)}
        assert all(line["share"].is_monotonic_increasing for _, line in data.groupby("line"))

    def test_a_long_run_is_drawn_at_few_of_its_own_pauses(self, tmp_path: Path) -> None:
        results = _fake(tmp_path, count=1000)
        data = ecdf.frame(results)
        pauses = used(results.campaign.runs[0])["pause_s"] * 1e3
        assert len(data) == ecdf.MOST_STEPS + 1
        assert set(data["pause_ms"]) <= set(pauses)
        assert (data["share"].iloc[-1], data["pause_ms"].max()) == (1.0, pauses.max())

    def test_many_runs_are_one_line_per_cell_with_their_range(self, tmp_path: Path) -> None:
        results = _fake(tmp_path, count=5, repeats=ecdf.MOST_LINES + 1)
        data = ecdf.frame(results)
        assert set(data["of"]) == {"cell"}
        assert len(set(data["line"])) == 1
        half = data[data["share"] == 0.5].iloc[0]
        each = [np.quantile(used(run)["pause_s"] * 1e3, 0.5, method="inverted_cdf") for run in results.campaign.runs]
        assert (half["low_ms"], half["pause_ms"], half["high_ms"]) == (min(each), np.median(each), max(each))

    def test_many_cells_of_one_run_are_runs_and_no_range_is_said_to_be_shaded(self, tmp_path: Path) -> None:
        mems = tuple(GIB * (1 + place) for place in range(ecdf.MOST_LINES + 1))
        sketch = ecdf.sketch(_fake(tmp_path, count=5, mems=mems))
        assert set(sketch.data["of"]) == {"run"}
        assert f"Each line is one run ({len(mems)} runs)." in sketch.words.caption
        assert "shaded" not in sketch.words.caption


class TestInteraction:
    def test_points_are_run_medians_and_cells_have_the_exact_interval(self, sweep: Results) -> None:
        data = interaction.frame(sweep)
        runs, cells = (data[data["of"] == of] for of in ("run", "cell"))
        np.testing.assert_allclose(runs["pause_ms"], sweep.runs["pause"] * 1e3)
        interval = stats.median_interval(sweep.runs.loc[sweep.runs["cell"] == 0, "pause"])
        row = cells.iloc[0]
        np.testing.assert_allclose(
            row[["pause_ms", "low_ms", "high_ms"]].astype(float),
            np.array([interval.estimate, interval.low, interval.high]) * 1e3,
        )
        assert set(cells["whisker"]) == {"interval"}

    def test_below_six_runs_whiskers_are_the_range_and_say_so(self, demo: Results) -> None:
        sketch = interaction.sketch(demo, interaction.MEMORY)
        assert set(sketch.data.loc[sketch.data["of"] == "cell", "whisker"]) == {"range"}
        assert "no 95\N{NO-BREAK SPACE}% interval exists below 6 runs" in sketch.words.caption
        assert sketch.words.heading.endswith("(R = 1 to 2: no 95\N{NO-BREAK SPACE}% interval)")

    def test_growth_is_from_the_smallest_to_the_largest_size_of_a_line(self, sweep: Results) -> None:
        data = interaction.frame(sweep)
        cells = data[
            (data["of"] == "cell") & (data["panel"] == "working set growing with RAM") & (data["smp"] == 1)
        ].sort_values("mem_bytes")
        lines = interaction.growth(data, interaction.MEMORY).set_index("line")
        change = cells["pause_ms"].iloc[-1] / cells["pause_ms"].iloc[0] - 1
        assert lines.loc["1 vCPU, working set growing with RAM", "change"] == pytest.approx(change)
        assert set(lines["steps"]) == {"256 MiB to 1 GiB"}

    def test_runs_of_panels_that_are_not_drawn_are_not_counted(self, sweep: Results) -> None:
        names, per_cell = sweep.cells.names, sweep.per_cell
        grows = per_cell["panel"] == "working set growing with RAM"
        beside = per_cell[grows | (per_cell["mem_bytes"] == GIB)]  # of the other arm one size
        few = sweep.runs["cell"].map(lambda place: names[place].panel == "working set growing with RAM")
        known = sweep.runs["cell"].map(lambda place: names[place].cell_id in set(beside["cell_id"]))
        runs = sweep.runs[known & (~few | (sweep.runs["block"] < 1))]
        once = beside.assign(runs=beside["runs"].where(~grows, 1))
        words = interaction.sketch(with_parts(replace(sweep, runs=runs), per_cell=once), interaction.MEMORY).words
        assert words.heading.endswith("(R = 1: no 95\N{NO-BREAK SPACE}% interval)")
        assert "R = 1 run per cell, N = 12 checkpoints per run. " in words.caption
        said = " Not drawn: 4 cells of panels in which memory never varies while everything else stays the same. "
        assert said in words.caption
        assert "Not drawn" not in interaction.sketch(sweep, interaction.MEMORY).words.caption

    def test_lines_run_through_the_sizes_so_that_they_cross_where_the_data_do(self, sweep: Results) -> None:
        data = interaction.frame(sweep)
        figure = interaction.plot(data, 7.0)
        ends = {
            tuple(np.asarray(line.get_xdata(), dtype=float))
            for ax in figure.axes
            for line in ax.lines
            if line.get_linestyle() != "None" and line.get_color() in CATEGORIES
        }
        assert (GIB / 4, GIB) in ends
        assert all(set(some) <= {GIB / 4, GIB} for some in ends if len(some) > 1)

    def test_a_size_that_never_varies_has_no_figure(self, single: Results) -> None:
        with pytest.raises(NoFigureError, match="memory never varies"):
            interaction.sketch(single, interaction.MEMORY)
        with pytest.raises(NoFigureError, match="the number of vCPUs never varies"):
            interaction.sketch(single, interaction.VCPUS)

    def test_a_size_of_which_every_run_failed_was_not_measured(self, tmp_path: Path) -> None:
        results = _fake(tmp_path, mems=(GIB, 2 * GIB), failed=1, count=6)
        with pytest.raises(NoFigureError, match="memory never varies among measured cells"):
            interaction.sketch(results, interaction.MEMORY)


class TestHeatmap:
    def test_each_cell_says_its_median_its_range_and_how_many_runs(self, demo: Results) -> None:
        data = heatmap.frame(demo)
        assert list(data["attempts"]) == [2] * 16
        assert (data["runs"].sum(), data["short"].sum()) == (29, 3)
        np.testing.assert_allclose(data["pause_ms"], demo.per_cell["pause"] * 1e3)

    def test_a_cell_without_a_measured_run_is_there_without_a_pause(self, tmp_path: Path) -> None:
        results = fake_results(write_campaign(tmp_path, Fake(workloads=(IDLE,), repeats=1, failed=1, count=5)))
        data = heatmap.frame(results)
        missing = data[data["runs"] == 0].iloc[0]
        assert (len(data), missing["attempts"], missing["short"], missing["panel"]) == (4, 1, True, "")
        assert np.isnan(missing["pause_ms"])
        assert "1 cell of which launches failed, are missing or cannot be read" in heatmap.sketch(results).words.caption

    @pytest.mark.parametrize("name", ["unread", "unfinished"])
    def test_a_run_that_cannot_be_read_or_is_missing_is_a_launch_beside_one_that_failed(
        self, demo: Results, name: str
    ) -> None:
        first = demo.per_cell["cell_id"].iloc[0]
        run = next(run for run in demo.campaign.plan.runs if run.cell_id == first)
        lost: dict[str, Any] = {name: (Unread(run, "torn") if name == "unread" else run,)}
        again = demo.per_cell["failed"].mask(demo.per_cell["cell_id"] == first, 1)
        less = demo.per_cell["runs"].mask(demo.per_cell["cell_id"] == first, 1)
        results = with_parts(
            replace(demo, campaign=replace(demo.campaign, **lost)),
            per_cell=demo.per_cell.assign(failed=again, runs=less),
        )
        row = heatmap.frame(results).iloc[0]
        assert (row["runs"], row["attempts"], row["short"]) == (1, 3, True)
        sketch = heatmap.sketch(results)
        with look():
            legend = sketch.plot(sketch.data, 7.0).legends[0]
        assert [text.get_text() for text in legend.get_texts()] == ["launches failed, missing or not readable"]

    def test_the_pause_of_the_only_cell_that_has_one_goes_from_nowhere_to_nowhere(self, tmp_path: Path) -> None:
        heading = heatmap.sketch(_fake(tmp_path, mems=(GIB, 2 * GIB), failed=1, count=6)).words.heading
        assert heading.startswith("The median pause is ")
        assert " to " not in heading

    def test_cells_of_one_run_have_no_brackets_to_be_told_of(self, tmp_path: Path) -> None:
        results = fake_results(write_campaign(tmp_path, Fake(workloads=(IDLE,), repeats=1, count=5)))
        caption = heatmap.sketch(results).words.caption
        assert "In brackets" not in caption
        assert "No interval is drawn." in caption

    @pytest.mark.parametrize(("accel", "named"), [("tcg", True), ("auto", True), ("kvm", False)])
    def test_a_cell_without_a_run_is_of_its_own_accelerator(self, single: Results, accel: str, *, named: bool) -> None:
        plan = single.campaign.plan
        cell = {**plan.cells[0].cell, "mem": 8 << 30, "accel": accel}
        wider = plan.model_copy(update={"cells": (*plan.cells, PlannedCell(cell_id="x", label="x", cell=cell))})
        found = unmeasured(replace(single, campaign=replace(single.campaign, plan=wider)))
        assert [(one.size, one.accel) for one in found] == [("8 GiB · 1 vCPU", "tcg")] * named

    def test_a_panel_shows_its_own_sizes_and_names_slots_without_a_cell(self) -> None:
        sizes = [("a", 1, 1), ("a", 2, 2), ("b", 4, 1)]
        rows = [
            {"panel": panel, "mem_bytes": mem * GIB, "memory": f"{mem} GiB", "smp": smp, "vcpus": f"{smp} vCPUs"}
            | {
                "pause_ms": 10.0 * mem,
                "low_ms": 9.0 * mem,
                "high_ms": 11.0 * mem,
                "runs": 6,
                "attempts": 6,
                "short": False,
            }
            for panel, mem, smp in sizes
        ]
        with look():
            one, other = heatmap.plot(pd.DataFrame(rows), 7.0).axes[:2]
        assert [label.get_text() for label in one.get_yticklabels()] == ["1 GiB", "2 GiB"]
        assert [label.get_text() for label in other.get_yticklabels()] == ["4 GiB"]
        assert [text.get_text() for text in one.texts].count("not measured") == 2
        assert [text.get_text() for text in other.texts] == ["40.0\n[36.0\N{EN DASH}44.0]\n6/6"]

    def test_a_pause_of_0_has_a_colour(self) -> None:
        assert heatmap._norm(pd.Series([0.0, 400.0]))(0.0) == 0.0

    def test_one_size_has_no_figure(self, single: Results) -> None:
        with pytest.raises(NoFigureError, match="the same in every cell"):
            heatmap.sketch(single)


class TestPhases:
    def test_the_phases_inside_the_pause_add_up_to_it(self, sweep: Results) -> None:
        means = phases.frame(sweep).pivot_table(index="cell", columns="phase", values="mean_ms")
        np.testing.assert_allclose(means[list(phases.INSIDE)].sum(axis=1), means[phases.PAUSE])

    def test_few_runs_have_their_range_and_no_interval(self, demo: Results, sweep: Results) -> None:
        sketch = phases.sketch(demo)
        assert set(sketch.data["whisker"]) == {"range"}
        first = sketch.data[(sketch.data["phase"] == "save") & (sketch.data["cell"] == demo.cells.names[0].label)].iloc[
            0
        ]
        own = demo.runs.loc[demo.runs["cell"] == 0, "save"] * 1e3
        assert (first["low_ms"], first["high_ms"]) == (own.min(), own.max())
        assert "the range of the runs, since an interval from fewer than 6 runs" in sketch.words.caption
        assert set(phases.frame(sweep)["whisker"]) == {"interval"}

    def test_the_heading_names_the_longest_phase(self, sweep: Results) -> None:
        assert phases.sketch(sweep).words.heading.startswith("The save phase is the longest part of the pause in")

    def test_what_comes_before_the_pause_has_its_whisker_inside_the_figure(self, sweep: Results) -> None:
        data = phases.frame(sweep)
        long = data["phase"] == "request"
        data.loc[long, ["mean_ms", "low_ms", "high_ms"]] = [30.0, -10.0, 70.0]
        ax = phases.plot(data, 7.0).axes[0]
        whiskers = (bars for bars in ax.collections if isinstance(bars, LineCollection))
        ends = [x for bars in whiskers for part in bars.get_segments() for x in part[:, 0]]
        stop = data.loc[data["phase"] == "stop", "mean_ms"].max()
        assert min(ends) == pytest.approx(-70.0 - stop, abs=1.0)
        assert "thin, of each longer phase at its end away from 0." in phases.sketch(sweep).words.caption
        assert ax.get_xlim()[0] < min(ends)
        assert 0 >= max(end for end in ends if end < 1) > -1.0 - stop


class TestGantt:
    def test_a_typical_and_the_slowest_checkpoint_of_the_slowest_cell(self, sweep: Results) -> None:
        data = gantt.frame(sweep)
        slowest = sweep.cells.names[int(sweep.per_cell["pause"].idxmax())]
        pauses = np.concatenate(
            [used(run)["pause_s"] for run in sweep.campaign.runs if run.record.cell_id == slowest.cell_id]
        )
        assert list(dict.fromkeys(data["checkpoint"])) == ["typical (median)", "slow (longest)"]
        assert data["pause_ms"].max() == pytest.approx(pauses.max() * 1e3)
        assert abs(data["pause_ms"].min() - np.median(pauses) * 1e3) < 1
        assert (data["size"].iloc[0], data["panel"].iloc[0]) == (slowest.size, slowest.panel)

    def test_where_none_is_slower_there_is_one_checkpoint(self, tmp_path: Path) -> None:
        sketch = gantt.sketch(_fake(tmp_path, count=1, finer=True))
        assert list(dict.fromkeys(sketch.data["checkpoint"])) == ["median and longest"]
        assert "slow" not in sketch.words.heading
        assert sketch.words.caption.startswith("One checkpoint of the cell with the longest median pause")
        assert sketch.words.alt.startswith("Time lines of one checkpoint, ")

    def test_the_primary_begins_before_the_stop_and_ends_with_the_pause(self, sweep: Results) -> None:
        data = gantt.frame(sweep)
        for _, bars in data[data["row"] == gantt.PRIMARY].groupby("checkpoint"):
            own = bars.set_index("part")
            assert own.loc["stop", "to_ms"] == pytest.approx(0.0, abs=1e-9)
            assert own.loc["resume", "to_ms"] == pytest.approx(own["pause_ms"].iloc[0])
            np.testing.assert_allclose(own["from_ms"].iloc[1:], own["to_ms"].iloc[:-1])

    def test_the_secondary_ends_when_its_last_message_reaches_the_primary(self, sweep: Results) -> None:
        for _, bars in gantt.frame(sweep).groupby("checkpoint"):
            own = bars.set_index("part")
            assert own.loc["restart", "to_ms"] == pytest.approx(own.loc["load", "to_ms"])
            assert own.loc["device_load", "to_ms"] == pytest.approx(own.loc["restart", "from_ms"])
            assert own.loc["cache_flush", "to_ms"] == pytest.approx(own.loc["device_load", "from_ms"])

    def test_before_qemu_5_1_the_flush_is_part_of_receiving(self) -> None:
        bars = gantt.timeline(_checkpoint(), flushes_early=True).set_index("part")
        assert (bars.loc["cache_flush", "from_ms"], bars.loc["cache_flush", "to_ms"]) == pytest.approx((1.0, 2.0))
        assert bars.loc["device_load", "to_ms"] == pytest.approx(bars.loc["restart", "from_ms"])

    @pytest.mark.parametrize(
        ("qemu", "early"), [("QEMU emulator version 4.2.1", True), ("5.0.0", True), ("5.1.0", False), ("", False)]
    )
    def test_the_version_tells_when_it_flushes(self, qemu: str, *, early: bool) -> None:
        assert gantt._flushes_early(qemu) == early

    def test_it_is_the_secondarys_own_version_that_tells(self, sweep: Results) -> None:
        def bars(**versions: str) -> pd.DataFrame:
            records = [
                run.record.model_copy(update={"versions": run.record.versions | versions})
                for run in sweep.campaign.runs
            ]
            runs = tuple(run.of_study(one, 0) for run, one in zip(sweep.campaign.runs, records, strict=True))
            return gantt.frame(replace(sweep, campaign=replace(sweep.campaign, runs=runs)))

        pd.testing.assert_frame_equal(bars(qemu_secondary="5.0.1"), bars(qemu="5.0.1"))
        pd.testing.assert_frame_equal(bars(qemu="5.0.1", qemu_secondary="11.1.3"), gantt.frame(sweep))
        assert not bars(qemu="5.0.1").equals(gantt.frame(sweep))

    def test_the_secondary_receives_neither_before_it_was_sent_nor_ends_before_that(self) -> None:
        for receive, begins, ends in ((0.0004, 1.6, 2.0), (0.001, 1.0, 2.0), (0.003, 1.0, 4.0)):
            bar = gantt.timeline(_checkpoint(ram_receive_s=receive)).set_index("part").loc["ram_receive"]
            assert (bar["from_ms"], bar["to_ms"]) == (pytest.approx(begins), pytest.approx(ends))

    def test_without_the_parts_of_both_sides_there_is_no_figure(self, demo: Results) -> None:
        with pytest.raises(NoFigureError, match="no checkpoint has the parts of both sides"):
            gantt.sketch(demo)

    def test_a_slower_cell_whose_parts_are_not_known_is_not_said_to_be_drawn(self, sweep: Results) -> None:
        slowest = sweep.cells.names[int(sweep.per_cell["pause"].idxmax())]
        runs = tuple(
            replace(run, rows=columns(run.checkpoints.assign(restart_s=np.nan)))
            if run.record.cell_id == slowest.cell_id
            else run
            for run in sweep.campaign.runs
        )
        sketch = gantt.sketch(replace(sweep, campaign=replace(sweep.campaign, runs=runs)))
        assert (sketch.data["size"].iloc[0], sketch.data["panel"].iloc[0]) != (slowest.size, slowest.panel)
        assert "), of those with checkpoints whose parts are known on both sides. " in sketch.words.caption

    def test_a_part_that_older_data_lacks_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = gantt.timeline(_checkpoint())
        monkeypatch.setattr(gantt, "_SAVE_PARTS", (*gantt._SAVE_PARTS[:1], "later", *gantt._SAVE_PARTS[1:]))
        monkeypatch.setattr(gantt, "_FINER", [*gantt._FINER, "later_s"])
        pd.testing.assert_frame_equal(gantt.timeline(_checkpoint(later_s=float("nan"))), before)
        bars = gantt.timeline(_checkpoint(later_s=0.001)).set_index("part")
        assert bars.loc["later", "from_ms"] == pytest.approx(bars.loc["device_save", "to_ms"])

    def test_parts_are_in_words_and_only_those_that_show_are_in_the_legend(self, sweep: Results) -> None:
        data = gantt.frame(sweep)
        gone = data["part"] == "restart"
        with look():
            legend = gantt.plot(data.assign(to_ms=data["to_ms"].mask(gone, data["from_ms"])), 7.0).legends[0]
        texts = [text.get_text() for text in legend.get_texts()]
        assert {"RAM sent", "RAM received", "devices loaded"} <= set(texts)
        assert "VM restarted" not in texts


class TestPages:
    def test_slopes_are_those_within_runs_and_the_bound_is_the_rate_of_the_transport(self, sweep: Results) -> None:
        data = pages.frame(sweep)
        panel = "working set growing with RAM"
        runs = [
            run for run in sweep.campaign.runs if sweep.cells.names[_place(sweep, run.record.cell_id)].panel == panel
        ]
        cost = stats.per_page_cost(
            [used(run).floats("dirty_pages") for run in runs],
            [used(run)["pause_s"] for run in runs],
            [run.record.cell_id for run in runs],
        )
        own = data[data["panel"] == panel].set_index("of")
        assert own.loc[pages.WITHIN_ALL, "us_per_page"] == pytest.approx(cost.estimate * 1e6)
        assert own.loc[pages.BOUND, "us_per_page"] == pytest.approx(1.0)
        assert own.loc[pages.BOUND, "to_ms"] == pytest.approx(own.loc[pages.BOUND, "to_pages"] / 1e3)
        assert pages.ACROSS not in own.index  # pages grow with RAM alone: what either costs cannot be told apart

    def test_equal_page_counts_give_no_slope_across_runs(self, sweep: Results) -> None:
        data = pages.frame(sweep)
        assert pages.ACROSS not in set(data.loc[data["panel"] == "working set fixed", "of"])

    @pytest.mark.parametrize("counts", [[0], [1000, 1001], [21, 29], [*range(10)]])
    def test_marks_of_few_pages_are_whole_pages_and_none_at_all_do_not_differ(
        self, sweep: Results, counts: list[int]
    ) -> None:
        data = pages.frame(sweep)
        drawn = np.resize(np.array(counts, dtype=float), len(data))
        few = data.assign(dirty_pages=data["dirty_pages"].mask(data["of"] == "checkpoint", drawn))
        with look():
            figure = pages.plot(few, 7.0)
        for ax in figure.axes:
            assert [label.get_text() for label in ax.get_xticklabels()] == [f"{mark:,.0f}" for mark in ax.get_xticks()]
            assert all(float(mark).is_integer() for mark in ax.get_xticks())
            assert len(ax.get_xticks()) >= min(len(counts), 2)
            assert ax.texts[0].get_text().startswith("page counts hardly differ: no slope") == (len(counts) < 10)
            assert ax.get_xlim()[0] < ax.get_xlim()[1]

    def test_a_cost_under_kvm_is_not_said_to_be_that_of_emulated_pairs_over_the_same_transport(
        self, sweep: Results
    ) -> None:
        none, told = Effect(np.nan, np.nan, np.nan), Effect(0.5, 0.4, 0.6)
        first, *others = sweep.cells.names
        both = replace(sweep.cells, names=(replace(first, accel="kvm"), *others))
        for cells, where, said in ((both, "KVM, tcp", "KVM, tcp"), (sweep.cells, "emulation (TCG), tcp", "tcp")):
            rows = (
                PageRow(where, told, none, apart=True, bound=np.nan, runs=6),
                PageRow("emulation (TCG), unix", none, none, apart=True, bound=np.nan, runs=6),
            )
            own = with_parts(replace(sweep, cells=cells), effects=replace(sweep.effects, pages=rows))
            assert pages._words(own, pages.frame(sweep)).heading.endswith(f" within runs (all of {said})")

    def test_a_bound_that_was_not_measured_is_not_drawn(self, demo: Results) -> None:
        assert pages.BOUND not in set(pages.frame(demo)["of"])

    def test_runs_of_one_id_in_two_folders_keep_their_own_rate(self, sweep: Results) -> None:
        again = tuple(run.of_study(run.record, 1) for run in sweep.campaign.runs)
        rates = 3 * sweep.runs["transport_bytes_per_s"]
        table = pd.concat([sweep.runs, sweep.runs.assign(folder=1, transport_bytes_per_s=rates)], ignore_index=True)
        campaign = replace(sweep.campaign, runs=(*sweep.campaign.runs, *again))
        data = pages.frame(replace(sweep, campaign=campaign, runs=table))
        assert set(data.loc[data["of"] == pages.BOUND, "us_per_page"].round(6)) == {0.5}

    def test_few_of_many_checkpoints_are_drawn(self, tmp_path: Path) -> None:
        data = pages.frame(_fake(tmp_path, count=9000))
        assert (data["of"] == "checkpoint").sum() == 3000

    def test_a_run_of_which_no_pages_were_counted_is_told_of(self, tmp_path: Path) -> None:
        folder = write_campaign(tmp_path, Fake(mems=(GIB,), smps=(1,), workloads=(IDLE,), repeats=2, count=5))
        said = "; 1 run without the pages of two checkpoints not drawn."
        assert said not in pages.sketch(fake_results(folder)).words.caption
        replace_parquet(folder, run_ids(folder)[0], lambda table: _with(table, "dirty_pages", [None] * 8))
        assert said in pages.sketch(fake_results(folder)).words.caption

    def test_one_of_which_no_pages_were_counted_is_told_of_where_another_folder_has_a_run_of_its_id(
        self, sweep: Results
    ) -> None:
        first, *others = (run.of_study(run.record, 1) for run in sweep.campaign.runs)
        bare = replace(first, rows=columns(first.checkpoints.assign(dirty_pages=np.nan)))
        table = pd.concat([sweep.runs, sweep.runs.assign(folder=1)], ignore_index=True)
        campaign = replace(sweep.campaign, runs=(*sweep.campaign.runs, bare, *others))
        caption = pages.sketch(replace(sweep, campaign=campaign, runs=table)).words.caption
        assert "; 1 run without the pages of two checkpoints not drawn." in caption

    def test_uncounted_pages_have_no_figure(self, tmp_path: Path) -> None:
        folder = write_campaign(tmp_path, Fake(mems=(GIB,), smps=(1,), workloads=(IDLE,), repeats=1, count=5))
        nothing = [None] * 8
        for run_id in run_ids(folder):
            replace_parquet(folder, run_id, lambda table: _with(table, "dirty_pages", nothing))
        with pytest.raises(NoFigureError, match="has counted the dirty pages of two checkpoints"):
            pages.sketch(fake_results(folder))


class TestViolin:
    def test_few_ranks_stand_for_many_checkpoints_and_keep_both_ends(self, tmp_path: Path) -> None:
        results = _fake(tmp_path, count=900)
        data = violin.frame(results)
        shown = data.loc[data["of"] == "checkpoint", "pause_ms"]
        pauses = used(results.campaign.runs[0])["pause_s"] * 1e3
        assert len(shown) == violin.MOST_RANKS
        assert (shown.min(), shown.max()) == (pauses.min(), pauses.max())

    def test_runs_and_cells_are_medians(self, sweep: Results) -> None:
        data = violin.frame(sweep)
        np.testing.assert_allclose(data.loc[data["of"] == "cell", "pause_ms"], sweep.per_cell["pause"] * 1e3)
        assert (data["of"] == "run").sum() == len(sweep.runs)

    def test_runs_with_more_than_one_mode_are_open(self, sweep: Results) -> None:
        modes = pd.Series(np.where(sweep.runs["cell"] == 0, 2, 1), index=sweep.runs.index)
        sketch = violin.sketch(with_parts(sweep, behaviours=sweep.behaviours.assign(modes=modes)))
        assert (sketch.data["modes"] == 2).sum() == 6
        with look():
            legend = sketch.plot(sketch.data, 7.0).legends[0]
        assert "of a run with more than one mode" in [text.get_text() for text in legend.get_texts()]
        assert sketch.words.heading.startswith("In 6 of 48 runs the pause shows more than one mode")

    def test_stalls_say_relative_to_what_and_which_runs_always_stall(self, sweep: Results) -> None:
        share = [0.4, 0.0, 0.1] + [np.nan] * 45
        over = {"link.transport": ["tcp"] * 3 + ["unix"] * 45}
        always = [False, True, *[False] * 46]
        stalled = sweep.runs.assign(slow_share=share, slow_base_s=np.nan, always_stalled=always, **over)
        heading = violin.sketch(replace(sweep, runs=stalled)).words.heading
        percent = "40\N{NO-BREAK SPACE}%"
        assert heading.endswith(
            "; 1 of 3 runs over TCP stalls in every checkpoint; "
            f"of the others up to {percent} of a run's checkpoints are stalled relative to its own usual pause"
        )
        # What the share is relative to is told of the run whose it is.
        heading = violin.sketch(replace(sweep, runs=stalled.assign(slow_base_s=[0.03] + [np.nan] * 47))).words.heading
        assert heading.endswith("are stalled relative to the same cell without TCP's delays")
        known = stalled.assign(slow_base_s=0.03, always_stalled=False)
        heading = violin.sketch(replace(sweep, runs=known)).words.heading
        assert heading.endswith(
            f"; over TCP up to {percent} of a run's checkpoints are stalled "
            "relative to the same cell without TCP's delays"
        )


def _checkpoint(**seconds: float) -> pd.Series:
    """A checkpoint of which every phase and part takes a millisecond, but for those given."""
    return pd.Series(dict.fromkeys([*(f"{name}_s" for name in phases.NAMES), *gantt._FINER], 0.001) | seconds)


def _place(results: Results, cell_id: str) -> int:
    return next(place for place, name in enumerate(results.cells.names) if name.cell_id == cell_id)


def _with(table: object, name: str, values: list[None]) -> object:
    import pyarrow as pa

    assert isinstance(table, pa.Table)
    return table.set_column(table.column_names.index(name), name, pa.array(values, pa.int64()))
