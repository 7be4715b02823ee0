"""A process on another host, as far as an agent there tells of it."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bench.errors import HostError
from bench.format.folder import SERIAL, STDERR
from bench.host.process import Process, panicked
from bench.host.vitals import State, parse_oom_kill
from bench.system.units import parse_cpus

if TYPE_CHECKING:
    import signal
    from pathlib import Path

    from bench.host.usage import Usage
    from bench.host.wire import Wire

_WORDS_BYTES = 65_536
_OOM = ("/proc/vmstat", "/sys/fs/cgroup/memory.events")


class FarProcess(Process):
    """A process that an agent has started; it ends with the agent at the latest.

    Its folder is the near one: what it writes there comes after it, second by second and at the end of the run.
    """

    def __init__(self, name: str, number: int, wire: Wire, folder: Path, far: str, *, qemu: bool) -> None:
        super().__init__(name, 0, folder, qemu=qemu)
        self.number = number
        self._wire = wire
        self._far = far
        self._state: State | None = None
        self._end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._last_words: bytes | None = None
        self._struck: dict[str, str] = {}

    @property
    def where(self) -> str:
        """What a person finds it by."""
        return f"process {self.pid} on the {self._wire.name}'s host"

    async def begun(self, pid: int) -> None:
        """Take note of its id, and of how often the kernel has killed for want of memory until now."""
        self.pid = pid
        with suppress(HostError, OSError):
            self._struck = (await self._wire.ask("texts", globs=list(_OOM))).value

    def seen(self, state: list[Any] | None) -> None:
        """Take note of its state, as the agent has it."""
        self._state = State(*state) if state else None

    def ended(self, status: int, words: bytes) -> None:
        """Take note of its end and its last words."""
        self._last_words = words
        if not self._end.done():
            self._end.set_result(status)

    def cut(self, error: HostError) -> None:
        """Take note that nobody will tell of its end any more."""
        if not self._end.done():
            self._end.set_exception(error)
            self._end.exception()

    def words(self) -> tuple[str, ...]:
        """Return the lines of its standard error, of a very long one the last; nothing where they cannot be had."""
        words = self._end_of(STDERR) if self._last_words is None else self._last_words.decode(errors="replace")
        return super().words() if words is None else tuple(words.splitlines())

    def _end_of(self, name: str) -> str | None:
        with suppress(HostError, OSError):
            got = self._wire.call("get", path=f"{self._far}/{name}", at=-_WORDS_BYTES, size=_WORDS_BYTES).data
            return got.decode(errors="replace")
        return None

    def alive(self) -> bool:
        """Return whether it has not ended, as far as is known."""
        return not self._end.done()

    def state(self) -> State | None:
        """Return the state that it was last seen in: a second ago, longer while its host rests."""
        return self._state if self.alive() else None

    def usage(self) -> Usage | None:
        """Return nothing: the agent is not asked for it."""
        return None

    def cpus(self) -> frozenset[int]:
        """Return the CPUs that it may use; empty when it has ended."""
        return allowed_cpus(self.kernel_says("status"))

    def kernel_says(self, name: str) -> str:
        """Have the agent read it."""
        path = f"/proc/{self.pid}/{name}"
        with suppress(HostError, OSError):
            return str(self._wire.call("texts", globs=[path]).value.get(path, ""))
        return ""

    async def exited(self) -> int:
        """Wait until it has ended and return its exit status (negative: the signal).

        Raises:
            HostError: the connection to its host is gone.
        """
        return await asyncio.shield(self._end)

    def panic(self) -> tuple[str, ...]:
        """Return what the guest's kernel said of its end, on its console; empty when it did not panic."""
        console = self._end_of(SERIAL)
        return super().panic() if console is None else panicked(console)

    def oom_proof(self) -> tuple[str, ...]:
        """Return what shows that the kernel killed it for want of memory; empty when nothing does."""
        with suppress(HostError, OSError):
            now = self._wire.call("texts", globs=list(_OOM)).value
            risen = tuple(
                f"{path}: oom_kill {before} -> {after}"
                for path in now
                if (before := parse_oom_kill(self._struck.get(path, "")) or 0)
                < (after := parse_oom_kill(now[path]) or 0)
            )
            return (*self._wire.call("killed", pid=self.pid).value[-1:], *risen) if risen else ()
        return ()

    def send_signal(self, number: signal.Signals) -> None:
        """Have the agent send it; where the connection is gone, the agent ends it when its lease has run out."""
        if self.alive():
            with suppress(HostError, OSError):
                self._wire.call("signal", proc=self.number, number=int(number))


def allowed_cpus(status: str) -> frozenset[int]:
    """Return the CPUs that a process may use, by its ``/proc/PID/status``; empty where that does not say."""
    listed = re.search(r"^Cpus_allowed_list:[ \t]*(\S+)$", status, re.MULTILINE)
    return frozenset(parse_cpus(listed[1])) if listed else frozenset()
