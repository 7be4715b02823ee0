"""What the hosts of an inventory can do, asked on them: ``python -m bench.doctor host=ssh ...``.

Each is looked at by itself (Python, KVM, memory, disk, QEMU, clock), then what lies between: whether the ports can be
reached in the directions that a pair needs, how fast, and with which largest packet.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

from bench.config import links
from bench.errors import BenchError, HostError
from bench.host.far_shape import require_shapeable
from bench.host.links import CLIENT, PRIMARY, SECONDARY, Link
from bench.host.topology import open_topology
from bench.plan.estimate import gib, require_side
from bench.provision.qemu import installed_qemu
from bench.run.beforehand import Check, failed
from bench.system.owner import scratch_folder
from bench.vm.placed import binary_on, require_equal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from bench.config.hosts import FarHost
    from bench.config.model import Cell
    from bench.host.remote import Remote
    from bench.host.topology import Node, Topology
    from bench.provision.qemu import Binary

_DISK_FAIL_BYTES, _DISK_WARN_BYTES = 1 << 29, 2 << 30
_TRY_S = 15.0
_POLL_S = 0.05
_POLLS = 200
_PORTS = "20000:31999"
_SLOW_BIT_S = 0.9e9

_SINK = """
import socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    server.settimeout(12)
    print("listening", flush=True)
    with server.accept()[0] as peer:
        while peer.recv(1 << 20):
            pass
        peer.sendall(b"1")
"""

_SEND = """
import json, socket, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as peer:
    piece, sent, began = bytes(1 << 18), 0, time.monotonic()
    while time.monotonic() < began + 0.4:
        peer.sendall(piece)
        sent += len(piece)
    peer.shutdown(socket.SHUT_WR)
    peer.recv(1)
    print(json.dumps([sent, time.monotonic() - began]))
"""

_SYNCHRONISED = """
import ctypes
print(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)))
"""
_TIME_ERROR = "5"

_DEVICE = """
import os
print(os.path.exists("/dev/kvm"), os.access("/dev/kvm", os.R_OK | os.W_OK))
"""


async def far_checks(cell: Cell) -> AsyncIterator[Check]:
    """Look at the hosts of a cell, and give each check as it is done."""
    try:
        with scratch_folder("doctor") as folder:
            async with open_topology(cell.host, links.Link(), folder) as topology:
                for host in topology.hosts:
                    host.adopt(folder)
                for name, remote in topology.far.items():
                    async for check in _host_checks(topology.nodes[name], remote, cell):
                        yield check
                yield await _same_qemu(topology, cell)
                async for check in _between(topology, folder):
                    yield check
    except BenchError as error:
        yield failed("hosts", error)


async def _python(remote: Remote, code: str, *words: str) -> str:
    return await remote.run((str(remote.facts["executable"]), "-I", "-c", code, *words), _TRY_S)


async def _host_checks(node: Node, remote: Remote, cell: Cell) -> AsyncIterator[Check]:
    name, facts = node.name, remote.facts
    for line in remote.left:
        yield Check(f"{name} left", "warn", f"a killed agent's, now removed: {line}")
    where = f"{remote.reach.title}: {facts['node']}, Linux {facts['kernel']}, Python {facts['python']}"
    yield Check(f"{name} host", "ok", where)
    if name != CLIENT:
        there, usable = (await _python(remote, _DEVICE)).split()
        yield check_kvm_device(name, there=there == "True", usable=usable == "True")
        yield check_memory(name, accelerated(cell, kvm=usable == "True"), *remote.memory())
        free, _, _ = remote.room()
        yield check_disk(name, free, str(facts["work"]))
        if cell.link.shaped:
            yield await _shape(remote, getattr(cell.host, name))
    offset = await remote.clock_offset()
    synchronised = (await _python(remote, _SYNCHRONISED)).strip() != _TIME_ERROR
    yield check_clock(name, offset.seconds, offset.uncertainty_s, synchronised=synchronised)


async def _shape(remote: Remote, far: FarHost) -> Check:
    name = f"{remote.name} link"
    try:
        return Check(name, "ok", f"{await require_shapeable(remote, far)} can be shaped, and put back after each run")
    except HostError as error:
        if error.cause == "connection-cut":
            raise
        return failed(name, error)


def check_kvm_device(name: str, *, there: bool, usable: bool) -> Check:
    """Return whether KVM can be opened on a host: emulation works without."""
    if usable:
        return Check(f"{name} KVM", "ok", "/dev/kvm opens; whether it runs the guest, a pair says before the first run")
    if there:
        fix = 'there: sudo usermod -aG kvm "$USER", then log in again'
        return Check(f"{name} KVM", "warn", "/dev/kvm may not be opened by that user", fix)
    return Check(f"{name} KVM", "warn", "there is no /dev/kvm: emulation (TCG) is used")


def accelerated(cell: Cell, *, kvm: bool) -> Cell:
    """Return a cell whose accelerator is not chosen yet with KVM, if that can be opened: it takes more memory."""
    return cell.model_copy(update={"accel": "kvm"}) if kvm and cell.accel == "auto" else cell


def check_memory(name: str, cell: Cell, available: int | None, swap: int) -> Check:
    """Return whether a side's QEMU fits into the memory of its host."""
    try:
        said = require_side(name, cell, available, swap)
    except HostError as error:
        return failed(f"{name} memory", error)
    return Check(f"{name} memory", "warn" if available is None else "ok", said)


