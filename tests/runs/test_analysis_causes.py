"""Why checkpoints began and what a pair costs its hosts, on FAKE campaigns."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from fixtures.fake_campaign import DEMO, SERVICE, fake_results, replace_parquet, run_ids, write_campaign

from analysis.plots import triggers
from analysis.plots.drawing import NoFigureError
from analysis.report.service import causes_table, costs_table
from analysis.runs.causes import CAUSES, cause_rates, cause_table
from analysis.runs.costs import cost_table, pressure_share, steal_share
from analysis.runs.outcomes import outcome_of
from analysis.stored.load import load_campaign

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.stored.campaign import Run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_campaign(tmp_path_factory.mktemp("service"), SERVICE)


def test_pairs_are_counted_by_cause_and_a_lonely_machine_is_not(folder: Path) -> None:
    table = cause_table(load_campaign(folder)).set_index("scenario")
    assert set(table.index) == {"formed", "colo"}
    assert table.loc["formed", "different_per_s"] == pytest.approx(2 / 12)
    assert table.loc["formed", "mismatch_per_s"] == pytest.approx(2 / 12)
    assert (table.loc["formed", "mismatch_low"], table.loc["formed", "mismatch_high"]) == pytest.approx(
        (2 / 12, 2 / 12)
    )
    assert table.loc["colo", "demand_per_s"] == pytest.approx(23 / 12)
    assert table.loc["colo", "compared_per_s"] == 50.0
    assert (table.loc["colo", "hold_median_s"], table.loc["colo", "hold_max_s"]) == (3.1, 3.4)


def test_an_older_run_is_counted_by_its_table(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, DEMO)
    first = run_ids(folder)[0]

    def by_mismatch(table: pa.Table) -> pa.Table:
        kinds = pa.array(["mismatch" if place % 2 else "demand" for place in range(len(table))])
        return table.set_column(table.schema.get_field_index("trigger"), "trigger", kinds)

    replace_parquet(folder, first, by_mismatch)
    run = next(run for run in load_campaign(folder).runs if run.record.run_id == first)
    rates = cause_rates(run)
    assert set(rates) == set(CAUSES)
    assert rates["unseen"] == pytest.approx(outcome_of(run, "mismatch_rate"))
    assert rates["unseen"] + rates["demand"] == pytest.approx(1 / outcome_of(run, "period"), rel=0.05)
    assert rates["demand"] > 0
    assert rates["old_packet"] == rates["different"] == rates["timer"] == 0


def test_what_was_seen_before_a_failover_is_not_told_by_exclusion(folder: Path) -> None:
    run = load_campaign(folder).runs[0]
    counted = {"seconds": None, "demand": 3, "timer": 0, "mismatch": 2, "old_packet": 2, "different": 0, "unseen": 0}
    struck = run.record.model_copy(update={"triggers": counted, "timings": {"measure_s": 10.0}})
    assert cause_rates(run.of_study(struck, 0)) == pytest.approx(
        {"demand": 0.3, "timer": 0.0, "old_packet": 0.2, "different": 0.0, "unseen": 0.0}
    )


def test_where_every_checkpoint_was_asked_for_there_is_nothing_to_show(tmp_path: Path) -> None:
    results = fake_results(write_campaign(tmp_path, DEMO))
    with pytest.raises(NoFigureError, match="every checkpoint was asked for"):
        triggers.sketch(results)
    assert causes_table(results) is None
    assert costs_table(results) is None


def test_what_became_of_packets_is_shown_where_every_checkpoint_was_asked_for_too(tmp_path: Path) -> None:
    table = causes_table(fake_results(write_campaign(tmp_path, replace(SERVICE, scenarios=("colo",)))))
    assert table is not None
    assert [cell.shown for cell in table.rows[0]][8:12] == ["50.0", "48.0", "0.250", "0"]


def test_the_figure_adds_up_to_all_checkpoints_of_a_cell(folder: Path) -> None:
    data = triggers.frame(fake_results(folder))
    each = data.groupby("scenario")["per_minute"].sum()
    assert each["colo"] == pytest.approx(60 * 23 / 12)
    assert each["formed"] == pytest.approx(60 * 2 / 12)
    assert "Mismatches make up to 10.0" in triggers.sketch(fake_results(folder)).words.heading


def test_a_packet_that_waited_too_long_is_no_differing_output(folder: Path) -> None:
    results = fake_results(folder)
    waited = tuple(
        replace(run, record=run.record.model_copy(update={"triggers": {"seconds": 12.0, "old_packet": 2.0}}))
        for run in (*results.campaign.runs, *results.campaign.without)
    )
    words = triggers.sketch(replace(results, campaign=replace(results.campaign, runs=waited, without=()))).words
    assert words.heading.startswith("Mismatches make up to 10.0")
    assert "differing output" not in words.heading.lower()


def test_a_caption_tells_of_an_interval_where_the_heading_has_one_and_of_runs_that_are_asked(
    folder: Path, tmp_path: Path
) -> None:
    caption = triggers.sketch(fake_results(folder)).words.caption
    assert "N = 20 checkpoints per run that is asked for them); at the right mismatches per minute, in the" in caption
    once = fake_results(write_campaign(tmp_path, replace(SERVICE, repeats=1)))
    assert "at the right mismatches per minute. " in triggers.sketch(once).words.caption


def test_a_caption_asks_for_no_trace_that_was_taken(folder: Path) -> None:
    results = fake_results(folder)

    def told(run: Run, **changes: object) -> Run:
        return run.of_study(run.record.model_copy(update={"triggers": {"seconds": 12.0, "unseen": 2.0}, **changes}), 0)

    def caption(**changes: object) -> str:
        runs = tuple(told(run, **changes) for run in results.campaign.runs)
        campaign = replace(results.campaign, runs=runs, without=())
        return triggers.sketch(replace(results, campaign=campaign)).words.caption

    wanted = "trace=network would show"
    assert wanted not in caption()
    assert "by exclusion: neither a poke nor the timer" in caption()
    assert wanted in caption(compare={})


def test_each_side_of_a_cell_has_its_costs(folder: Path) -> None:
    table = cost_table(load_campaign(folder)).set_index(["scenario", "side"])
    assert set(table.index) == {
        ("native", "primary"),
        ("formed", "primary"),
        ("formed", "secondary"),
        ("colo", "primary"),
        ("colo", "secondary"),
    }
    assert table.loc[("colo", "primary"), "cpus"] == 0.5
    assert table.loc[("colo", "secondary"), "cpus"] == 0.25
    assert table.loc[("colo", "primary"), "vcpus_cpus"] == pytest.approx(4 / 12)
    assert table.loc[("colo", "primary"), "migration_bytes_per_s"] == pytest.approx(1e6)
    assert math.isnan(table.loc[("native", "primary"), "migration_bytes_per_s"])
    assert math.isnan(table.loc[("colo", "primary"), "sent_bytes_per_s"])


def test_steal_and_waiting_are_shares_of_the_run(folder: Path) -> None:
    path = folder / "runs" / run_ids(folder)[0] / "run.json"
    record = json.loads(path.read_text())
    before = {"t": 10.0, "ticks": {"user": 100, "idle": 0, "steal": 0}, "pressure_us": {"cpu_some": 0}}
    after = {"t": 20.0, "ticks": {"user": 140, "idle": 50, "steal": 10}, "pressure_us": {"cpu_some": 2_000_000}}
    path.write_text(json.dumps(record | {"host": {"before": before, "after": after}}))
    campaign = load_campaign(folder)
    run = next(run for run in (*campaign.runs, *campaign.without) if run.record.run_id == record["run_id"])
    assert steal_share(run.record) == pytest.approx(0.1)
    assert pressure_share(run.record, "cpu_some") == pytest.approx(0.2)
    assert pressure_share(run.record, "io_some") is None


def test_costs_are_outcomes(folder: Path) -> None:
    run = load_campaign(folder).runs[0]
    assert outcome_of(run, "secondary_cpus") == 0.25
    assert outcome_of(run, "primary_memory") == 300 << 20
    assert outcome_of(run, "packets_held") == 0.25
    assert outcome_of(run, "hold_time") == 3.1
