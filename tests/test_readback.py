"""Requests against replies: what a running VM says of itself must be what was asked for."""

from __future__ import annotations

from typing import Any

from bench.config.model import Cell
from bench.pair.readback import colo_mismatches, delay_mismatch, machine_mismatches
from bench.pair.spec import planned_spec
from bench.workload.idle import Idle

SPEC = planned_spec(Cell(mem="1G", smp=2, accel="tcg", workload=Idle()), None, None)


def machine(size: int = 1 << 30, vcpus: int = 2, *, kvm: bool = False) -> dict[str, Any]:
    cpus = [{"thread-id": n} for n in range(vcpus)]
    return {"query-memdev": [{"size": size}], "query-cpus-fast": cpus, "query-kvm": {"enabled": kvm}}


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


def test_a_delay_that_was_not_applied_is_named() -> None:
    assert delay_mismatch(20000, {"x-checkpoint-delay": 20000}) == []
    assert delay_mismatch(500, {"x-checkpoint-delay": 20000}) == [
        "primary: x-checkpoint-delay: asked 500, running 20000"
    ]
