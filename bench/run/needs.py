"""What a configuration needs of this machine beside room: namespaces, taps, a way to other hosts.

Each is found out as a run would find it, in a namespace that ends with the try, and fails with the run's own cause.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import HostError, ProvisionError
from bench.format.hosts import APART, BRIDGED
from bench.host.bridge import require_taps
from bench.host.netns import require_netns_privilege
from bench.host.reach import reach_of
from bench.provision import commands
from bench.system.software import install_hint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.config.hosts import FarHost
    from bench.config.model import Cell

    Need = tuple[str, Callable[[], str]]

_COMMAND_DEADLINE_S = 10.0


@dataclass(frozen=True)
class Feature:
    """Something of the kernel that nodes apart use, found out by doing it in a namespace that ends with the try."""

    name: str
    argv: tuple[str, ...]
    fix: str


NAMESPACES = Feature(
    "namespaces", ("ip", "link", "add", "c0", "type", "veth", "peer", "name", "c1"), "sudo modprobe veth"
)
TAP = Feature("tap", ("ip", "tuntap", "add", "dev", "t0", "mode", "tap"), "sudo modprobe tun")
BRIDGE = Feature("bridge", ("ip", "link", "add", "b0", "type", "bridge"), "sudo modprobe bridge")
TBF = Feature(
    "tc tbf",
    ("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "1gbit", "burst", "65536", "latency", "50ms"),
    "sudo modprobe sch_tbf, or install the kernel's extra modules (only bandwidth of link and client_link needs it)",
)
NETEM = Feature(
    "tc netem",
    ("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"),
    "sudo modprobe sch_netem, or install the kernel's extra modules (only delay and loss_percent of link and "
    "client_link need it)",
)
FEATURES = (NAMESPACES, TAP, TBF, NETEM)
"""Those that the doctor always tells of."""


def try_feature(feature: Feature) -> str | None:
    """Return why a kernel feature is not here; None where it is."""
    try:
        finished = commands.run(("unshare", "--net", "--", *feature.argv), deadline_s=_COMMAND_DEADLINE_S)
    except ProvisionError as error:
        return error.message
    return None if finished.status == 0 else (finished.lines or ("no reason given",))[-1]


def needs(cells: Sequence[Cell]) -> Iterator[Need]:
    """Yield what these cells need of this machine, each with what tries it: it returns what was found, or raises."""
    apart = [cell for cell in cells if cell.host.kind in APART]
    for kind in dict.fromkeys(cell.host.kind for cell in apart):
        yield f"host={kind}", lambda kind=kind: _nodes_apart(kind)  # type: ignore[misc]
    links = [link for cell in apart for link in (cell.link, cell.client_link)]
    if any(link.bandwidth for link in links):
        yield "bandwidth", lambda: _feature(TBF, "tbf-refused")
    if any(link.delay or link.loss_percent for link in links):
        yield "delay and loss", lambda: _feature(NETEM, "netem-missing")
    far = [host for cell in cells for host in (cell.host.primary, cell.host.secondary, cell.host.client) if host]
    if far:
        yield "way to hosts", lambda: _ways(far)


def _nodes_apart(kind: str) -> str:
    require_netns_privilege(kind)
    _feature(NAMESPACES, "netns-failed")
    if kind in BRIDGED:
        require_taps()
        _feature(TAP, "tun-missing")
        _feature(BRIDGE, "netns-failed")
    return "namespaces can be made and joined" + (", with taps on bridges" if kind in BRIDGED else "")


def _feature(feature: Feature, cause: str) -> str:
    said = try_feature(feature)
    if said is not None:
        raise HostError(f"{feature.name}: not here: {said}", hint=feature.fix, cause=cause)
    return "works"


def _ways(hosts: Sequence[FarHost]) -> str:
    programs = tuple(dict.fromkeys(reach_of(host).transport[0] for host in hosts))
    for name in programs:
        if shutil.which(name) is None:
            ssh = install_hint("OpenSSH's client (ssh)", "openssh-client")
            hint = ssh if name == "ssh" else "correct the transport of that host"
            raise HostError(f"host=ssh needs `{name}`, which is not on PATH", hint=hint, cause="tool-missing")
    return f"by {', '.join(programs)}"
