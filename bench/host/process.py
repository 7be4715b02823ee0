"""A process that never outlives its owner: a QEMU mostly."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from bench.errors import BenchError, HostError, LaunchError, TeardownError
from bench.format.folder import SERIAL, STDERR
from bench.host.usage import Usage, read_usage
from bench.host.vitals import State, oom_counters, oom_proof, read_state
from bench.system.children import family
from bench.system.family import signal_child

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

_TAIL_LINES = 6
_FILTERED = "2"
"""What ``/proc/PID/status`` calls SECCOMP_MODE_FILTER."""

STOP_S = 10.0
"""How long the kernel may take to end a process after SIGKILL, where nothing else was said."""

_WORDS_BYTES = 65_536
_NOT_EXECUTABLE = (errno.EACCES, errno.EPERM, errno.ENOEXEC)


class Starting(TypedDict, total=False):
    """How a process is started, where it is not as by itself; see :func:`launch`."""

    env: Mapping[str, str] | None
    grace_s: float
    stop_s: float
    qemu: bool
    cpus: frozenset[int]


class Process(ABC):
    """A process that was started, wherever it runs, with its standard error in a file.

    Attributes:
        name: what messages call it.
        pid: its process id.
        folder: its working directory.
        qemu: whether it is a QEMU, whose words and whose guest are looked at when it ends.
    """

    def __init__(self, name: str, pid: int, folder: Path, *, qemu: bool = True) -> None:
        self.name = name
        self.qemu = qemu
        self.pid = pid
        self.folder = folder
        self._given_up = False

    @property
    def stderr_path(self) -> Path:
        """Where its standard error goes."""
        return self.folder / STDERR

    @property
    def where(self) -> str:
        """What a person finds it by."""
        return f"process {self.pid}"

    def words(self) -> tuple[str, ...]:
        """Return the lines of its standard error, of a very long one the last."""
        return last_lines(self.stderr_path)

    def tail(self) -> tuple[str, ...]:
        """Return the last lines of its standard error."""
        return self.words()[-_TAIL_LINES:]

    @abstractmethod
    def alive(self) -> bool:
        """Return whether it has not ended, as far as is known."""

    @abstractmethod
    def state(self) -> State | None:
        """Return what state the kernel has it in; `None` when it is gone."""

    @abstractmethod
    def usage(self) -> Usage | None:
        """Return what it has used of its host so far; ``None`` when it has ended, or where that is not told."""

    @abstractmethod
    def kernel_says(self, name: str) -> str:
        """Return a file of its folder in ``/proc``; empty when it has ended, or where that is not told."""

    def maps(self) -> str:
        """Return the files mapped into it, as the kernel lists them; empty when it has ended."""
        return self.kernel_says("maps")

    @abstractmethod
    def cpus(self) -> frozenset[int]:
        """Return the CPUs that it may use; empty when it has ended."""

    def sandboxed(self) -> bool | None:
        """Return whether the kernel filters its system calls (seccomp); ``None`` where that is not told."""
        match = re.search(r"^Seccomp:\s*(\d)", self.kernel_says("status"), re.MULTILINE)
        return match[1] == _FILTERED if match else None

    @abstractmethod
    async def exited(self) -> int:
        """Wait until it has ended and return its exit status (negative: the signal).

        Raises:
            HostError: nobody can tell any more.
        """

    def panic(self) -> tuple[str, ...]:
        """Return what the guest's kernel said of its end, on its console; empty when it did not panic."""
        with suppress(OSError):
            return panicked((self.folder / SERIAL).read_text(errors="replace"))
        return ()

    @abstractmethod
    def oom_proof(self) -> tuple[str, ...]:
        """Return what shows that the kernel killed it for want of memory; empty when nothing does."""

    @abstractmethod
    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it has not ended."""

    def terminate(self) -> None:
        """Ask it to end; a hung QEMU ignores this."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def suspend(self) -> None:
        """Let it run no more, and stay: SIGKILL ends it even so."""
        self.send_signal(signal.SIGSTOP)

    async def stop(self, grace_s: float, deadline_s: float = STOP_S) -> None:
        """End it: politely first when a grace is given, with SIGKILL in any case.

        Raises:
            TeardownError: it is still there ``deadline_s`` after SIGKILL; said once, it is not waited for again.
        """
        if not self.alive() or self._given_up:
            return
        if grace_s > 0:
            self.terminate()
            if await self._ended_within(grace_s):
                return
        self.kill()
        if not await self._ended_within(deadline_s):
            self._given_up = True
            words = f"the {self.name} ({self.where}) did not end within {deadline_s:g} s of SIGKILL"
            raise TeardownError(words, hint=self._unending(), logs=(self.stderr_path,))

    async def _ended_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                with suppress(HostError):  # nobody can tell any more: the agent ends it
                    await self.exited()
            return True
        return False

    def _unending(self) -> str | None:
        """Return what to do when SIGKILL does not end it; ``None``: what is known of such."""
        return None


