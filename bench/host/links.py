"""The names of a run's nodes, what joins them, and the address that each has on what it is joined by."""

from __future__ import annotations

from enum import StrEnum

LOOPBACK = "127.0.0.1"
PRIMARY, SECONDARY, CLIENT = "primary", "secondary", "client"
SIDES = (PRIMARY, SECONDARY)


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
    between = {PRIMARY: "192.0.2.1", SECONDARY: "192.0.2.2"} if kind == "netns" else dict.fromkeys(SIDES, LOOPBACK)
    # The guest's one forwarded port is on the primary's own loopback, where its client runs: it is nobody else's.
    outside = {Link.CLIENT: LOOPBACK, Link.INSIDE: LOOPBACK}
    sides = {side: {Link.MIGRATION: between[side], Link.COMPARE: between[side], **outside} for side in SIDES}
    return {**sides, CLIENT: outside}
