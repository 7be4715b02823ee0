"""A label names what it must, whatever else varies, and nothing more; no two cells of a sweep share one."""

from __future__ import annotations

from itertools import product

import pytest
from fake_session import make_cell

from bench.config.links import Link
from bench.config.machine import Devices
from bench.config.model import Cell
from bench.config.procedure import Checkpoint, Deadlines
from bench.plan.label import accel_text, factor_texts, labels
from bench.workload.dirty import Dirty


def test_a_label_names_memory_vcpus_workload_and_link() -> None:
    assert labels([make_cell("512M", 1)]) == ("512 MiB · 1 vCPU · idle · tcp",)
    assert labels([make_cell("4G", 8, host={"kind": "netns"})]) == ("4 GiB · 8 vCPUs · idle · tcp · netns",)


def test_a_label_names_whatever_else_varies_and_nothing_that_does_not() -> None:
    slow, fast = (make_cell(workload=Dirty(rate=rate)) for rate in (20, 200))
    assert labels([make_cell(), slow, fast]) == (
        "512 MiB · 1 vCPU · idle · tcp",
        "512 MiB · 1 vCPU · dirty rate=20 · tcp",
        "512 MiB · 1 vCPU · dirty rate=200 · tcp",
    )
    assert labels([make_cell(checkpoint=Checkpoint(interval=s)) for s in (0.5, 1)])[0].endswith(
        "checkpoint.interval=0.5"
    )
    assert labels([make_cell(), make_cell(link=Link(transport="unix"))])[1] == "512 MiB · 1 vCPU · idle · unix"


def test_no_two_cells_of_a_sweep_share_a_label() -> None:
    factors = product(("256M", "1G"), (1, 2), (False, True), ("tcp", "unix"), ("rtl8139", "e1000"), (0.5, 1))
    cells = [
        make_cell(
            mem,
            smp,
            dirty=dirty,
            link=Link(transport=transport),
            devices=Devices(nic=nic),
            checkpoint=Checkpoint(interval=interval),
        )
        for mem, smp, dirty, transport, nic, interval in factors
    ]
    assert len(set(labels(cells))) == len(cells) == 64


def test_labels_tell_cells_apart_even_by_long_lists() -> None:
    traces = [{"events": ["colo_*"] * 9 + [last]} for last in ("a", "b")]
    assert len(set(labels([make_cell(trace=trace) for trace in traces]))) == 2


def test_factors_are_text_by_dotted_path_without_the_deadlines() -> None:
    factors = factor_texts(make_cell("1G", devices=Devices(usb_tablet=False), deadlines=Deadlines(boot=7)))
    named = ("mem", "smp", "devices.usb_tablet", "devices.disk_size", "link.transport")
    assert [factors[path] for path in named] == ["1 GiB", "1", "off", "10 GiB", "tcp"]
    assert not [path for path in factors if path.startswith("deadlines")]


def test_how_a_pair_runs_is_always_said_in_full() -> None:
    assert accel_text("tcg") == "emulation (TCG)"
    assert accel_text("tcg", elsewhere=True) == "emulation (TCG)"
    assert accel_text("kvm", elsewhere=True) == "KVM of the hosts that measure"
    with pytest.raises(KeyError):
        accel_text("hvf")


def test_what_an_antagonist_is_like_is_named_where_antagonists_differ() -> None:
    def beside(**cache: object) -> Cell:
        return Cell.model_validate(make_cell().model_dump() | {"cache": cache})

    plain, small, large = make_cell(), beside(kind="antagonist", buffer="32M"), beside(kind="antagonist")
    assert [
        label.partition(" \N{MIDDLE DOT} cache.")[2] for label in labels([plain, large, beside(kind="control")])
    ] == [
        "",
        "kind=antagonist",
        "kind=control",
    ]
    assert labels([plain, small, large])[1].endswith("cache.kind=antagonist \N{MIDDLE DOT} cache.buffer=32 MiB")


def test_a_tuning_is_named_where_it_varies_by_what_it_changes() -> None:
    plain, tuned = labels([make_cell(), make_cell(tune={"thp": "never", "pinning": {"primary": "0-1"}})])
    assert plain == "512 MiB · 1 vCPU · idle · tcp"
    assert tuned == "512 MiB · 1 vCPU · idle · tcp · tune.thp=never · tune.pinning.primary=0,1"
    assert labels([make_cell(tune={"thp": "never"})]) == (plain,)
