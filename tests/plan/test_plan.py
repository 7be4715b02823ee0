from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_session import GUEST, QEMU, make_cell
from hypothesis import given
from hypothesis import strategies as st

from bench.config.factors import identity
from bench.config.procedure import Checkpoint, Deadlines
from bench.config.tuning import Pinning, Tune
from bench.errors import ConfigError, StoreError
from bench.format.version import SCHEMA_VERSION
from bench.guest.loading import KERNEL_ARGUMENTS
from bench.plan.plan import Plan, QemuBuild, blocks, digest, extent, make_plan, parse_plan, plan_json

CELLS = [make_cell(mem, smp) for mem in ("256M", "512M") for smp in (1, 2)]


def plan(cells: Any = CELLS, **more: Any) -> Plan:
    return make_plan("c", cells, **{"repeats": 3, "seed": 1, "qemu": QEMU, "guest": GUEST} | more)


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 1 << 40))
def test_every_block_holds_every_cell_once(cells: int, repeats: int, seed: int) -> None:
    drawn = blocks(cells, repeats, seed)
    assert len(drawn) == repeats
    assert all(sorted(block) == list(range(cells)) for block in drawn)
    assert drawn == blocks(cells, repeats, seed)


def test_the_order_is_drawn_anew_for_each_block_and_depends_on_the_seed() -> None:
    drawn = blocks(8, 4, 1)
    assert len({tuple(block) for block in drawn}) == 4
    assert drawn != blocks(8, 4, 2)


def test_a_longer_plan_begins_with_the_shorter_one() -> None:
    assert blocks(5, 4, 3)[:2] == blocks(5, 2, 3)


def test_runs_are_numbered_in_order_and_never_share_an_id() -> None:
    runs = plan().runs
    assert [run.order for run in runs] == list(range(12))
    assert [run.block for run in runs] == [0] * 4 + [1] * 4 + [2] * 4
    assert len({run.run_id for run in runs}) == 12
    assert all(len(run.run_id) == 12 and len(run.cell_id) == 8 for run in runs)


def test_the_same_request_gives_the_same_plan_whatever_the_command_looked_like() -> None:
    assert plan_json(plan()) == plan_json(plan())
    assert {run.run_id for run in plan().runs} == {run.run_id for run in plan(CELLS[::-1], command="x").runs}


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 2},
        {"qemu": {"provisioned": replace(QEMU["provisioned"], sha256="d" * 64)}},
        {"guest": replace(GUEST, kernel_sha256="d" * 64)},
        {"guest": replace(GUEST, initramfs_sha256="d" * 64)},
        {"cells": [make_cell("256M", 1, checkpoint=Checkpoint(count=5)), *CELLS[1:]]},
    ],
)
def test_whatever_defines_a_run_changes_its_id(changed: dict[str, Any]) -> None:
    other = plan(**changed)
    kept = {run.run_id for run in plan().runs} & {run.run_id for run in other.runs}
    assert len(kept) == (9 if "cells" in changed else 0)  # three blocks of the cells that are as they were


@pytest.mark.parametrize("transport", ["tcp", "nodelay"])
def test_a_run_id_is_the_digest_of_all_that_defines_the_run(transport: str) -> None:
    cell = make_cell("256M", 1, link={"transport": transport})
    defining = {
        "schema_version": 1,
        "cell": identity(cell),
        "block": 2,
        "seed": 1,
        "qemu_sha256": "a" * 64,
        "kernel_sha256": "b" * 64,
        "initramfs_sha256": "c" * 64,
        "kernel_arguments": list(KERNEL_ARGUMENTS),
    } | ({"nodelay_sha256": "e" * 64} if transport == "nodelay" else {})
    assert plan([cell], nodelay_sha256="e" * 64).runs[2].run_id == digest(defining, 12)


def test_deadlines_do_not_define_a_run() -> None:
    patient = [cell.model_copy(update={"deadlines": Deadlines(boot=999)}) for cell in CELLS]
    assert [run.run_id for run in plan().runs] == [run.run_id for run in plan(patient).runs]


def test_a_configuration_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="cells 1 and 3 of the sweep are the same one: 1 GiB · 1 vCPU"):
        plan([make_cell("1G"), make_cell("2G"), make_cell("1024M")])


def test_a_plan_survives_being_written_and_read() -> None:
    written = plan(experiment="demo", command="python -m bench experiment=demo")
    assert written == parse_plan(plan_json(written))
    assert json.loads(plan_json(written))["schema_version"] == SCHEMA_VERSION


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"schema_version": 2}', '{"schema_version": 1}'])
def test_what_is_not_a_plan_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match=r"plan\.json"):
        parse_plan(text)


def test_the_extent_is_told_in_words() -> None:
    assert extent(plan()) == "4 cells x 3 blocks = 12 runs"
    assert extent(plan(CELLS[:1], repeats=1)) == "1 cell x 1 block = 1 run"


REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "size_sweep" / "plan.json"


def test_the_plan_of_a_real_campaign_is_read_and_written_to_the_byte_and_its_ids_still_follow_from_it() -> None:
    text = REFERENCE.read_text()
    stored = parse_plan(text)
    assert plan_json(stored) == text.replace('"schema_version": 1,', f'"schema_version": {SCHEMA_VERSION},', 1)
    made = make_plan(
        stored.campaign,
        [one.cell for one in stored.cells],
        repeats=stored.repeats,
        seed=stored.seed,
        qemu=stored.qemu,
        guest=stored.guest,
        nodelay_sha256=stored.nodelay_sha256,
    )
    assert [run.run_id for run in made.runs] == [run.run_id for run in stored.runs]
    assert [one.cell_id for one in made.cells] == [one.cell_id for one in stored.cells]


def test_a_tuning_defines_a_run_and_one_that_changes_nothing_is_not_in_the_plan() -> None:
    assert plan_json(plan()) == plan_json(plan([cell.model_copy(update={"tune": Tune()}) for cell in CELLS]))
    assert '"tune"' not in plan_json(plan())
    tuned = plan([cell.model_copy(update={"tune": Tune(pinning=Pinning(primary="0"))}) for cell in CELLS])
    assert {run.run_id for run in plan().runs}.isdisjoint(run.run_id for run in tuned.runs)
    assert parse_plan(plan_json(tuned)) == tuned


def test_the_secondarys_binary_counts_by_its_hash_and_only_where_it_is_another() -> None:
    def run_id(other: str | None, sha256: str = "b" * 64) -> str:
        cells = [make_cell("1G", qemu="11.1", qemu_secondary=other)]
        builds = {"11.1": QemuBuild("11.1.3", "a" * 64, "archive"), "10.0": QemuBuild("10.0.13", sha256, "archive")}
        return make_plan("c", cells, repeats=1, seed=1, qemu=builds, guest=GUEST).runs[0].run_id

    assert len({run_id(None), run_id("10.0"), run_id("10.0", "c" * 64)}) == 3
