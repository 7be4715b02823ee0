"""A campaign that is asked for again: with another plan, other rules, other deadlines, or while it still runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_session import CELLS, FakeSession, fail, fake_tools, go, make_cell

from bench.config.procedure import Deadlines
from bench.errors import ConfigError, GuestError, PlanChangedError
from bench.plan.plan import parse_plan
from bench.run.folder import locked
from bench.system.exits import Exit


def test_a_changed_plan_is_refused_with_the_difference(tmp_path: Path) -> None:
    go(tmp_path, FakeSession())
    session = FakeSession()
    with pytest.raises(PlanChangedError) as refusal:
        go(tmp_path, session, cells=(*CELLS, make_cell("1G")))
    assert refusal.value.evidence == ("mem: 256 MiB, 512 MiB -> 256 MiB, 512 MiB, 1 GiB",)
    with pytest.raises(PlanChangedError, match="QEMU"):
        go(tmp_path, session, tools=fake_tools(session, sha256="d" * 64))
    with pytest.raises(PlanChangedError, match="accel: tcg -> kvm"):
        go(tmp_path, session, tools=fake_tools(session, accel="kvm"))
    assert session.calls == []


def test_the_rules_of_every_command_that_had_others_are_on_record(tmp_path: Path) -> None:
    for more in ({"repeats": 1}, {"repeats": 1}, {"repeats": 2, "budget": 60, "on_error": "retry:1"}):
        assert go(tmp_path, FakeSession(), **more) == Exit.DONE
    plan = parse_plan((tmp_path / "c" / "plan.json").read_bytes())
    told = [(one.repeats, one.budget_s, one.max_blocks, one.on_error) for one in plan.rules]
    assert told == [(1, 3600.0, 24, "continue"), (2, 60.0, 24, "retry:1")]
    assert {run.block for run in plan.runs} == {0, 1}


def test_a_longer_deadline_is_no_new_plan_and_holds_at_once(tmp_path: Path) -> None:
    go(tmp_path, FakeSession({1: fail(GuestError("slow boot"))}))
    session = FakeSession()
    patient = tuple(cell.model_copy(update={"deadlines": Deadlines(boot=999)}) for cell in CELLS)
    assert go(tmp_path, session, cells=patient) == Exit.DONE
    assert [cell.deadlines.boot for cell in session.cells] == [999]


def test_a_campaign_cannot_run_twice_at_once(tmp_path: Path) -> None:
    session = FakeSession()
    with locked(tmp_path / "c"), pytest.raises(ConfigError, match=f"being run by process {os.getpid()}"):
        go(tmp_path, session)
    assert session.calls == []
    assert go(tmp_path, session) == Exit.DONE


def test_the_lock_goes_with_the_process_that_held_it(tmp_path: Path) -> None:
    code = f"""
import os, pathlib
from bench.run.folder import locked
with locked(pathlib.Path({str(tmp_path / "c")!r})):
    os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    with locked(tmp_path / "c"):
        pass
