"""Where a process runs: the one small interface behind which remote hosts will come.

``local``: both sides on this machine's loopback. ``netns``: each side in a network namespace of its own, joined by a
veth pair, as two hosts would be. A namespace here has no name: it lives as long as the process that holds it, so that
nothing can be left behind.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import shutil
import socket
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench.errors import HostError, LaunchError
from bench.failures.words import diagnose
from bench.owner import VARIABLE, mark
from bench.pair.process import Process, launch
from bench.pair.spec import LOOPBACK, NETNS_PRIMARY, NETNS_SECONDARY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.config import model

_COMMAND_DEADLINE_S = 60.0
_CHANCE = random.SystemRandom()
_PORTS = range(20000, 32000)
_POLL_S = 0.01
_TBF_LATENCY = "50ms"
_TBF_BURST_S = 0.004
_TBF_BURST_MIN_BYTES = 32 * 1024


class Host(Protocol):
    """A place where one side's processes run."""

    @property
    def address(self) -> str:
        """Where the other side reaches it."""

    def command(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Return the argv that runs ``argv`` on this host."""

    def free_ports(self, count: int) -> tuple[int, ...]:
        """Return TCP ports that are free on this host now."""


@dataclass(frozen=True)
class LocalHost:
    """This machine, on its loopback address."""

    address: str = LOOPBACK

    def command(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Return the argv itself."""
        return argv

    def free_ports(self, count: int) -> tuple[int, ...]:
        """Return ports that could be bound a moment ago, all different.

        They lie below those that the kernel hands out, so that no outgoing connection takes one before QEMU does.
        """
        candidates = _CHANCE.sample(_PORTS, len(_PORTS))
        return tuple(itertools.islice((port for port in candidates if self._is_free(port)), count))

    def _is_free(self, port: int) -> bool:
        with socket.socket() as sock:
            try:
                sock.bind((self.address, port))
            except OSError:
                return False
        return True


@dataclass(frozen=True)
class NetnsHost:
    """A network namespace held open by a process of ours."""

    holder_pid: int
    address: str

    def command(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Return the argv that enters the namespace first."""
        return ("nsenter", f"--net=/proc/{self.holder_pid}/ns/net", "--", *argv)

    def free_ports(self, count: int) -> tuple[int, ...]:
        """Return ports chosen at random: the namespace is new and ours alone."""
        return tuple(_CHANCE.sample(_PORTS, count))


@dataclass(frozen=True)
class Hosts:
    """The two hosts of a pair, and the processes that hold them open, if any do."""

    primary: Host
    secondary: Host
    holders: tuple[Process, ...] = ()


@asynccontextmanager
async def open_hosts(host: model.Host, link: model.Link, folder: Path) -> AsyncIterator[Hosts]:
    """Provide the two hosts for the length of the block.

    Raises:
        HostError: a privilege, a tool or a kernel feature is missing; the message names it.
    """
    if host.kind == "local":
        yield Hosts(LocalHost(), LocalHost())
        return
    require_netns_privilege()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(_namespace("primary", folder))
        second = await stack.enter_async_context(_namespace("secondary", folder))
        hosts = NetnsHost(first.pid, NETNS_PRIMARY), NetnsHost(second.pid, NETNS_SECONDARY)
        await _join(*hosts)
        for end in hosts:
            await _shape(end, link)
        yield Hosts(*hosts, holders=(first, second))


def require_netns_privilege() -> None:
    """Check that namespaces can be made here.

    Raises:
        HostError: not root, or the tools are missing.
    """
    if os.geteuid() != 0:
        raise HostError(
            "host=netns needs root: it makes network namespaces and a veth pair",
            cause="privilege-missing",
            hint=f"run it as root (sudo {sys.executable} -m bench ...), or use host=local",
        )
    for tool in ("ip", "tc", "nsenter", "unshare"):
        if shutil.which(tool) is None:
            raise HostError(
                f"host=netns needs `{tool}`", cause="tool-missing", hint="apt-get install iproute2 util-linux"
            )


async def _entered(pid: int) -> None:
    """Wait until a process has left our network namespace."""
    own = _netns_inode("self")
    async with asyncio.timeout(_COMMAND_DEADLINE_S):
        while _netns_inode(pid) in {own, None}:
            await asyncio.sleep(_POLL_S)  # the kernel tells nobody when a process changes its namespace


def _netns_inode(pid: int | str) -> int | None:
    with suppress(OSError):
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    return None


@asynccontextmanager
async def _namespace(side: str, folder: Path) -> AsyncIterator[Process]:
    home = folder / f"{side}-netns"
    home.mkdir(mode=0o700, exist_ok=True)
    sleeper = ("unshare", "--net", "--", "sleep", "infinity")
    async with launch(f"{side} namespace", sleeper, folder=home, qemu=False) as holder:
        try:
            await holder.unless_exited(_entered(holder.pid))
        except (LaunchError, TimeoutError) as error:
            hint = "it needs CAP_SYS_ADMIN, which some containers do not give to root; use host=local there"
            words = "the network namespace did not come up"
            raise HostError(words, cause="netns-failed", hint=hint, evidence=holder.tail()) from error
        yield holder
    (home / "stderr.log").unlink(missing_ok=True)
    home.rmdir()


async def _join(first: NetnsHost, second: NetnsHost) -> None:
    """Join two namespaces by a veth pair whose ends never exist in ours."""
    await run(
        first.command(
            ("ip", "link", "add", "colo0", "type", "veth", "peer", "name", "colo0", "netns", str(second.holder_pid))
        )
    )
    for end in (first, second):
        await run(end.command(("ip", "link", "set", "lo", "up")))
        await run(end.command(("ip", "addr", "add", f"{end.address}/24", "dev", "colo0")))
        await run(end.command(("ip", "link", "set", "colo0", "up")))


async def _shape(host: NetnsHost, link: model.Link) -> None:
    """Give the sending direction of one end its bandwidth, delay and loss."""
    if link.quickack:
        route = (
            "ip",
            "route",
            "change",
            "192.0.2.0/24",
            "dev",
            "colo0",
            "scope",
            "link",
            "src",
            host.address,
            "quickack",
            "1",
        )
        await run(host.command(route))
    parent: tuple[str, ...] = ("root", "handle", "1:")
    if link.delay or link.loss_percent:
        await _netem(host, link)
        parent = ("parent", "1:", "handle", "2:")
    if link.bandwidth:
        burst = max(_TBF_BURST_MIN_BYTES, round(link.bandwidth / 8 * _TBF_BURST_S))
        rate = ("tbf", "rate", f"{link.bandwidth}bit", "burst", str(burst), "latency", _TBF_LATENCY)
        try:
            await run(host.command(("tc", "qdisc", "add", "dev", "colo0", *parent, *rate)))
        except HostError as error:
            hint = "modprobe sch_tbf, or leave link.bandwidth out"
            raise HostError(
                "link.bandwidth was refused", cause="tbf-refused", hint=hint, evidence=error.evidence
            ) from error


async def _netem(host: NetnsHost, link: model.Link) -> None:
    options: tuple[str, ...] = ()
    options += ("delay", f"{round((link.delay or 0) * 1e6)}us") if link.delay else ()
    options += ("loss", f"{link.loss_percent}%") if link.loss_percent else ()
    try:
        await run(host.command(("tc", "qdisc", "add", "dev", "colo0", "root", "handle", "1:", "netem", *options)))
    except HostError as error:
        raise HostError(
            "link.delay and link.loss_percent need the kernel's netem, which this kernel does not have",
            cause="netem-missing",
            hint="modprobe sch_netem, or install the kernel's extra modules; bandwidth and quickack work without",
            evidence=error.evidence,
        ) from error


async def run(argv: tuple[str, ...], deadline_s: float = _COMMAND_DEADLINE_S) -> str:
    """Run a short command and return what it printed.

    Raises:
        HostError: it failed or did not end in time; the evidence is what it said.
    """
    command = " ".join(argv)
    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, VARIABLE: mark(Path("/"))},
        )
    except OSError as error:
        raise HostError(f"`{command}` cannot be started: {error.strerror}", cause="command-failed") from error
    try:
        async with asyncio.timeout(deadline_s):
            out, err = await child.communicate()
    except TimeoutError as error:
        raise HostError(f"`{command}` took longer than {deadline_s:g} s", cause="command-slow") from error
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode:
        said = tuple(err.decode(errors="replace").splitlines())
        known = diagnose(said)
        raise HostError(f"`{command}` failed", cause=known.cause if known else "command-failed", evidence=said)
    return out.decode(errors="replace")
