"""Real child processes (`sleep`, `sh`): they must be gone whatever happens to their owner."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.errors import BenchError, GuestError, LaunchError, TeardownError
from bench.host.outlasting import unless_any_exited
from bench.host.process import Child, Process, launch, stop_all


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def forever() -> None:
    await asyncio.sleep(60)


def test_a_process_ends_with_its_block(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with launch("side", ("sleep", "60"), folder=tmp_path) as process:
            assert alive(process.pid)
            return process.pid

    assert not alive(asyncio.run(scenario()))


def test_a_process_ends_when_the_block_raises(tmp_path: Path) -> None:
    pids = []

    async def scenario() -> None:
        async with launch("side", ("sleep", "60"), folder=tmp_path) as process:
            pids.append(process.pid)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        asyncio.run(scenario())
    assert not alive(pids[0])


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    async def scenario() -> int:
        stubborn = ("sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done")
        async with launch("side", stubborn, folder=tmp_path, grace_s=0.2) as process:
            while not process.tail():
                await asyncio.sleep(0.01)
            return process.pid

    assert not alive(asyncio.run(scenario()))


class Stuck:
    """A child in uninterruptible sleep: no signal ends it."""

    pid = 4711
    returncode = None
    waits = 0

    async def wait(self) -> int:
        self.waits += 1
        await asyncio.sleep(60)
        return 0


def stuck(folder: Path) -> tuple[Process, Stuck]:
    child = Stuck()
    return Child("primary's QEMU", child, folder), child  # type: ignore[arg-type]


def test_a_process_that_no_signal_ends_is_given_up_and_said_to_be_there(tmp_path: Path) -> None:
    process, child = stuck(tmp_path)
    words = r"the primary's QEMU \(process 4711\) did not end within 0.01 s of SIGKILL"
    with pytest.raises(TeardownError, match=words) as caught:
        asyncio.run(process.stop(0, 0.01))
    assert (caught.value.phase, caught.value.transient) == ("teardown", False)
    asyncio.run(process.stop(0, 60))  # not waited for again
    assert child.waits == 1


def test_a_process_that_ends_by_itself_keeps_its_status_however_close_the_signal_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> set[int]:
        found = set()
        for n in range(60):
            async with launch("side", ("sh", "-c", "read _ </dev/null; exit 7"), folder=tmp_path) as process:
                await asyncio.sleep(n * 1e-4)
                process.kill()
                process.terminate()
                found.add(await process.exited())
        return found

    assert asyncio.run(scenario()) <= {7, -signal.SIGKILL}
    assert "Unknown child process" not in caplog.text


def test_processes_share_one_deadline(tmp_path: Path) -> None:
    under_way, seen = 0, 0

    class Slow(Stuck):
        async def wait(self) -> int:
            nonlocal under_way, seen
            under_way += 1
            seen = max(seen, under_way)
            try:
                return await super().wait()
            finally:
                under_way -= 1

    both = [Child("primary's QEMU", Slow(), tmp_path) for _ in range(2)]  # type: ignore[arg-type]
    with pytest.raises(TeardownError):
        asyncio.run(stop_all(both, None, deadline_s=0.5))
    assert seen == 2  # each is waited for while the other is


def test_what_had_failed_before_stays_the_failure_and_tells_of_the_process_too(tmp_path: Path) -> None:
    error = GuestError("panic")
    asyncio.run(stop_all([stuck(tmp_path)[0]], error, deadline_s=0.01))
    assert error.evidence == ("the primary's QEMU (process 4711) did not end within 0.01 s of SIGKILL",)


def test_an_early_end_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with launch(
            "primary's QEMU", ("sh", "-c", "echo unknown device >&2; exit 1"), folder=tmp_path
        ) as process:
            await unless_any_exited((process,), forever())

    with pytest.raises(LaunchError) as caught:
        asyncio.run(scenario())
    assert caught.value.message == "the primary's QEMU exited with status 1"
    assert caught.value.evidence == ("unknown device",)


def test_a_kill_from_outside_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with launch("secondary's QEMU", ("sleep", "60"), folder=tmp_path) as process:
            os.kill(process.pid, signal.SIGKILL)
            await unless_any_exited((process,), forever())

    with pytest.raises(LaunchError, match="was killed by SIGKILL") as caught:
        asyncio.run(scenario())
    assert caught.value.cause == "qemu-killed"


def test_the_work_wins_when_it_ends_first(tmp_path: Path) -> None:
    async def answer() -> int:
        return 42

    async def scenario() -> int:
        async with launch("side", ("sleep", "60"), folder=tmp_path) as process:
            return await unless_any_exited((process,), answer())

    assert asyncio.run(scenario()) == 42


def test_the_works_own_error_passes_through(tmp_path: Path) -> None:
    async def fail() -> None:
        raise GuestError("panic")

    async def scenario() -> None:
        async with launch("side", ("sleep", "60"), folder=tmp_path) as process:
            await unless_any_exited((process,), fail())

    with pytest.raises(BenchError, match="panic"):
        asyncio.run(scenario())


def test_a_guest_that_panicked_is_named_as_the_cause(tmp_path: Path) -> None:
    said = ("ready", "[ 7.1] Oops: int3: 0000", "[ 7.2] RIP: x", "[ 7.3] Kernel panic - not syncing")
    (tmp_path / "serial.log").write_text("\n".join(said))

    async def scenario() -> None:
        async with launch("secondary's QEMU", ("true",), folder=tmp_path) as process:
            await unless_any_exited((process,), forever())

    with pytest.raises(GuestError, match="the guest of the secondary's QEMU panicked") as caught:
        asyncio.run(scenario())
    assert caught.value.cause == "guest-panic"
    assert caught.value.evidence == (said[1], said[3])


def test_sigkill_of_the_owner_takes_its_children_along(tmp_path: Path) -> None:
    script = f"""
import asyncio
from pathlib import Path
from bench.host.process import launch
async def main():
    async with launch("side", ("sleep", "60"), folder=Path({str(tmp_path)!r})) as process:
        print(process.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    owner.stdout.close()
    give_up = time.monotonic() + 10
    while alive(child) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert not alive(child)
