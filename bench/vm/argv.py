"""The two command lines of the procedure, as pure functions from the spec to an argv list.

Source: the COLO procedure (QEMU docs/COLO-FT.txt and the 2020 test note), grouped by topic. Paths but those of
sockets are relative: each side runs in its own folder, so the same spec gives the same argv wherever the results are.

The note's ``tap`` needs a bridge, and root: ``host=bridged`` has it. Elsewhere QEMU's user network, cut off from the
world but for one forwarded port, stands in its place, and COLO's filters see the same packets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.guest.loading import applications, loading
from bench.host.links import LOOPBACK, PRIMARY, SECONDARY, TAP, Link
from bench.vm.spec import TLS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.config.links import Compare
    from bench.config.model import Cell
    from bench.vm.spec import PairSpec

Argv = tuple[str, ...]

_COMPARE = "colo-compare,id=comp0,primary_in=compare0-0,secondary_in=compare1,outdev=compare_out0,iothread=iothread1"


def primary_argv(spec: PairSpec) -> Argv:
    """Return the primary's whole command line."""
    return (
        *spec.program("primary"),
        *_machine(spec, "primary"),
        *_monitors(spec, "primary"),
        *_netdev(spec, forward=True),
        *_primary_network(spec),
        *_primary_disk(spec),
        *_key(spec, "primary", "client"),
        *_beginning(spec),
    )


def secondary_argv(spec: PairSpec) -> Argv:
    """Return the secondary's whole command line."""
    return (
        *spec.program("secondary"),
        *_machine(spec, "secondary"),
        *_monitors(spec, "secondary"),
        *_netdev(spec, forward=False),
        *_secondary_network(spec),
        *_secondary_disk(spec),
        *_key(spec, "secondary", "server"),
        *("-incoming", "defer"),
    )


def native_argv(spec: PairSpec) -> Argv:
    """Return the command line of the same machine without COLO: its network and its disk are joined to nothing."""
    return (
        *spec.qemu,
        *_machine(spec, "primary"),
        *_monitors(spec, "primary"),
        *_netdev(spec, forward=True),
        *("-drive", f"if={spec.cell.devices.disk},id=colo-disk0,{_image(spec, 'file', 'primary.qcow2')},driver=qcow2"),
        *_beginning(spec),
    )


def _key(spec: PairSpec, side: str, endpoint: str) -> Argv:
    """Return the object that holds the key of the pair: the folder of it is the side's own, of its sockets."""
    home = f"{spec.sockets}/{side}"
    return ("-object", f"tls-creds-psk,id={TLS},dir={home},endpoint={endpoint}") if spec.cell.link.tls else ()


def _beginning(spec: PairSpec) -> Argv:
    """Return what makes a machine wait for the one that was saved."""
    return ("-incoming", "defer") if spec.saved else ()


@dataclass(frozen=True)
class Side:
    """One QEMU of a run: its command line, and the images that it needs, made anew for each run."""

    argv: Callable[[PairSpec], Argv]
    images: tuple[str, ...]


COLO: Mapping[str, Side] = {
    PRIMARY: Side(primary_argv, ("primary.qcow2",)),
    SECONDARY: Side(secondary_argv, ("primary-copy.qcow2", "secondary-active.qcow2", "secondary-hidden.qcow2")),
}
"""The two sides of a COLO pair."""

DISKS = frozenset(("primary.qcow2", "primary-copy.qcow2"))
"""The images that hold the guest's disk, which both sides begin with the same; the others are empty."""

NATIVE: Mapping[str, Side] = {PRIMARY: Side(native_argv, ("primary.qcow2",))}
"""The primary's machine by itself."""


def machine_argv(spec: PairSpec) -> Argv:
    """Return a command line that builds the machine, network card included, and runs nothing: to ask whether it can."""
    quiet = ("-display", "none", "-monitor", "none", "-serial", "none", "-parallel", "none")
    return (
        *spec.qemu,
        *_machine(spec, "primary"),
        *quiet,
        *("-qmp", "unix:qmp.sock,server=on,wait=off"),
        *_user_network(spec),
    )


