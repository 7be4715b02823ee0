"""What an agent does while it rests: it hands on what it is told, and says what it hears when the rest is over."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fake_hosts import on_agent

if TYPE_CHECKING:
    import pytest

    from bench.host.remote import Remote


@contextmanager
def spoken_to(path: Path, talk: Callable[[socket.socket], object]) -> Iterator[None]:
    """Have somebody talk with whoever connects to a socket; until they hang up."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        with server, server.accept()[0] as here:
            talk(here)
            here.recv(16)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    thread.join(10)
    assert not thread.is_alive()


def test_who_rests_hands_on_at_once_and_hears_when_the_rest_is_over(work: Path, tmp_path: Path) -> None:
    heard: list[float] = []

    def answer(here: socket.socket) -> None:
        here.recv(16)
        heard.append(time.monotonic())
        here.sendall(b"answer")

    async def scenario(host: Remote) -> tuple[float, float]:
        reader, writer = await asyncio.open_connection(sock=await host.connect(tmp_path / "qmp.sock"))
        began = time.monotonic()
        await host.rest(0.6)
        writer.write(b"poke")
        assert await asyncio.wait_for(reader.readexactly(6), 20) == b"answer"
        answered = time.monotonic()
        writer.close()
        await writer.wait_closed()
        return began, answered

    with spoken_to(tmp_path / "qmp.sock", answer):
        began, answered = on_agent(work, scenario)
    assert heard[0] - began < 0.6 <= answered - began


def test_an_answer_comes_at_once_where_the_rest_begins_behind_it(work: Path, tmp_path: Path) -> None:
    def answer_then_tell(here: socket.socket) -> None:
        here.sendall(b"news")
        here.recv(16)
        here.sendall(b"answer")
        time.sleep(0.1)
        here.sendall(b"event")

    async def scenario(host: Remote) -> tuple[float, float]:
        reader, writer = await asyncio.open_connection(sock=await host.connect(tmp_path / "qmp.sock"))
        await host.rest(0.9, answered=True)
        assert await asyncio.wait_for(reader.readexactly(4), 20) == b"news"  # what was not asked for ends no waiting
        began = time.monotonic()
        writer.write(b"poke")
        assert await asyncio.wait_for(reader.readexactly(6), 20) == b"answer"
        answered = time.monotonic()
        assert await asyncio.wait_for(reader.readexactly(5), 20) == b"event"
        told = time.monotonic()
        writer.close()
        await writer.wait_closed()
        return answered - began, told - began

    with spoken_to(tmp_path / "qmp.sock", answer_then_tell):
        answered_s, told_s = on_agent(work, scenario)
    assert answered_s < 0.9 <= told_s


def test_what_was_to_be_said_before_a_rest_is_said_in_it(work: Path) -> None:
    async def scenario(host: Remote) -> float:
        began = time.monotonic()
        much, _ = await asyncio.gather(host.wire.ask("get", path="/dev/zero", size=4 << 20), host.rest(0.9))
        assert len(much.data) == 4 << 20
        return time.monotonic() - began

    assert on_agent(work, scenario) < 0.9


def test_no_rest_is_so_long_that_a_lease_runs_out(work: Path) -> None:
    async def scenario(host: Remote) -> str:
        await host.rest(3600)
        return await host.run(("echo", "awake"))

    assert on_agent(work, scenario) == "awake\n"


def test_no_file_is_read_while_an_agent_rests_that_has_just_been_asked_for_a_sign_of_life(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(host: Remote) -> tuple[float, float]:
        host.adopt(tmp_path)
        ask, rested_at, read_at = host.wire.ask, list[float](), list[float]()

        async def asked(op: str, *data: bytes, **fields: Any) -> Any:
            reply = await ask(op, *data, **fields)
            if op == "beat" and not rested_at:  # the rest begins while the answer is on its way
                rested_at.append(time.monotonic())
                await host.rest(0.5)
            if op == "sync" and rested_at:
                read_at.append(time.monotonic())
            return reply

        async with host.start("sleeper", ("sleep", "600"), tmp_path, qemu=False):
            monkeypatch.setattr(host.wire, "ask", asked)
            async with asyncio.timeout(20):
                while not read_at:
                    await asyncio.sleep(0.05)
        return rested_at[0], read_at[0]

    rested_at, read_at = on_agent(work, scenario)
    assert read_at - rested_at >= 0.5
