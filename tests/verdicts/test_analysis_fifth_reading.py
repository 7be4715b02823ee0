"""What a fifth reviewer made the pages say falsely: each fault with the smallest data, INVENTED, that shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fixtures.fake_campaign import SERVICE, SINGLE, SWEEP, Fake, change_record, run_ids, write_campaign
from fixtures.simulated import GIB, QUIET, RAM, Truth, crossed, declared, simulate, verdicts

from analysis.report.first import first_screen
from analysis.report.threats import threats
from analysis.stored.load import load_campaign
from analysis.verdicts.results import derive

if TYPE_CHECKING:
    from pathlib import Path


# Of a single checkpoint there is no period, and no pause of a machine that is asked for none.
PERIOD = declared(id="P", claim="They come apart.", factor="mem", outcome="period")
NATIVE = declared(id="N", claim="It is longer.", kind="contrast", factor="scenario", levels=["native", "colo"])


@pytest.mark.parametrize(
    "fake",
    [
        replace(SWEEP, count=1, warmup=0, repeats=2, hypotheses=(declared(**RAM), PERIOD)),
        replace(SERVICE, extra_cell={"scenario": "colo"}, hypotheses=(NATIVE,)),
    ],
)
def test_runs_that_do_not_have_what_is_asked_about_are_no_fault_of_the_design(tmp_path: Path, fake: Fake) -> None:
    surer = first_screen(derive(load_campaign(write_campaign(tmp_path, fake)))).surer
    assert "Where nothing can be compared, runs do not have what is asked about." in surer


def test_runs_that_failed_are_not_why_nothing_compares_what_has_one_level() -> None:
    asked = [declared(**RAM), declared(id="V", claim="It grows.", factor="smp")]
    truth = Truth(crossed(mem=(GIB,), smp=(1, 4)), lambda _: 0.0, asked, lost=0.3, **QUIET)
    results = derive(simulate(truth, 1))
    assert results.campaign.failures
    surer = first_screen(results).surer
    assert "Where nothing can be compared, the cells have but one level of what is asked about." in surer


def test_pauses_that_two_versions_measured_are_not_taken_for_alike(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, replace(SINGLE, repeats=3))

    def told() -> str:
        return " ".join(threats(derive(load_campaign(folder))))

    assert "Pauses begin" not in told()
    change_record(folder, run_ids(folder)[0], schema_version=3)
    assert "Pauses begin in 2 runs when the disks are drained too (version 1; some 0.6 ms later" in told()
    assert "and in 1 run when the run state changes: what that makes counts as a difference" in told()


def test_a_size_that_is_compared_with_no_other_one_is_none_that_a_verdict_is_about() -> None:
    cells = crossed(mem=(GIB, 2 * GIB, 4 * GIB))
    campaign = simulate(Truth(cells, lambda _: 0.0, [declared(**RAM)], blocks=12, **QUIET), 1)
    apart = tuple(run for run in campaign.runs if (run.record.cell["mem"] == GIB) == (run.record.block % 2 == 0))
    (whole,), (found,) = verdicts(campaign), verdicts(replace(campaign, runs=apart))
    said = "6 runs with 1 GiB: nothing is said of it, as no run of another size is there to compare with"
    assert [note for note in found.notes if note.startswith(said)]
    assert not [note for note in whole.notes if "nothing is said of it" in note]
