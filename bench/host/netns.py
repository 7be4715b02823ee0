"""Network namespaces joined by a virtual cable.

A namespace here has no name: it lives as long as the process that holds it, so that nothing can be left behind.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_interface
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import HostError, LaunchError
from bench.format.folder import STDERR
from bench.host.outlasting import unless_any_exited
from bench.host.process import Process, launch
from bench.system.software import install_hint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bench.config.links import ClientLink, Link
    from bench.host.host import Host

_COMES_UP_S = 60.0
INTERFACE = "colo0"
"""The end of the cable in each namespace."""

TOOLS = ("ip and tc (iproute2), nsenter and unshare (util-linux)", "iproute2 util-linux")
"""What is needed, in words and as Debian calls its packages."""

_POLL_S = 0.01
_TBF_LATENCY = "50ms"
_TBF_BURST_S = 0.004
_TBF_BURST_MIN_BYTES = 32 * 1024


def entering(holder_pid: int) -> tuple[str, ...]:
    """Return what enters the network namespace of a process that holds it open."""
    return ("nsenter", f"--net=/proc/{holder_pid}/ns/net", "--")


def require_netns_privilege(kind: str = "netns") -> None:
    """Check that namespaces can be made here, for hosts of that kind.

    Raises:
        HostError: not root, or the tools are missing.
    """
    if os.geteuid() != 0:
        raise HostError(
            f"host={kind} needs root: it makes network namespaces and a veth pair",
            cause="privilege-missing",
            hint=f"run it as root (sudo {sys.executable} -m bench ...), or use host=local",
        )
    for tool in ("ip", "tc", "nsenter", "unshare"):
        if shutil.which(tool) is None:
            hint = install_hint(*TOOLS)
            raise HostError(f"host={kind} needs `{tool}`", cause="tool-missing", hint=hint)


async def _entered(pid: int) -> None:
    """Wait until a process has left our network namespace."""
    own = _netns_inode("self")
    async with asyncio.timeout(_COMES_UP_S):
        while _netns_inode(pid) in {own, None}:
            await asyncio.sleep(_POLL_S)  # the kernel tells nobody when a process changes its namespace


def _netns_inode(pid: int | str) -> int | None:
    with suppress(OSError):
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    return None


@asynccontextmanager
async def namespace(side: str, folder: Path) -> AsyncIterator[Process]:
    """Provide a process that holds a network namespace open for the length of the block.

    Raises:
        HostError: the namespace did not come up.
    """
    home = folder / f"{side}-netns"
    home.mkdir(mode=0o700, exist_ok=True)
    sleeper = ("unshare", "--net", "--", "sleep", "infinity")
    async with launch(f"{side} namespace", sleeper, folder=home, qemu=False) as holder:
        try:
            await unless_any_exited((holder,), _entered(holder.pid))
        except (LaunchError, TimeoutError) as error:
            hint = "it needs CAP_SYS_ADMIN, which some containers do not give to root; use host=local there"
            words = "the network namespace did not come up"
            raise HostError(words, cause="netns-failed", hint=hint, evidence=holder.tail()) from error
        yield holder
    (home / STDERR).unlink(missing_ok=True)
    home.rmdir()


async def join(hosts: Mapping[str, Host], addresses: Mapping[str, str], far_pid: int) -> None:
    """Join two namespaces by a veth pair whose ends never exist in ours.

    Args:
        hosts: the two, by side.
        addresses: that of each end.
        far_pid: the process that holds the second one open.
    """
    near, _ = hosts.values()
    peer = ("peer", "name", INTERFACE, "netns", str(far_pid))
    await near.run(("ip", "link", "add", INTERFACE, "type", "veth", *peer))
    for side, end in hosts.items():
        await end.run(("ip", "link", "set", "lo", "up"))
        await end.run(("ip", "addr", "add", f"{addresses[side]}/24", "dev", INTERFACE))
        await end.run(("ip", "link", "set", INTERFACE, "up"))


async def acknowledge_quickly(host: Host, address: str) -> None:
    """Have one end of the cable, which has that address, acknowledge without delay what it gets."""
    network = str(ip_interface(f"{address}/24").network)
    route = ("ip", "route", "change", network, "dev", INTERFACE, "scope", "link", "src", address)
    await host.run((*route, "quickack", "1"))


async def shape(host: Host, link: Link | ClientLink, interface: str = INTERFACE) -> None:
    """Give the sending direction of one end its bandwidth, delay and loss."""
    parent: tuple[str, ...] = ("root", "handle", "1:")
    if link.delay or link.loss_percent:
        await _netem(host, link, interface)
        parent = ("parent", "1:", "handle", "2:")
    if link.bandwidth:
        burst = max(_TBF_BURST_MIN_BYTES, round(link.bandwidth / 8 * _TBF_BURST_S))
        rate = ("tbf", "rate", f"{link.bandwidth}bit", "burst", str(burst), "latency", _TBF_LATENCY)
        try:
            await host.run(("tc", "qdisc", "add", "dev", interface, *parent, *rate))
        except HostError as error:
            hint = "modprobe sch_tbf, or leave bandwidth out of link and client_link"
            raise HostError(
                "the bandwidth of a link was refused", cause="tbf-refused", hint=hint, evidence=error.evidence
            ) from error


async def _netem(host: Host, link: Link | ClientLink, interface: str) -> None:
    options: tuple[str, ...] = ()
    options += ("delay", f"{round((link.delay or 0) * 1e6)}us") if link.delay else ()
    options += ("loss", f"{link.loss_percent}%") if link.loss_percent else ()
    try:
        await host.run(("tc", "qdisc", "add", "dev", interface, "root", "handle", "1:", "netem", *options))
    except HostError as error:
        raise HostError(
            "delay and loss_percent of a link need the kernel's netem, which this kernel does not have",
            cause="netem-missing",
            hint="modprobe sch_netem, or install the kernel's extra modules; bandwidth and quickack work without",
            evidence=error.evidence,
        ) from error
