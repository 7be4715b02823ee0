from __future__ import annotations

import gzip
import lzma
import os
import socket
import statistics
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from fixtures.provisioned import running, silent
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import GuestError, ProvisionError
from bench.provision import guest as guest_module
from bench.provision import modules
from bench.provision.guest import Guest, build_guest, installed_guest
from bench.provision.packages import GUEST, Tree, fetch_tree
from bench.vm.console import parse_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.provision.boot import Solo
    from bench.provision.qemu import Binary

NO_TREE = Tree(Path("/none"), ())


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zstd, bytes])
def test_files_are_unpacked_by_what_they_begin_with(pack: object) -> None:
    assert callable(pack)
    assert modules.decompress(pack(b"content"), NO_TREE) == b"content"


@pytest.mark.parametrize("pack", [lzma.compress, zstd])
def test_a_damaged_file_is_told(pack: Callable[[bytes], bytes]) -> None:
    torn = pack(bytes(range(256)))[:-20]
    with pytest.raises(ProvisionError, match="damaged"):
        modules.decompress(torn, NO_TREE)


def test_a_module_says_what_it_needs() -> None:
    assert modules.depends(b"x\0license=GPL\0depends=mii,net-failover\0name=a\0") == ("mii", "net_failover")
    assert modules.depends(b"x\0depends=\0name=a\0") == ()
    assert modules.depends(b"nothing") == ()


def test_module_files_are_found_in_every_compression(tmp_path: Path) -> None:
    for name in ("net/a-b.ko", "net/c.ko.xz", "d.ko.zst", "e.ko.gz", "f.ko.old"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(modules.module_files(tmp_path)) == ["a_b", "c", "d", "e"]


def test_modules_are_loaded_after_what_they_need() -> None:
    needs = {
        "sd_mod": ("scsi_mod",),
        "libata": ("scsi_mod", "scsi_common"),
        "scsi_mod": ("scsi_common",),
        "scsi_common": (),
    }
    assert modules.load_order(["libata", "sd_mod"], needs) == ("scsi_common", "scsi_mod", "libata", "sd_mod")


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=10))
def test_any_dependency_order_is_complete_and_each_comes_once(drawn: list[list[int]]) -> None:
    needs = {str(i): tuple(str(j) for j in wanted if j < i) for i, wanted in enumerate(drawn)}
    order = modules.load_order(needs, needs)
    assert sorted(order) == sorted(needs)
    assert all(order.index(need) < order.index(name) for name in needs for need in needs[name])


def test_a_guest_that_was_never_built_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path))
    assert installed_guest() is None


@pytest.fixture(scope="module")
def guest() -> Guest:
    return build_guest(silent)


def rates(console: Solo, count: int) -> list[float]:
    reports = [parse_line(console.wait("report", 20)) for _ in range(count)]
    return [report[1]["rate_mb_s"] for report in reports if report]


@pytest.mark.provisioned
@pytest.mark.shares
def test_the_same_inputs_give_the_same_bytes(guest: Guest, tmp_path: Path) -> None:
    guest_module._fill(fetch_tree(GUEST, silent), tmp_path, silent)
    assert (tmp_path / "initramfs").read_bytes() == guest.initramfs.read_bytes()
    assert (tmp_path / "kernel").read_bytes() == guest.kernel.read_bytes()


@pytest.mark.provisioned
@pytest.mark.shares
def test_the_guest_is_built_once_and_records_what_is_in_it(guest: Guest) -> None:
    told: list[str] = []
    assert build_guest(told.append) == guest == installed_guest()
    assert told == []
    assert dict(guest.packages)["busybox-static"]
    assert f"linux-image-{guest.kernel_version}" in dict(guest.packages)


