"""The exit statuses through the real entry points, each in a process of its own."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench import __version__
from bench.errors import HostError
from bench.system.exits import MEANINGS, Exit, bug_report, find_system_programs, last_door

CHECKOUT = Path(__file__).parents[2]

FAKES = """
import asyncio, runpy, signal, sys
from fake_session import FakeSession, fake_tools
from bench.errors import GuestError
from bench.run import campaign

async def wait():
    print("measuring", flush=True)
    await asyncio.sleep(60)

def lost():
    raise GuestError("no ready line", hint="look")

def wrong():
    raise ZeroDivisionError("oops")

def full():
    raise OSError(28, "No space left on device")

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs these tests may have it ignored, as nohup does
act = {"nothing": lambda: None, "failure": lost, "bug": wrong, "wait": wait}.get(sys.argv.pop(1))
session = FakeSession({1: act} if act else {})
campaign.real_tools = lambda: fake_tools(session)
if act is None:
    campaign.real_tools = full
runpy.run_module("bench", run_name="__main__", alter_sys=True)
"""


def environment(folder: Path) -> dict[str, str]:
    paths = os.pathsep.join((str(CHECKOUT), str(CHECKOUT / "tests")))
    return {**os.environ, "PYTHONPATH": paths, "COLO_BENCH_CACHE": str(folder / "cache")}


def run(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, *argv)
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=120, check=False
    )


def campaign_that(what: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the entry point over a pair that is a fake."""
    words = ("mem=256M", "accel=tcg", f"results={folder}", "campaign=c", "repeats=2", "on_error=continue")
    return run(folder, "-c", FAKES, what, *words)


def test_0_when_all_is_done(tmp_path: Path) -> None:
    done = campaign_that("nothing", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_0_for_a_plan_that_was_only_to_be_shown(tmp_path: Path) -> None:
    assert run(tmp_path, "-m", "bench", "mem=256M", "dry_run=true", f"results={tmp_path}").returncode == 0


def test_1_when_some_runs_failed_without_a_traceback(tmp_path: Path) -> None:
    done = campaign_that("failure", tmp_path)
    assert done.returncode == 1
    assert "fix: look" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert campaign_that("nothing", tmp_path).returncode == 0


@pytest.mark.parametrize("word", ["memm=4G", "mem=4X", "workload=nope"])
def test_2_for_what_was_typed_wrong(tmp_path: Path, word: str) -> None:
    done = run(tmp_path, "-m", "bench", word, f"results={tmp_path}")
    assert done.returncode == 2
    assert done.stderr.startswith("colo-bench: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["bench.doctor", "bench.provision"])
def test_2_for_an_option_that_is_not_there(tmp_path: Path, module: str) -> None:
    assert run(tmp_path, "-m", module, "--nope").returncode == 2


def test_3_when_this_machine_cannot(tmp_path: Path) -> None:
    absent = tmp_path / "none" / "qemu"
    done = run(tmp_path, "-m", "bench", "mem=256M", f"qemu={absent}", f"results={tmp_path}")
    assert done.returncode == 3
    assert f"{absent} does not exist" in done.stderr
    assert "fix: " in done.stderr
    assert "Traceback" not in done.stderr
    assert run(tmp_path, "-m", "bench.provision", "--qemu", str(absent)).returncode == 3


def test_3_for_a_full_disk_wherever_it_is_met(tmp_path: Path) -> None:
    done = campaign_that("full disk", tmp_path)
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_3_for_results_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path, "-m", "bench", "mem=256M", f"results={tmp_path / 'file'}")
    assert done.returncode == 3
    assert "could not be written" in done.stderr


def test_4_for_our_own_bug_with_its_traceback_and_what_to_report(tmp_path: Path) -> None:
    done = campaign_that("bug", tmp_path)
    assert done.returncode == 4
    assert "Traceback (most recent call last)" in done.stderr
    assert "ZeroDivisionError: oops" in done.stderr
    assert "please report it" in done.stderr
    assert f"version:  colo-bench {__version__}" in done.stderr
    assert "command:  python -m bench mem=256M accel=tcg" in done.stderr
    assert f"Python:   {platform.python_implementation()} {platform.python_version()}" in done.stderr
    assert f"platform: {platform.platform()}" in done.stderr
    [failed] = [entry for entry in entries(tmp_path) if entry["state"] == "failed"]
    assert failed["cause"] == "bug"
    assert campaign_that("nothing", tmp_path).returncode == 0


def entries(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "c" / "ledger.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_130_when_interrupted(tmp_path: Path, number: int) -> None:
    argv = (sys.executable, "-c", FAKES, "wait", "mem=256M", "accel=tcg", f"results={tmp_path}", "campaign=c")
    with subprocess.Popen(
        argv, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "measuring" in line:
                break
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command continues" in said
    assert "Traceback" not in errors
    assert entries(tmp_path)[-1]["cause"] == "interrupted"


@pytest.mark.parametrize("path", ["/usr/bin:/bin", "/usr/sbin:/bin", None])
def test_programs_of_the_system_are_found_where_su_leaves_their_folder_out(
    monkeypatch: pytest.MonkeyPatch, path: str | None
) -> None:
    monkeypatch.setenv("PATH", path) if path else monkeypatch.delenv("PATH")
    find_system_programs()
    folders = os.environ["PATH"].split(os.pathsep)
    assert {"/usr/sbin", "/sbin", "/bin"} < set(folders)
    assert len(folders) == len(set(folders))
    assert folders[0] == (path or os.defpath).split(os.pathsep)[0]


def test_every_status_has_its_meaning() -> None:
    assert set(MEANINGS) == set(Exit)


def test_the_last_door_passes_a_status_on_and_turns_errors_into_theirs(capsys: pytest.CaptureFixture[str]) -> None:
    def raising(error: BaseException) -> int:
        raise error

    assert last_door("x", lambda: 7) == 7
    assert last_door("x", lambda: raising(HostError("too small", cause="host-memory"))) == Exit.HOST
    assert last_door("x", lambda: raising(KeyboardInterrupt())) == Exit.INTERRUPTED
    assert last_door("x", lambda: raising(OSError(30, "Read-only file system", "/r/plan.json"))) == Exit.HOST
    assert "/r/plan.json could not be written: Read-only file system" in capsys.readouterr().err
    assert last_door("x", lambda: raising(OSError(5, "Input/output error"))) == Exit.BUG
    assert last_door("x", lambda: raising(PermissionError(1, "Operation not permitted"))) == Exit.BUG
    assert bug_report("x") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "there is no memory left for this program"),
        (OSError(24, "Too many open files", "/r/x"), "/r/x: Too many open files"),
        (OSError(27, "File too large"), "File too large"),
        (BlockingIOError(11, "Resource temporarily unavailable"), "Resource temporarily unavailable"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
        (PermissionError(13, "Permission denied", "/r/cache/x"), "/r/cache/x: Permission denied"),
        (PermissionError(1, "Operation not permitted", "a", None, "/r/link"), "a: Operation not permitted"),
    ],
)
def test_what_the_system_has_no_more_of_is_no_bug_of_ours(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        raise error

    assert last_door("x", work) == Exit.HOST
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown
    assert "\n  fix: " in shown
