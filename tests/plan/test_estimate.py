from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fake_session import GIB, make_cell

from bench.config.procedure import Checkpoint
from bench.errors import HostError
from bench.plan.estimate import (
    Estimate,
    cold_bytes,
    duration_text,
    estimate,
    gib,
    primary_bytes,
    require_disk,
    require_fit,
    secondary_bytes,
)
from bench.plan.plan import plan_cells

if TYPE_CHECKING:
    from bench.config.model import Cell


def test_the_secondary_needs_the_whole_ram_and_what_is_touched_the_primary_only_what_is_touched() -> None:
    idle, dirty = make_cell("4G"), make_cell("4G", dirty=True)
    assert primary_bytes(idle) == 350 << 20
    assert secondary_bytes(idle) == 4 * GIB + (350 << 20)
    assert secondary_bytes(dirty) - secondary_bytes(idle) == 64 << 20


def test_sixteen_gib_fit_on_the_machine_where_they_ran() -> None:
    require_fit(plan_cells([make_cell("16G", 8)]), int(23.5 * GIB))


def test_a_cell_that_cannot_fit_is_refused_with_the_numbers_and_what_would() -> None:
    with pytest.raises(
        HostError, match=r"32 GiB · 1 vCPU .* needs 32\.7 GiB of memory, 23\.5 GiB available"
    ) as refusal:
        require_fit(plan_cells([make_cell("1G"), make_cell("32G")]), int(23.5 * GIB))
    largest = refusal.value.hint.split("mem=")[1].split()[0]
    require_fit(plan_cells([make_cell(largest)]), int(23.5 * GIB))


def test_under_kvm_the_secondary_has_the_ram_twice_and_one_of_the_two_may_lie_in_swap() -> None:
    emulated, kvm = make_cell("16G"), make_cell("16G", accel="kvm")
    assert secondary_bytes(kvm) - secondary_bytes(emulated) == cold_bytes(kvm) == 16 * GIB - (200 << 20)
    with pytest.raises(HostError, match=r"the whole RAM twice, under KVM") as refusal:
        require_fit(plan_cells([kvm]), int(23.5 * GIB))
    assert "or add swap: 15.8 GiB of it are written once" in refusal.value.hint
    largest = refusal.value.hint.split("mem=")[1].split()[0]
    require_fit(plan_cells([make_cell(largest, accel="kvm")]), int(23.5 * GIB))
    require_fit(plan_cells([kvm]), int(23.5 * GIB), swap_bytes=20 * GIB)
    with pytest.raises(HostError, match=r"available by memory\.max"):
        require_fit(plan_cells([kvm]), int(23.5 * GIB), "memory.max", swap_bytes=20 * GIB)


def test_a_survivor_that_kvm_has_filled_needs_its_ram_beside_the_two_of_its_new_secondary() -> None:
    def struck(mem: str, victim: str, **more: Any) -> Cell:
        return make_cell(mem, scenario="failover", failover={"victim": victim, "redundancy": True}, **more)

    plain = estimate(struck("4G", "secondary", accel="kvm")).memory_bytes
    assert estimate(struck("4G", "primary", accel="kvm")).memory_bytes - plain == 4 * GIB - (200 << 20)
    emulated = {estimate(struck("4G", victim)).memory_bytes for victim in ("primary", "secondary")}
    assert len(emulated) == 1
    with pytest.raises(HostError, match=r"needs 12\.3 GiB of memory, 10\.0 GiB available") as refusal:
        require_fit(plan_cells([struck("4G", "primary", accel="kvm")]), 10 * GIB)
    largest = refusal.value.hint.split("mem=")[1].split()[0]
    require_fit(plan_cells([struck(largest, "primary", accel="kvm")]), 10 * GIB)


def test_a_disk_that_is_too_small_is_refused_with_the_numbers() -> None:
    one = Estimate(10, GIB, 5 << 20)
    require_disk([one] * 3, 15 << 20)
    with pytest.raises(HostError, match="4 runs need 20 MiB of disk, 15 MiB free") as caught:
        require_disk([one] * 4, 15 << 20)
    assert caught.value.cause == "host-disk"


def test_time_grows_with_memory_vcpus_and_checkpoints() -> None:
    base = estimate(make_cell("1G")).seconds
    assert base < estimate(make_cell("4G")).seconds
    assert base < estimate(make_cell("1G", 8)).seconds
    assert base < estimate(make_cell("1G", checkpoint=Checkpoint(count=100, warmup=0))).seconds


def test_a_guest_with_applications_boots_the_kernel_that_the_linux_guest_boots() -> None:
    bare, linux, apps = (estimate(make_cell("1G", 2, guest=guest)).seconds for guest in ("bare", "linux", "apps"))
    assert bare < linux == apps


def test_sixteen_gib_take_about_as_long_to_reach_colo_as_measured() -> None:
    more = estimate(make_cell("16G")).seconds - estimate(make_cell("512M")).seconds
    assert 40 < more < 60


def test_timer_checkpoints_are_paced_by_the_timer() -> None:
    by_timer = estimate(make_cell(checkpoint=Checkpoint(trigger="timer", interval=20, count=10, warmup=1))).seconds
    assert 220 < by_timer < 240


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0 s"), (45, "45 s"), (59.7, "1 min 0 s"), (250, "4 min 10 s"), (7500, "2 h 5 min")]
)
def test_durations_for_people(seconds: float, expected: str) -> None:
    assert expected == duration_text(seconds)


@pytest.mark.parametrize(
    ("size", "expected"), [(512 << 20, "512 MiB"), (5000, "5000 B"), (int(16.7 * GIB), "16.7 GiB")]
)
def test_sizes_for_people(size: int, expected: str) -> None:
    assert expected == gib(size)


def test_what_nobody_says_refuses_nothing() -> None:
    require_fit(plan_cells([make_cell("32G")]), None)
