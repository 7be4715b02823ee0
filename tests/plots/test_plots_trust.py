"""What is drawn of verdicts, and of why they may be believed, on FAKE campaigns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from fixtures.changed import columns
from fixtures.fake_campaign import (
    HYPOTHESES,
    IDLE,
    Fake,
    fake_results,
    write_campaign,
)
from fixtures.simulated import Truth, cell, simulate

from analysis import stats
from analysis.format.outcomes import NOT_WRITTEN
from analysis.plots import (
    autocorrelation,
    drift,
    equal,
    failures,
    forest,
    pooling,
)
from analysis.plots.drawing import NoFigureError
from analysis.plots.style import look
from analysis.runs.outcomes import used
from analysis.verdicts.claims import Effect
from analysis.verdicts.equals import noise_floor
from analysis.verdicts.finding import LevelFinding
from analysis.verdicts.results import derive

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.verdicts.results import Results

GIB = 1 << 30


class TestForest:
    def test_a_row_per_hypothesis_with_its_effect_and_band(self, sweep: Results) -> None:
        data = forest.frame(sweep.findings)
        own = data[data["level"] == ""]
        assert list(own["id"]) == [one["id"] for one in HYPOTHESES]
        first = sweep.findings[0]
        row = own.iloc[0]
        assert (row["estimate"], row["low"], row["high"], row["sesoi"], row["word"]) == (
            first.effect.estimate,
            first.effect.low,
            first.effect.high,
            first.sesoi,
            first.word,
        )

    def test_a_value_stands_in_its_own_range(self, sweep: Results) -> None:
        value = next(one for one in sweep.findings if one.hypothesis.kind == "value")
        row = forest.frame([replace(value, effect=Effect(2.5, 2.0, 4.5))]).iloc[0]
        assert (row["kind"], row["estimate"], row["low"], row["high"]) == (forest.VALUES, 0.25, 0.0, 1.25)
        assert row["text"] == "2.5 s (2 s to 4.5 s); " + "claimed 2 s to 4 s".replace(" ", "\N{NO-BREAK SPACE}")

    def test_a_value_without_an_estimate_says_why_and_not_that_nothing_was_measured(self, sweep: Results) -> None:
        value = next(one for one in sweep.findings if one.hypothesis.kind == "value")
        blank = replace(value, effect=Effect(np.nan, np.nan, np.nan), word="INCONCLUSIVE", label=NOT_WRITTEN)
        assert forest.frame([blank]).iloc[0]["text"].startswith(f"{NOT_WRITTEN}; claimed")

    def test_the_range_of_a_share_ends_where_a_share_does(self, sweep: Results) -> None:
        value = next(one for one in sweep.findings if one.hypothesis.kind == "value")
        share = value.hypothesis.model_copy(update={"outcome": "mismatch_share", "low": -0.01, "high": 0.05})
        row = forest.frame([replace(value, hypothesis=share, effect=Effect(0.0, 0.0, 0.01))]).iloc[0]
        assert (row["estimate"], row["high"]) == (0.0, pytest.approx(0.2))
        assert (row["from_text"], row["to_text"]) == ("0.0 %", "5.0 %")

    def test_primary_hypotheses_come_first_and_the_interval_is_named(self, sweep: Results) -> None:
        first = sweep.findings[0]
        second = replace(first, hypothesis=first.hypothesis.model_copy(update={"family": "secondary"}))
        with look():
            figure = forest.plot(forest.frame([second, first]), 7.0)
        assert [ax.get_title(loc="left") for ax in figure.axes] == [
            "primary hypotheses: effects",
            "secondary hypotheses: effects",
        ]
        legend = [text.get_text() for text in figure.legends[0].get_texts()]
        assert "90\N{NO-BREAK SPACE}% interval" in legend

    def test_levels_are_rows_only_where_they_differ_by_what_matters(self, sweep: Results) -> None:
        finding = replace(sweep.findings[0], sesoi=0.05, interaction_pvalue=0.01, levels=_levels(0.0, 0.3))
        assert list(forest.frame([finding])["level"]) == ["", "a", "b"]
        assert list(forest.frame([replace(finding, interaction_pvalue=0.2)])["level"]) == [""]
        assert list(forest.frame([replace(finding, levels=_levels(0.0, 0.04))])["level"]) == [""]

    def test_each_level_stands_in_the_band_that_it_is_judged_by(self, sweep: Results) -> None:
        levels = tuple(replace(one, sesoi=sesoi) for one, sesoi in zip(_levels(0.0, 0.3), (0.02, 0.5), strict=True))
        data = forest.frame([replace(sweep.findings[0], sesoi=0.02, interaction_pvalue=0.01, levels=levels)])
        assert list(data["sesoi"]) == [0.02, 0.02, 0.5]

    def test_runs_of_which_no_ratio_can_be_told_are_not_said_to_be_unmeasured(self, sweep: Results) -> None:
        none = Effect(np.nan, np.nan, np.nan)
        why = "3 of 24 runs are 0, of which no ratio can be told"
        blank = replace(sweep.findings[0], effect=none, word="INCONCLUSIVE", label=why, levels=())
        assert list(forest.frame([blank, replace(blank, label="")])["text"]) == [why, "nothing to compare"]

    def test_a_band_that_is_far_wider_than_all_intervals_leaves_every_panel_its_scale(self, sweep: Results) -> None:
        near = next(one for one in sweep.findings if one.hypothesis.kind != "value" and np.isfinite(one.effect.low))
        beside = replace(near, hypothesis=near.hypothesis.model_copy(update={"id": "beside", "family": "secondary"}))
        wide = replace(beside, hypothesis=beside.hypothesis.model_copy(update={"id": "wide"}), sesoi=50.0)
        first, second = forest.plot(forest.frame([near, beside, wide]), 7.0).axes[:2]
        most = 100 * max(near.sesoi, abs(near.effect.low), abs(near.effect.high))
        for axes in (first, second):
            assert max(map(abs, axes.get_xlim())) < 2 * most

    def test_the_heading_counts_the_verdicts(self, sweep: Results) -> None:
        words = [
            replace(one, word=word)
            for one, word in zip(sweep.findings, ["SUPPORTED", "REFUTED", "REFUTED"], strict=False)
        ]
        heading = forest.sketch(replace(sweep, findings=tuple(words))).words.heading
        assert heading == "Of 3 hypotheses 1 is supported, 2 are refuted"

    def test_without_a_hypothesis_there_is_no_figure(self, demo: Results) -> None:
        with pytest.raises(NoFigureError, match="no hypothesis was declared"):
            forest.sketch(demo)


class TestFailures:
    def test_each_cell_has_its_share_and_exact_interval(self, demo: Results) -> None:
        data = failures.frame(demo)
        assert data.iloc[-1][["cell", "failed", "attempts"]].tolist() == ["all launches", 3, 32]
        assert data["failed"].iloc[:-1].sum() == 3
        found = stats.clopper_pearson(3, 32)
        assert (data.iloc[-1]["low"], data.iloc[-1]["high"]) == (found.low, found.high)

    def test_a_cell_of_which_every_run_failed_is_there(self, tmp_path: Path) -> None:
        results = fake_results(write_campaign(tmp_path, Fake(workloads=(IDLE,), repeats=1, failed=1, count=5)))
        data = failures.frame(results)
        assert len(data) == 5
        assert data["share"].max() == 1.0

    def test_without_failures_equal_cells_are_one_row_with_an_upper_bound(self, sweep: Results) -> None:
        sketch = failures.sketch(sweep)
        assert list(sketch.data["cell"]) == ["each of the 8 cells", "all launches"]
        assert list(sketch.data["attempts"]) == [6, 48]
        assert sketch.data["high"].iloc[0] == pytest.approx(1 - 0.025 ** (1 / 6))
        assert (
            sketch.words.heading
            == "None of 48 launches failed; a share of up to 7\N{NO-BREAK SPACE}% could have gone unseen"
        )

    def test_cells_that_failed_as_often_are_not_told_apart(self, demo: Results) -> None:
        assert failures.sketch(demo).words.heading == (
            "3 of 32 launches failed, no cell more often than 1 of 2, as in 3 cells"
        )

    def test_nothing_left_out_is_said_plainly(self, sweep: Results) -> None:
        assert "Left out: nothing. " in failures.sketch(sweep).words.caption


class TestDrift:
    def test_residuals_are_logs_about_the_median_of_the_cell(self, sweep: Results) -> None:
        data = drift.frame(sweep)
        assert list(data["place"]) == list(range(1, 49))
        np.testing.assert_allclose(data.groupby("cell")["residual"].median(), 0.0, atol=1e-12)
        assert drift.block_starts(data) == [9, 17, 25, 33, 41]

    def test_a_run_that_began_after_one_of_a_later_block_is_late(self, sweep: Results) -> None:
        assert not drift.frame(sweep)["late"].any()
        started = sweep.runs["started_at"].copy()
        first = sweep.runs.index[sweep.runs["block"] == sweep.runs["block"].min()][0]
        started.loc[first] = started.max() + 1
        data = drift.frame(replace(sweep, runs=sweep.runs.assign(started_at=started)))
        assert data.loc[data["late"], "run_id"].tolist() == [sweep.runs.loc[first, "run_id"]]

    def test_a_trend_in_time_is_found_within_cells(self, sweep: Results) -> None:
        hours = (sweep.runs["started_at"] - sweep.runs["started_at"].min()) / 3600
        drifting = replace(sweep, runs=sweep.runs.assign(pause=0.02 * np.exp(0.5 * hours)))
        assert drift.sketch(drifting).words.heading.startswith("Pauses drifted: run medians change by +22.2")
        assert "over 24\N{NO-BREAK SPACE}min" in drift.sketch(drifting).words.heading
        data = drift.frame(drifting)
        np.testing.assert_allclose(np.diff(data["trend"]) / np.diff(data["hours"]), 0.5, rtol=0.05)

    def test_a_run_of_half_its_cell_s_median_differs_from_it_by_half(self, sweep: Results) -> None:
        few = sweep.runs[sweep.runs["block"] < 3].reset_index(drop=True)
        halved = replace(sweep, runs=few.assign(pause=np.where(few.index == 0, 0.01, 0.02)))
        assert drift.sketch(halved).words.heading == (
            "Runs differ from their cell's median by up to 50.0\N{NO-BREAK SPACE}%"
        )

    def test_little_is_not_told_as_none_and_blocks_that_are_too_few_are_those_that_count(self, sweep: Results) -> None:
        few = sweep.runs[sweep.runs["block"] < 3].reset_index(drop=True)
        close = replace(sweep, runs=few.assign(pause=np.where(few.index == 0, 0.020006, 0.02)))
        words = drift.sketch(close).words
        assert words.heading.endswith("by up to 0.03\N{NO-BREAK SPACE}%")
        assert "Fewer than 5 blocks with runs that count: too few" in words.caption

    def test_a_rolling_median_of_too_few_runs_to_be_drawn_is_not_told_of(self, sweep: Results) -> None:
        two = sweep.runs[(sweep.runs["cell"] == 0) & (sweep.runs["block"] < 2)].reset_index(drop=True)
        few = drift.sketch(replace(sweep, runs=two))
        with look():
            legend = few.plot(few.data, 7.0).legends[0]
        assert not any("median" in text.get_text() for text in legend.get_texts())
        assert "Line: " not in few.words.caption
        assert "Line: rolling median of up to 9 runs. " in drift.sketch(sweep).words.caption

    def test_runs_that_are_drawn_and_in_no_trend_are_said_to_be_that(self, sweep: Results) -> None:
        doubted = sweep.runs.assign(quality_ok=sweep.runs.index != sweep.runs.index[0])
        for runs, kept in ((doubted, "kept, but in no trend"), (doubted[doubted["block"] < 3], "kept")):
            caption = drift.sketch(replace(sweep, runs=runs)).words.caption
            assert f"; {kept}: 1 run whose own check failed." in caption

    def test_runs_stand_in_the_order_in_which_they_began(self, sweep: Results) -> None:
        late = sweep.runs["run_id"].iloc[0]
        began = sweep.runs["started_at"].mask(sweep.runs["run_id"] == late, sweep.runs["started_at"].max() + 60)
        assert drift.frame(replace(sweep, runs=sweep.runs.assign(started_at=began)))["run_id"].iloc[-1] == late

    def test_cells_measured_once_have_no_figure(self, single: Results) -> None:
        with pytest.raises(NoFigureError, match="every cell was measured once"):
            drift.sketch(single)


class TestAutocorrelation:
    def test_lines_are_means_over_the_runs_of_a_cell(self, sweep: Results) -> None:
        data = autocorrelation.frame(sweep)
        own = [run for run in sweep.campaign.runs if run.record.cell_id == sweep.cells.names[0].cell_id]
        each = [stats.autocorrelation(used(run)["pause_s"], lags=6) for run in own]
        first = data[data["cell"] == sweep.cells.names[0].label]
        np.testing.assert_allclose(first["correlation"], np.mean(each, axis=0))
        assert set(first["band"].round(6)) == {round(1.96 / np.sqrt(12 * 6), 6)}

    def test_correlated_cells_are_named(self, sweep: Results) -> None:
        first, *_ = sweep.cells.names
        rising = tuple(
            replace(run, rows=columns(run.checkpoints.assign(pause_s=np.sort(run.checkpoints["pause_s"]))))
            if run.record.cell_id == first.cell_id
            else run
            for run in sweep.campaign.runs
        )
        for results in (sweep, replace(sweep, campaign=replace(sweep.campaign, runs=rising))):
            sketch = autocorrelation.sketch(results)
            named = set(sketch.data.loc[sketch.data["correlated"], "cell"])
            assert [name for name in named if name not in sketch.words.caption] == []
            assert ("Correlated, and thick: " in sketch.words.caption) == bool(named)
        assert first.label in named

    def test_how_far_is_told_of_the_correlated_cells_alone(self, sweep: Results) -> None:
        data = autocorrelation.frame(sweep)
        one, other, *_ = dict.fromkeys(data["cell"])
        data = data.assign(correlation=data["cell"].map({one: 0.3, other: -0.6}).fillna(0.0))
        heading = autocorrelation._words(sweep, data.assign(correlated=data["cell"] == one)).heading
        assert heading.endswith("are correlated in 1 of 8 cells (about 0.4 by chance), by up to 0.30")
        # Of very many checkpoints little is enough, and is not nothing.
        little = data.assign(correlation=-0.004, correlated=data["cell"] == one)
        assert autocorrelation._words(sweep, little).heading.endswith("by up to \N{MINUS SIGN}0.004")

    def test_too_short_runs_have_no_figure(self, single: Results) -> None:
        with pytest.raises(NoFigureError, match="no run has 8 checkpoints that differ"):
            autocorrelation.sketch(single)


class TestEqual:
    def test_ratios_are_those_of_the_two_arms_where_they_are_the_same_machine(self, sweep: Results) -> None:
        data = equal.frame(sweep)
        assert list(dict.fromkeys(data["pair"])) == ["1 GiB · 1 vCPU", "1 GiB · 4 vCPUs"]
        assert len(data) == 12
        assert data["floor"].iloc[0] == noise_floor(sweep.runs)
        assert data["sesoi"].iloc[0] == 0.05

    def test_what_matters_per_doubling_is_said_to_be_more_from_end_to_end(self, sweep: Results) -> None:
        trend = next(one for one in sweep.findings if one.hypothesis.kind == "trend")
        two_doublings = replace(sweep, findings=(replace(trend, sesoi=0.1, span=2.0),))
        heading = equal.sketch(two_doublings).words.heading
        assert heading.endswith(" than the smallest effect of interest, 21 % from end to end of its factor")

    @pytest.mark.parametrize(("floor", "said"), [(0.0496, "4.96 %"), (0.0512, "5.1 %")])
    def test_a_floor_that_is_not_what_matters_is_not_printed_as_that(
        self, sweep: Results, floor: float, said: str
    ) -> None:
        heading = equal._words(sweep, equal.frame(sweep).assign(floor=floor)).heading
        assert heading.startswith(f"Equal cells could differ by up to {said}, the noise floor: ")

    def test_two_pairs_of_four_equal_cells_are_two_rows(self) -> None:
        campaign = simulate(Truth([cell(replica=name) for name in "abcd"], lambda _: 0.0, ()), 1)
        data = equal.frame(derive(campaign))  # type: ignore[arg-type]
        assert data.groupby("pair").size().to_dict() == {"1 GiB · 1 vCPU (1)": 6, "1 GiB · 1 vCPU (2)": 6}

    def test_a_block_that_no_look_has_seen_is_in_no_noise_floor(self, sweep: Results) -> None:
        plan = sweep.campaign.plan.model_copy(update={"looks": (4,)})
        data = equal.frame(replace(sweep, campaign=replace(sweep.campaign, plan=plan)))
        assert len(data) == 8
        assert data["floor"].iloc[0] == noise_floor(sweep.runs[sweep.runs["block"] < 4])

    @pytest.mark.parametrize("module", [equal, forest])
    def test_runs_that_no_look_has_seen_are_left_out_of_the_caption_as_of_the_figure(
        self, module: Any, sweep: Results
    ) -> None:
        plan = sweep.campaign.plan.model_copy(update={"looks": (4,)})
        caption = module.sketch(replace(sweep, campaign=replace(sweep.campaign, plan=plan))).words.caption
        assert "R = 4 runs per cell, N = 12 checkpoints per run. " in caption
        assert "Left out: warm-up (96 checkpoints), 16 runs of blocks after the last look. " in caption
        assert "R = 6 runs per cell" in module.sketch(sweep).words.caption

    def test_where_the_blocks_that_were_looked_at_all_failed_no_run_is_captioned(self, sweep: Results) -> None:
        plan = sweep.campaign.plan.model_copy(update={"looks": (1,)})
        later = replace(sweep, campaign=replace(sweep.campaign, plan=plan), runs=sweep.runs[sweep.runs["block"] > 0])
        said = forest.sketch(later).words.caption
        assert "R = 0 runs. " in said
        assert "Left out: 40 runs of blocks after the last look. " in said

    def test_the_floor_is_shaded_as_far_as_either_could_be_above_the_other(self, sweep: Results) -> None:
        data = equal.frame(sweep).assign(floor=0.25)
        shaded = (
            equal.plot(data, 7.0)
            .axes[0]
            .patches[0]
            .get_extents()
            .transformed(equal.plot(data, 7.0).axes[0].transData.inverted())
        )
        assert (shaded.x0, shaded.x1) == (pytest.approx(-20), pytest.approx(25))

    def test_cells_that_all_differ_have_no_figure(self, demo: Results) -> None:
        with pytest.raises(NoFigureError, match="no two cells are the same machine"):
            equal.sketch(demo)


class TestPooling:
    def test_pooled_methods_come_first_and_the_worst_of_them(self) -> None:
        table = pd.DataFrame(
            [
                ("Page", "run", 0.045, 0.04, 0.05),
                ("Spearman", "pooled", 0.48, 0.45, 0.51),
                ("ANOVA", "pooled", 0.87, 0.85, 0.89),
            ],
            columns=["method", "level", "type_one", "low", "high"],
        )
        sketch = pooling.sketch(table)
        assert list(sketch.data["method"]) == ["ANOVA", "Spearman", "Page"]
        assert sketch.words.heading.startswith("Pooled checkpoints find an effect that is not there in 48.0 to 87.0")

    def test_the_caption_says_how_many_campaigns_were_simulated(self) -> None:
        columns = ["method", "level", "type_one", "low", "high", "studies"]
        table = pd.DataFrame(
            [("Page", "run", 0.05, 0.04, 0.06, 2000), ("ANOVA", "pooled", 0.9, 0.8, 1, 400)], columns=columns
        )
        said = "on 400 to 2,000 simulated campaigns of this design (with two sizes where it has none) without any"
        assert said in pooling.sketch(table).words.caption

    def test_an_assumed_design_is_not_called_that_of_the_campaign(self) -> None:
        columns = ["method", "level", "type_one", "low", "high", "assumed"]
        table = pd.DataFrame([("Page", "run", 0.05, 0.04, 0.06, True)], columns=columns)
        assert "on simulated campaigns of an assumed design (no cell here" in pooling.sketch(table).words.caption

    def test_without_a_calibration_there_is_no_figure(self) -> None:
        with pytest.raises(NoFigureError, match="not calibrated"):
            pooling.sketch(None)


def _levels(*estimates: float) -> tuple[LevelFinding, ...]:
    return tuple(
        LevelFinding(name, Effect(estimate, estimate, estimate), "REFUTED", "", 6)
        for name, estimate in zip("ab", estimates, strict=True)
    )
