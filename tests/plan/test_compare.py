"""Two plans that measure other runs must never pass for the same one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fake_session import GUEST, QEMU, make_cell

from bench.config.links import Link
from bench.config.procedure import Deadlines
from bench.errors import PlanChangedError
from bench.plan.compare import differences, require_same
from bench.plan.plan import Plan, QemuBuild, make_plan

CELLS = tuple(make_cell(mem, smp) for mem in ("256M", "512M") for smp in (1, 2))
NODELAY = (make_cell("256M", link=Link(transport="nodelay")),)
OTHER = QemuBuild("10.1.3", "d" * 64, "system")


def plan(cells: Any = CELLS, **more: Any) -> Plan:
    return make_plan("c", cells, **{"repeats": 2, "seed": 1, "qemu": QEMU, "guest": GUEST} | more)


def test_plans_of_the_same_runs_have_no_difference() -> None:
    patient = [cell.model_copy(update={"deadlines": Deadlines(boot=999)}) for cell in CELLS]
    assert list(differences(plan(), plan(patient[::-1], command="another"))) == []
    require_same(plan(), plan())
    require_same(plan(), plan(repeats=3))
    require_same(plan(repeats=3), plan())


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({"seed": 2}, ["seed: 1 -> 2"]),
        ({"cells": [*CELLS, make_cell("1G")]}, ["mem: 256 MiB, 512 MiB -> 256 MiB, 512 MiB, 1 GiB"]),
        ({"cells": CELLS[:3]}, ["no longer asked for: 512 MiB · 2 vCPUs · idle · tcp"]),
        (
            {"cells": [make_cell("256M", 1, accel="kvm")]},
            ["mem: 256 MiB, 512 MiB -> 256 MiB", "smp: 1, 2 -> 1", "accel: tcg -> kvm"],
        ),
        ({"qemu": {"provisioned": OTHER}}, [f"QEMU (provisioned): 11.1.3 {'a' * 12} -> 10.1.3 {'d' * 12}"]),
        ({"guest": replace(GUEST, kernel_sha256="e" * 64)}, [f"guest kernel: {'b' * 12} -> {'e' * 12}"]),
        ({"guest": replace(GUEST, initramfs_sha256="e" * 64)}, [f"guest initramfs: {'c' * 12} -> {'e' * 12}"]),
    ],
)
def test_a_changed_plan_is_refused_with_one_line_for_each_change(change: dict[str, Any], lines: list[str]) -> None:
    with pytest.raises(PlanChangedError, match="campaign=NAME") as refusal:
        require_same(plan(), plan(**change))
    assert refusal.value.evidence == tuple(lines)


def test_a_rebuilt_nodelay_library_is_another_plan() -> None:
    stored, asked = (plan(NODELAY, nodelay_sha256=digit * 64) for digit in "12")
    with pytest.raises(PlanChangedError) as refusal:
        require_same(stored, asked)
    assert refusal.value.evidence == (f"nodelay library: {'1' * 12} -> {'2' * 12}",)


def test_a_qemu_that_only_one_plan_names_is_told() -> None:
    asked = plan((*CELLS, make_cell(qemu="system")), qemu=QEMU | {"system": OTHER})
    lines = list(differences(plan(), asked))
    assert f"QEMU (system): - -> 10.1.3 {'d' * 12}" in lines
    assert "qemu: provisioned -> provisioned, system" in lines


def test_other_run_ids_are_refused_even_when_nothing_tells_why() -> None:
    asked = plan()
    asked = replace(asked, runs=tuple(replace(run, run_id=run.run_id[::-1]) for run in asked.runs))
    with pytest.raises(PlanChangedError, match="exists with another plan") as refusal:
        require_same(plan(), asked)
    assert refusal.value.evidence == ("the run ids differ, and no setting, factor or hash of the two plans tells why",)
