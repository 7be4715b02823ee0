"""Where pairs run: the kinds of hosts by the configuration's word, and what is under a pair, in everybody's words.

How their nodes come to be is ``bench/host/topology.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

HostKind = Literal["local", "netns", "bridged", "ssh"]
KvmKind = Literal["hardware", "nested", "software"]

ACCEL_TEXT: Mapping[str, str] = {"tcg": "emulation (TCG)", "kvm": "KVM"}
"""How a pair runs, in the words of every banner, table and figure."""

KVM_TEXT: Mapping[str, str] = {
    "hardware": ACCEL_TEXT["kvm"],
    "nested": "KVM, nested",
    "software": "KVM without hardware virtualization",
}
"""The same by the kind of KVM: two of them are not what a server has."""


@dataclass(frozen=True)
class Hosts:
    """What a kind of hosts is.

    Attributes:
        words: for people.
        apart: whether each side has a network namespace of its own: ``link`` may then shape the cable between them and
            a failover cut it, by the processes that hold the namespaces open.
        far: whether each side is on a machine of its own; else they share one.
        bridged: whether the guests' cards are on bridges, to which a switch leads the client.
    """

    words: str
    apart: bool = False
    far: bool = False
    bridged: bool = False


HOSTS: Mapping[str, Hosts] = {
    "local": Hosts("both VMs on one host"),
    "netns": Hosts("both VMs on one host, each in a network namespace", apart=True),
    "bridged": Hosts(
        "both VMs and the client on one host, each in a network namespace, the guests' cards on bridges",
        apart=True,
        bridged=True,
    ),
    "ssh": Hosts("each VM on a host of its own", far=True),
}

APART = frozenset(kind for kind, one in HOSTS.items() if one.apart)
"""Those on which each side has a network namespace of its own."""

FAR = frozenset(kind for kind, one in HOSTS.items() if one.far)
"""Those on which each side is on a machine of its own."""

BRIDGED = frozenset(kind for kind, one in HOSTS.items() if one.bridged)
"""Those on which the guests' cards are on bridges, to which a switch leads the client."""
