"""Real processes: what carries our mark is ended with what started it, and a decoy that looks like it is not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.errors import GuestError
from bench.host.command import run
from bench.host.process import launch
from bench.provision import commands
from bench.provision.boot import booted
from bench.system.family import end, end_family, marked, read_mark
from bench.system.owner import VARIABLE, Owner, is_gone, mark, parse_owner, pid_namespace, start_ticks, this_process

DAEMON = """
import os, sys
if os.fork() == 0:
    os.setsid()  # a session of its own, and soon nobody's child: no signal to a group or a parent reaches it
    if os.fork() == 0:
        print(os.getpid(), file=open("daemon", "w"), flush=True)
        import time
        time.sleep(60)
    os._exit(0)
import time
time.sleep(60)
"""


def alive(pid: int) -> bool:
    return start_ticks(pid) is not None


def wait_for(path: Path) -> int:
    give_up = time.monotonic() + 20
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return int(path.read_text())


@contextmanager
def sleeper(**variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A decoy: a `sleep` under a name that looks like QEMU's, with the environment that the test gives it."""
    process = subprocess.Popen(
        ["qemu-system-x86_64", "60"], executable="/bin/sleep", env={**os.environ, **variables}, start_new_session=True
    )
    try:
        give_up = time.monotonic() + 10
        comm = Path(f"/proc/{process.pid}/comm")
        while comm.read_text().strip() != "sleep":  # until then it is a copy of this process
            assert time.monotonic() < give_up
            time.sleep(0.005)
        yield process
    finally:
        process.kill()
        process.wait()


def gone() -> Owner:
    with subprocess.Popen(["true"]) as process:
        started = start_ticks(process.pid) or 1
    return Owner(process.pid, started, this_process().namespace)


def test_an_owner_is_written_and_read_and_nothing_else_is_one() -> None:
    us = this_process()
    assert parse_owner(str(us)) == us
    assert us.started > 0
    assert us.namespace == Path("/proc/self/ns/pid").stat().st_ino
    for text in ("", "1-2", "0-1-2", "1-2-3-4", "1-2-x", f"{us} "):
        assert parse_owner(text) is None


def test_who_lives_is_not_gone_and_a_number_used_again_is_another() -> None:
    us = this_process()
    assert not is_gone(us)
    assert is_gone(Owner(us.pid, us.started + 1, us.namespace))
    assert is_gone(gone())


def test_of_an_owner_in_another_container_nothing_is_known() -> None:
    assert not is_gone(Owner(1, 1, this_process().namespace + 1))


def test_a_process_that_is_not_there_has_no_start() -> None:
    assert start_ticks(1 << 30) is None
    assert pid_namespace(1 << 30) is None


def test_a_mark_is_read_from_an_environment_with_any_folder() -> None:
    owner = Owner(5, 6, 7)
    found = read_mark(9, b"A=B\0" + f"{VARIABLE}={owner}:3:/a b:c/=x\0".encode() + b"C=D")
    assert found is not None
    assert (found.pid, found.owner, found.folder, found.mark) == (9, owner, "/a b:c/=x", f"{owner}:3:/a b:c/=x")
    for other in (b"", b"A=B", f"X{VARIABLE}={owner}:/".encode(), f"{VARIABLE}=5:/".encode()):
        assert read_mark(9, other) is None


