"""Everything that defines the two command lines and the procedure of one pair, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.host.links import PRIMARY, SECONDARY, Link, addresses_on, planned_addresses
from bench.vm.features import MODERN, Features, common_machine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.config.model import Cell
    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary

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
        forward: on the primary, where its client reaches it, forwarded to the workload's guest port.
    """

    mirror: Port
    compare: Port
    primary_in: Port
    compare_out: Port
    migration: Port
    nbd: Port
    forward: Port


SYMBOLIC_PORTS = Ports(*(f"<free:{name}>" for name in Ports.__dataclass_fields__))

SYMBOLIC_SOCKETS = "<sockets>"
"""The folder of a pair's unix sockets in a plan, where none has been made yet."""


SAVED_RAM, SAVED_DISK = "ram", "disk.qcow2"
"""The files of a saved machine."""


TLS, KEYS = "tls0", "keys.psk"
"""What both sides call the key by which they encrypt, and the file that QEMU looks for it in."""


@dataclass(frozen=True)
class Second:
    """The secondary's QEMU where it is not the primary's, and what it understands."""

    binary: Binary
    features: Features


@dataclass(frozen=True)
class PairSpec:
    """What the pure functions of :mod:`bench.vm.argv` and :mod:`bench.vm.procedure` need, and nothing else.

    ``sockets`` is the folder that holds ``primary/``, ``secondary/`` and in them the unix sockets; ``image_locks`` says
    whether the file system of the images has the locks that QEMU asks for. ``saved`` is the folder of the saved machine
    that the primary begins as; ``None``: it boots. ``approot`` is the applications' file system, ``base`` what the
    guest's disk begins with, where they have them.
    """

    cell: Cell
    qemu: tuple[str, ...]
    kernel: str
    initramfs: str | None
    features: Features
    ports: Ports
    addresses: Mapping[str, Mapping[Link, str]] = field(default_factory=lambda: planned_addresses("local"))
    watch: frozenset[str] = field(default=frozenset())
    second: Second | None = None
    sockets: str = SYMBOLIC_SOCKETS
    image_locks: bool = True
    saved: str | None = None
    approot: str | None = None
    base: str | None = None

    def program(self, side: str) -> tuple[str, ...]:
        """Return what runs a side's QEMU."""
        return self.second.binary.argv if self.second and side == SECONDARY else self.qemu

    def understood(self, side: str) -> Features:
        """Return what a side's QEMU understands."""
        return self.second.features if self.second and side == SECONDARY else self.features

    @property
    def machine(self) -> str:
        """Return the machine: each QEMU's own ``pc``, but for two of them one that both know.

        Raises:
            HostError: there is none.
        """
        if self.second is None:
            return "pc"
        asked = self.features.machines and self.second.features.machines
        return common_machine(self.features, self.second.features) if asked else "<a pc that both know>"

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Return the migration capabilities that both sides are given."""
        colo = dict.fromkeys(name for side in (PRIMARY, SECONDARY) for name in self.understood(side).colo_capabilities)
        return (*colo, *(("multifd",) if self.cell.migration.multifd else ()))

    @property
    def service_port(self) -> Port | None:
        """Return the port on which a client reaches the workload: the guest's own or the forwarded one."""
        own = self.cell.workload.guest_port()
        return own if own is None or self.cell.host.bridged else self.ports.forward

    def address(self, node: str, link: Link) -> str:
        """Return a node's address on a link."""
        return self.addresses[node][link]

    @property
    def migration_uri(self) -> str:
        """Return the URI that both sides use."""
        if self.cell.link.transport == "unix":
            return f"unix:{self.sockets}/migration.sock"
        return f"tcp:{self.address(SECONDARY, Link.MIGRATION)}:{self.ports.migration}"


def _initramfs(cell: Cell, guest: Guest | None) -> str | None:
    if guest is None:
        return None if cell.guest == "bare" else "<guest initramfs>"
    return None if guest.initramfs is None else str(guest.initramfs)


def _approot(cell: Cell, guest: Guest | None) -> str | None:
    if guest is None:
        return "<applications>" if cell.guest == "apps" else None
    return None if guest.approot is None else str(guest.approot)


def planned_spec(
    cell: Cell,
    binary: Binary | None,
    guest: Guest | None,
    features: Features | None = None,
    watch: frozenset[str] = frozenset(),
    second: Second | None = None,
) -> PairSpec:
    """Return the spec as a plan shows it: nothing chosen, nothing started, names where a run will have values."""
    return PairSpec(
        cell=cell,
        qemu=binary.argv if binary else ("<qemu-system-x86_64 of the provisioned tree>",),
        kernel=str(guest.kernel) if guest else f"<{cell.guest} guest>",
        initramfs=_initramfs(cell, guest),
        approot=_approot(cell, guest),
        features=features or MODERN,
        ports=SYMBOLIC_PORTS,
        addresses=addresses_on(cell.host),
        watch=watch,
        second=second,
        saved="<saved machine>" if cell.start == "restored" else None,
    )
