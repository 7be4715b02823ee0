"""The programs that a far host runs for us: processes of a block's length, and short commands."""

from __future__ import annotations

import logging
import shlex
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import HostError
from bench.format.folder import STDERR
from bench.host.command import COMMAND_S, late, printed
from bench.host.far_end import FarEnd
from bench.host.far_process import FarProcess, allowed_cpus
from bench.host.process import STOP_S, start_error, stopped_after
from bench.host.wire import LEASE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bench.host.far_end import Argv
    from bench.host.process import Process
    from bench.host.reach import Reach
    from bench.host.wire import Wire

_LOG = logging.getLogger(__name__)
_OWN_STATUS = "/proc/self/status"


class FarPrograms(FarEnd):
    """What is run there.

    Attributes:
        processes: those that were started, by their numbers.
    """

    def __init__(self, wire: Wire, reach: Reach) -> None:
        super().__init__(wire, reach)
        self.processes: dict[int, FarProcess] = {}
        self._modules: dict[str, str] = {}

    def module(self, name: str) -> Argv:
        """Return what runs a module of ours there, one that uses nothing but the standard library."""
        if name not in self._modules:
            source = Path(__file__).resolve().parents[2].joinpath(*name.split(".")).with_suffix(".py")
            far = f"{self.run_folder}/.{source.name}"
            self.wire.call("put", source.read_bytes(), path=far)
            self._modules[name] = far
        return (str(self.facts["executable"]), "-I", self._modules[name])

    @asynccontextmanager
    async def start(
        self,
        name: str,
        argv: Argv,
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        grace_s: float = 0.0,
        stop_s: float = STOP_S,
        qemu: bool = True,
        cpus: frozenset[int] = frozenset(),
    ) -> AsyncIterator[Process]:
        """Start a process that is gone when the block ends; see :func:`bench.host.process.launch`."""
        there = list(map(self.there, argv))
        _LOG.debug("start the %s on the %s's host: %s", name, self.name, shlex.join(there))
        await self._require_cpus(cpus)
        far = self.far(folder)
        process = FarProcess(name, self.number(), self.wire, folder, far, qemu=qemu)
        self.processes[process.number] = process
        try:
            reply = await self.wire.ask(
                "start",
                proc=process.number,
                argv=there,
                env={key: self.there(value) for key, value in (env or {}).items()},
                cwd=far,
                stderr=f"{far}/{STDERR}",
                cpus=sorted(cpus),
            )
        except OSError as error:
            raise start_error(there[0], error, qemu=qemu) from error
        await process.begun(int(reply.value))
        try:
            async with stopped_after(process, grace_s, stop_s):
                yield process
        finally:
            if not self.wire.lost:
                with suppress(HostError, OSError):
                    await self.wire.ask("family", proc=process.number)

    async def at_end(self, argv: Argv) -> None:
        """Have a short command run there when the agent goes, and by the next agent where it is killed.

        Raises:
            HostError: it cannot be written down there.
        """
        with self.writing("what is to be put back cannot be written down"):
            await self.wire.ask("at_end", argv=list(argv))

    async def _require_cpus(self, cpus: frozenset[int]) -> None:
        """Return when the host has the CPUs that a process is to be held to, of which the agent could only die."""
        if not cpus:
            return
        have = allowed_cpus((await self.wire.ask("texts", globs=[_OWN_STATUS])).value.get(_OWN_STATUS, ""))
        absent = ", ".join(map(str, sorted(cpus - have)))
        if absent:
            there = ", ".join(map(str, sorted(have)))
            words = f"tune.pinning.{self.name}: that host has no CPU {absent}; it has {there}"
            raise HostError(words, cause="tune-missing")

    async def run(
        self,
        argv: Argv,
        deadline_s: float = COMMAND_S,
        *,
        env: Mapping[str, str] | None = None,
        family: bool = False,
    ) -> str:
        """Run a short command and return what it printed; what it leaves goes with the agent at the latest.

        Raises:
            HostError: it failed or did not end in time; the evidence is what it said.
        """
        del family
        there = list(map(self.there, argv))
        command = " ".join(there)
        environment = {key: self.there(value) for key, value in (env or {}).items()}
        try:
            reply = await self.wire.ask(
                "run", argv=there, env=environment, deadline=deadline_s, deadline_s=deadline_s + LEASE_S
            )
        except OSError as error:
            words = f"`{command}` cannot be started on the {self.name}'s host: {error.strerror}"
            raise HostError(words, cause="command-failed") from error
        if reply.value["status"] is None:
            raise late(command, deadline_s)
        return printed(command, reply.value["status"], reply.data, reply.value["err"])