def accelerator(cell: Cell) -> str:
    """Return the value of ``-accel``."""
    return "tcg,thread=multi" if cell.accel == "tcg" else cell.accel


def cpu_option(cell: Cell) -> str:
    """Return the value of ``-cpu``: model, features, and whether the guest is told of an L3 cache."""
    l3 = () if cell.cpu.l3_cache is None else (f"l3-cache={'on' if cell.cpu.l3_cache else 'off'}",)
    return ",".join((cell.cpu.model, *cell.cpu.features, *l3))


def _machine(spec: PairSpec, side: str) -> Argv:
    cell, sandbox = spec.cell, spec.understood(side).sandbox
    usb = ("-device", "piix3-usb-uhci", "-device", "usb-tablet") if cell.devices.usb_tablet else ()
    return (
        *("-machine", ",".join((spec.machine, *_smp_caches(cell)))),
        *("-accel", accelerator(cell)),
        *("-cpu", cpu_option(cell)),
        *("-m", f"{cell.mem >> 20}M"),
        *("-smp", str(cell.smp)),
        *loading(spec.kernel, spec.initramfs, cell.devices.firmware, kernel_words(cell)),
        *(applications(spec.approot) if spec.approot else ()),
        *usb,
        *(() if cell.devices.vga == "std" else ("-vga", cell.devices.vga)),
        *("-no-reboot", "-S", "-msg", "timestamp=on"),
        *(("-sandbox", sandbox) if sandbox else ()),
    )


def kernel_words(cell: Cell) -> Argv:
    """Return what a cell asks of the guest's kernel beside what every guest needs."""
    return () if cell.tcp_timestamps else ("sysctl.net.ipv4.tcp_timestamps=0",)


def _smp_caches(cell: Cell) -> Argv:
    """Return the ``-machine smp-cache`` properties; QEMU 11.1 takes a topology only, a size is for binaries that do."""
    properties: list[str] = []
    for index, (name, level) in enumerate(cell.cpu.cache.set_levels().items()):
        properties += [f"smp-cache.{index}.cache={name}", f"smp-cache.{index}.topology={level.topology}"]
        properties += [f"smp-cache.{index}.size={level.size}"] if level.size else []
    return tuple(properties)


def _monitors(spec: PairSpec, side: str) -> Argv:
    home = f"{spec.sockets}/{side}"
    screen = ("-vnc", f"{LOOPBACK}:0,to=99") if side in spec.watch else ("-display", "none")
    return (
        *("-name", side),
        *("-qmp", f"unix:{home}/qmp.sock,server=on,wait=off"),
        *("-monitor", "none", "-parallel", "none"),
        *("-chardev", f"socket,id=serial0,path={home}/serial.sock,server=on,wait=off,logfile=serial.log"),
        *("-serial", "chardev:serial0"),
        *screen,
    )


def _netdev(spec: PairSpec, *, forward: bool) -> Argv:
    if spec.cell.host.bridged:
        # By default without that header: colo-compare reads a virtio card's packets as it does any other's.
        header = "on" if spec.cell.compare.vnet_hdr else "off"
        return (*("-netdev", f"tap,id=hn0,ifname={TAP},script=no,downscript=no,vnet_hdr={header}"), *_card(spec))
    guest_port = spec.cell.workload.guest_port()
    rule = (
        f",hostfwd=tcp:{spec.address(PRIMARY, Link.CLIENT)}:{spec.ports.forward}-:{guest_port}"
        if forward and guest_port
        else ""
    )
    return _user_network(spec, rule)


def _user_network(spec: PairSpec, rule: str = "") -> Argv:
    return (*("-netdev", f"user,id=hn0,restrict=on{rule}"), *_card(spec))


def _card(spec: PairSpec) -> Argv:
    return ("-device", f"{spec.cell.devices.nic},id=e0,netdev=hn0,romfile=")


def _listener(name: str, address: str, port: int | str, wait: str = "off") -> Argv:
    return ("-chardev", f"socket,id={name},host={address},port={port},server=on,wait={wait}")


def _client(name: str, address: str, port: int | str, options: str = "") -> Argv:
    return ("-chardev", f"socket,id={name},host={address},port={port}{options}")


