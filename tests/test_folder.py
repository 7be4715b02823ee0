"""The campaign's folder: one process, one plan, and nothing of a failed attempt lost or taken for a run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from fake_campaign import GUEST, QEMU, make_cell

from bench.errors import ConfigError, PlanChangedError, StoreError
from bench.plan.plan import make_plan
from bench.run import folder as folder_module
from bench.run.folder import agree_on_plan, fresh_run_folder, locked, set_aside

PLAN = make_plan("c", (make_cell(),), repeats=2, seed=1, qemu=QEMU, guest=GUEST)


def test_the_folder_is_made_and_locked_for_one_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "c"
    with locked(folder), pytest.raises(ConfigError, match=f"by process {os.getpid()}") as caught, locked(folder):
        pass
    assert caught.value.cause == "campaign-locked"
    with locked(folder):
        pass


def test_the_first_plan_is_stored_and_the_stored_one_is_followed(tmp_path: Path) -> None:
    assert agree_on_plan(tmp_path, replace(PLAN, command="first")).command == "first"
    assert agree_on_plan(tmp_path, replace(PLAN, command="again")).command == "first"


def test_another_plan_is_refused_and_leaves_the_stored_one(tmp_path: Path) -> None:
    agree_on_plan(tmp_path, PLAN)
    stored = (tmp_path / "plan.json").read_bytes()
    with pytest.raises(PlanChangedError, match="seed: 1 -> 2"):
        agree_on_plan(tmp_path, make_plan("c", (make_cell(),), repeats=2, seed=2, qemu=QEMU, guest=GUEST))
    assert (tmp_path / "plan.json").read_bytes() == stored


def test_a_plan_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(StoreError, match=r"plan\.json"):
        agree_on_plan(tmp_path, PLAN)


def test_a_fresh_run_folder_is_private_and_empty_and_what_was_there_is_kept(tmp_path: Path) -> None:
    first = fresh_run_folder(tmp_path, "abc")
    (first / "qmp.jsonl").write_text("said\n")
    second = fresh_run_folder(tmp_path, "abc")
    assert second == first
    assert list(second.iterdir()) == []
    assert second.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "failed" / "abc-0" / "qmp.jsonl").read_text() == "said\n"


def test_attempts_are_set_aside_under_numbers_that_go_on_and_without_images_and_sockets(tmp_path: Path) -> None:
    for number in range(3):
        home = fresh_run_folder(tmp_path, "abc") / "primary"
        home.mkdir()
        for name in ("primary.qcow2", "qmp.sock", ".run.json.1f2e.tmp", "trace.log"):
            (home / name).write_text("")
        kept = set_aside(tmp_path, "abc")
        assert kept == tmp_path / "failed" / f"abc-{number}"
        assert [path.name for path in (kept / "primary").iterdir()] == ["trace.log"]
    assert not (tmp_path / "runs" / "abc").exists()


def test_folders_made_for_a_campaign_that_never_had_a_plan_go_again(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "results" / "of" / "c"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_removed_meanwhile_hides_no_error(tmp_path: Path) -> None:
    def remove_and_fail() -> None:
        (tmp_path / "c").rename(tmp_path / "d")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), locked(tmp_path / "c"):
        remove_and_fail()


def test_folders_that_were_there_or_hold_something_stay(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with locked(tmp_path / "there"):
        pass
    with locked(tmp_path / "new"):
        agree_on_plan(tmp_path / "new", PLAN)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".lock", ".lock", "new", "plan.json", "there"]


def test_a_lock_on_a_file_that_its_holder_removed_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c").mkdir()
    flock = folder_module.fcntl.flock

    def remove_first(descriptor: int, how: int) -> None:
        (tmp_path / "c" / ".lock").unlink()
        flock(descriptor, how)

    monkeypatch.setattr(folder_module.fcntl, "flock", remove_first)
    with pytest.raises(ConfigError, match="is being run"), locked(tmp_path / "c"):
        pass
