"""Requests against replies: what a running VM says of itself must be what was asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bench.config.links import Migration
from bench.config.machine import Cache, CacheLevel, Cpu
from bench.config.model import Cell
from bench.config.tuning import Pinning, Tune
from bench.errors import QmpError
from bench.vm.features import MODERN
from bench.vm.readback import (
    colo_mismatches,
    confinement_mismatches,
    delay_mismatch,
    machine_mismatches,
    read_properties,
)
from bench.vm.spec import planned_spec
from bench.workload.idle import Idle

CELL = Cell(mem="1G", smp=2, accel="tcg", workload=Idle())
SPEC = planned_spec(CELL, None, None)
UNKNOWN = dict.fromkeys(("machine", "nic", "disk", "usb_tablet", "vga", "l3_cache", "smp_cache"))
OURS = {
    "machine": "pc-i440fx-11.1-machine",
    "nic": "rtl8139",
    "disk": "ide-hd",
    "usb_tablet": True,
    "vga": "std",
    "l3_cache": True,
    "smp_cache": [{"cache": "l3", "topology": "default"}],
}


def machine(
    size: int = 1 << 30, vcpus: int = 2, *, kvm: bool = False, cpu: str = "qemu64", **properties: Any
) -> dict[str, Any]:
    return {
        "query-memdev": [{"size": size, "policy": "default", "prealloc": False}],
        "query-cpus-fast": [{"thread-id": n, "qom-type": f"{cpu}-x86_64-cpu", "qom-path": "/c"} for n in range(vcpus)],
        "query-kvm": {"enabled": kvm},
        "properties": OURS | properties,
    }


def asked(**changes: Any) -> Any:
    return planned_spec(CELL.model_copy(update=changes), None, None)


def colo(
    mode: str = "primary", *, on: bool = True, drivers: tuple[str, ...] = ("quorum", "replication")
) -> dict[str, Any]:
    return {
        "query-colo-status": {"mode": mode},
        "query-migrate-capabilities": [{"capability": name, "state": on} for name in ("x-colo", "return-path")],
        "query-named-block-nodes": [{"node-name": name, "drv": name} for name in drivers],
    }


def test_the_machine_that_was_asked_for_passes() -> None:
    assert machine_mismatches(SPEC, "primary", machine()) == []


def test_every_difference_of_the_machine_is_named() -> None:
    assert machine_mismatches(SPEC, "secondary", machine(1 << 29, 1, kvm=True)) == [
        "secondary: RAM in bytes: asked 1073741824, running 536870912",
        "secondary: vCPUs: asked 2, running 1",
        "secondary: accelerator: asked tcg, running kvm",
    ]


def test_another_model_card_disk_or_tablet_is_named() -> None:
    seen = machine(cpu="qemu32", machine="pc-q35-11.1-machine", nic="e1000", disk="virtio-blk-device", usb_tablet=False)
    seen["properties"]["vga"] = "none"
    assert machine_mismatches(SPEC, "primary", seen) == [
        "primary: CPU: asked qemu64-x86_64-cpu, running qemu32-x86_64-cpu",
        "primary: machine: asked pc, running pc-q35-11.1-machine",
        "primary: network card: asked rtl8139, running e1000",
        "primary: disk: asked ide, running virtio",
        "primary: USB tablet: asked True, running False",
        "primary: graphics card: asked std, running none",
    ]


def test_another_memory_backend_is_named() -> None:
    seen = machine() | {"query-memdev": [{"size": 1 << 30, "policy": "bind", "prealloc": True}]}
    assert machine_mismatches(SPEC, "primary", seen) == [
        "primary: RAM policy: asked default, running bind",
        "primary: RAM preallocated: asked False, running True",
    ]


def test_caches_that_the_guest_is_not_told_of_are_named() -> None:
    spec = asked(cpu=Cpu(l3_cache=False, cache=Cache(l3=CacheLevel(topology="core"))))
    assert machine_mismatches(spec, "primary", machine()) == [
        "primary: guest told of an L3 cache: asked False, running True",
        "primary: topology of the l3 cache: asked core, running default",
    ]
    seen = machine(l3_cache=False, smp_cache=[{"cache": "l3", "topology": "core"}])
    assert machine_mismatches(spec, "primary", seen) == []


def test_what_a_binary_cannot_tell_is_no_mismatch() -> None:
    old = machine(**UNKNOWN) | {"query-memdev": [{"size": 1 << 30}]}
    assert machine_mismatches(asked(cpu=Cpu(cache=Cache(l3=CacheLevel(topology="core")))), "primary", old) == []


def tree(command: str, arguments: dict[str, Any]) -> Any:
    """Answer as a QEMU with a virtio disk and without smp-cache does."""
    if command == "qom-list":
        card = "child<cirrus-vga>" if arguments["path"] == "/machine/unattached" else "child<usb-tablet>"
        return [{"name": "type", "type": "string"}, {"name": "device[1]", "type": card}]
    known = {
        ("/machine", "type"): "pc-i440fx-7.2-machine",
        ("/machine/peripheral/e0", "type"): "e1000",
        ("/disk", "type"): "virtio-blk-device",
        ("/c", "l3-cache"): False,
    }
    where = arguments["path"], arguments["property"]
    if where not in known:
        raise QmpError(f"no property {where}", cause="qmp-refused")
    return known[where]


def test_the_object_tree_is_asked_and_what_it_does_not_know_is_none() -> None:
    async def execute(command: str, arguments: dict[str, Any]) -> Any:
        return tree(command, arguments)

    blocks = [{"device": "floppy0", "qdev": "/floppy"}, {"device": "colo-disk0", "qdev": "/disk"}]
    seen = asyncio.run(read_properties(execute, machine() | {"query-block": blocks}))
    assert seen == {
        "machine": "pc-i440fx-7.2-machine",
        "nic": "e1000",
        "disk": "virtio-blk-device",
        "usb_tablet": True,
        "vga": "cirrus",
        "l3_cache": False,
        "smp_cache": None,
    }


def test_a_monitor_that_does_not_answer_is_not_taken_for_one_that_does_not_know() -> None:
    async def execute(_command: str, _arguments: dict[str, Any]) -> Any:
        raise QmpError("no answer", cause="qmp-timeout")

    with pytest.raises(QmpError, match="no answer"):
        asyncio.run(read_properties(execute, machine() | {"query-block": []}))


def test_the_colo_state_that_was_asked_for_passes() -> None:
    assert colo_mismatches(SPEC, "primary", colo()) == []


def test_every_difference_of_the_colo_state_is_named() -> None:
    assert colo_mismatches(SPEC, "secondary", colo("primary", on=False, drivers=("qcow2",))) == [
        "secondary: COLO mode is primary",
        "secondary: capability x-colo is off",
        "secondary: capability return-path is off",
        "secondary: no quorum node in the block graph",
        "secondary: no replication node in the block graph",
    ]


def test_channels_that_are_not_the_ones_asked_for_are_named() -> None:
    spread = planned_spec(CELL.model_copy(update={"migration": Migration(multifd=4)}), None, None)
    seen = colo() | {"query-migrate-parameters": {"multifd-channels": 2}}
    assert colo_mismatches(spread, "primary", seen) == [
        "primary: capability multifd is off",
        "primary: multifd-channels: asked 4, running 2",
    ]


def test_a_delay_that_was_not_applied_is_named() -> None:
    assert delay_mismatch(20000, {"x-checkpoint-delay": 20000}) == []
    assert delay_mismatch(500, {"x-checkpoint-delay": 20000}) == [
        "primary: x-checkpoint-delay: asked 500, running 20000"
    ]


def test_other_cpus_or_no_filter_of_system_calls_are_named() -> None:
    pinned = asked(tune=Tune(pinning=Pinning(primary="0-1")))
    assert confinement_mismatches(pinned, "primary", cpus=[0, 1], sandboxed=True) == []
    assert confinement_mismatches(pinned, "secondary", cpus=[3], sandboxed=None) == []
    assert confinement_mismatches(pinned, "primary", cpus=[0], sandboxed=False) == [
        "primary: CPUs: asked [0, 1], running [0]",
        f"primary: -sandbox {MODERN.sandbox}: no system call is filtered",
    ]
