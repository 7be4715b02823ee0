"""A host: processes, commands, files, ports, state and clock of one machine, behind one small interface.

Whatever a run does outside of this process passes through it. ``Here`` is this machine, or a network namespace of it; a
machine that is reached by a program of ours over its standard input and output is another class of these methods.
"""

from __future__ import annotations

import itertools
import logging
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from bench.host.clock import SAME_CLOCK
from bench.host.command import COMMAND_S, run
from bench.host.ports import PORTS, is_free, sampled_ports
from bench.host.process import launch
from bench.host.snapshot import take_snapshot
from bench.system.files import has_locks, require_room, write_atomic
from bench.system.sockets import unix_connect

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import Unpack

    from bench.host.clock import Offset
    from bench.host.process import Process, Starting
    from bench.host.remote import Remote
    from bench.host.snapshot import Snapshot

Argv = tuple[str, ...]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Here:
    """This machine.

    Attributes:
        enter: what enters a network namespace of it and becomes the command, whose process is ours; empty in our own.
    """

    enter: Argv = ()

    def there(self, text: str) -> str:
        """Return it as it is."""
        return text

    def command(self, argv: Argv) -> Argv:
        """Return the argv, behind what enters the namespace."""
        return (*self.enter, *argv)

    def adopt(self, folder: Path, *, sockets: bool = False) -> None:
        """Do nothing: it is here."""

    async def provide(self, paths: Iterable[Path]) -> None:
        """Do nothing: they are here."""

    def module(self, name: str) -> Argv:
        """Return this interpreter, which finds the module where this process does."""
        return (sys.executable, "-P", "-m", name)

    def start(
        self, name: str, argv: Argv, folder: Path, **how: Unpack[Starting]
    ) -> AbstractAsyncContextManager[Process]:
        """Start a process that is gone when the block ends; see :func:`bench.host.process.launch`."""
        _LOG.debug("start the %s in %s: %s", name, folder, shlex.join(self.command(argv)))
        return launch(name, self.command(argv), folder=folder, **how)

    async def run(
        self,
        argv: Argv,
        deadline_s: float = COMMAND_S,
        *,
        env: Mapping[str, str] | None = None,
        family: bool = False,
    ) -> str:
        """Run a short command and return what it printed; where ``family``, end what it leaves behind.

        Raises:
            HostError: it failed or did not end in time; the evidence is what it said.
        """
        _LOG.debug("run %s", shlex.join(self.command(argv)))
        return await run(self.command(argv), deadline_s, env=env, family=family)

    async def connect(self, path: Path) -> socket.socket:
        """Connect to a socket file, which a network namespace does not hide."""
        return unix_connect(path)

    def make_folder(self, path: Path) -> None:
        """Make the folder."""
        path.mkdir(mode=0o700)

    def put(self, path: Path, content: str | bytes) -> None:
        """Write the file."""
        write_atomic(path, content)

    def get(self, path: Path) -> bytes:
        """Read the file."""
        return path.read_bytes()

    def remove(self, path: Path) -> None:
        """Remove the file if it is there."""
        with suppress(FileNotFoundError):
            path.unlink()

    def free_ports(self, addresses: Sequence[str], count: int) -> tuple[int, ...]:
        """Return ports that could be bound a moment ago; in a namespace, which is new and ours alone, any.

        They lie below those that the kernel hands out, so that no outgoing connection takes one before QEMU does.
        """
        candidates = sampled_ports(len(PORTS))
        free = (port for port in candidates if self.enter or all(is_free(address, port) for address in addresses))
        return tuple(itertools.islice(free, count))

    def has_locks(self, folder: Path) -> bool:
        """Try it."""
        return has_locks(folder)

    def require_room(self, folder: Path) -> None:
        """Ask the file system."""
        require_room(folder)

    async def rest(self, seconds: float, *, answered: bool = False) -> float:
        """Do nothing: nobody relays."""
        del seconds, answered
        return 0.0

    def snapshot(self) -> Snapshot:
        """Read ``/proc`` and ``/sys``."""
        return take_snapshot()

    async def clock_offset(self) -> Offset:
        """Return none: it is the clock of this process."""
        return SAME_CLOCK


HERE = Here()

Host: TypeAlias = "Here | Remote"
"""A machine that a part of the pair runs on: either has the same methods.

Paths are this machine's; where another host has a counterpart of one, its methods go by that.
"""
