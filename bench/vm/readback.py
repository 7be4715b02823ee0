"""What the running VMs say they are, compared with what was asked for; a mismatch fails the run before it counts.

What a binary cannot tell (a property that came later, say) is put on record as null and fails nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.errors import QmpError, ReadbackError
from bench.provision.programs import LIBRARY
from bench.vm.qmp import well_formed
from bench.vm.spec import TLS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bench.config.model import Cell
    from bench.vm.pair import Pair
    from bench.vm.spec import PairSpec

    Execute = Callable[[str, dict[str, Any]], Awaitable[Any]]

_SIDES = ("primary", "secondary")
_MACHINE_COMMANDS = ("query-memdev", "query-cpus-fast", "query-kvm", "query-version", "query-block")
_CARD_TYPES = {"child<VGA>": "std", "child<cirrus-vga>": "cirrus"}
_DISK_TYPES = {"ide-hd": "ide", "virtio-blk-device": "virtio", "virtio-blk-pci": "virtio"}


def machine_mismatches(spec: PairSpec, side: str, seen: dict[str, Any]) -> list[str]:
    """Return how a side's machine differs from the request, one line a difference.

    Args:
        spec: the request.
        side: for the message.
        seen: replies of ``query-memdev``, ``query-cpus-fast``, ``query-kvm`` by command name, and under ``properties``
            what :func:`read_properties` returned.
    """
    cell, properties = spec.cell, seen["properties"]
    pairs = (
        ("RAM in bytes", cell.mem, sum(backend["size"] for backend in seen["query-memdev"])),
        *(("RAM policy", "default", backend.get("policy")) for backend in seen["query-memdev"]),
        *(("RAM preallocated", False, backend.get("prealloc")) for backend in seen["query-memdev"]),
        ("vCPUs", cell.smp, len(seen["query-cpus-fast"])),
        ("CPU", f"{cell.cpu.model}-x86_64-cpu", seen["query-cpus-fast"][0].get("qom-type")),
        ("guest told of an L3 cache", cell.cpu.l3_cache, None if cell.cpu.l3_cache is None else properties["l3_cache"]),
        *_cache_pairs(cell, properties["smp_cache"]),
        ("accelerator", cell.accel, "kvm" if seen["query-kvm"]["enabled"] else "tcg"),
        ("machine", "pc", _machine_name(properties["machine"])),
        ("network card", cell.devices.nic, properties["nic"]),
        ("disk", cell.devices.disk, _DISK_TYPES.get(properties["disk"], properties["disk"])),
        ("USB tablet", cell.devices.usb_tablet, properties["usb_tablet"]),
        ("graphics card", cell.devices.vga, properties["vga"]),
    )
    return [
        f"{side}: {what}: asked {asked}, running {running}"
        for what, asked, running in pairs
        if running is not None and asked != running
    ]


def _machine_name(machine: str | None) -> str | None:
    return "pc" if machine is not None and machine.startswith("pc-i440fx-") else machine


def _cache_pairs(cell: Cell, running: list[dict[str, Any]] | None) -> list[tuple[str, str | None, str | None]]:
    topologies = {entry["cache"]: entry["topology"] for entry in running or ()}
    return [
        (f"topology of the {name} cache", level.topology, topologies.get(name))
        for name, level in cell.cpu.cache.set_levels().items()
    ]


def colo_mismatches(spec: PairSpec, side: str, seen: dict[str, Any]) -> list[str]:
    """Return how a side's COLO state differs from the request: role, capabilities, parameters, block graph."""
    wrong = []
    if seen["query-colo-status"]["mode"] != side:
        wrong.append(f"{side}: COLO mode is {seen['query-colo-status']['mode']}")
    states = {entry["capability"]: entry["state"] for entry in seen["query-migrate-capabilities"]}
    wrong += [f"{side}: capability {name} is off" for name in spec.capabilities if not states.get(name)]
    channels, running = spec.cell.migration.multifd, seen.get("query-migrate-parameters", {}).get("multifd-channels")
    wrong += [f"{side}: multifd-channels: asked {channels}, running {running}"] if channels not in (0, running) else []
    asked = TLS if spec.cell.link.tls else ""
    creds = seen.get("query-migrate-parameters", {}).get("tls-creds")
    wrong += [f"{side}: tls-creds: asked {asked!r}, running {creds!r}"] if creds not in (None, asked) else []
    nodes = {node.get("node-name"): node for node in seen["query-named-block-nodes"]}
    drivers = {node["drv"] for node in nodes.values()}
    wrong += [
        f"{side}: no {driver} node in the block graph" for driver in ("quorum", "replication") if driver not in drivers
    ]
    return wrong


def delay_mismatch(asked_ms: int, parameters: dict[str, Any]) -> list[str]:
    """Return whether the primary's checkpoint delay is not the one that was set."""
    running_ms = parameters.get("x-checkpoint-delay")
    return [] if running_ms == asked_ms else [f"primary: x-checkpoint-delay: asked {asked_ms}, running {running_ms}"]


def preload_mismatches(spec: PairSpec, side: str, maps: str) -> list[str]:
    """Return whether a side that was to preload the TCP_NODELAY library runs without it, from ``/proc/PID/maps``."""
    missing = spec.cell.link.transport == "nodelay" and LIBRARY not in maps
    return [f"{side}: link=nodelay: {LIBRARY} is not in the process"] if missing else []


