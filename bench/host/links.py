"""The names of a run's nodes, what joins them, and the address that each has on what it is joined by."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from bench.format.hosts import APART, BRIDGED

if TYPE_CHECKING:
    from bench.config import hosts

LOOPBACK = "127.0.0.1"
PRIMARY, SECONDARY, CLIENT = "primary", "secondary", "client"
SIDES = (PRIMARY, SECONDARY)
GUEST, GATEWAY = "10.0.2.15", "10.0.2.2"
"""The guest's own address and that of its way out, as it has them from its start."""

TAP = "tap0"
"""The end of the guest's card on its host, where that is bridged."""


class Link(StrEnum):
    """What joins nodes.

    ``MIGRATION`` carries checkpoints and the disk's copy, ``COMPARE`` the guests' packets, ``CLIENT`` what a workload's
    client asks of the guest, ``INSIDE`` what never leaves a node.
    """

    MIGRATION = "migration"
    COMPARE = "compare"
    CLIENT = "client"
    INSIDE = "inside"


def planned_addresses(kind: str) -> dict[str, dict[Link, str]]:
    """Return the addresses of every node on a kind of hosts, as far as that alone tells."""
    between = {PRIMARY: "192.0.2.1", SECONDARY: "192.0.2.2"} if kind in APART else dict.fromkeys(SIDES, LOOPBACK)
    return _addresses(between, GUEST if kind in BRIDGED else LOOPBACK)


def addresses_on(host: hosts.Host) -> dict[str, dict[Link, str]]:
    """Return the addresses of every node on the hosts of a cell: those of an inventory, or what the kind tells."""
    if not host.far or host.primary is None or host.secondary is None:
        return planned_addresses(host.kind)
    between = {PRIMARY: host.primary.address, SECONDARY: host.secondary.address}
    found = _addresses(between, LOOPBACK if host.client is None else host.primary.address)
    # Nothing is forwarded on the secondary's host, which does not have the primary's address.
    return {**found, SECONDARY: found[SECONDARY] | {Link.CLIENT: LOOPBACK}}


def _addresses(between: dict[str, str], asked: str) -> dict[str, dict[Link, str]]:
    # The guest's one forwarded port is on the primary's own loopback, where its client runs: it is nobody else's. A
    # client on a host of its own needs it on the primary's data address.
    outside = {Link.CLIENT: asked, Link.INSIDE: LOOPBACK}
    sides = {side: {Link.MIGRATION: between[side], Link.COMPARE: between[side], **outside} for side in SIDES}
    return {**sides, CLIENT: outside}