def test_what_a_child_has_started_and_left_ends_with_it(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with launch("side", (sys.executable, "-c", DAEMON), folder=tmp_path):
            while not (tmp_path / "daemon").exists():
                await asyncio.sleep(0.01)
            daemon = wait_for(tmp_path / "daemon")
            assert alive(daemon)
            return daemon

    assert not alive(asyncio.run(scenario()))


def test_ending_one_family_leaves_the_other_one_and_a_decoy(tmp_path: Path) -> None:
    first, second = mark(tmp_path / "a"), mark(tmp_path / "b")
    with sleeper(**{VARIABLE: first}) as ours, sleeper(**{VARIABLE: second}) as other, sleeper() as decoy:
        assert [one.pid for one in end_family(first)] == [ours.pid]
        ours.wait(5)
        assert alive(other.pid)
        assert alive(decoy.pid)


@pytest.mark.orphan
def test_only_what_a_dead_owner_left_is_an_orphan(tmp_path: Path) -> None:
    dead = f"{gone()}:1:{tmp_path}"
    elsewhere = f"{Owner(gone().pid, 1, this_process().namespace + 1)}:1:{tmp_path}"
    with (
        sleeper(**{VARIABLE: dead}) as orphan,
        sleeper(**{VARIABLE: mark(tmp_path)}) as live,
        sleeper(**{VARIABLE: elsewhere}) as container,
        sleeper(**{VARIABLE: "4711"}) as garbled,
        sleeper() as decoy,
    ):
        ended = end(lambda one: is_gone(one.owner) and one.folder == str(tmp_path))
        assert [one.pid for one in ended] == [orphan.pid]
        orphan.wait(5)
        for one in (live, container, garbled, decoy):
            assert alive(one.pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="starting a process as another user needs root")
def test_another_users_process_is_never_ours(tmp_path: Path) -> None:
    argv = ["setpriv", "--reuid=65534", "--clear-groups", "sleep", "60"]
    with subprocess.Popen(argv, env={**os.environ, VARIABLE: f"{gone()}:1:{tmp_path}"}) as theirs:
        try:
            give_up = time.monotonic() + 10
            while Path(f"/proc/{theirs.pid}").stat().st_uid != 65534:
                assert time.monotonic() < give_up
                time.sleep(0.005)
            assert theirs.pid not in {one.pid for one in marked()}
            assert end(lambda one: one.folder == str(tmp_path)) == []
            assert alive(theirs.pid)
        finally:
            theirs.kill()


@pytest.mark.orphan
def test_this_process_is_never_among_its_own(tmp_path: Path) -> None:
    script = (
        "import os; from bench.system.family import marked; from bench.system.owner import parse_owner; "
        "print(os.getpid() in {one.pid for one in marked()})"
    )
    env = {**os.environ, VARIABLE: f"{gone()}:1:{tmp_path}"}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_two_children_that_work_in_one_folder_are_two_families(tmp_path: Path) -> None:
    first, second = mark(tmp_path), mark(tmp_path)
    with sleeper(**{VARIABLE: first}) as ours, sleeper(**{VARIABLE: second}) as other:
        assert [one.pid for one in end_family(first)] == [ours.pid]
        assert alive(other.pid)


def by_commands(argv: list[str], folder: Path) -> None:
    commands.run(argv, deadline_s=20, cwd=folder)


def by_host(argv: list[str], folder: Path) -> None:
    del folder
    asyncio.run(run(tuple(argv), family=True))


def by_boot(argv: list[str], folder: Path) -> None:
    del folder
    with pytest.raises(GuestError), booted(argv, (), 20):
        pass


@pytest.mark.parametrize("start", [by_commands, by_host, by_boot])
def test_whatever_starts_a_program_of_ours_ends_what_that_has_left(
    start: Callable[[list[str], Path], None], tmp_path: Path
) -> None:
    # It leaves a process of a session of its own, as a wrapper script without `exec` leaves its QEMU, and ends.
    script = (
        f"import os, subprocess, sys, time\nos.chdir({str(tmp_path)!r})\n"
        'subprocess.Popen([sys.executable, \'-c\', \'import os, time; open("daemon", "w").write(str(os.getpid())); '
        "time.sleep(60)'], start_new_session=True, stdin=-3, stdout=-3, stderr=-3)\n"
        "while not os.path.exists('daemon') or not open('daemon').read(): time.sleep(0.01)\n"
    )
    start([sys.executable, "-c", script], tmp_path)
    assert not alive(wait_for(tmp_path / "daemon"))
