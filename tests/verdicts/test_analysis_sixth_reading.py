"""What a sixth reviewer made the pages say falsely: each fault with the smallest data, INVENTED, that shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from fixtures.fake_campaign import (
    SERVICE,
    SINGLE,
    change_record,
    of_scenario,
    replace_parquet,
    run_ids,
    write_campaign,
)
from fixtures.simulated import GIB, QUIET, RAM, Truth, cell, crossed, declared, failure_of, simulate, verdicts

from analysis.report import checks, render
from analysis.report.first import first_screen
from analysis.report.render import Built
from analysis.stored.load import load_campaign
from analysis.text import figures_text, ms_text
from analysis.verdicts.designs import MANY_BLOCKS
from analysis.verdicts.promises import _blocks
from analysis.verdicts.results import derive
from bench.run.failovers import CellFailovers, failover_table

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.stored.campaign import Campaign
    from analysis.verdicts.finding import Finding

SIZES = crossed(mem=(GIB, 2 * GIB, 4 * GIB))


def alike(*asked: dict[str, object]) -> Campaign:
    """Return runs whose pauses are all the same."""
    still = {"run_sd": 0.0, "block_sd": 0.0, "checkpoint_sd": 0.0, "drift": 0.0}
    return simulate(Truth(SIZES, lambda _: 0.0, [*asked], **still), 1)


def without(campaign: Campaign, lost: set[tuple[int, int]]) -> Campaign:
    """Return a campaign of which the runs of so many blocks and sizes failed."""
    planned = {run.run_id: run for run in campaign.plan.runs}
    gone = [run for run in campaign.runs if (run.record.block, run.record.cell["mem"]) in lost]
    kept = tuple(run for run in campaign.runs if run not in gone)
    return replace(campaign, runs=kept, failures=tuple(failure_of(planned[run.record.run_id]) for run in gone))


# What would settle it.


def test_blocks_that_give_an_interval_lose_as_many_runs_as_those_there_are() -> None:
    two = Truth(crossed(mem=(GIB, 4 * GIB)), lambda _: 0.0, [declared(**RAM)], blocks=8, **QUIET)
    lost = {(block, mem) for block in range(5) for mem in (GIB, 4 * GIB)[block < 2 :]}
    (found,) = verdicts(without(simulate(two, 1), lost))
    assert found.strata == 3
    # Three of eight blocks compare: five do of fourteen, and were said to do of five.
    assert [note for note in found.notes if note.startswith("14 blocks like these give an interval")]


def test_as_many_blocks_as_are_within_reason_are_planned_for() -> None:
    strata = [np.array([0.0, 1.0])]
    needed = _blocks(strata, 0.2, 0.0488, 0.0125, 0.8, pairs=0)
    assert needed is not None
    assert 512 < needed < MANY_BLOCKS
    assert _blocks(strata, 0.4, 0.0488, 0.0125, 0.8, pairs=0) is None


# What is promised of every run.


def test_writes_that_some_failovers_lost_are_not_said_to_be_none(tmp_path: Path) -> None:
    none = declared(id="W", claim="No write is lost.", kind="value", outcome="writes_lost", low=0, high=0.5)
    folder = write_campaign(tmp_path, replace(SINGLE, repeats=12, hypotheses=(none,)))

    def found(*lost: int) -> Finding:
        for run_id, count in zip(run_ids(folder), lost, strict=True):
            change_record(folder, run_id, failover={"success": True, "client": {"lost": count, "checked": 100}})
        (one,) = derive(load_campaign(folder)).findings
        return one

    assert found(*[0] * 12).word == "SUPPORTED"
    some = found(*[0] * 10, 3, 1)
    assert (some.word, some.label, some.notes) == (
        "INCONCLUSIVE",
        "not every run lies within the range",
        ("2 of 12 runs lie outside",),
    )
    assert found(*[4] * 12).word == "REFUTED"


def test_a_share_that_is_not_all_is_not_rounded_to_all() -> None:
    lived = CellFailovers("c", struck=1000, survived=997)
    columns = failover_table("c", [lived]).columns
    (share,) = next(list(one.cells) for one in columns if one.header == "share %")
    assert str(share).startswith("99.7 [99.1, 99.9")


# How sure.


def test_blocks_that_were_lost_whole_are_told_beside_those_that_are_left() -> None:
    campaign = simulate(Truth(SIZES, lambda _: 0.0, [declared(**RAM)], blocks=6, **QUIET), 1)
    lost = {(block, mem) for block in (1, 4) for mem in (GIB, 2 * GIB, 4 * GIB)}
    assert "4 blocks, every cell once in each, 2 more lost whole;" in first_screen(derive(without(campaign, lost))).sure
    assert "lost whole" not in first_screen(derive(campaign)).sure


def test_what_has_no_width_is_made_no_narrower() -> None:
    judged = derive(alike(declared(**RAM)))
    assert judged.findings[0].effect.low == judged.findings[0].effect.high
    assert not [said for said in first_screen(judged).surer if "narrow" in said]


def test_what_can_never_be_compared_is_not_said_to_be_so_yet() -> None:
    one = Truth([cell(GIB)], lambda _: 0.0, [declared(**RAM)], **QUIET)
    (answer,) = first_screen(derive(simulate(one, 1))).answers
    assert "nothing can be compared (" in answer


def test_pauses_that_are_all_alike_are_not_said_to_be_few() -> None:
    said = dict(checks.checks(derive(alike(declared(**RAM)))))["Dependence"]
    assert said == "no run has enough checkpoints that differ to tell how far neighbours are alike"


# Numbers.


def test_nothing_has_no_sign_and_what_adding_floats_leaves_is_nothing() -> None:
    assert [figures_text(number, signed=True) for number in (-0.0, 0.0, -0.001)] == [
        "0.00",
        "0.00",
        "\N{MINUS SIGN}0.00100",
    ]
    assert [ms_text(number) for number in (3.5e-15, 0.0, 2e-6, 0.003)] == ["0.00", "0.00", "0.0000020", "0.0030"]


def test_every_size_of_a_step_has_its_unit() -> None:
    cells = [cell(GIB) | {"checkpoint": cell(GIB)["checkpoint"] | {"interval": apart}} for apart in (0.02, 0.5, 5.0)]
    asked = declared(id="I", claim="It grows.", factor="checkpoint.interval")
    truth = Truth(cells, lambda one: 0.5 * (one["checkpoint"]["interval"] > 1), [asked], **QUIET)
    (found,) = verdicts(simulate(truth, 1))
    assert "from 0.02 s to 0.5 s" in found.sentence
    assert ", then to 5 s " in found.sentence


def test_the_hash_of_the_checkpoint_files_is_of_those_of_native_runs_too(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVICE)

    def told() -> str:
        return dict(render._reproduce(load_campaign(folder), Built())["hashes"])[
            "SHA-256 of the list of checkpoint files"
        ]

    before = told()
    run_id, *_ = of_scenario(folder, "formed")
    replace_parquet(folder, run_id, lambda table: table.slice(0, 1))
    assert told() != before
