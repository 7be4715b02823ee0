"""A machine with an agent of ours on it, at the other end of any command's standard input and output: ssh, srun, none.

The interface for whoever brings another transport::

    reach = Reach(("ssh", "n7"), python="/usr/bin/python3", workdir="~/.colo-bench")
    async with open_remotes({"primary": reach, "secondary": other}) as remotes:
        remotes["primary"]          # a Host (bench/host/host.py), for the length of the block

One connection, one session, one agent for each host, for one run. The agent's whole folder there is the run's and goes
at the end; files that a run's processes write in it follow to the near folder meanwhile, so that what had been written
before a link was cut is here.

Paths are those of this machine. A folder that was adopted (:meth:`Remote.adopt`) has a counterpart there, and so has
all that was provided (:meth:`Remote.provide`): wherever their paths stand in a command line, an environment or a call,
the far ones are put. Any other path is the far machine's own.

The methods of a host are in :mod:`bench.host.far_files`, :mod:`bench.host.far_machine` and
:mod:`bench.host.far_programs`; here is how an agent comes up, what comes from it unasked, and how it goes.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from bench.errors import HostError
from bench.host.far_files import FarFiles
from bench.host.far_machine import FarMachine
from bench.host.far_programs import FarPrograms
from bench.host.relay import Relay
from bench.host.shipping import ship
from bench.host.wire import LEASE_S, Wire

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

    from bench.host.reach import Reach

_BEAT_S = 1.0
_REST_S = 1.0
"""The most that an agent rests: it has to hear of an end in time, and its own lease goes on."""
_SYNC_BYTES = 4 << 20
_ARCHITECTURES = ("x86_64", "amd64")


class Remote(FarFiles, FarMachine, FarPrograms):
    """A host with an agent on it; see :class:`bench.host.far_end.FarEnd` for what it shares with its parts.

    Attributes:
        left: what a dead agent had left there and this one has removed, one line each.
        stamps: one for each beat: the wall clock here before it, there, and here after it, in Unix seconds.
    """

    def __init__(self, wire: Wire, reach: Reach) -> None:
        super().__init__(wire, reach)
        self.left: tuple[str, ...] = ()
        self.stamps: list[tuple[float, float, float]] = []
        self._sockets = ""
        self._relays: dict[int, Relay] = {}
        self._beating: asyncio.Task[None] | None = None
        self._rests_until = 0.0
        wire.on_event, wire.on_channel, wire.on_lost = self._told, self._relayed, self._cut

    @classmethod
    async def opened(cls, name: str, reach: Reach) -> Remote:
        """Bring an agent up and make its folder; :meth:`close` ends it, and has to be called.

        Raises:
            HostError: the host cannot be reached, or cannot run our programs.
        """
        wire = await Wire.open(name, reach)
        remote = cls(wire, reach)
        try:
            remote.facts = dict((await wire.ask("hello")).value)
            machine = str(remote.facts["machine"])
            if machine not in _ARCHITECTURES:
                words = f"the {name}'s host {reach.title} is {machine}: the guest and the fetched QEMU are x86_64's"
                raise HostError(words, cause="architecture")  # noqa: TRY301 - the agent is to be ended all the same
            with remote.writing(f"no folder could be made in {reach.workdir}"):
                made = (await wire.ask("open")).value
        except BaseException:
            await wire.close()
            raise
        remote.run_folder, remote._sockets, remote.left = made["run"], made["sockets"], tuple(made["left"])
        remote._beating = asyncio.create_task(remote._beat())
        return remote

    def adopt(self, folder: Path, *, sockets: bool = False) -> None:
        """Give a folder of this machine a counterpart there; what is written in it follows, but for ``sockets``.

        A folder for sockets has a short path, that fits into an address.
        """
        if sockets:
            far = self._sockets
        else:
            far = f"{self.run_folder}/{self.counterparts.followed(folder)}"
            with self.writing(f"{far} could not be made"):
                self.wire.call("mkdir", path=far, again=True)
        self.counterparts.know(str(folder), far)

    async def provide(self, paths: Iterable[Path]) -> None:
        """See to it that files and folders of this machine are there, each under its name and in place at once.

        The name is taken to tell the content, as that of everything in our cache does.

        Raises:
            HostError: they cannot be written there.
        """
        for path in dict.fromkeys(paths):
            if str(path) in self.counterparts:
                continue
            far = f"{self.facts['work']}/cache/{path.name}"
            await ship(self, path, far)
            self.counterparts.know(str(path), far)

    async def connect(self, path: Path) -> socket.socket:
        """Return one end of a pair of sockets whose other end the agent joins to a unix socket there."""
        number = self.number()
        relay = Relay(self.wire, number)
        self._relays[number] = relay
        try:
            await self.wire.ask("connect", path=self.far(path), number=number)
        except BaseException:
            self._relays.pop(number, None)
            relay.abandon()
            raise
        return relay.begin()

    async def rest(self, seconds: float, *, answered: bool = False) -> float:
        """Have the agent hear nobody but us for so long, a second at the most, and say nothing to it unasked meanwhile.

        Returns for how long that is.

        Args:
            seconds: how long, at the most.
            answered: not yet, but once what is said next over a connection has been answered.

        Raises:
            HostError: the connection is gone.
        """
        length_s = min(seconds, _REST_S)
        self._rests_until = time.monotonic() + length_s
        await self.wire.ask("rest", seconds=length_s, answered=answered)
        return length_s

    # What comes unasked.

    def _told(self, message: dict[str, Any], data: bytes) -> None:
        if message["event"] == "file":
            self.counterparts.keep(message["name"], message["at"], data)
            return
        process = self.processes.get(message["proc"])
        if process is None:
            return
        if message["event"] == "exit":
            process.ended(message["status"], data)
        else:
            process.seen(message["state"])

    def _relayed(self, number: int, data: bytes) -> None:
        relay = self._relays.get(number)
        if relay is not None:
            relay.take(data)

    def _cut(self, error: HostError) -> None:
        for process in self.processes.values():
            process.cut(error)
        for relay in self._relays.values():
            relay.take(b"")

    async def _beat(self) -> None:
        """Say every second that we are here, and take what is new."""
        with suppress(HostError, OSError):
            while True:
                await self._rested()
                before = time.time()
                try:
                    reply = await self.wire.ask("beat", deadline_s=LEASE_S)
                except HostError as error:
                    self.wire.lose(error.message)
                    return
                self.stamps.append((before, float(reply.value["t"]), time.time()))
                for number, state in reply.value["states"].items():
                    self.processes[int(number)].seen(state)
                await self._rested()  # a rest that has begun meanwhile: to read files takes CPU time
                if self.processes:
                    with suppress(OSError):
                        await self.wire.ask("sync", limit=_SYNC_BYTES)
                await asyncio.sleep(_BEAT_S)

    async def _rested(self) -> None:
        """Wait until the agent rests no more."""
        while (left := self._rests_until - time.monotonic()) > 0:
            await asyncio.sleep(left)

    async def collect(self) -> None:
        """Take all that is new in the run's folders; nothing more where the connection is gone."""
        with suppress(HostError, OSError):
            while not self.wire.lost and (await self.wire.ask("sync", limit=_SYNC_BYTES)).value:
                pass

    async def close(self) -> None:
        """Take what the run has written, and have the agent end everything and go."""
        if self._beating:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        await self.collect()
        for relay in self._relays.values():
            relay.close()
        await self.wire.close()


@asynccontextmanager
async def open_remotes(reaches: Mapping[str, Reach]) -> AsyncIterator[dict[str, Remote]]:
    """Provide hosts by the names of their nodes, reached at the same time, for the length of the block.

    Raises:
        HostError: one of them cannot be reached, or cannot run our programs: the first, in their order.
    """
    connecting = [asyncio.create_task(Remote.opened(name, reach)) for name, reach in reaches.items()]
    try:
        await asyncio.wait(connecting)
        yield {name: task.result() for name, task in zip(reaches, connecting, strict=True)}
    finally:
        ending = asyncio.gather(*map(_ended, connecting), return_exceptions=True)
        await _carried_out(ending)


async def _ended(connecting: asyncio.Task[Remote]) -> None:
    connecting.cancel()
    await asyncio.wait((connecting,))
    if not connecting.cancelled() and connecting.exception() is None:
        await connecting.result().close()


async def _carried_out(work: asyncio.Future[Any]) -> None:
    """Wait for work that an interrupt must not cut short, and pass the interrupt on afterwards."""
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait((work,))
        raise
