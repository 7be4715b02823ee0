"""Hosts: ports, and two network namespaces with a link between them (made for real, as root)."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from bench.config.model import Host, Link
from bench.errors import HostError
from bench.host import netns as host_module
from bench.host.command import run
from bench.host.host import Here
from bench.host.topology import open_topology

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


def test_local_ports_are_free_and_different() -> None:
    ports = Here().free_ports(("127.0.0.1",), 8)
    assert len(set(ports)) == 8
    for port in ports:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", port))


def test_a_local_command_runs_as_it_is() -> None:
    assert Here().command(("qemu", "-S")) == ("qemu", "-S")


def test_a_failing_command_is_an_error_that_quotes_it(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="failed") as caught:
        asyncio.run(run(("ls", str(tmp_path / "nonexistent"))))
    assert "nonexistent" in caught.value.evidence[0]


def test_namespaces_without_root_are_refused_with_the_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host_module.os, "geteuid", lambda: 1000)

    async def scenario() -> None:
        async with open_topology(Host(kind="netns"), Link(), tmp_path):
            pass

    with pytest.raises(HostError, match="needs root") as caught:
        asyncio.run(scenario())
    assert "host=local" in caught.value.hint


def namespaces() -> set[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            found.add(str((entry / "ns" / "net").readlink()))
    return found


@needs_root
def test_two_namespaces_are_joined_shaped_and_gone_afterwards(tmp_path: Path) -> None:
    before = namespaces()
    link = Link(bandwidth="100mbit", quickack=True)

    async def scenario() -> tuple[str, str, str]:
        async with open_topology(Host(kind="netns"), link, tmp_path) as hosts:
            secondary = hosts.secondary.host
            inside = await secondary.run(("ip", "-o", "addr", "show", "dev", "colo0"))
            shaped = await hosts.primary.host.run(("tc", "qdisc", "show", "dev", "colo0"))
            route = await hosts.primary.host.run(("ip", "route"))
            server = await asyncio.create_subprocess_exec(
                *secondary.command(("sh", "-c", "sleep 0.2")), stdin=asyncio.subprocess.DEVNULL
            )
            await server.wait()
            return inside, shaped, route

    inside, shaped, route = asyncio.run(scenario())
    assert "192.0.2.2/24" in inside
    assert "tbf" in shaped
    assert "rate 100Mbit" in shaped
    assert "quickack 1" in route
    assert namespaces() == before
    assert list(tmp_path.iterdir()) == []


@needs_root
def test_a_kernel_without_netem_is_named_and_one_with_it_shapes(tmp_path: Path) -> None:
    async def scenario() -> str:
        async with open_topology(Host(kind="netns"), Link(delay="1ms"), tmp_path) as hosts:
            return await hosts.primary.host.run(("tc", "qdisc", "show", "dev", "colo0"))

    try:
        shown = asyncio.run(scenario())
    except HostError as error:
        shown = f"{error.cause}: netem, {error.hint}"
        assert shown.startswith("netem-missing: netem, modprobe sch_netem")
    assert "netem" in shown
