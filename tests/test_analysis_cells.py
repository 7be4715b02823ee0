from __future__ import annotations

from typing import Any

from analysis.stored.cells import Cells, name_cells
from analysis.stored.records import Quality, RunRecord

MIB = 1 << 20


def _record(cell_id: str, accel: str = "tcg", label: str = "", **cell: Any) -> RunRecord:
    tree = {"mem": 512 * MIB, "smp": 1, "workload": {"name": "idle"}, "link": {"transport": "tcp"}} | cell
    return RunRecord(
        run_id=f"r{cell_id}",
        campaign="c",
        block=0,
        order=0,
        cell_id=cell_id,
        cell=tree,
        label=label or cell_id,
        started_at=0,
        finished_at=1,
        accel=accel,
        quality=Quality(ok=True),
    )


def _panels(*records: RunRecord) -> list[str]:
    return [name.panel for name in name_cells(records).names]


def test_memory_and_vcpus_alone_need_no_panel() -> None:
    cells = name_cells([_record("a", mem=4096 * MIB, smp=8), _record("b", mem=512 * MIB, smp=2)])
    assert [name.size for name in cells.names] == ["512 MiB · 2 vCPUs", "4 GiB · 8 vCPUs"]
    assert cells.panels == ("",)
    assert cells.shared == "idle · tcp"


def test_what_else_differs_makes_panels_and_leaves_what_is_shared() -> None:
    cells = name_cells([_record("a", link={"transport": "unix"}), _record("b")])
    assert cells.panels == ("tcp", "unix")
    assert cells.shared == "idle"


def test_a_parameter_is_named_only_where_the_head_word_does_not_tell() -> None:
    slow = {"name": "dirty", "working_set": 64 * MIB, "rate": 20.0}
    fast = {"name": "dirty", "working_set": 256 * MIB, "rate": 20.0}
    assert _panels(_record("a", workload=slow), _record("b", workload=fast), _record("c")) == [
        "dirty working_set=256 MiB",
        "dirty working_set=64 MiB",
        "idle",
    ]


def test_a_switch_is_on_or_off_as_in_the_plan_s_labels() -> None:
    cpus = ({"model": "qemu64", "l3_cache": on} for on in (True, False))
    one, two = (_record(cell_id, cpu=cpu) for cell_id, cpu in zip("ab", cpus, strict=True))
    assert _panels(one, two) == ["qemu64 l3_cache=off", "qemu64 l3_cache=on"]


def test_the_accelerator_that_was_used_tells_panels_apart() -> None:
    cells = name_cells([_record("a", accel="tcg"), _record("b", accel="kvm")])
    assert cells.panels == ("KVM", "emulation (TCG)")
    assert cells.accels == ("kvm", "tcg")


def test_any_other_key_is_named_in_full_and_deadlines_never() -> None:
    one = _record("a", qemu="system", deadlines={"boot": 1})
    two = _record("b", qemu="provisioned", deadlines={"boot": 2})
    assert _panels(one, two) == ["qemu=provisioned", "qemu=system"]


def test_a_long_value_is_cut_and_stays_unique() -> None:
    long = [f"colo_event_number_{n}" for n in range(9)]
    panels = _panels(_record("a", trace={"events": long}), _record("b", trace={"events": [*long, "one_more"]}))
    assert len(set(panels)) == 2
    assert max(map(len, panels)) < 60


def test_one_label_for_two_cells_gets_their_ids() -> None:
    cells = name_cells([_record("abcdef123456", label="same"), _record("123456abcdef", label="same", smp=2)])
    assert [name.label for name in cells.names] == ["same (abcdef12)", "same (123456ab)"]


def test_the_order_of_runs_does_not_matter() -> None:
    records = [_record("a", smp=4), _record("b", smp=2), _record("c", mem=1024 * MIB)]
    assert name_cells(records) == name_cells(records[::-1])


def test_no_cells_are_no_names() -> None:
    assert name_cells([]) == Cells((), "")
