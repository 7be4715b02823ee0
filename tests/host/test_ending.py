"""Why a process ended, of real children that say what QEMU says."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from pathlib import Path

import pytest

from bench.errors import BenchError, LaunchError
from bench.host import process as module
from bench.host.ending import how_ended
from bench.host.outlasting import unless_any_exited
from bench.host.process import last_lines, launch, start_error

MISMATCH = "qemu-system-x86_64: Size mismatch: pc.ram: 0x40000000 != 0x20000000: Invalid argument"


async def forever() -> None:
    await asyncio.sleep(60)


def saying(line: str, status: int = 1) -> tuple[str, ...]:
    return ("sh", "-c", f'echo "{line}" >&2; exit {status}')


def failure_of(folder: Path, argv: tuple[str, ...], *, qemu: bool = True) -> BenchError:
    async def scenario() -> None:
        async with launch("primary's QEMU", argv, folder=folder, qemu=qemu) as process:
            await unless_any_exited((process,), forever())

    with pytest.raises(BenchError) as caught:
        asyncio.run(scenario())
    return caught.value


def killed(folder: Path) -> BenchError:
    async def scenario() -> None:
        async with launch("primary's QEMU", ("sleep", "60"), folder=folder) as process:
            os.kill(process.pid, signal.SIGKILL)
            await unless_any_exited((process,), forever())

    with pytest.raises(LaunchError) as caught:
        asyncio.run(scenario())
    return caught.value


@pytest.mark.parametrize(
    ("cause", "line", "transient"),
    [
        ("port-taken", "qemu: Failed to bind socket: Address already in use", True),
        ("qemu-no-memory", "qemu: cannot set up guest memory 'pc.ram': Cannot allocate memory", False),
        ("unknown-device", "qemu: -device nope: 'nope' is not a valid device model name", False),
        ("sides-differ", MISMATCH, False),
    ],
)
def test_a_qemu_that_ends_is_known_by_its_words(tmp_path: Path, cause: str, line: str, transient: bool) -> None:  # noqa: FBT001
    error = failure_of(tmp_path, saying(line))
    assert (error.cause, error.transient, error.evidence) == (cause, transient, (line,))
    assert error.logs == (tmp_path / "stderr.log",)
    assert error.message.startswith("the primary's QEMU exited with status 1: ")


def test_words_that_say_nothing_known_are_shown_as_they_are(tmp_path: Path) -> None:
    error = failure_of(tmp_path, saying("qemu: oh no"))
    assert (error.cause, error.evidence) == ("qemu-exited", ("qemu: oh no",))


def test_a_side_that_says_nothing_is_explained_by_its_peer(tmp_path: Path) -> None:
    for name in ("primary", "secondary"):
        (tmp_path / name).mkdir()

    async def scenario() -> None:
        talker = ("sh", "-c", f'echo "{MISMATCH}" >&2; sleep 60')
        async with (
            launch("secondary's QEMU", talker, folder=tmp_path / "secondary") as secondary,
            launch("primary's QEMU", ("sh", "-c", "sleep 0.3; exit 1"), folder=tmp_path / "primary") as primary,
        ):
            await unless_any_exited((primary, secondary), forever())

    with pytest.raises(LaunchError) as caught:
        asyncio.run(scenario())
    assert (caught.value.cause, caught.value.evidence) == ("sides-differ", (MISMATCH,))
    assert caught.value.logs == (tmp_path / "secondary" / "stderr.log",)


def test_of_two_that_ended_the_killed_one_is_named(tmp_path: Path) -> None:
    for name in ("primary", "secondary"):
        (tmp_path / name).mkdir()

    async def scenario() -> None:
        async with (
            launch("primary's QEMU", ("sh", "-c", "exit 1"), folder=tmp_path / "primary") as primary,
            launch("secondary's QEMU", ("sleep", "60"), folder=tmp_path / "secondary") as secondary,
        ):
            secondary.kill()
            await asyncio.gather(primary.exited(), secondary.exited())
            await unless_any_exited((primary, secondary), forever())

    with pytest.raises(LaunchError, match="the secondary's QEMU was killed by SIGKILL"):
        asyncio.run(scenario())


def test_a_kill_that_the_kernel_counted_is_one_for_want_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = tmp_path / "memory.events"
    events.write_text("oom_kill 3\n")
    monkeypatch.setattr(module, "oom_counters", lambda _pid: {str(events): 2})
    error = killed(tmp_path)
    assert (error.cause, error.transient) == ("qemu-oom-killed", False)
    assert error.message == "the kernel killed the primary's QEMU: out of memory"
    assert f"{events}: oom_kill 2 -> 3" in error.evidence
    assert "smaller mem=" in error.hint


def test_a_kill_that_the_kernel_did_not_count_is_somebody_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = tmp_path / "memory.events"
    events.write_text("oom_kill 3\n")
    monkeypatch.setattr(module, "oom_counters", lambda _pid: {str(events): 3})
    assert killed(tmp_path).cause == "qemu-killed"


def test_a_program_that_is_no_qemu_is_not_called_one(tmp_path: Path) -> None:
    error = failure_of(tmp_path, saying("Address already in use"), qemu=False)
    assert (error.cause, error.evidence) == ("program-exited", ("Address already in use",))


def test_statuses_are_told_in_words() -> None:
    assert how_ended(3) == "exited with status 3"
    assert how_ended(-signal.SIGSEGV) == "was killed by SIGSEGV"
    assert how_ended(-45) == "was killed by signal 45"


@pytest.mark.parametrize(
    ("number", "qemu", "cause"),
    [
        (errno.ENOENT, True, "qemu-missing"),
        (errno.EACCES, True, "qemu-not-executable"),
        (errno.ENOEXEC, True, "qemu-not-executable"),
        (errno.ENOMEM, True, "qemu-no-memory"),
        (errno.ENOENT, False, "program-missing"),
    ],
)
def test_a_program_that_cannot_be_started_says_why(number: int, qemu: bool, cause: str) -> None:  # noqa: FBT001
    error = start_error("/x/qemu", OSError(number, os.strerror(number)), qemu=qemu)
    assert (error.cause, error.transient) == (cause, False)
    assert error.message == f"cannot start /x/qemu: {os.strerror(number)}"


def test_a_binary_that_vanished_or_may_not_be_run_is_named_when_it_is_started(tmp_path: Path) -> None:
    (tmp_path / "qemu").write_text("x")
    assert failure_of(tmp_path, (str(tmp_path / "qemu"),)).cause == "qemu-not-executable"
    assert failure_of(tmp_path, (str(tmp_path / "none"),)).cause == "qemu-missing"


def test_of_a_very_long_log_the_last_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"line {n}\n" for n in range(20_000)))
    assert last_lines(tmp_path / "log", 2) == ("line 19998", "line 19999")
    assert len(last_lines(tmp_path / "log")) > 1000
    assert last_lines(tmp_path / "none") == ()
