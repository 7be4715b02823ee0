"""A run that begins as a saved machine: its command line, its steps, what that machine is known by; and real ones."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_session import make_cell
from fixtures.pairs import bench, checkpoints, records

from bench.errors import ColoError, HostError
from bench.host.process import launch
from bench.provision.apps import build_apps
from bench.provision.guest import Guest
from bench.provision.qemu import Binary, find_qemu
from bench.provision.state import state_image
from bench.scenario.registry import scenario_of
from bench.vm.argv import primary_argv, secondary_argv
from bench.vm.features import MODERN
from bench.vm.saved import Maker, _ended, saved_machine
from bench.vm.spec import Second, planned_spec

BINARY = Binary(("qemu",), ("qemu-img",), (), Path("/q/qemu"), "a" * 64, "11.1.3", "provisioned")
GUEST = Guest(Path("/g/vmlinuz"), Path("/g/initramfs"), "b" * 64, "c" * 64, "6.12", ())


def maker(**cell: Any) -> Maker:
    return Maker(make_cell(**{"start": "restored", **cell}), BINARY, GUEST, MODERN)


def test_the_primary_waits_for_the_saved_machine_and_runs_on_as_it_before_colo() -> None:
    spec = planned_spec(make_cell(start="restored"), BINARY, GUEST)
    assert primary_argv(spec)[-2:] == ("-incoming", "defer")
    assert secondary_argv(spec).count("-incoming") == 1
    steps = [(one.side, one.command) for one in scenario_of(spec.cell).steps(spec)]
    capabilities = ("primary", "migrate-set-capabilities")
    assert steps[2:6] == [capabilities, ("primary", "migrate-incoming"), ("primary", "cont"), capabilities]
    assert steps[6] == ("secondary", "human-monitor-command")
    booted = planned_spec(make_cell(), BINARY, GUEST)
    assert "-incoming" not in primary_argv(booted)


def test_a_saved_machine_is_known_by_what_makes_it_and_by_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path / "cache"))
    one = maker()
    for same in (
        maker(workload={"name": "dirty"}),
        maker(link={"transport": "unix"}),
        maker(replica="b"),
        replace(one, binary=replace(BINARY, path=Path("/elsewhere"), argv=("/elsewhere/qemu",))),
        replace(one, guest=replace(GUEST, kernel=Path("/elsewhere/vmlinuz"))),
    ):
        assert same.folder == one.folder
    others = {
        maker(mem="1G").folder,
        maker(smp=2).folder,
        maker(devices={"nic": "virtio-net-pci"}).folder,
        maker(accel="kvm").folder,
        replace(one, binary=replace(BINARY, sha256="d" * 64)).folder,
        replace(one, guest=replace(GUEST, initramfs_sha256="d" * 64)).folder,
    }
    assert len(others - {one.folder}) == 6


def test_what_two_releases_begin_as_is_saved_as_the_machine_that_both_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path / "cache"))
    newer = replace(MODERN, machines=("pc-i440fx-11.1", "pc-i440fx-10.0"))
    older = Second(replace(BINARY, sha256="d" * 64), replace(MODERN, machines=("pc-i440fx-10.0",)))
    one = replace(maker(), features=newer)
    apart = replace(one, second=older)
    assert apart.folder != one.folder
    assert replace(apart, second=replace(older, features=newer)).folder != apart.folder


def test_a_binary_that_cannot_save_is_refused_beforehand() -> None:
    unable = replace(maker(), features=replace(MODERN, mapped_ram=False))
    with pytest.raises(HostError, match=r"start=restored: 11\.1\.3 has no mapped-ram") as raised:
        saved_machine(unable, print)
    assert raised.value.cause == "saving-missing"


def test_a_qemu_that_does_not_end_when_it_has_saved_its_machine_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with launch("primary's QEMU", ("sleep", "60"), folder=tmp_path) as process:
            with pytest.raises(ColoError, match=r"did not end within 0\.05 s") as caught:
                await _ended(process, 0.05)
            assert caught.value.cause == "saving-failed"

    asyncio.run(scenario())


@pytest.mark.pair
@pytest.mark.parametrize(("guest", "mem"), [("bare", "256M"), ("linux", "256M"), ("apps", "512M")])
def test_pairs_begin_as_the_machine_that_was_saved_once(tmp_path: Path, guest: str, mem: str) -> None:
    if guest == "apps":  # its images take longer to make than a run may
        state_image(build_apps(print), find_qemu("provisioned", print), "", print)
    asked = (f"mem={mem}", "smp=1", f"guest={guest}", "accel=tcg", "link=unix", "start=restored", "hypotheses=none")
    load = ("workload=dirty", "workload.working_set=2M", "checkpoint.interval=0.2", "checkpoint.count=4")
    bench(tmp_path, *asked, *load, "scenario=colo,native", "campaign=saved")
    found = {record["cell"].get("scenario", "colo"): record for record in records(tmp_path / "saved")}
    assert set(found) == {"colo", "native"}
    assert found["colo"]["saved"] == found["native"]["saved"]
    assert all(record["timings"]["boot_s"] < record["timings"]["measure_s"] for record in found.values())
    table = checkpoints(tmp_path / "saved", found["colo"])
    # The workload runs in the guest that was saved; when the first checkpoint comes it may only just have begun.
    assert (table.loc[~table["warmup"], "dirty_pages"] >= 512).all()
    assert found["native"]["workload"]["achieved_mb_s"] > 0
