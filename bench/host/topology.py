"""The machines of a run and how they are joined: nodes on hosts, and for each link the address that a node has on it.

``host=local``: all nodes on this machine's loopback. ``host=netns``: primary and secondary in a network namespace
each, joined by a virtual cable, as two hosts would be. ``host=bridged``: the client in one of its own too, and the
guests' cards on bridges that a switch at the client joins, as three hosts would be. ``host=ssh``: each on a host of its
own, with an agent of ours on it.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import HostError
from bench.format.hosts import APART
from bench.host.bridge import bridge, require_taps, serve_from
from bench.host.clock import Clocks
from bench.host.far_shape import shape_far
from bench.host.host import Here
from bench.host.interface import interface_of
from bench.host.links import CLIENT, PRIMARY, SECONDARY, SIDES, Link, addresses_on, planned_addresses
from bench.host.netns import (
    INTERFACE,
    acknowledge_quickly,
    entering,
    join,
    namespace,
    require_netns_privilege,
    shape,
)
from bench.host.reach import reach_of
from bench.host.remote import Remote, open_remotes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from bench.config import hosts as configured
    from bench.config import links
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
        qemu: the host's own QEMU that is run on it, instead of the one that the configuration names.
    """

    name: str
    host: Host
    addresses: Mapping[Link, str]
    interface: str = ""
    qemu: str = ""


@dataclass(frozen=True)
class Topology:
    """The nodes of a run, the processes that hold them open, and whether a switch joins the client to them."""

    nodes: Mapping[str, Node]
    holders: tuple[Process, ...] = ()
    switched: bool = False

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

    async def take_over(self) -> None:
        """Let the client reach the secondary's guest instead of the primary's, where it sees either by a switch."""
        if self.switched:
            await serve_from(self.client.host, SECONDARY)

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Return the hosts, each once."""
        return tuple(dict.fromkeys(node.host for node in self.nodes.values()))

    @property
    def far(self) -> dict[str, Remote]:
        """Return the hosts that an agent is on, by the first node on each."""
        first = {node.host: name for name, node in reversed(tuple(self.nodes.items()))}
        return {first[host]: host for host in self.hosts if isinstance(host, Remote)}

    async def clocks(self) -> Clocks:
        """Return how far the nodes' clocks are from the harness's now."""
        offsets = {host: await host.clock_offset() for host in self.hosts}
        return Clocks({name: offsets[node.host] for name, node in self.nodes.items()})


def local_topology() -> Topology:
    """Return all nodes on this machine."""
    return Topology({name: Node(name, Here(), known) for name, known in planned_addresses("local").items()})


@asynccontextmanager
async def open_topology(
    host: configured.Host, link: links.Link, folder: Path, client_link: links.ClientLink | None = None
) -> AsyncIterator[Topology]:
    """Provide the nodes of a run for the length of the block.

    Args:
        host: what kind of hosts.
        link: the shape of what joins the sides.
        folder: the run's, for what holds the nodes open.
        client_link: the shape of what joins the client to the guest, where it is bridged and has one.

    Raises:
        HostError: a privilege, a tool or a kernel feature is missing; the message names it.
    """
    if host.kind == "local":
        yield local_topology()
        return
    if host.far:
        async with _far_nodes(host, link) as topology:
            yield topology
        return
    if host.kind not in APART:
        raise HostError(f"host={host.kind} has no nodes", cause="bug")
    require_netns_privilege(host.kind)
    if host.bridged:
        require_taps()
    addresses = planned_addresses(host.kind)
    async with AsyncExitStack() as stack:
        names = (*SIDES, CLIENT) if host.bridged else SIDES
        holders = {name: await stack.enter_async_context(namespace(name, folder)) for name in names}
        hosts = {side: Here(entering(holder.pid)) for side, holder in holders.items()}
        ends = {side: addresses[side][Link.MIGRATION] for side in SIDES}
        await join({side: hosts[side] for side in SIDES}, ends, holders[SECONDARY].pid)
        for side in SIDES:
            if link.quickack:
                await acknowledge_quickly(hosts[side], ends[side])
            await shape(hosts[side], link)
        nodes = {side: Node(side, hosts[side], addresses[side], INTERFACE) for side in SIDES}
        nodes[CLIENT] = Node(CLIENT, hosts[CLIENT if host.bridged else PRIMARY], addresses[CLIENT])
        if host.bridged:
            await bridge(hosts[CLIENT], hosts, {side: holders[side].pid for side in SIDES}, client_link)
        yield Topology(nodes, tuple(holders.values()), host.bridged)


@asynccontextmanager
async def _far_nodes(host: configured.Host, link: links.Link) -> AsyncIterator[Topology]:
    far = {name: one for name in (PRIMARY, SECONDARY, CLIENT) if (one := getattr(host, name)) is not None}
    for side in SIDES:
        if side not in far:
            raise HostError(f"host=ssh knows no {side}", cause="inventory-missing")
    addresses = addresses_on(host)
    async with open_remotes({name: reach_of(one) for name, one in far.items()}) as remotes:
        for side in SIDES:
            remotes[side].free_ports((far[side].address,), 1)  # whether the address is that host's
            if link.shaped:
                await shape_far(remotes[side], far[side], link)
        nodes = {
            side: Node(
                side,
                remotes[side],
                addresses[side],
                await interface_of(remotes[side], far[side].address),
                far[side].qemu or "",
            )
            for side in SIDES
        }
        nodes[CLIENT] = Node(CLIENT, remotes.get(CLIENT, remotes[PRIMARY]), addresses[CLIENT])
        yield Topology(nodes)