@pytest.mark.provisioned
@pytest.mark.shares
def test_a_guest_changed_after_it_was_built_is_noticed(guest: Guest, tmp_path: Path) -> None:
    for path in (guest.kernel, guest.initramfs, guest.kernel.with_name("guest.json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert guest_module.load_guest(tmp_path)
    with (tmp_path / "initramfs").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ProvisionError, match="initramfs is gone, damaged, or was changed") as caught:
        guest_module.load_guest(tmp_path)
    assert caught.value.cause == "guest-image-broken"


@pytest.mark.provisioned
def test_the_guest_boots_and_dirties_memory_at_the_asked_rate(binary: Binary, guest: Guest, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    nic = ("-netdev", "user,id=n0", "-device", "rtl8139,netdev=n0")
    ide = ("-drive", f"if=ide,file={disk},format=raw", "-device", "piix3-usb-uhci", "-device", "usb-tablet")
    with running(binary, guest, *nic, *ide) as console:
        console.send("")
        console.send("start dirty bytes=16777216 rate=20 pattern=sequential threads=1 seed=1")
        assert parse_line(console.wait("started", 30)) == ("started", {"workload": "dirty"})
        console.wait("report", 20)
        assert statistics.median(rates(console, 3)) == pytest.approx(20, rel=0.15)


@pytest.mark.provisioned
def test_random_pages_from_two_threads_come_at_the_asked_rate_too(binary: Binary, guest: Guest) -> None:
    nic = ("-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0")
    with running(binary, guest, *nic) as console:
        console.send("start dirty bytes=33554432 rate=10 pattern=random threads=2 seed=7")
        console.wait("started", 30)
        console.wait("report", 20)
        assert statistics.median(rates(console, 3)) == pytest.approx(10, rel=0.15)
        console.send("start idle")
        with pytest.raises(GuestError, match="dirty was started before"):
            console.wait("started", 20)
        assert rates(console, 1)


@pytest.mark.provisioned
@pytest.mark.shares
def test_the_guest_serves_pages_and_survives_unknown_lines(binary: Binary, guest: Guest, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nic = ("-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:80", "-device", "e1000,netdev=n0")
    with running(binary, guest, *nic, "-drive", f"if=virtio,file={disk},format=raw") as console:
        for line in ("nonsense", 'start "$(reboot)" `x` *', "\x01\x02", "start dance"):
            console.send(line)
            with pytest.raises(GuestError, match="legal"):
                console.wait("started", 20)
        console.send("start http")
        console.wait("started", 30)
        assert b"colo-bench" in fetch(port, "/index.html")
        assert len(fetch(port, "/64k")) == 65536


def fetch(port: int, page: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=20) as reply:
        content: bytes = reply.read()
    return content


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("bytes=many", "illegal value for bytes"),
        ("pattern=zigzag", "legal: sequential random"),
        ("size=1", "legal: bytes rate pattern threads seed"),
        ("bytes=4096 threads=2", "each thread needs a page"),
        ("rate=-1", "illegal value for rate"),
    ],
)
def test_the_workload_program_refuses_what_it_does_not_know(words: str, error: str, tmp_path: Path) -> None:
    from bench.provision import commands, compiler

    compiler.compile_c([guest_module._WORKLOAD], tmp_path / "workload", compiler.STATIC)
    finished = commands.run([str(tmp_path / "workload"), "dirty", *words.split()], deadline_s=20)
    assert finished.status == 1
    message = parse_line(finished.lines[0])
    assert message is not None
    assert error in message[1]["error"]


@pytest.mark.provisioned
@pytest.mark.shares
@pytest.mark.parametrize("size_bytes", [1 << 30, 220 << 20])
def test_a_working_set_too_large_for_the_guest_is_reported_and_the_console_lives_on(
    binary: Binary, guest: Guest, size_bytes: int
) -> None:
    with running(binary, guest) as console:
        console.send(f"start dirty bytes={size_bytes} rate=20")
        with pytest.raises(GuestError, match="memory"):
            console.wait("started", 60)
        console.send("what")
        with pytest.raises(GuestError, match="unknown command"):
            console.wait("started", 20)


@pytest.mark.provisioned
@pytest.mark.shares
def test_the_kernel_is_the_packaged_image_and_no_elf_that_qemu_would_keep_as_a_rom(guest: Guest) -> None:
    assert guest.kernel.read_bytes()[0x202:0x206] == b"HdrS"


def test_the_compilers_temporary_files_lie_beside_what_it_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.provision import compiler

    tools, made = tmp_path / "bin", tmp_path / "made"
    for folder in (tools, made):
        folder.mkdir()
    (tools / "gcc").write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\nprintf %s "$TMPDIR" > "$2"\n')
    (tools / "gcc").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    compiler.compile_c([guest_module._WORKLOAD], made / "workload", compiler.STATIC)
    assert (made / "workload").read_text() == str(made)
