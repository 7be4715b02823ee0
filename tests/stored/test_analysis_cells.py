from __future__ import annotations

from typing import Any

from analysis.stored.cells import Cells, name_cells
from analysis.stored.records import KvmRecord, Quality, RunRecord

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


def test_a_cell_whose_runs_were_on_unlike_hosts_names_every_kvm() -> None:
    kinds = ("nested", "software", "nested")
    records = [_record("a", accel="kvm").model_copy(update={"kvm": KvmRecord(kind=kind)}) for kind in kinds]
    cells = name_cells(records)
    said = "KVM, nested and KVM without hardware virtualization"
    assert ([name.under for name in cells.names], cells.under) == ([said], said)


def test_what_else_differs_makes_panels_and_leaves_what_is_shared() -> None:
    cells = name_cells([_record("a", link={"transport": "unix"}), _record("b")])
    assert cells.panels == ("tcp", "unix")
    assert cells.shared == "idle"


def test_a_parameter_is_named_only_where_the_head_word_does_not_tell() -> None:
    slow = {"name": "dirty", "working_set": 64 * MIB, "rate": 20.0}
    fast = {"name": "dirty", "working_set": 256 * MIB, "rate": 20.0}
    assert _panels(_record("a", workload=slow), _record("b", workload=fast), _record("c")) == [
        "dirty, working set 256 MiB",
        "dirty, working set 64 MiB",
        "idle",
    ]


def test_a_head_word_that_all_cells_share_is_said_once() -> None:
    one, two = (
        _record(cell_id, workload={"name": "dirty", "scaling": scaling})
        for cell_id, scaling in zip("ab", ("fixed", "mem"), strict=True)
    )
    cells = name_cells([one, two])
    assert cells.panels == ("working set fixed", "working set growing with RAM")
    assert cells.shared == "dirty · tcp"


def test_what_most_cells_have_goes_without_saying() -> None:
    on, off = ({"model": "qemu64", "l3_cache": on} for on in (True, False))
    unix = {"transport": "unix"}
    records = [_record("a", cpu=on), _record("b", cpu=on, link=unix), _record("c", cpu=off, link=unix)]
    cells = name_cells(records)
    assert cells.panels == ("tcp", "unix", "unix · L3 cache off")
    assert cells.shared == "idle · unless said: L3 cache on"
    assert [name.label for name in cells.names][2] == "512 MiB · 1 vCPU · unix · L3 cache off"


def test_no_cell_is_left_without_a_word_that_tells_it_from_others() -> None:
    names = [("a", "a", 1), ("b", "a", 2), ("c", "b", 1)]
    cells = name_cells([_record(cell_id, replica=replica, smp=smp) for cell_id, replica, smp in names])
    assert cells.panels == ("replica a", "replica b")
    assert cells.shared == "idle · tcp"


def test_a_switch_is_on_or_off() -> None:
    cpus = ({"model": "qemu64", "l3_cache": on} for on in (True, False))
    one, two = (_record(cell_id, cpu=cpu) for cell_id, cpu in zip("ab", cpus, strict=True))
    assert _panels(one, two) == ["L3 cache off", "L3 cache on"]


def test_the_accelerator_that_was_used_tells_panels_apart() -> None:
    cells = name_cells([_record("a", accel="tcg"), _record("b", accel="kvm")])
    assert cells.panels == ("KVM", "emulation (TCG)")
    assert cells.accels == ("kvm", "tcg")


def test_any_other_key_is_named_in_full_and_deadlines_never() -> None:
    one = _record("a", qemu="system", deadlines={"boot": 1})
    two = _record("b", qemu="provisioned", deadlines={"boot": 2})
    assert _panels(one, two) == ["QEMU provisioned", "QEMU system"]


def test_a_long_value_is_cut_and_stays_unique() -> None:
    long = [f"colo_event_number_{n}" for n in range(9)]
    panels = _panels(_record("a", trace={"events": long}), _record("b", trace={"events": [*long, "one_more"]}))
    assert len(set(panels)) == 2
    assert max(map(len, panels)) < 60


def test_a_label_is_the_size_with_what_differs_or_else_what_is_shared() -> None:
    assert [name.label for name in name_cells([_record("a")]).names] == ["512 MiB · 1 vCPU · idle · tcp"]
    labels = [name.label for name in name_cells([_record("a"), _record("b", link={"transport": "unix"})]).names]
    assert labels == ["512 MiB · 1 vCPU · tcp", "512 MiB · 1 vCPU · unix"]


def test_one_label_for_two_cells_gets_their_ids() -> None:
    cells = name_cells([_record("abcdef123456"), _record("123456abcdef")])
    assert [name.label for name in cells.names] == [
        "512 MiB · 1 vCPU · idle · tcp (123456ab)",
        "512 MiB · 1 vCPU · idle · tcp (abcdef12)",
    ]


def test_the_order_of_runs_does_not_matter() -> None:
    records = [_record("a", smp=4), _record("b", smp=2), _record("c", mem=1024 * MIB)]
    assert name_cells(records) == name_cells(records[::-1])


def test_no_cells_are_no_names() -> None:
    assert name_cells([]) == Cells((), "")
