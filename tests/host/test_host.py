"""Hosts: ports, and two network namespaces with a link between them (made for real, as root)."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from bench.config.hosts import Host
from bench.config.links import ClientLink, Link
from bench.errors import HostError
from bench.host import netns as host_module
from bench.host.command import run
from bench.host.host import Here
from bench.host.topology import Topology, open_topology

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


def test_a_kind_of_hosts_that_nobody_made_nodes_for_gets_none_of_another_kind(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_topology(Host.model_construct(kind="of-later"), Link(), tmp_path):  # type: ignore[arg-type]
            pass

    with pytest.raises(HostError, match="host=of-later has no nodes"):
        asyncio.run(scenario())


def namespaces() -> set[str]:
    """Return the network namespaces that processes are in."""
    found = set()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            found.add(str((entry / "ns" / "net").readlink()))
    return found


@contextmanager
def gone_afterwards() -> Iterator[Callable[[Topology], None]]:
    """Give what remembers the namespaces of hosts: when the block ends no process may be in any of them.

    They are held open here, as another test beside this one may be given the number of one that is gone.
    """
    with ExitStack() as stack:
        names: set[str] = set()

        def remember(hosts: Topology) -> None:
            for holder in hosts.holders:
                file = stack.enter_context(Path(f"/proc/{holder.pid}/ns/net").open("rb"))
                names.add(str(Path(f"/proc/self/fd/{file.fileno()}").readlink()))

        yield remember
        assert len(names) >= 2
        assert names & namespaces() == set()


@needs_root
def test_two_namespaces_are_joined_shaped_and_gone_afterwards(tmp_path: Path) -> None:
    link = Link(bandwidth="100mbit", quickack=True)

    async def scenario(remember: Callable[[Topology], None]) -> tuple[str, str, str]:
        async with open_topology(Host(kind="netns"), link, tmp_path) as hosts:
            remember(hosts)
            secondary = hosts.secondary.host
            inside = await secondary.run(("ip", "-o", "addr", "show", "dev", "colo0"))
            shaped = await hosts.primary.host.run(("tc", "qdisc", "show", "dev", "colo0"))
            route = await hosts.primary.host.run(("ip", "route"))
            server = await asyncio.create_subprocess_exec(
                *secondary.command(("sh", "-c", "sleep 0.2")), stdin=asyncio.subprocess.DEVNULL
            )
            await server.wait()
            return inside, shaped, route

    with gone_afterwards() as remember:
        inside, shaped, route = asyncio.run(scenario(remember))
    assert "192.0.2.2/24" in inside
    assert "tbf" in shaped
    assert "rate 100Mbit" in shaped
    assert "quickack 1" in route
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


@needs_root
@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="this kernel has no taps")
def test_the_client_reaches_the_primary_s_guest_and_after_a_takeover_the_secondary_s(tmp_path: Path) -> None:
    async def scenario(remember: Callable[[Topology], None]) -> tuple[str, str, str, str]:
        shape = ClientLink(bandwidth="100mbit")
        async with open_topology(Host(kind="bridged"), Link(), tmp_path, shape) as hosts:
            remember(hosts)
            client = hosts.client.host
            shaped = await client.run(("tc", "qdisc", "show", "dev", "to-primary"))
            taps = [
                await node.host.run(("ip", "-d", "link", "show", "tap0")) for node in (hosts.primary, hosts.secondary)
            ]
            assert all("tun type tap" in tap for tap in taps)
            answered = []
            for side, host in (("primary", hosts.primary.host), ("secondary", hosts.secondary.host)):
                # A host stands here where its guest would: with the guest's address, on the bridge that its card is on.
                await host.run(("ip", "addr", "add", "10.0.2.15/24", "dev", "br0"))
                answered.append(await _who_answers(client, host, side))
            await hosts.primary.host.run(("ip", "addr", "del", "10.0.2.15/24", "dev", "br0"))
            await hosts.take_over()
            await client.run(("ip", "neigh", "flush", "dev", "switch0"))
            answered.append(await _who_answers(client, hosts.secondary.host, "secondary"))
            return (shaped, *answered)

    with gone_afterwards() as remember:
        shaped, first, second, third = asyncio.run(scenario(remember))
    assert "rate 100Mbit" in shaped
    assert (first, second, third) == ("primary", "", "secondary")
    assert list(tmp_path.iterdir()) == []


async def _who_answers(client: Here, host: Here, says: str) -> str:
    """Have a host say its name to who connects to the guest's address; return what the client hears, if anything."""
    serve = (
        "import socket\n"
        "with socket.create_server(('10.0.2.15', 80)) as server:\n"
        "    server.settimeout(3)\n"
        f"    server.accept()[0].sendall({says.encode()!r})\n"
    )
    ask = (
        "import socket, time\n"
        "end = time.monotonic() + 2\n"
        "while time.monotonic() < end:\n"
        "    try:\n"
        "        print(socket.create_connection(('10.0.2.15', 80), 0.5).recv(20).decode(), end='')\n"
        "        break\n"
        "    except OSError:\n"
        "        time.sleep(0.05)\n"
    )
    server = await asyncio.create_subprocess_exec(
        *host.command((sys.executable, "-c", serve)), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        return await client.run((sys.executable, "-c", ask))
    finally:
        await server.wait()
