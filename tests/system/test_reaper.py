"""What a killed owner left is removed at the next start, and nothing that only looks like it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_session import FakeSession, fake_tools, make_cell, make_settings
from test_family import DAEMON, alive, gone, wait_for

from bench.run.campaign import run_campaign
from bench.run.folder import locked
from bench.run.reaper import left_in_runs, reap
from bench.system.exits import Exit
from bench.system.owner import SCRATCH, scratch_folder, this_process

pytestmark = pytest.mark.orphan

RUN = "0123456789ab"
OWNER = """
import asyncio, sys
from pathlib import Path
from bench.system.owner import scratch_folder
from bench.host.process import launch
async def main():
    with scratch_folder("probe") as scratch:
        async with launch("side", (sys.executable, "-c", {daemon!r}), folder=Path({folder!r})):
            while not Path({folder!r}, "daemon").exists():
                await asyncio.sleep(0.01)
            print(scratch, flush=True)
            await asyncio.sleep(60)
asyncio.run(main())
"""


def campaign(results: Path, name: str = "c") -> Path:
    home = results / name / "runs" / RUN
    for side in ("primary", "secondary"):
        (home / side).mkdir(parents=True)
        (home / side / "trace.log").write_text("")
        (home / side / "qmp.sock").write_text("")
    (home / "migration.sock").write_text("")
    (home / "primary" / "primary.qcow2").write_text("")
    (home / ".run.json.0a1b.tmp").write_text("")
    (results / name / ".lock").write_text("")
    return results / name


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def test_images_and_sockets_of_a_campaign_that_nobody_holds_are_removed_and_logs_are_not(
    tmp_path: Path, temporary: Path
) -> None:
    folder = campaign(tmp_path)
    assert reap(tmp_path, temporary) == [f"removed 5 images and sockets of killed runs in {folder}"]
    assert list(left_in_runs(folder)) == []
    assert len(list(folder.rglob("trace.log"))) == 2
    assert reap(tmp_path, temporary) == []


def test_what_a_new_secondary_had_is_removed_too(tmp_path: Path, temporary: Path) -> None:
    folder = campaign(tmp_path)
    home = folder / "runs" / RUN / "new-secondary"
    home.mkdir()
    (home / "secondary-active.qcow2").write_text("")
    assert reap(tmp_path, temporary) == [f"removed 6 images and sockets of killed runs in {folder}"]
    assert list(home.iterdir()) == []


def test_another_users_runs_are_passed_over(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = campaign(tmp_path)
    exists = Path.exists

    def refused(path: Path, **more: bool) -> bool:
        if path.name == "run.json":
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path, **more)

    monkeypatch.setattr(Path, "exists", refused)
    assert reap(tmp_path, temporary) == []
    monkeypatch.undo()
    assert len(list(left_in_runs(folder))) == 5


def test_a_campaign_that_is_under_way_is_left_alone(tmp_path: Path, temporary: Path) -> None:
    folder = campaign(tmp_path)
    with locked(folder):
        assert reap(tmp_path, temporary) == []
        assert len(list(left_in_runs(folder))) == 5


def test_what_is_not_a_runs_or_not_made_by_a_run_stays(tmp_path: Path, temporary: Path) -> None:
    folder = campaign(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    kept = [outside / "qmp.sock", folder / "runs" / "mine" / "qmp.sock", folder / "runs" / RUN / "disk.qcow2"]
    kept[1].parent.mkdir()
    for path in kept:
        path.write_text("")
    (folder / "runs" / "ab0123456789").symlink_to(outside)
    (folder / "failed").mkdir()
    reap(tmp_path, temporary)
    assert all(path.exists() for path in kept)


def test_a_scratch_folder_goes_only_when_its_owner_is_gone(tmp_path: Path, temporary: Path) -> None:
    names = {
        "dead": f"{SCRATCH}probe-abc-{gone()}",
        "live": f"{SCRATCH}probe-abc-{this_process()}",
        "unnamed": f"{SCRATCH}probe-abc",
        "foreign": f"other-{gone()}",
    }
    for name in names.values():
        (temporary / name).mkdir()
        (temporary / name / "qmp.sock").write_text("")
    target = tmp_path / "target"
    target.mkdir()
    (temporary / f"{SCRATCH}link-{gone()}").symlink_to(target)
    assert reap(tmp_path, temporary) == [f"removed {temporary / names['dead']}, which a killed process had left"]
    assert not (temporary / names["dead"]).exists()
    assert all((temporary / names[kind]).exists() for kind in ("live", "unnamed", "foreign"))
    assert target.exists()


def test_a_scratch_folder_names_this_process_and_is_private_and_goes(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(temporary))
    with scratch_folder("probe") as folder:
        assert folder.parent == temporary
        assert folder.name.endswith(f"-{this_process()}")
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(temporary.iterdir()) == []


def test_after_sigkill_of_its_owner_the_next_start_ends_what_escaped_and_removes_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    script = OWNER.format(daemon=DAEMON, folder=str(run))
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    scratch = Path(owner.stdout.readline().strip())
    daemon = wait_for(run / "daemon")
    assert scratch.exists()
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert alive(daemon)  # the kernel ends a child with its parent, and not what the child has started
    settings = make_settings(tmp_path / "results")
    assert run_campaign(settings, (make_cell(),), "python -m bench", fake_tools(FakeSession())) == Exit.DONE
    give_up = time.monotonic() + 5
    while alive(daemon) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert not alive(daemon)
    assert not scratch.exists()
    said = capsys.readouterr().out
    assert f"ended process {daemon} in {run}: process {owner.pid}, which had started it, is gone" in said
    assert f"removed {scratch}, which a killed process had left" in said


def test_a_whole_run_is_not_looked_into_and_a_half_one_is(tmp_path: Path, temporary: Path) -> None:
    """Ten thousand whole runs would cost every start a second; a run's record is written when all else has gone."""
    folder = campaign(tmp_path)
    (folder / "runs" / RUN / "run.json").write_text("{}")
    assert reap(tmp_path, temporary) == []
    (folder / "runs" / RUN / "run.json").unlink()
    assert reap(tmp_path, temporary) != []


@pytest.mark.parametrize("kind", ["runs", "failed"])
def test_a_neighbour_with_a_file_for_a_folder_is_passed_by(tmp_path: Path, temporary: Path, kind: str) -> None:
    (tmp_path / "a").mkdir()
    for name in (".lock", kind):
        (tmp_path / "a" / name).write_text("")
    folder = campaign(tmp_path)
    assert reap(tmp_path, temporary) == [f"removed 5 images and sockets of killed runs in {folder}"]