class Child(Process):
    """A running child of this process, in its own session."""

    def __init__(self, name: str, child: asyncio.subprocess.Process, folder: Path, *, qemu: bool = True) -> None:
        super().__init__(name, child.pid, folder, qemu=qemu)
        self._child = child
        self._oom_kills = oom_counters(child.pid)

    def alive(self) -> bool:
        """Return whether its end has not been seen."""
        return self._child.returncode is None

    def state(self) -> State | None:
        """Read it."""
        return read_state(self.pid) if self.alive() else None

    def usage(self) -> Usage | None:
        """Read it."""
        return read_usage(self.pid) if self.alive() else None

    def kernel_says(self, name: str) -> str:
        """Read it."""
        with suppress(OSError):
            return os.fsdecode(Path(f"/proc/{self.pid}/{name}").read_bytes())  # paths as ours are written
        return ""

    def cpus(self) -> frozenset[int]:
        """Ask the kernel."""
        with suppress(OSError):
            return frozenset(os.sched_getaffinity(self.pid))
        return frozenset()

    async def exited(self) -> int:
        """Wait for it."""
        return await self._child.wait()

    def oom_proof(self) -> tuple[str, ...]:
        """Look at what the kernel has counted since it was started."""
        return oom_proof(self.pid, self._oom_kills)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it, to this child and to no other that may have its number meanwhile."""
        signal_child(self._child, number)

    def _unending(self) -> str:
        return (
            f"it waits in the kernel, for a disk or a device mostly: see `ps -o stat,wchan {self.pid}` and `dmesg`; "
            "measure nothing else here while it is there"
        )


def panicked(console: str) -> tuple[str, ...]:
    """Return what a guest's kernel said of its end on its console; empty when it did not panic."""
    said = [line.strip() for line in console.splitlines() if "Oops: " in line or "Kernel panic" in line]
    return tuple(said) if any("Kernel panic" in line for line in said) else ()


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
async def stopped_after(process: Process, grace_s: float, stop_s: float) -> AsyncIterator[Process]:
    """Give a process for the length of the block; then it has ``grace_s`` to end, and after SIGKILL ``stop_s``.

    Raises:
        TeardownError: it cannot be ended.
    """
    failure: BaseException | None = None
    try:
        yield process
    except BaseException as error:
        failure = error
        raise
    finally:
        await stop_all((process,), failure, grace_s=grace_s, deadline_s=stop_s)


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
    with family(folder, env, cpus=cpus) as born:
        with (folder / STDERR).open("ab") as stderr:
            try:
                child = await asyncio.create_subprocess_exec(
                    *argv,
                    cwd=folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=stderr,
                    stderr=stderr,
                    start_new_session=True,
                    **born,
                )
            except OSError as error:
                raise start_error(argv[0], error, qemu=qemu) from error
        async with stopped_after(Child(name, child, folder, qemu=qemu), grace_s, stop_s) as process:
            yield process


def start_error(program: str, error: OSError, *, qemu: bool) -> BenchError:
    """Return the error of a program that cannot be started: not there, not to be run, or for want of memory."""
    if error.errno in (errno.ENOMEM, errno.EAGAIN):
        cause = "qemu-no-memory"
    elif not qemu:
        cause = "program-missing"
    else:
        cause = "qemu-not-executable" if error.errno in _NOT_EXECUTABLE else "qemu-missing"
    return LaunchError(f"cannot start {program}: {error.strerror}", cause=cause)