def check_disk(name: str, free: int, place: str) -> Check:
    """Return whether what is shipped and a run's files have room on a host."""
    text = f"{gib(free)} free for {place}"
    if free < _DISK_WARN_BYTES:
        fix = f"free space there, or host.{name}.workdir=DIR on another disk"
        return Check(f"{name} disk", "fail" if free < _DISK_FAIL_BYTES else "warn", text, fix, cause="far-disk-full")
    return Check(f"{name} disk", "ok", text)


def check_clock(name: str, offset_s: float, unsure_s: float, *, synchronised: bool) -> Check:
    """Return how far a host's clock is from ours, and whether somebody keeps it: no phase is formed across hosts."""
    text = f"{offset_s:+.6f} s from ours, to {unsure_s:.6f} s"
    if not synchronised:
        fix = "there: sudo timedatectl set-ntp true, or chrony"
        return Check(f"{name} clock", "warn", f"{text}; nobody synchronises it", fix)
    return Check(f"{name} clock", "ok", text)


async def _same_qemu(topology: Topology, cell: Cell) -> Check:
    try:
        local = {PRIMARY: installed_qemu(cell.qemu), SECONDARY: installed_qemu(cell.qemu_secondary or cell.qemu)}
        binaries: dict[str, Binary] = {}
        for side, binary in local.items():
            if binary is None:
                return Check("QEMU there", "warn", "not fetched yet here (the first run does it, and ships it)")
            binaries[side] = await binary_on(topology.nodes[side], binary)
        require_equal(binaries, asked_apart=cell.qemu_secondary is not None)
    except BenchError as error:
        return failed("QEMU there", error)
    own = [side for side in binaries if topology.nodes[side].qemu]
    text = "; ".join(f"{side}: {one.version}{' (its own)' if side in own else ''}" for side, one in binaries.items())
    asked = local[PRIMARY]
    if asked and own and any(binaries[side].version != asked.version for side in own):
        return Check(
            "QEMU there", "warn", f"{text}; qemu={cell.qemu} is {asked.version}", "take qemu: out of the inventory"
        )
    return Check("QEMU there", "ok", text)


def directions(topology: Topology) -> tuple[tuple[str, str, str], ...]:
    """Return who has to reach whom, and for what: the procedure's step 6 joins the sides in both directions."""
    apart = topology.client.host is not topology.primary.host
    return (
        (PRIMARY, SECONDARY, "migration and NBD"),
        (SECONDARY, PRIMARY, "mirrored and compared packets"),
        *(((CLIENT, PRIMARY, "the workload's requests"),) if apart else ()),
    )


async def _between(topology: Topology, folder: Path) -> AsyncIterator[Check]:
    for source, target, what in directions(topology):
        link = Link.CLIENT if source == CLIENT else Link.MIGRATION
        address = topology.nodes[target].addresses[link]
        yield await _reaches(topology, (source, target), address, what, folder)
    mtus = {side: await _mtu(topology.nodes[side]) for side in (PRIMARY, SECONDARY)}
    yield check_mtu(mtus)


async def _reaches(topology: Topology, ends: tuple[str, str], address: str, what: str, folder: Path) -> Check:
    source, target = (topology.far[_named(topology, end)] for end in ends)
    name = f"{ends[0]} to {ends[1]}"
    (port,) = target.free_ports((address,), 1)
    python = (str(target.facts["executable"]), "-I", "-c")
    try:
        async with target.start("listener", (*python, _SINK, address, str(port)), folder, qemu=False) as listener:
            for _ in range(_POLLS):
                if "listening" in listener.words() or not listener.alive():
                    break
                await asyncio.sleep(_POLL_S)
            sent, seconds = json.loads(await _python(source, _SEND, address, str(port)))
    except HostError as error:
        if error.cause not in ("command-failed", "command-slow"):
            raise
        why = error.evidence[-1] if error.evidence else error.message
        allow = f"sudo ufw allow proto tcp to {address} port {_PORTS}"
        text = f"{address}:{port} cannot be reached, which {what} need: {why}"
        return Check(
            name, "fail", text, f"on the {ends[1]}'s host let TCP ports {_PORTS} through: {allow}", cause="far-port"
        )
    return check_speed(name, f"{address}:{port}", 8 * sent / max(seconds, 1e-9))


def _named(topology: Topology, node: str) -> str:
    host = topology.nodes[node].host
    return next(name for name, remote in topology.far.items() if remote is host)


def check_speed(name: str, place: str, bit_s: float) -> Check:
    """Return how fast a short transfer was: a slow link is no failure, but a pause is mostly what crosses it."""
    text = f"{place} is reached, {bit_s / 1e9:.2f} Gbit/s"
    if bit_s < _SLOW_BIT_S:
        return Check(name, "warn", f"{text}: what a checkpoint sends takes long", "use the address of a faster network")
    return Check(name, "ok", text)


def check_mtu(mtus: Mapping[str, int | None]) -> Check:
    """Return the largest packets of the sides' interfaces, which should be one."""
    known = {side: mtu for side, mtu in mtus.items() if mtu}
    text = ", ".join(f"{side} {mtu}" for side, mtu in known.items()) or "not shown"
    if len(set(known.values())) > 1:
        return Check("MTU", "warn", f"{text}: they differ", "sudo ip link set dev NAME mtu SIZE, the same on both")
    return Check("MTU", "ok", text)


async def _mtu(node: Node) -> int | None:
    if not node.interface:
        return None
    shown = await node.host.run(("ip", "-o", "link", "show", "dev", node.interface), _TRY_S)
    match = re.search(r" mtu ([0-9]{1,6}) ", shown)
    return int(match[1]) if match else None