def _primary_network(spec: PairSpec) -> Argv:
    ports, inside = spec.ports, spec.address(PRIMARY, Link.INSIDE)
    header = _header(spec.cell.compare)
    return (
        *_listener("mirror0", spec.address(PRIMARY, Link.COMPARE), ports.mirror),
        *_listener("compare1", spec.address(PRIMARY, Link.COMPARE), ports.compare, wait="on"),
        *_listener("compare0", inside, ports.primary_in),
        *_client("compare0-0", inside, ports.primary_in),
        *_listener("compare_out", inside, ports.compare_out),
        *_client("compare_out0", inside, ports.compare_out),
        *("-object", f"filter-mirror,id=m0,netdev=hn0,queue=tx,outdev=mirror0{header}"),
        *("-object", f"filter-redirector,id=redire0,netdev=hn0,queue=rx,indev=compare_out{header}"),
        *("-object", f"filter-redirector,id=redire1,netdev=hn0,queue=rx,outdev=compare0{header}"),
        *("-object", "iothread,id=iothread1"),
        *(
            "-object",
            f"{_COMPARE}{_compare_options(spec.cell.compare)}{header}",
        ),
    )


def _secondary_network(spec: PairSpec) -> Argv:
    reconnect = f",{spec.understood('secondary').reconnect}"
    header = _header(spec.cell.compare)
    return (
        *_client("red0", spec.address(PRIMARY, Link.COMPARE), spec.ports.mirror, reconnect),
        *_client("red1", spec.address(PRIMARY, Link.COMPARE), spec.ports.compare, reconnect),
        *("-object", f"filter-redirector,id=f1,netdev=hn0,queue=tx,indev=red0{header}"),
        *("-object", f"filter-redirector,id=f2,netdev=hn0,queue=rx,outdev=red1{header}"),
        *("-object", f"filter-rewriter,id=rew0,netdev=hn0,queue=all{header}"),
    )


def _header(compare: Compare) -> str:
    """Return the option of every filter whose packets carry the virtio card's header."""
    return ",vnet_hdr_support=on" if compare.vnet_hdr else ""


def compare_settings(compare: Compare) -> dict[str, int]:
    """Return what is set of colo-compare, in its own units: milliseconds and packets."""
    waits = {"compare_timeout": compare.timeout, "expired_scan_cycle": compare.expired_scan_cycle}
    asked = {name: round(seconds * 1000) for name, seconds in waits.items() if seconds is not None}
    return asked | ({"max_queue_size": compare.max_queue_size} if compare.max_queue_size else {})


def _compare_options(compare: Compare) -> str:
    return "".join(f",{name}={value}" for name, value in compare_settings(compare).items())


def _quorum(cell: Cell) -> str:
    return f"if={cell.devices.disk},id=colo-disk0,driver=quorum,read-pattern=fifo,vote-threshold=1"


def _image(spec: PairSpec, node: str, name: str) -> str:
    """Return an image file as a node's options, without locks where its file system has none: it is ours alone."""
    return f"{node}.filename={name}{'' if spec.image_locks else f',{node}.locking=off'}"


def _primary_disk(spec: PairSpec) -> Argv:
    return (
        "-drive",
        f"{_quorum(spec.cell)},{_image(spec, 'children.0.file', 'primary.qcow2')},children.0.driver=qcow2",
    )


def _secondary_disk(spec: PairSpec) -> Argv:
    replication = (
        "if=none,id=childs0,driver=replication,mode=secondary,file.driver=qcow2,top-id=colo-disk0,"
        f"{_image(spec, 'file.file', 'secondary-active.qcow2')},file.backing.driver=qcow2,"
        f"{_image(spec, 'file.backing.file', 'secondary-hidden.qcow2')},file.backing.backing=parent0"
    )
    return (
        *("-drive", f"if=none,id=parent0,{_image(spec, 'file', 'primary-copy.qcow2')},driver=qcow2"),
        *("-drive", replication),
        *("-drive", f"{_quorum(spec.cell)},children.0=childs0"),
    )
