"""What jobs have measured comes into their campaign, once and whole, with a FAKE Slurm and fake pairs."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fixtures.cluster_world import World, fail, measured, states

from bench.cluster.parts import starts
from bench.errors import GuestError, StoreError
from bench.record.ledger import Ledger
from bench.run.merge import merge_part
from bench.system.exits import Exit

if TYPE_CHECKING:
    from fake_slurm import FakeSlurm


def test_merging_twice_is_merging_once(world: World, slurm: FakeSlurm) -> None:
    world.session.acts = {1: fail(GuestError("no ready line"))}
    world.moves = [lambda: [slurm.run(job, world.tools) for job in (1, 2)]]  # type: ignore[list-item,func-returns-value]
    world.go()
    folder = world.results / "c"
    before = (folder / "ledger.jsonl").read_bytes()
    for job in (1, 2):
        merge_part(folder, Ledger(folder / "ledger.jsonl"), slurm.part(job))
    assert (folder / "ledger.jsonl").read_bytes() == before


def test_a_merge_that_was_killed_half_way_is_finished_by_the_next_command(world: World, slurm: FakeSlurm) -> None:
    world.go(launcher={"detach": True})
    for job in slurm.jobs:
        slurm.run(job, world.tools)
    folder = world.results / "c"
    ledger = (folder / "ledger.jsonl").read_bytes()
    merge_part(folder, Ledger(folder / "ledger.jsonl"), slurm.part(1))
    (folder / "ledger.jsonl").write_bytes(ledger)  # its runs have moved, its lines are not there
    assert world.go() == Exit.DONE
    assert states(world.results) == [("started", 0), ("measured", 0)] * 4


def test_a_merge_from_another_disk_that_was_ended_while_it_removed_there_has_its_runs_here(
    world: World, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.go(launcher={"detach": True}, repeats=1)
    slurm.run(1, world.tools)
    folder, rename = world.results / "c", os.rename

    def on_another_disk(path: Any, target: Any) -> None:
        if "parts" in Path(path).parts:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(path, target)

    def ended(path: Path, **_: Any) -> None:
        if "parts" in path.parts:
            (path / "checkpoints.parquet").unlink()
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", on_another_disk)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", ended)
        with pytest.raises(KeyboardInterrupt):
            merge_part(folder, Ledger(folder / "ledger.jsonl"), slurm.part(1))
    assert world.go(repeats=1) == Exit.DONE
    assert states(world.results) == [("started", 0), ("measured", 0)] * 2
    assert len(list(folder.glob("runs/*/checkpoints.parquet"))) == 2
    assert list((folder / "failed").iterdir()) == []


def test_a_merge_from_another_disk_takes_nothing_away_before_it_is_on_this_one(
    world: World, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.go(launcher={"detach": True}, repeats=1)
    slurm.run(1, world.tools)
    folder, rename, copy = world.results / "c", os.rename, shutil.copy2
    synced: list[str] = []

    def on_another_disk(path: Any, target: Any) -> None:
        if "parts" in Path(path).parts:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(path, target)

    def refused(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "rename", on_another_disk)
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink().name))
    monkeypatch.setattr(shutil, "copy2", refused)
    with pytest.raises(StoreError, match=r"could not be written: .*Input/output error"):
        merge_part(folder, Ledger(folder / "ledger.jsonl"), slurm.part(1))
    assert len(list(slurm.part(1).glob("begun-0/runs/*/run.json"))) == 2
    monkeypatch.setattr(shutil, "copy2", copy)
    synced.clear()
    merge_part(folder, Ledger(folder / "ledger.jsonl"), slurm.part(1))
    assert len(measured(world.results)) == 2
    assert [synced.count(name) for name in ("run.json", "checkpoints.parquet")] == [2, 2]


def test_a_run_that_two_starts_measured_counts_once(
    world: World, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    world.go(launcher={"detach": True}, repeats=1)
    slurm.run(1, world.tools)
    hidden = starts(slurm.part(1))[0].path
    hidden.rename(slurm.part(1) / "elsewhere")  # the second start does not see what the first one is still writing
    slurm.run(1, world.tools, "n2")
    (slurm.part(1) / "begun-0").rename(slurm.part(1) / "begun-1")
    (slurm.part(1) / "elsewhere").rename(hidden)
    assert world.go(repeats=1) == Exit.DONE
    assert states(world.results) == [("started", 0), ("measured", 0)] * 2
    assert "2 runs were measured twice" in capsys.readouterr().out
    assert len(list((slurm.part(1) / "begun-1" / "runs").iterdir())) == 2


def test_a_torn_last_line_of_a_part_is_left_out(world: World, slurm: FakeSlurm) -> None:
    world.go(launcher={"detach": True}, repeats=1)
    slurm.run(1, world.tools)
    with (starts(slurm.part(1))[0].path / "ledger.jsonl").open("ab") as file:
        file.write(b'{"schema_version": 2, "t": 1')
    assert world.go(repeats=1) == Exit.DONE
    assert len(measured(world.results)) == 2
