"""What a fourth reviewer made the pages say falsely: each fault with the smallest data, INVENTED, that shows it."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fixtures.fake_campaign import SERVICE, change_record, of_scenario, write_campaign
from fixtures.simulated import GIB, RAM, Truth, crossed, declared, failure_of, simulate

from analysis.commands.compare import settles
from analysis.compare.comparison import compare_levels
from analysis.planning.power import power
from analysis.report import trust
from analysis.report.first import first_screen
from analysis.report.render import _design
from analysis.stored.load import load_campaign
from analysis.verdicts.results import derive

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.stored.campaign import Campaign
    from analysis.verdicts.finding import Finding

CLIENT = {
    "id": "S",
    "claim": "COLO answers fewer requests.",
    "kind": "contrast",
    "factor": "scenario",
    "levels": ["native", "colo"],
    "outcome": "requests_per_s",
    "direction": "decreasing",
}


# Runs without a checkpoint are of the campaign, too.


def service(tmp_path: Path, **changed: Any) -> Campaign:
    """Return a campaign that compares scenarios, of which the runs of ``native`` have another record."""
    fake = replace(
        SERVICE, scenarios=("native", "colo"), hypotheses=(declared(**CLIENT),), extra_cell={"scenario": "colo"}
    )
    folder = write_campaign(tmp_path, fake)
    for run_id in of_scenario(folder, "native"):
        change_record(folder, run_id, **changed)
    return load_campaign(folder)


def test_what_was_asked_after_the_runs_without_checkpoints_is_exploratory(tmp_path: Path) -> None:
    (before,) = derive(service(tmp_path / "a")).findings
    (after,) = derive(service(tmp_path / "b", hypotheses_sha256="0" * 64)).findings
    assert (before.exploratory, after.exploratory) == (False, True)


def test_a_machine_of_runs_without_checkpoints_is_one_that_the_page_tells_of(tmp_path: Path) -> None:
    host = {"before": {"cpu_model": "Another CPU", "kernel": "6.1.0-fake"}, "after": {}, "drift": []}
    versions = {"qemu": "QEMU emulator version 9.0.0", "qemu_sha256": "d4" * 32}
    results = derive(service(tmp_path, host=host, versions=versions))
    said = trust.context(results)["threats"][-1]
    assert "2 machines" in said
    assert "2 binaries" in said
    design = _design(results, ())
    assert "9.0.0" in dict(design["versions"])["QEMU"]
    assert "Another CPU" in dict(design["machine"])["CPU"]


# What would settle it, where runs fail.


def failing(*, lost: int, whole: bool = False) -> Campaign:
    """Return ten blocks that leave it open, of so many of which the run of the larger size failed, or every run."""
    cells, asked = crossed(mem=(GIB, 4 * GIB)), [declared(**RAM)]
    campaign = simulate(Truth(cells, lambda _: 0.0, asked, blocks=10, run_sd=0.1, block_sd=0.03, drift=0.0), 2)
    planned = {run.run_id: run for run in campaign.plan.runs}
    gone = [run for run in campaign.runs if run.record.block < lost and (whole or run.record.cell["mem"] == 4 * GIB)]
    kept = tuple(run for run in campaign.runs if run not in gone)
    return replace(campaign, runs=kept, failures=tuple(failure_of(planned[run.record.run_id]) for run in gone))


def found(campaign: Campaign) -> Finding:
    return derive(campaign).findings[0]


def test_blocks_are_not_promised_to_settle_what_runs_that_fail_leave_open() -> None:
    one, three = found(failing(lost=1)), found(failing(lost=3))
    assert (one.label, three.label) == ("undecided", "undecided")
    assert one.more_blocks
    assert three.more_blocks is None
    (note,) = (note for note in three.notes if "settle" in note)
    assert note.startswith("3 of 10 runs with 4 GiB failed or were left out and are ranked worst")
    assert not any("would decide" in said for said in first_screen(derive(failing(lost=3))).surer)


def test_blocks_that_were_lost_whole_take_no_number_away() -> None:
    # Of a block of which nothing is left nothing ranks above anything.
    assert found(failing(lost=3, whole=True)).more_blocks


def test_a_plan_says_that_it_allows_for_no_run_that_fails() -> None:
    said = "3 runs failed or cannot be read: planned as if none did, which verdicts rank worst"
    assert said in power(failing(lost=3)).notes
    assert not any("failed" in note for note in power(failing(lost=0)).notes)


def two_levels(*, lost: int) -> Campaign:
    """Return eight blocks of two binaries in three cells, of so many of which the runs of the new one failed."""
    cells = [own | {"qemu": name} for own in crossed(mem=(GIB, 2 * GIB, 4 * GIB)) for name in ("old", "new")]
    campaign = simulate(Truth(cells, lambda _: 0.0, [], blocks=8, run_sd=0.08, block_sd=0.02, drift=0.0), 6)
    planned = {run.run_id: run for run in campaign.plan.runs}
    gone = [run for run in campaign.runs if run.record.block < lost and run.record.cell["qemu"] == "new"]
    kept = tuple(run for run in campaign.runs if run not in gone)
    return replace(campaign, runs=kept, failures=tuple(failure_of(planned[run.record.run_id]) for run in gone))


@pytest.mark.parametrize("each_cell", [False, True])
@pytest.mark.parametrize("lost", [0, 1])
def test_the_threshold_that_is_said_to_settle_it_does_on_the_same_data(*, lost: int, each_cell: bool) -> None:
    campaign = two_levels(lost=lost)
    found = compare_levels(campaign, "qemu", each_cell=each_cell)
    assert found.verdict == "inconclusive"
    (said,) = re.findall(r"a larger threshold of ([0-9.]+) %", settles(found))
    settled = compare_levels(campaign, "qemu", each_cell=each_cell, threshold=float(said) / 100)
    assert settled.verdict == "not regressed"
    assert [math.isnan(cell.ranked_passes_at) for cell in found.cells] == [not lost] * 3


def test_no_number_of_runs_is_told_of_a_cell_of_which_a_side_lost_many() -> None:
    found = compare_levels(two_levels(lost=2), "qemu")
    assert found.verdict == "inconclusive"
    assert [cell.needed_runs for cell in found.cells] == [None] * 3
    assert settles(found).startswith("Measure the failed runs of 3 cells again.")
    assert "more run" not in settles(found)
