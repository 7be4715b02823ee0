"""n of N: exact, in the terminal and in the report alike; and what a failover that failed means to a hypothesis."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from fake_session import GUEST, QEMU, make_cell, write_run
from fixtures.failovers import TIMES, fake, told
from fixtures.fake_campaign import IDLE, Fake, run_ids, write_campaign
from rich.console import Console

from analysis import stats
from analysis.compare.sides import side_cells, side_of
from analysis.report.answer import headline
from analysis.report.build import build_report
from analysis.report.failovers import context, heading, loss, share_text, tex
from analysis.report.tables import tables
from analysis.runs.counting import too_short
from analysis.runs.failovers import failover_table
from analysis.runs.outcomes import run_table
from analysis.stored.cells import Cells, name_cells
from analysis.stored.load import load_campaign
from analysis.stored.records import Hypothesis
from analysis.text import ms_text
from analysis.verdicts.question import question
from analysis.verdicts.results import derive
from bench.plan.plan import make_plan
from bench.run.failovers import CellFailovers, exact_interval, read_failovers
from bench.run.failovers import failover_table as terminal_table


def cells_of(campaign: Path) -> Cells:
    return name_cells(run.record for run in load_campaign(campaign).runs)


def table_of(campaign: Path) -> pd.DataFrame:
    return failover_table(load_campaign(campaign), cells_of(campaign))


def test_runs_left_out_are_counted_of_a_cell_without_a_row_too(tmp_path: Path) -> None:
    cell = {"scenario": "failover", "failover": {"victim": "primary", "after": 4}}
    sizes = Fake(mems=(1 << 29, 1 << 30), smps=(1,), workloads=(IDLE,), repeats=1, count=6, extra_cell=cell)
    folder = write_campaign(tmp_path, sizes)
    for run_id, ok in zip(run_ids(folder), (True, False), strict=True):
        path = folder / "runs" / run_id / "run.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"failover": told(), "quality": {"ok": ok}}))
    results = derive(load_campaign(folder))
    found = context(results)
    assert len(found["failovers"].rows) == 1
    assert found["failovers_note"].endswith(" Left out: 1 run whose own check failed.")
    assert b"\n% Left out: 1 run whose own check failed.\n" in tables(results)["tables/failovers.tex"]


def test_the_two_exact_intervals_are_the_same() -> None:
    for trials in (1, 2, 7, 20, 100, 1500):
        for successes in {0, 1, trials // 3, trials - 1, trials}:
            share = stats.clopper_pearson(successes, trials)
            assert exact_interval(successes, trials) == pytest.approx((share.low, share.high), abs=1e-9)


def test_a_cell_s_row_counts_what_was_survived_where_the_blow_fell_and_why_not(tmp_path: Path) -> None:
    runs = [
        *(told(outage_s=0.1 * place) for place in range(1, 7)),
        told(success=False, phase="load", cause="survivor-silent"),
        told(phase="load", outage_s=0.9),
    ]
    (row,) = table_of(fake(tmp_path, *runs)).to_dict("records")
    assert (row["struck"], row["survived"], row["doubtful"]) == (8, 7, 0)
    share = stats.clopper_pearson(7, 8)
    assert (row["share"], row["low"], row["high"]) == (7 / 8, share.low, share.high)
    assert row["outage_s"] == pytest.approx(0.4)
    assert (row["outage_low_s"], row["outage_high_s"]) == (pytest.approx(0.1), pytest.approx(0.9))
    assert row["outage_max_s"] == pytest.approx(0.9)
    assert row["detect_s"] == TIMES["detect_s"]
    assert (row["hit"], row["reasons"]) == ("between 6/6, load 1/2", "1 survivor-silent")


def test_a_run_whose_record_is_not_sound_is_in_no_share(tmp_path: Path) -> None:
    (row,) = table_of(fake(tmp_path, told(success=False), told(), quality_problems=True)).to_dict("records")
    assert (row["struck"], row["survived"], row["doubtful"]) == (1, 1, 1)


@pytest.mark.usefixtures("few_figures")
def test_the_report_has_a_section_and_a_table_where_runs_end_in_failovers_and_none_elsewhere(tmp_path: Path) -> None:
    with_failovers = fake(tmp_path / "with", told(), told(success=False, cause="takeover-refused"))
    page = build_report([with_failovers]).read_text()
    assert "1 of 2 failovers were survived" in page
    assert "takeover-refused" in page
    made = tables(derive(load_campaign(with_failovers)))
    (row,) = pd.read_csv(io.BytesIO(made["tables/failovers.csv"])).to_dict("records")
    assert (row["struck"], row["survived"]) == (2, 1)
    assert made["tables/failovers.tex"].count(b"takeover-refused") == 1
    assert b"whatever\n% came so far, survived or not, do not add up" in made["tables/failovers.tex"]
    without = fake(tmp_path / "without", None, None)
    assert 'id="failovers"' not in build_report([without]).read_text()
    assert "tables/failovers.csv" not in tables(derive(load_campaign(without)))


SEEN = {"gap_s": 0.4, "connections": 8, "survived": 8, "survived_share": 1.0, "errors_after": 0, "checked": 90}


def test_what_clients_saw_stands_beside_the_outage(tmp_path: Path) -> None:
    runs = [told(client={**SEEN, "gap_s": gap, "lost": 0}) for gap in (0.2, 0.4, 0.9)]
    runs.append(told(success=False, cause="survivor-unreachable", client={**SEEN, "gap_s": None, "survived": 3}))
    campaign = fake(tmp_path, *runs)
    (row,) = table_of(campaign).to_dict("records")
    assert (row["gap_s"], row["gap_max_s"]) == (0.4, 0.9)
    assert (row["connections"], row["kept_open"], row["checked"], row["lost"]) == (32, 27, 360, 0)
    results: Any = SimpleNamespace(campaign=load_campaign(campaign), cells=cells_of(campaign))
    shown = context(results)["failovers"]
    (cells,) = shown.rows
    found = {column.name: cell.shown for column, cell in zip(shown.columns, cells, strict=True)}
    assert found["Client's gap, median (longest), ms"] == f"{ms_text(400)} ({ms_text(900)})"
    assert (found["Connections that lived on"], found["Acknowledged writes lost"]) == ("27 of 32", "0 of 360")
    # Without an answer the gap has no end; what nobody looked for is left out.
    assert len(asked(campaign, "client_gap").failed) == 1
    assert len(asked(campaign, "writes_lost").failed) == 0


def test_what_no_client_saw_is_in_no_table_and_no_failure(tmp_path: Path) -> None:
    campaign = fake(tmp_path, told(), told())
    assert "gap_s" not in table_of(campaign)
    assert len(asked(campaign, "client_gap").failed) == 0


def test_how_long_survivors_took_to_be_redundant_again_stands_with_how_many_were(tmp_path: Path) -> None:
    again = [told(redundancy={"steps": []}, redundancy_s=took) for took in (1.0, 2.0, 6.0)]
    again.append(told(redundancy={"steps": [], "cause": "qmp-refused", "reason": "no"}, redundancy_s=None))
    campaign = fake(tmp_path, *again, told(success=False, cause="survivor-silent"))
    (row,) = table_of(campaign).to_dict("records")
    assert (row["joining"], row["joined"], row["redundancy_s"], row["alone"]) == (4, 3, 2.0, "1 qmp-refused")
    results: Any = SimpleNamespace(campaign=load_campaign(campaign), cells=cells_of(campaign))
    shown = context(results)["failovers"]
    (cells,) = shown.rows
    found = {column.name: cell.shown for column, cell in zip(shown.columns, cells, strict=True)}
    assert found["Redundant again, median, ms (of those to be)"] == f"{ms_text(2000)} (3 of 4; 1 qmp-refused)"
    assert f"& {ms_text(2000)} & 3 of 4 &" in tex(table_of(campaign), results.campaign)
    plain = fake(tmp_path / "plain", told())
    assert "edundant" not in tex(table_of(plain), load_campaign(plain))
    row_of = CellFailovers("a cell")
    for one in again:
        row_of.add({"failover": one, "quality": {"ok": True}})
    console = Console(file=io.StringIO(), width=200)
    console.print(terminal_table("c", (row_of,)))
    assert "2,000.0 (3 of 4)" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("wanted", "failed"), [(True, 2), (False, 0)])
def test_a_survivor_that_stays_alone_is_ranked_last_where_it_was_to_be_joined_and_left_out_elsewhere(
    tmp_path: Path,
    wanted: bool,  # noqa: FBT001
    failed: int,
) -> None:
    runs = [told(redundancy={"steps": []}, redundancy_s=1.0), told(redundancy_s=None), told(success=False)]
    campaign = fake(tmp_path, *runs, redundancy=wanted)
    assert len(asked(campaign, "redundancy").failed) == failed


def test_a_lost_write_leads_the_page(tmp_path: Path) -> None:
    campaign = fake(tmp_path, told(client={**SEEN, "lost": 3}), told(client={**SEEN, "lost": 0}))
    said = heading(table_of(campaign), loss(load_campaign(campaign)))
    assert said.startswith("3 of 180 acknowledged writes were lost; 2 of 2 failovers")
    assert headline(derive(load_campaign(campaign))).startswith("3 of 180 acknowledged writes were lost; ")


def test_a_lost_write_of_a_run_whose_times_are_doubtful_leads_the_page_too(tmp_path: Path) -> None:
    runs = [told(client={**SEEN, "lost": lost}) for lost in (3, 0)]
    campaign = fake(tmp_path, *runs, quality_problems=True)  # of the first one
    assert headline(derive(load_campaign(campaign))).startswith("3 of 180 acknowledged writes were lost; ")
    (row,) = table_of(campaign).to_dict("records")
    assert (row["struck"], row["doubtful"], row["connections"]) == (1, 1, 8)
    assert (row["checked"], row["lost"]) == (180, 3)


def test_the_heading_says_the_interval_of_a_single_cell(tmp_path: Path) -> None:
    found = table_of(fake(tmp_path, *[told()] * 20))
    assert heading(found) == f"20 of 20 failovers were survived: {share_text(20, 20)}"
    assert share_text(20, 20).endswith("[83.2, 100.0]")
    assert share_text(299, 300).startswith("99.7 % [")


def asked(campaign: Path, outcome: str) -> Any:
    loaded = load_campaign(campaign)
    runs = run_table(loaded.runs, name_cells(run.record for run in loaded.runs))
    about = Hypothesis(id="F", claim="Within a second.", kind="value", outcome=outcome, low=0, high=1)
    return question(loaded, runs, about)


def test_an_outage_without_end_counts_as_a_failure_and_is_not_left_out(tmp_path: Path) -> None:
    campaign = fake(tmp_path, told(), told(), told(success=False))
    outage = asked(campaign, "outage")
    assert (len(outage.runs), len(outage.failed)) == (2, 1)
    side = side_of(load_campaign(campaign), "outage")
    (cell,) = side_cells(load_campaign(campaign), "outage").values()
    assert (side.runs, side.excluded, side.failed, len(cell.values), len(cell.failed)) == (2, 0, 1, 2, 1)
    survived = asked(campaign, "survived")
    assert list(survived.runs["survived"]) == [1.0, 1.0, 0.0]
    assert len(survived.failed) == 0


def test_a_failover_whose_record_is_not_sound_is_left_out_whether_or_not_it_was_survived(tmp_path: Path) -> None:
    for name, first in (("survived", told()), ("not", told(success=False))):
        campaign = fake(tmp_path / name, first, told(), quality_problems=True)
        outage = asked(campaign, "outage")
        assert (len(outage.runs), len(outage.failed), len(outage.left_out)) == (1, 0, 1)
        (cell,) = side_cells(load_campaign(campaign), "outage").values()
        assert (len(cell.values), cell.failed) == (1, [])


def test_a_run_is_short_by_the_checkpoints_that_the_blow_was_to_come_after(tmp_path: Path) -> None:
    # The cell asks for 6 checkpoints, which a failover does not look at, and for 4 before the blow.
    enough, few = (load_campaign(fake(tmp_path / name, told(), count=count)) for name, count in (("a", 4), ("b", 3)))
    assert [too_short(run) for run in (*enough.runs, *few.runs)] == [False, True]


def test_the_terminal_calls_cells_that_differ_in_their_failover_alone_by_that(tmp_path: Path) -> None:
    asked = ({"how": "kill", "timeout": 1}, {"how": "stop", "timeout": 0.5})
    cells = [make_cell(scenario="failover", failover=one) for one in asked]
    plan = make_plan("c", cells, repeats=1, seed=1, qemu=QEMU, guest=GUEST)
    labels = [row.label for row in read_failovers(plan, tmp_path, lambda _: False)]
    assert labels == ["kill, timeout=1", "stop, timeout=0.5"]


def test_the_terminal_says_a_loss_first() -> None:
    row = CellFailovers("a cell")
    for lost in (0, 2):
        told_of = told(client={**SEEN, "lost": lost})
        row.add({"failover": told_of, "quality": {"ok": not lost}})
    console = Console(file=io.StringIO(), width=200)
    console.print(terminal_table("c", (row,)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "2 ACKNOWLEDGED WRITES WERE LOST" in text
    assert "1 of 1 (1‡)" in text
    assert "8 of 8" in text
    assert "2 of 180" in text


def test_the_terminal_says_the_same(tmp_path: Path) -> None:
    cells = (make_cell("256M", scenario="failover"), make_cell("512M"))
    plan = make_plan("c", cells, repeats=3, seed=1, qemu=QEMU, guest=GUEST)
    mine = [run for run in plan.runs if run.cell_id == plan.cells[0].cell_id]
    ends = (told(), told(success=False, phase="load", cause="survivor-silent"), told())
    for run, end in zip(mine, ends, strict=True):
        home = tmp_path / "runs" / run.run_id
        home.mkdir(parents=True)
        write_run(home, run.run_id, [0.01])
        record = json.loads((home / "run.json").read_text()) | {"failover": end}
        record["quality"]["ok"] = run is not mine[-1]
        (home / "run.json").write_text(json.dumps(record))
    (row,) = read_failovers(plan, tmp_path, lambda run_id: (tmp_path / "runs" / run_id).exists())
    assert (row.struck, row.survived, row.doubtful) == (2, 1, 1)
    console = Console(file=io.StringIO(), width=200)
    console.print(terminal_table("c", (row,)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    low, high = (100 * end for end in exact_interval(1, 2))
    for wanted in ("1 of 2 (1‡)", f"50.0 [{low:.1f}, {high:.1f}]", "161.0", "between 1, load 1", "survivor-silent 1"):
        assert wanted in text
