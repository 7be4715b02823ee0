"""What the running VMs say they are, compared with what was asked for; a mismatch fails the run before it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.errors import ReadbackError
from bench.provision.nodelay import LIBRARY

if TYPE_CHECKING:
    from bench.pair.pair import Pair
    from bench.pair.spec import PairSpec

_SIDES = ("primary", "secondary")


def machine_mismatches(spec: PairSpec, side: str, seen: dict[str, Any]) -> list[str]:
    """Return how a side's machine differs from the request, one line a difference.

    Args:
        spec: the request.
        side: for the message.
        seen: replies of ``query-memdev``, ``query-cpus-fast``, ``query-kvm`` by command name.
    """
    ram_bytes = sum(backend["size"] for backend in seen["query-memdev"])
    vcpus = len(seen["query-cpus-fast"])
    accel = "kvm" if seen["query-kvm"]["enabled"] else "tcg"
    pairs = (
        ("RAM in bytes", spec.cell.mem, ram_bytes),
        ("vCPUs", spec.cell.smp, vcpus),
        ("accelerator", spec.cell.accel, accel),
    )
    return [f"{side}: {what}: asked {asked}, running {running}" for what, asked, running in pairs if asked != running]


def colo_mismatches(spec: PairSpec, side: str, seen: dict[str, Any]) -> list[str]:
    """Return how a side's COLO state differs from the request: role, capabilities, parameters, block graph."""
    wrong = []
    if seen["query-colo-status"]["mode"] != side:
        wrong.append(f"{side}: COLO mode is {seen['query-colo-status']['mode']}")
    states = {entry["capability"]: entry["state"] for entry in seen["query-migrate-capabilities"]}
    wrong += [f"{side}: capability {name} is off" for name in spec.features.colo_capabilities if not states.get(name)]
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


async def read_machines(pair: Pair) -> dict[str, Any]:
    """Query both sides' machines and compare.

    Raises:
        ReadbackError: a side is not what was asked for.
    """
    seen = {
        side: await _query(pair, side, ("query-memdev", "query-cpus-fast", "query-kvm", "query-version"))
        for side in _SIDES
    }
    wrong = [line for side in _SIDES for line in machine_mismatches(pair.spec, side, seen[side])]
    for side in _SIDES:
        wrong += preload_mismatches(pair.spec, side, pair.processes[side].maps())
    _refuse(wrong)
    return {side: _summary(seen[side]) for side in _SIDES}


async def read_colo(pair: Pair, asked_delay_ms: int) -> dict[str, Any]:
    """Query both sides' COLO state and compare.

    Raises:
        ReadbackError: a side is not in the state that was asked for.
    """
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
    }


def _colo_summary(seen: dict[str, Any]) -> dict[str, Any]:
    return {
        "colo": seen["query-colo-status"],
        "capabilities": sorted(entry["capability"] for entry in seen["query-migrate-capabilities"] if entry["state"]),
        "parameters": seen["query-migrate-parameters"],
        "block_nodes": sorted({node["drv"] for node in seen["query-named-block-nodes"]}),
    }