def confinement_mismatches(spec: PairSpec, side: str, *, cpus: list[int], sandboxed: bool | None) -> list[str]:
    """Return whether a side runs on other CPUs than it was pinned to, or without the filter of system calls."""
    asked = sorted(spec.cell.tune.pinning.side(side))
    wrong = [f"{side}: CPUs: asked {asked}, running {cpus}"] if asked and asked != cpus else []
    sandbox = spec.understood(side).sandbox
    if sandbox and sandboxed is False:
        wrong.append(f"{side}: -sandbox {sandbox}: no system call is filtered")
    return wrong


async def read_machines(pair: Pair) -> dict[str, Any]:
    """Query both sides' machines and compare.

    Raises:
        ReadbackError: a side is not what was asked for.
        QmpError: a side does not answer, or not as QEMU does.
    """
    with well_formed("what a side says of its machine"):
        sides = tuple(pair.processes)
        seen = {side: await _query(pair, side, _MACHINE_COMMANDS) for side in sides}
        for side in sides:
            seen[side]["properties"] = await read_properties(pair.monitor(side).execute, seen[side])
        wrong = [line for side in sides for line in machine_mismatches(pair.spec, side, seen[side])]
        for side in sides:
            process = pair.processes[side]
            wrong += preload_mismatches(pair.spec, side, process.maps())
            seen[side]["confined"] = {"cpus": sorted(process.cpus()), "sandboxed": process.sandboxed()}
            wrong += confinement_mismatches(pair.spec, side, **seen[side]["confined"])
        _refuse(wrong)
        return {side: _summary(seen[side]) for side in sides}


async def read_properties(execute: Execute, seen: dict[str, Any]) -> dict[str, Any]:
    """Return what only QEMU's object tree tells of a machine; ``None`` for what this binary does not know."""

    async def ask(command: str, **arguments: str) -> Any:
        try:
            return await execute(command, arguments)
        except QmpError as error:
            if error.cause != "qmp-refused":
                raise
            return None

    disk = next((one.get("qdev") for one in seen["query-block"] if one.get("device") == "colo-disk0"), None)
    cpu = seen["query-cpus-fast"][0].get("qom-path")
    unnamed = await ask("qom-list", path="/machine/peripheral-anon")
    built_in = await ask("qom-list", path="/machine/unattached")
    return {
        "machine": await ask("qom-get", path="/machine", property="type"),
        "nic": await ask("qom-get", path="/machine/peripheral/e0", property="type"),
        "disk": await ask("qom-get", path=disk, property="type") if disk else None,
        "usb_tablet": None if unnamed is None else any(one["type"] == "child<usb-tablet>" for one in unnamed),
        "vga": None if built_in is None else _graphics_card(one["type"] for one in built_in),
        "l3_cache": await ask("qom-get", path=cpu, property="l3-cache") if cpu else None,
        "smp_cache": await ask("qom-get", path="/machine", property="smp-cache"),
    }


def _graphics_card(types: Iterable[str]) -> str:
    return next((_CARD_TYPES[kind] for kind in types if kind in _CARD_TYPES), "none")


async def read_colo(pair: Pair, asked_delay_ms: int) -> dict[str, Any]:
    """Query both sides' COLO state and compare.

    Raises:
        ReadbackError: a side is not in the state that was asked for.
        QmpError: a side does not answer, or not as QEMU does.
    """
    with well_formed("what a side says of its COLO state"):
        commands = (
            "query-colo-status",
            "query-migrate-capabilities",
            "query-migrate-parameters",
            "query-named-block-nodes",
        )
        seen = {side: await _query(pair, side, commands) for side in _SIDES}
        wrong = [line for side in _SIDES for line in colo_mismatches(pair.spec, side, seen[side])]
        _refuse(wrong + delay_mismatch(asked_delay_ms, seen["primary"]["query-migrate-parameters"]))
        return {side: _colo_summary(seen[side]) for side in _SIDES}


async def _query(pair: Pair, side: str, commands: tuple[str, ...]) -> dict[str, Any]:
    monitor = pair.monitor(side)
    return {command: await monitor.execute(command) for command in commands}


def _refuse(wrong: list[str]) -> None:
    if wrong:
        raise ReadbackError(
            "the running pair is not the one that was asked for",
            evidence=tuple(wrong),
            hint="QEMU changed or ignored an option; see primary/argv.json and qmp.jsonl",
        )


def _summary(seen: dict[str, Any]) -> dict[str, Any]:
    return {
        "ram_bytes": sum(backend["size"] for backend in seen["query-memdev"]),
        "memory_backends": [
            {key: backend.get(key) for key in ("id", "size", "policy", "prealloc", "share")}
            for backend in seen["query-memdev"]
        ],
        "vcpus": len(seen["query-cpus-fast"]),
        "vcpu_threads": [cpu["thread-id"] for cpu in seen["query-cpus-fast"]],
        "cpu_type": seen["query-cpus-fast"][0].get("qom-type"),
        "accel": "kvm" if seen["query-kvm"]["enabled"] else "tcg",
        "qemu": seen["query-version"]["qemu"],
        **seen["properties"],
        **seen["confined"],
    }


def _colo_summary(seen: dict[str, Any]) -> dict[str, Any]:
    return {
        "colo": seen["query-colo-status"],
        "capabilities": sorted(entry["capability"] for entry in seen["query-migrate-capabilities"] if entry["state"]),
        "parameters": seen["query-migrate-parameters"],
        "block_nodes": sorted({node["drv"] for node in seen["query-named-block-nodes"]}),
    }
