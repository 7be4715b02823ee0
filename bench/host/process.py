"""A QEMU process that never outlives its owner."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import BenchError, LaunchError, TeardownError
from bench.format.folder import SERIAL, STDERR
from bench.host.ending import ended_error
from bench.host.vitals import State, oom_counters, oom_proof, read_state
from bench.system.environment import measured
from bench.system.family import end_family, signal_child
from bench.system.owner import end_with_owner, mark

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping

T = TypeVar("T")

_TAIL_LINES = 6
_DYING_S = 1.0
_FILTERED = "2"  # SECCOMP_MODE_FILTER
STOP_S = 10.0
"""How long the kernel may take to end a process after SIGKILL, where nothing else was said."""

_WORDS_BYTES = 65_536
_NOT_EXECUTABLE = (errno.EACCES, errno.EPERM, errno.ENOEXEC)


class Process:
    """A running child in its own session, with its standard error in a file.

    Attributes:
        name: what messages call it.
        pid: its process id.
        folder: its working directory.
        qemu: whether it is a QEMU, whose words and whose guest are looked at when it ends.
    """

    def __init__(self, name: str, child: asyncio.subprocess.Process, folder: Path, *, qemu: bool = True) -> None:
        self.name = name
        self.qemu = qemu
        self.pid = child.pid
        self.folder = folder
        self._child = child
        self._given_up = False
        self._oom_kills = oom_counters(child.pid)

    @property
    def stderr_path(self) -> Path:
        """Where its standard error goes."""
        return self.folder / STDERR

    def words(self) -> tuple[str, ...]:
        """Return the lines of its standard error, of a very long one the last."""
        return last_lines(self.stderr_path)

    def tail(self) -> tuple[str, ...]:
        """Return the last lines of its standard error."""
        return self.words()[-_TAIL_LINES:]

    def alive(self) -> bool:
        """Return whether it has not ended, as far as is known."""
        return self._child.returncode is None

    def state(self) -> State | None:
        """Return what state the kernel has it in; `None` when it is gone."""
        return read_state(self.pid) if self.alive() else None

    def maps(self) -> str:
        """Return the files mapped into it, as the kernel lists them; empty when it has ended."""
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/maps").read_text()
        return ""

    def cpus(self) -> frozenset[int]:
        """Return the CPUs that it may use; empty when it has ended."""
        with suppress(OSError):
            return frozenset(os.sched_getaffinity(self.pid))
        return frozenset()

    def sandboxed(self) -> bool | None:
        """Return whether the kernel filters its system calls (seccomp); ``None`` where that is not told."""
        with suppress(OSError):
            match = re.search(r"^Seccomp:\s*(\d)", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
            return match[1] == _FILTERED if match else None
        return None

    async def exited(self) -> int:
        """Wait until it has ended and return its exit status (negative: the signal)."""
        return await self._child.wait()

    async def unless_exited(self, work: Coroutine[None, None, T]) -> T:
        """Return what the work returns.

        Raises:
            LaunchError: the process ended first; the evidence is its last words.
        """
        return await unless_any_exited((self,), work)

    def panic(self) -> tuple[str, ...]:
        """Return what the guest's kernel said of its end, on its console; empty when it did not panic."""
        with suppress(OSError):
            lines = (self.folder / SERIAL).read_text(errors="replace").splitlines()
            said = [line.strip() for line in lines if "Oops: " in line or "Kernel panic" in line]
            return tuple(said) if any("Kernel panic" in line for line in said) else ()
        return ()

    def oom_proof(self) -> tuple[str, ...]:
        """Return what shows that the kernel killed it for want of memory; empty when nothing does."""
        return oom_proof(self.pid, self._oom_kills)

    def terminate(self) -> None:
        """Ask it to end; a hung QEMU ignores this."""
        signal_child(self._child, signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        signal_child(self._child, signal.SIGKILL)

    async def stop(self, grace_s: float, deadline_s: float = STOP_S) -> None:
        """End it: politely first when a grace is given, with SIGKILL in any case.

        Raises:
            TeardownError: it is still there ``deadline_s`` after SIGKILL; said once, it is not waited for again.
        """
        if self._child.returncode is not None or self._given_up:
            return
        if grace_s > 0:
            self.terminate()
            if await self._ended_within(grace_s):
                return
        self.kill()
        if not await self._ended_within(deadline_s):
            self._given_up = True
            raise TeardownError(
                f"the {self.name} (process {self.pid}) did not end within {deadline_s:g} s of SIGKILL",
                hint=f"it waits in the kernel, for a disk or a device mostly: see `ps -o stat,wchan {self.pid}` and "
                "`dmesg`; measure nothing else here while it is there",
                logs=(self.stderr_path,),
            )

    async def _ended_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._child.wait()
            return True
        return False


def last_lines(path: Path, count: int = 0) -> tuple[str, ...]:
    """Return the last lines of a log (of its last 64 KiB; all of these where no count is given); empty without one."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _WORDS_BYTES))
        return tuple(file.read().decode(errors="replace").splitlines()[-count:])
    return ()


async def stop_all(
    processes: Iterable[Process], failure: BaseException | None, *, grace_s: float = 0.0, deadline_s: float = STOP_S
) -> None:
    """End processes at the same time, even when cancelled meanwhile.

    Where something has failed already, that failure also tells of a process that could not be ended.

    Raises:
        TeardownError: nothing had failed, and a process could not be ended.
    """
    stopping = asyncio.gather(*(one.stop(grace_s, deadline_s) for one in processes), return_exceptions=True)
    for stuck in [one for one in await asyncio.shield(stopping) if one is not None]:
        if failure is None:
            raise stuck
        if isinstance(failure, BenchError):
            failure.evidence += (str(stuck).splitlines()[0],)
        failure.add_note(str(stuck))


@asynccontextmanager
async def launch(
    name: str,
    argv: tuple[str, ...],
    *,
    folder: Path,
    env: Mapping[str, str] | None = None,
    grace_s: float = 0.0,
    stop_s: float = STOP_S,
    qemu: bool = True,
    cpus: frozenset[int] = frozenset(),
) -> AsyncIterator[Process]:
    """Run a command in a folder until the block ends; then it has ``grace_s`` to end, and after SIGKILL ``stop_s``.

    The kernel kills the child when this process dies, so not even SIGKILL of the harness leaves it behind. It has a
    session of its own: Ctrl-C reaches the harness, which ends the pair in order. What the child itself has started and
    left is ended after it. Where ``cpus`` are given, it runs on those alone.

    Raises:
        LaunchError: the command cannot be started.
        TeardownError: it cannot be ended.
    """
    ours = mark(folder)
    with (folder / STDERR).open("ab") as stderr:
        try:
            child = await asyncio.create_subprocess_exec(
                *argv,
                cwd=folder,
                env=measured(ours, env or {}),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=end_with_owner(cpus),
            )
        except OSError as error:
            raise start_error(argv[0], error, qemu=qemu) from error
    process = Process(name, child, folder, qemu=qemu)
    failure: BaseException | None = None
    try:
        yield process
    except BaseException as error:
        failure = error
        raise
    finally:
        try:
            await stop_all((process,), failure, grace_s=grace_s, deadline_s=stop_s)
        finally:
            end_family(ours)


def start_error(program: str, error: OSError, *, qemu: bool) -> BenchError:
    """Return the error of a program that cannot be started: not there, not to be run, or for want of memory."""
    if error.errno in (errno.ENOMEM, errno.EAGAIN):
        cause = "qemu-no-memory"
    elif not qemu:
        cause = "program-missing"
    else:
        cause = "qemu-not-executable" if error.errno in _NOT_EXECUTABLE else "qemu-missing"
    return LaunchError(f"cannot start {program}: {error.strerror}", cause=cause)


async def unless_any_exited(processes: tuple[Process, ...], work: Coroutine[None, None, T]) -> T:
    """Return what the work returns, or raise how the first process ended if one ends before that.

    Raises:
        LaunchError: a process ended first.
    """
    task = asyncio.create_task(work)
    watchers = {asyncio.create_task(process.exited()): process for process in processes}
    everything: set[asyncio.Future[Any]] = {task, *watchers}
    try:
        await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not task.cancelled() and task.exception() is None:
            return task.result()
        # A dying QEMU closes its sockets before it can be waited for: its end explains the work's failure.
        ended, _ = await asyncio.wait(watchers, timeout=_DYING_S, return_when=asyncio.FIRST_COMPLETED)
        if ended:
            # Of two that ended, the one that was killed took the other along.
            first = min(ended, key=lambda watcher: watcher.result())
            raise ended_error(watchers[first], first.result(), processes) from await _outcome(task)
        return await task
    finally:
        await _end_all(everything)


async def _outcome(task: asyncio.Task[T]) -> BaseException | None:
    """Cancel the work and return the error it had, as the cause to keep."""
    await _end_all({task})
    outcome = None if task.cancelled() else task.exception()
    return outcome if isinstance(outcome, BenchError) else None


async def _end_all(tasks: set[asyncio.Future[Any]]) -> None:
    """Cancel until every task has ended: one that was just being answered can miss a single cancellation."""
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=1)
    for task in tasks:
        if not task.cancelled():
            task.exception()
