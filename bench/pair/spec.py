"""Everything that defines the two command lines and the procedure of one pair, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.pair.features import MODERN, Features

if TYPE_CHECKING:
    from bench.config import model
    from bench.config.model import Cell
    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary

LOOPBACK = "127.0.0.1"
NETNS_PRIMARY = "192.0.2.1"
NETNS_SECONDARY = "192.0.2.2"

Port = int | str
"""A TCP port; a name such as ``<free:nbd>`` in a plan, where nothing has been chosen yet."""


@dataclass(frozen=True)
class Ports:
    """The TCP ports of one pair, all chosen at start.

    Attributes:
        mirror: on the primary: packets to the guest, copied to the secondary.
        compare: on the primary: packets from the secondary's guest.
        primary_in: on the primary's loopback: packets from its own guest to the comparer.
        compare_out: on the primary's loopback: packets that may leave.
        migration: on the secondary.
        nbd: on the secondary.
        forward: on the primary's loopback, forwarded to the workload's guest port.
    """

    mirror: Port
    compare: Port
    primary_in: Port
    compare_out: Port
    migration: Port
    nbd: Port
    forward: Port


SYMBOLIC_PORTS = Ports(*(f"<free:{name}>" for name in Ports.__dataclass_fields__))


@dataclass(frozen=True)
class PairSpec:
    """What the pure functions of :mod:`bench.pair.argv` and :mod:`bench.pair.procedure` need, and nothing else."""

    cell: Cell
    qemu: tuple[str, ...]
    kernel: str
    initramfs: str
    features: Features
    ports: Ports
    primary_address: str = LOOPBACK
    secondary_address: str = LOOPBACK
    watch: frozenset[str] = field(default=frozenset())

    @property
    def migration_uri(self) -> str:
        """Return the URI that both sides use; a unix path is relative to each side's folder."""
        if self.cell.link.transport == "unix":
            return "unix:../migration.sock"
        return f"tcp:{self.secondary_address}:{self.ports.migration}"


def planned_addresses(host: model.Host) -> tuple[str, str]:
    """Return the addresses of primary and secondary that a run will have."""
    return (NETNS_PRIMARY, NETNS_SECONDARY) if host.kind == "netns" else (LOOPBACK, LOOPBACK)


def planned_spec(
    cell: Cell,
    binary: Binary | None,
    guest: Guest | None,
    features: Features | None = None,
    watch: frozenset[str] = frozenset(),
) -> PairSpec:
    """Return the spec as a plan shows it: nothing chosen, nothing started, names where a run will have values."""
    primary_address, secondary_address = planned_addresses(cell.host)
    return PairSpec(
        cell=cell,
        qemu=binary.argv if binary else ("<qemu-system-x86_64 of the provisioned tree>",),
        kernel=str(guest.kernel) if guest else "<guest kernel>",
        initramfs=str(guest.initramfs) if guest else "<guest initramfs>",
        features=features or MODERN,
        ports=SYMBOLIC_PORTS,
        primary_address=primary_address,
        secondary_address=secondary_address,
        watch=watch,
    )
