"""The provisioned QEMU itself is made to say what `bench.failures.words` recognises: no pair, a second or two each."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from fake_session import make_cell

from bench.config.machine import Cpu
from bench.errors import BenchError, HostError, LaunchError, QmpError
from bench.host.outlasting import unless_any_exited
from bench.host.process import launch
from bench.provision.guest import build_guest
from bench.provision.qemu import Binary, find_qemu
from bench.vm.features import Features, probe_features
from bench.vm.pair import refused
from bench.vm.preflight import preflight
from bench.vm.qmp import connect

pytestmark = [pytest.mark.provisioned, pytest.mark.shares]

NOTHING = ("-machine", "none", "-nodefaults", "-display", "none")
MONITOR = ("-qmp", "unix:qmp.sock,server=on,wait=off")


@pytest.fixture(scope="module")
def binary() -> Binary:
    return find_qemu("provisioned", lambda _: None)


def end_of(binary: Binary, folder: Path, *options: str, limit: tuple[str, ...] = ()) -> BenchError:
    """Return how a QEMU ends that is started with these options, by way of a program that limits it."""

    async def scenario() -> None:
        argv = (*limit, *binary.argv, *options)
        async with launch("primary's QEMU", argv, folder=folder, env=dict(binary.env)) as process:
            await unless_any_exited((process,), asyncio.sleep(30))

    with pytest.raises(LaunchError) as caught:
        asyncio.run(scenario())
    return caught.value


@pytest.mark.parametrize(
    ("cause", "options"),
    [
        ("unknown-cpu", ("-machine", "pc", "-cpu", "z80", "-display", "none")),
        ("unknown-cpu", ("-machine", "pc", "-cpu", "qemu64,frobnicate=on", "-display", "none")),
        ("unknown-device", ("-machine", "pc", "-device", "frobnicator", "-display", "none")),
        ("unknown-option", ("-machine", "pc", "-device", "rtl8139,frobnicate=3", "-display", "none")),
        ("unknown-option", (*NOTHING, "-frobnicate")),
        ("unknown-option", ("-machine", "frobnicator", "-display", "none")),
    ],
)
def test_what_this_qemu_refuses_is_named_in_its_own_words(
    binary: Binary, tmp_path: Path, cause: str, options: tuple[str, ...]
) -> None:
    error = end_of(binary, tmp_path, *options)
    assert error.cause == cause, error
    assert "qemu-system-x86_64" in error.evidence[0]


def test_a_host_that_refuses_the_guest_its_memory_is_named(binary: Binary, tmp_path: Path) -> None:
    limit = ("prlimit", f"--as={2 << 30}")
    error = end_of(binary, tmp_path, "-machine", "pc", "-m", "8G", "-display", "none", "-S", limit=limit)
    assert (error.cause, error.transient) == ("qemu-no-memory", False), error


def test_a_port_that_was_taken_meanwhile_is_named_and_may_pass(binary: Binary, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        chardev = ("-chardev", f"socket,id=a,host=127.0.0.1,port={port},server=on,wait=off")
        error = end_of(binary, tmp_path, *NOTHING, *chardev)
        assert (error.cause, error.transient) == ("port-taken", True)
        forward = ("-machine", "pc", "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{port}-:80", "-display", "none")
        assert end_of(binary, tmp_path, *forward).cause == "port-taken"


def test_a_machine_with_an_unknown_cpu_is_refused_before_anything_boots(binary: Binary) -> None:
    features = asyncio.run(probe_features(binary))
    cell = make_cell("256M", cpu=Cpu(model="z80"))
    with pytest.raises(HostError, match="refuses the machine") as caught:
        asyncio.run(preflight(cell, binary, build_guest(lambda _: None), features))
    assert caught.value.cause == "unknown-cpu"
    assert "z80" in caught.value.evidence[0]


def test_a_disk_that_the_secondary_does_not_export_is_named(binary: Binary, tmp_path: Path) -> None:
    async def scenario() -> str:
        async with launch("q", (*binary.argv, *NOTHING, *MONITOR), folder=tmp_path, env=dict(binary.env)) as process:
            monitor = await unless_any_exited((process,), connect("primary", tmp_path / "qmp.sock", None, 20))
            async with monitor:
                address: dict[str, Any] = {"type": "unix", "data": {"path": str(tmp_path / "nbd.sock")}}
                await monitor.execute("nbd-server-start", {"addr": address})
                drive = "driver=replication,mode=primary,file.driver=nbd,file.export=parent0,node-name=replication0"
                line = f"drive_add -n buddy {drive},file.path={tmp_path / 'nbd.sock'}"
                return str(await monitor.execute("human-monitor-command", {"command-line": line}))

    assert refused(asyncio.run(scenario()), "hmp-refused").cause == "nbd-export-missing"


def test_a_disk_that_the_secondary_does_not_have_cannot_be_exported(binary: Binary, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with launch("q", (*binary.argv, *NOTHING, *MONITOR), folder=tmp_path, env=dict(binary.env)) as process:
            monitor = await unless_any_exited((process,), connect("secondary", tmp_path / "qmp.sock", None, 20))
            async with monitor:
                address: dict[str, Any] = {"type": "unix", "data": {"path": str(tmp_path / "nbd.sock")}}
                await monitor.execute("nbd-server-start", {"addr": address})
                await monitor.execute("nbd-server-add", {"device": "parent0", "writable": True})

    with pytest.raises(QmpError) as caught:
        asyncio.run(scenario())
    assert caught.value.cause == "qmp-refused"
    assert refused(caught.value.message, "qmp-refused").cause == "nbd-export-missing"


def test_this_qemu_has_what_colo_needs(binary: Binary) -> None:
    features: Features = asyncio.run(probe_features(binary))
    assert features.missing == ()
