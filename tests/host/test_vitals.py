"""Signs of life: of real processes, and of files as the kernel writes them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.host.vitals import State, kernel_lines, oom_counters, oom_proof, parse_oom_kill, parse_state, read_state

KMSG = (
    "6,1,100,-;Linux version 6.12\n"
    "3,901,5140900,-;Out of memory: Killed process 4711 (qemu-system-x86) total-vm:8388608kB, anon-rss:4194304kB\n"
)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def reaches(pid: int, letter: str) -> bool:
    give_up = time.monotonic() + 5
    while time.monotonic() < give_up:
        state = read_state(pid)
        if state is not None and state.letter == letter:
            return True
        time.sleep(0.01)
    return False


def test_a_process_that_was_stopped_is_told_from_one_that_sleeps(sleeper: subprocess.Popen[bytes]) -> None:
    assert reaches(sleeper.pid, "S")
    os.kill(sleeper.pid, signal.SIGSTOP)
    assert reaches(sleeper.pid, "T")
    state = read_state(sleeper.pid)
    assert state is not None
    assert state.stopped
    assert state.text().startswith("state T: stopped by a signal (SIGSTOP or SIGTSTP)")


def test_a_process_that_is_gone_has_no_state(tmp_path: Path) -> None:
    assert read_state(4711, tmp_path) is None


@pytest.mark.parametrize(
    ("stat", "letter"),
    [("7 (sleep) S 1 7", "S"), ("7 (a) R) Z\n) T 1", "T"), ("7 (x)", "?"), ("", "?")],
)
def test_the_state_stands_behind_a_name_that_may_hold_anything(stat: str, letter: str) -> None:
    assert parse_state(stat) == letter


def test_a_state_tells_what_the_process_waits_for() -> None:
    assert State("D", "io_schedule").text() == "state D: waiting in the kernel, uninterruptibly, in io_schedule"
    assert State("q").text() == "state q: unknown"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n", 2),
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n", 4),
        ("pgfault 1\n", None),
        ("oom_kill x\n", None),
    ],
)
def test_the_counter_is_found_in_every_file_that_has_one(text: str, count: int | None) -> None:
    assert parse_oom_kill(text) == count


def machine(root: Path, group: str, host: str) -> None:
    for path, text in (
        ("proc/4711/cgroup", "0::/bench\n"),
        ("proc/self/cgroup", "2:cpu,memory:/user\n0::/bench\n"),
        ("sys/fs/cgroup/bench/memory.events", f"oom 1\noom_kill {group}\n"),
        ("sys/fs/cgroup/memory/user/memory.oom_control", "under_oom 0\noom_kill 0\n"),
        ("proc/vmstat", f"pgfault 3\noom_kill {host}\n"),
        ("dev/kmsg", KMSG),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def test_the_counters_are_those_of_the_process_s_group_of_ours_and_of_the_host(tmp_path: Path) -> None:
    machine(tmp_path, "1", "5")
    names = ("sys/fs/cgroup/bench/memory.events", "sys/fs/cgroup/memory/user/memory.oom_control", "proc/vmstat")
    assert oom_counters(4711, tmp_path) == dict(zip((str(tmp_path / name) for name in names), (1, 0, 5), strict=True))


def test_a_counter_that_rose_and_the_kernel_s_line_are_the_proof(tmp_path: Path) -> None:
    machine(tmp_path, "1", "5")
    before = oom_counters(4711, tmp_path)
    machine(tmp_path, "2", "6")
    line, group, host = oom_proof(4711, before, tmp_path)
    assert line.startswith("Out of memory: Killed process 4711 (qemu-system-x86)")
    assert group.endswith("memory.events: oom_kill 1 -> 2")
    assert host.endswith("vmstat: oom_kill 5 -> 6")


def test_without_a_counter_that_rose_the_kernel_s_line_is_one_of_an_earlier_process(tmp_path: Path) -> None:
    machine(tmp_path, "1", "5")
    assert oom_proof(4711, oom_counters(4711, tmp_path), tmp_path) == ()


def test_the_kernel_s_lines_on_other_processes_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "kmsg").write_text(KMSG)
    assert kernel_lines(471, tmp_path / "kmsg") == ()
    assert kernel_lines(4711, tmp_path / "nowhere") == ()


def test_this_machine_s_own_files_can_be_read() -> None:
    assert all(count >= 0 for count in oom_counters(os.getpid()).values())
    kernel_lines(1 << 30, Path("/dev/kmsg"))
