"""The machines of a run and how they are joined: nodes on hosts, and for each link the address that a node has on it.

``host=local``: all nodes on this machine's loopback. ``host=netns``: primary and secondary in a network namespace
each, joined by a virtual cable, as two hosts would be.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.host.clock import Clocks
from bench.host.host import Here
from bench.host.links import CLIENT, PRIMARY, SECONDARY, SIDES, Link, planned_addresses
from bench.host.netns import INTERFACE, entering, join, namespace, require_netns_privilege, shape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from bench.config import model
    from bench.host.host import Host
    from bench.host.process import Process


@dataclass(frozen=True)
class Node:
    """One machine of a run.

    Attributes:
        name: ``primary``, ``secondary`` or ``client``.
        host: where it is.
        addresses: how it is reached over each link that it is on.
        interface: of its host, whose state tells whether its links are up; empty where there is nothing to look at.
    """

    name: str
    host: Host
    addresses: Mapping[Link, str]
    interface: str = ""

    def address(self, link: Link) -> str:
        """Return its address on a link."""
        return self.addresses[link]


@dataclass(frozen=True)
class Topology:
    """The nodes of a run, and the processes that hold them open, if any do."""

    nodes: Mapping[str, Node]
    holders: tuple[Process, ...] = ()

    @property
    def primary(self) -> Node:
        """The primary's node."""
        return self.nodes[PRIMARY]

    @property
    def secondary(self) -> Node:
        """The secondary's node."""
        return self.nodes[SECONDARY]

    @property
    def client(self) -> Node:
        """The node that a workload's client runs on."""
        return self.nodes[CLIENT]

    async def clocks(self) -> Clocks:
        """Return how far the nodes' clocks are from the harness's now."""
        return Clocks({name: await node.host.clock_offset() for name, node in self.nodes.items()})


def local_topology() -> Topology:
    """Return all nodes on this machine."""
    return Topology({name: Node(name, Here(), known) for name, known in planned_addresses("local").items()})


@asynccontextmanager
async def open_topology(host: model.Host, link: model.Link, folder: Path) -> AsyncIterator[Topology]:
    """Provide the nodes of a run for the length of the block.

    Args:
        host: what kind of hosts.
        link: the shape of what joins the sides.
        folder: the run's, for what holds the nodes open.

    Raises:
        HostError: a privilege, a tool or a kernel feature is missing; the message names it.
    """
    if host.kind == "local":
        yield local_topology()
        return
    require_netns_privilege()
    addresses = planned_addresses(host.kind)
    async with AsyncExitStack() as stack:
        holders = {side: await stack.enter_async_context(namespace(side, folder)) for side in SIDES}
        hosts = {side: Here(entering(holder.pid)) for side, holder in holders.items()}
        ends = {side: addresses[side][Link.MIGRATION] for side in SIDES}
        await join(hosts, ends, holders[SECONDARY].pid)
        for side in SIDES:
            await shape(hosts[side], ends[side], link)
        nodes = {side: Node(side, hosts[side], addresses[side], INTERFACE) for side in SIDES}
        nodes[CLIENT] = Node(CLIENT, hosts[PRIMARY], addresses[CLIENT])
        yield Topology(nodes, tuple(holders.values()))
