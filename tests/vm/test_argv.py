"""Golden command lines: the whole argv of both sides, one argument a line, as it was reviewed against the procedure."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from bench.config.hosts import Host
from bench.config.links import Compare, Link
from bench.config.machine import Cache, CacheLevel, Cpu, Devices
from bench.config.model import Cell
from bench.config.procedure import Checkpoint, Trace
from bench.host.links import planned_addresses
from bench.provision.qemu import Binary
from bench.vm.argv import cpu_option, primary_argv, secondary_argv
from bench.vm.features import MODERN, Features
from bench.vm.procedure import colo_steps
from bench.vm.spec import PairSpec, Ports, Second, planned_spec
from bench.workload.dirty import Dirty
from bench.workload.http import Http
from bench.workload.idle import Idle
from bench.workload.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
PORTS = Ports(mirror=9003, compare=9004, primary_in=9001, compare_out=9005, migration=9998, nbd=9999, forward=8080)


def spec(cell: Cell, features: Features = MODERN, **changes: object) -> PairSpec:
    base = {"qemu": ("qemu-system-x86_64",), "kernel": "vmlinuz", "initramfs": "initramfs", "ports": PORTS}
    return PairSpec(cell=cell, features=features, **(base | changes))  # type: ignore[arg-type]


BRIDGED = Cell(mem="1G", smp=2, accel="tcg", workload=Http(), host=Host(kind="bridged"))
PROCEDURE = Cell(mem="16G", smp=8, accel="kvm", cpu=Cpu(features=("+kvmclock",)), workload=Idle())
CASES = {
    "procedure": spec(PROCEDURE),
    "http-unix": spec(Cell(mem="512M", smp=1, accel="tcg", workload=Http(), link=Link(transport="unix"))),
    "old-qemu-netns": spec(
        Cell(mem="1G", smp=2, accel="tcg", workload=Dirty(), host=Host(kind="netns")),
        Features("reconnect=1", ("x-colo",), smp_cache=False, trace_events=frozenset()),
        addresses=planned_addresses("netns"),
    ),
    "virtio-watch": spec(
        Cell(
            mem="1G",
            smp=2,
            accel="tcg",
            workload=Idle(),
            devices=Devices(nic="virtio-net-pci", disk="virtio", usb_tablet=False),
            cpu=Cpu(l3_cache=False, cache=Cache(l2=CacheLevel(topology="core"), l3=CacheLevel(topology="socket"))),
        ),
        watch=frozenset({"primary"}),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("side", "build"), [("primary", primary_argv), ("secondary", secondary_argv)])
def test_argv_is_the_reviewed_one(name: str, side: str, build: object) -> None:
    golden = (GOLDEN / f"{name}-{side}.txt").read_text().splitlines()
    assert golden == list(build(CASES[name]))  # type: ignore[operator]


def test_both_sides_have_the_same_machine() -> None:
    first, second = (build(CASES["procedure"]) for build in (primary_argv, secondary_argv))
    end = first.index("-name")
    assert first[:end] == second[:end]


def test_nothing_listens_on_every_address() -> None:
    for case in CASES.values():
        for argument in (*primary_argv(case), *secondary_argv(case)):
            assert "0.0.0.0" not in argument  # noqa: S104 - this is the ban
            assert "::" not in argument


def test_cpu_option_says_model_features_and_l3_cache() -> None:
    cell = Cell(mem="1G", smp=1, workload=Idle(), cpu=Cpu(model="max", features=("-hpet",), l3_cache=True))
    assert cpu_option(cell) == "max,-hpet,l3-cache=on"


def test_the_graphics_card_is_qemus_own_unless_another_or_none_is_asked_for() -> None:
    def argv(**devices: str) -> tuple[str, ...]:
        return secondary_argv(spec(Cell(mem="1G", smp=1, workload=Idle(), devices=Devices(**devices))))  # type: ignore[arg-type]

    assert "-vga" not in argv(vga="std")
    for card in ("none", "cirrus"):
        assert argv(vga=card)[argv(vga=card).index("-vga") + 1] == card


def test_a_planned_spec_shows_symbolic_ports() -> None:
    cell = Cell(mem="1G", smp=1, workload=Idle(), checkpoint=Checkpoint(), trace=Trace())
    argv = " ".join(primary_argv(planned_spec(cell, None, None)))
    assert "port=<free:mirror>" in argv
    assert "provisioned" in argv


def test_an_unset_cache_size_is_not_written() -> None:
    argv = primary_argv(CASES["virtio-watch"])
    machine = argv[argv.index("-machine") + 1]
    assert machine == (
        "pc,smp-cache.0.cache=l2,smp-cache.0.topology=core,smp-cache.1.cache=l3,smp-cache.1.topology=socket"
    )


def test_two_binaries_are_each_told_in_their_own_words_and_run_one_machine() -> None:
    """A rolling upgrade: the new primary, the secondary as it still is."""
    old = Features("reconnect=1", ("x-colo",), smp_cache=False, trace_events=frozenset(), machines=("pc-7.2",))
    binary = Binary(("/old/qemu",), ("/old/img",), (), Path("/old/qemu"), "1" * 64, "7.2", "path")
    cell = Cell(mem="1G", smp=1, accel="kvm", workload=Idle(), qemu="11.1", qemu_secondary="7.2")
    new = replace(MODERN, machines=("pc-11.1", "pc-7.2"))
    mixed = spec(cell, new, second=Second(binary, old))
    first, second = primary_argv(mixed), secondary_argv(mixed)
    assert first[: first.index("-accel")] == ("qemu-system-x86_64", "-machine", "pc-7.2")
    assert second[: second.index("-accel")] == ("/old/qemu", "-machine", "pc-7.2")
    assert "-sandbox" in first
    assert "-sandbox" not in second
    assert any(word.endswith(",reconnect=1") for word in second)
    assert mixed.capabilities == ("x-colo", "return-path")


def test_the_bare_guest_can_have_qemus_own_firmware() -> None:
    def argv(firmware: Literal["guest", "seabios"]) -> tuple[str, ...]:
        cell = Cell(mem="1G", smp=1, guest="bare", workload=Idle(), devices=Devices(firmware=firmware))
        return primary_argv(spec(cell, initramfs=None))

    assert argv("guest")[argv("guest").index("-bios") + 1] == "qboot.rom"
    assert "-bios" not in argv("seabios")


def test_images_whose_file_system_has_no_locks_are_opened_without_in_every_place() -> None:
    argv = [*primary_argv(spec(PROCEDURE, image_locks=False)), *secondary_argv(spec(PROCEDURE, image_locks=False))]
    drives = [argv[place + 1] for place, word in enumerate(argv) if word == "-drive"]
    assert sum(drive.count(".qcow2") for drive in drives) == sum(drive.count(".locking=off") for drive in drives) == 4


@pytest.mark.parametrize("argv", [primary_argv, secondary_argv])
def test_a_bridged_card_is_a_tap_without_the_header_that_the_comparer_cannot_read(
    argv: Callable[[PairSpec], tuple[str, ...]],
) -> None:
    bridged = spec(BRIDGED, addresses=planned_addresses("bridged"))
    line = argv(bridged)
    assert line[line.index("-netdev") + 1] == "tap,id=hn0,ifname=tap0,script=no,downscript=no,vnet_hdr=off"
    assert bridged.service_port == 80
    assert spec(BRIDGED.model_copy(update={"host": Host()})).service_port == PORTS.forward


def test_an_encrypted_pair_has_one_key_in_the_folders_of_its_sockets_and_uses_it_for_stream_and_disk() -> None:
    encrypted = spec(Cell(mem="1G", smp=1, accel="tcg", workload=Idle(), link=Link(tls=True)))
    assert f"tls-creds-psk,id=tls0,dir={encrypted.sockets}/primary,endpoint=client" in primary_argv(encrypted)
    assert f"tls-creds-psk,id=tls0,dir={encrypted.sockets}/secondary,endpoint=server" in secondary_argv(encrypted)
    said = [one.text() for one in colo_steps(encrypted)]
    assert sum('"tls-creds": "tls0"' in one for one in said) == 3  # each side's migration, the disk's server
    assert sum("file.tls-creds=tls0" in one for one in said) == 1
    assert not any("tls" in one.text() for one in colo_steps(spec(PROCEDURE)))


def test_a_unix_socket_is_not_encrypted() -> None:
    with pytest.raises(ValueError, match=r"link\.tls encrypts what crosses a network"):
        Cell(mem="1G", smp=1, accel="tcg", workload=Idle(), link=Link(transport="unix", tls=True))


def options(argv: tuple[str, ...], option: str) -> list[str]:
    return [value for name, value in pairwise(argv) if name == option]


def test_colo_compare_is_told_what_is_set_in_its_own_units_and_nothing_else() -> None:
    cell = Cell(mem="1G", smp=1, workload=Idle(), compare=Compare(timeout="100ms", expired_scan_cycle=0.05))
    (said,) = [value for value in options(primary_argv(spec(cell)), "-object") if value.startswith("colo-compare")]
    assert said.endswith(",iothread=iothread1,compare_timeout=100,expired_scan_cycle=50")
    queue = Cell(mem="1G", smp=1, workload=Idle(), compare=Compare(max_queue_size=32))
    (said,) = [value for value in options(primary_argv(spec(queue)), "-object") if value.startswith("colo-compare")]
    assert said.endswith(",iothread=iothread1,max_queue_size=32")


def test_with_the_cards_header_every_filter_of_both_sides_expects_it() -> None:
    devices = Devices(nic="virtio-net-pci")
    cell = Cell(mem="1G", smp=1, workload=Idle(), devices=devices, compare=Compare(vnet_hdr=True))
    for build in (primary_argv, secondary_argv):
        filters = [value for value in options(build(spec(cell)), "-object") if not value.startswith("iothread")]
        assert filters
        assert all(value.endswith(",vnet_hdr_support=on") for value in filters)


def test_without_tcp_time_stamps_the_guests_kernel_is_told_so_on_both_sides() -> None:
    cell = Cell(mem="1G", smp=1, workload=Idle(), tcp_timestamps=False)
    for build in (primary_argv, secondary_argv):
        (words,) = options(build(spec(cell)), "-append")
        assert words.split()[-1] == "sysctl.net.ipv4.tcp_timestamps=0"


def test_the_applications_are_a_disk_that_neither_side_may_write_to() -> None:
    cell = Cell(mem="1G", smp=1, guest="apps", workload=Valkey())
    for build in (primary_argv, secondary_argv):
        argv = build(spec(cell, approot="/cache/approot"))
        (node,) = [value for value in options(argv, "-blockdev") if "approot" in value]
        assert "read-only=on" in node
        assert node.endswith("file.filename=/cache/approot")
        assert "virtio-blk-pci,drive=approot,addr=0x10" in options(argv, "-device")
    assert "hostfwd=tcp:127.0.0.1:8080-:6379" in options(primary_argv(spec(cell)), "-netdev")[0]
