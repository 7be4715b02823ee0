"""The table at the end of a campaign, from runs that a fake session left."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_session import GUEST, QEMU, make_cell, write_run
from rich.console import Console

from bench.plan.plan import Plan, make_plan
from bench.record.pauses import read_pauses
from bench.run.summary import CellSummary, summarise, summary_table

CELLS = (make_cell("256M"), make_cell("512M"))


def campaign(folder: Path, failures: tuple[str, ...] = ()) -> Plan:
    """Write the runs of the first cell, the last of which has the failures; the second cell has none."""
    plan = make_plan("c", CELLS, repeats=2, seed=1, qemu=QEMU, guest=GUEST)
    mine = [run for run in plan.runs if run.cell_id == plan.cells[0].cell_id]
    for run, pauses_s in zip(mine, ([9.0, 0.010, 0.020, 0.030], [9.0, 0.040, 0.050, 0.060]), strict=True):
        home = folder / "runs" / run.run_id
        home.mkdir(parents=True)
        write_run(home, run.run_id, pauses_s, warmups=1, failures=failures if run is mine[-1] else ())
    return plan


def rows(folder: Path, plan: Plan) -> tuple[CellSummary, ...]:
    return summarise(
        plan,
        folder,
        lambda run_id: (folder / "runs" / run_id).exists(),
        lambda run_id: read_pauses(folder / "runs" / run_id),
    )


def shown(plan: Plan, summaries: tuple[CellSummary, ...]) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(summary_table(plan.campaign, summaries))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_median_is_that_of_the_runs_and_leaves_the_warm_up_out(tmp_path: Path) -> None:
    first, second = rows(tmp_path, campaign(tmp_path))
    assert (first.runs, first.doubtful, first.checkpoints) == (2, 0, 6)
    assert first.median_pause_s == np.median([0.020, 0.050])
    assert first.median_dirty_pages == 72
    assert (second.runs, second.checkpoints) == (0, 0)
    assert np.isnan(second.median_pause_s)


def test_a_run_that_failed_its_quality_check_is_marked(tmp_path: Path) -> None:
    plan = campaign(tmp_path, failures=("trace and QMP differ by 5 ms",))
    text = shown(plan, rows(tmp_path, plan))
    assert "2 (1‡)" in text
    assert "‡ so many of these runs failed their quality check" in text


def test_nothing_is_marked_where_every_check_passed(tmp_path: Path) -> None:
    plan = campaign(tmp_path)
    assert "‡" not in shown(plan, rows(tmp_path, plan))


def test_runs_that_are_asked_for_no_checkpoint_have_no_tail_to_be_marked(tmp_path: Path) -> None:
    plan = campaign(tmp_path)
    measured, empty = rows(tmp_path, plan)
    none = float("nan")
    native = replace(measured, checkpoints=0, shortest=0, median_pause_s=none, p95_pause_s=none, p99_pause_s=none)
    for summary, marks in ((measured, 2), (native, 0)):
        (line,) = (one for one in shown(plan, (summary, empty)).splitlines() if "256 MiB" in one)
        assert line.count("†") == marks


def test_a_table_that_cannot_be_read_counts_as_no_run(tmp_path: Path) -> None:
    plan = campaign(tmp_path)
    for path in tmp_path.glob("runs/*/checkpoints.parquet"):
        path.write_bytes(b"torn")
    assert rows(tmp_path, plan)[0].runs == 0


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (("hardware", "hardware"), "KVM"),
        (("software", "software"), "KVM without hardware virtualization"),
        (("software", "nested"), "KVM, nested and KVM without hardware virtualization"),
    ],
)
def test_the_title_says_which_kvm_the_records_know_of_whatever_this_machine_has(
    tmp_path: Path, kinds: tuple[str, str], words: str
) -> None:
    plan = campaign(tmp_path)
    for kind, path in zip(kinds, sorted(tmp_path.glob("runs/*/run.json")), strict=True):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"kvm": {"kind": kind}}))
    lines = [line.strip() for line in shown(plan, rows(tmp_path, plan)).splitlines()]
    assert f"c: pauses of pairs under {words}" in lines


def test_what_has_no_figure_is_a_dash_and_the_title_says_emulation(tmp_path: Path) -> None:
    plan = campaign(tmp_path)
    text = shown(plan, rows(tmp_path, plan))
    assert "c: pauses of pairs under emulation (TCG)" in text
    [empty] = [line for line in text.splitlines() if "512 MiB" in line]
    assert empty.count(" - ") == 4
