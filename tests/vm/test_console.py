"""The guest's console, played by a fake guest on a real unix socket."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import GuestError, WorkloadError
from bench.vm.console import Console, open_console, parse_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


def test_a_line_of_ours_is_a_word_and_its_fields() -> None:
    assert parse_line('colo-bench: started {"workload":"dirty"}') == ("started", {"workload": "dirty"})
    assert parse_line("[    1.2] colo-bench: ready") == ("ready", {})


@pytest.mark.parametrize(
    "line", ["Linux version 7", 'colo-bench: report {"seconds":1.0,"by', "colo-bench: report [1]", "", "colo-bench"]
)
def test_anything_else_is_not_guessed_at(line: str) -> None:
    assert parse_line(line) is None


@given(st.text())
def test_no_line_raises(line: str) -> None:
    parse_line(line)


@asynccontextmanager
async def guest(path: Path, says: list[str], answers: Callable[[str], str] = lambda _: "") -> AsyncIterator[Console]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in says:
            writer.write(f"{line}\r\n".encode())
        while line := (await reader.readline()).decode().strip():
            writer.write(f"{answers(line)}\r\n".encode())
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        async with open_console(path) as console:
            yield console
    finally:
        server.close()
        await server.wait_closed()


def converse(tmp_path: Path, says: list[str], talk: Any, answers: Callable[[str], str] = lambda _: "") -> Any:
    async def scenario() -> Any:
        async with guest(tmp_path / "serial.sock", says, answers) as console:
            return await talk(console)

    return asyncio.run(scenario())


def test_ready_is_seen_among_the_kernels_chatter(tmp_path: Path) -> None:
    converse(tmp_path, ["Booting", "colo-bench: ready"], lambda console: console.ready(5))


def test_a_panic_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="panicked") as caught:
        converse(tmp_path, ["[ 2.3] Kernel panic - not syncing: VFS"], lambda console: console.ready(5))
    assert caught.value.cause == "guest-panic"


def test_a_guest_that_is_never_ready_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match=r"not ready within 0\.1 s"):
        converse(tmp_path, ["Booting"], lambda console: console.ready(0.1))


def test_a_workload_starts_and_its_reports_are_kept(tmp_path: Path) -> None:
    async def talk(console: Console) -> Any:
        await console.ready(5)
        started = await console.start("start dirty bytes=4096", 5)
        while not console.reports:
            await asyncio.sleep(0.01)
        return started, console.reports

    def answers(line: str) -> str:
        assert line == "start dirty bytes=4096"
        return 'colo-bench: started {"workload":"dirty"}\r\ncolo-bench: report {"seconds":1.0,"bytes":4096}'

    started, reports = converse(tmp_path, ["colo-bench: ready"], talk, answers)
    assert started == {"workload": "dirty"}
    assert reports == [{"seconds": 1.0, "bytes": 4096}]


def test_a_workload_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match="out of memory"):
        converse(
            tmp_path,
            [],
            lambda console: console.start("start dirty bytes=1", 5),
            lambda _: 'colo-bench: failed {"error":"out of memory"}',
        )


def test_a_workload_that_dies_later_is_noticed(tmp_path: Path) -> None:
    async def talk(console: Console) -> str | None:
        await console.start("start dirty", 5)
        while (death := console.died()) is None:
            await asyncio.sleep(0.01)
        return death

    def answers(_: str) -> str:
        return 'colo-bench: started {"workload":"dirty"}\r\ncolo-bench: failed {"error":"killed"}'

    assert converse(tmp_path, [], talk, answers) == "killed"


def test_half_a_line_that_the_guest_got_is_no_death_of_its_workload(tmp_path: Path) -> None:
    async def talk(console: Console) -> str | None:
        await console.start("start dirty", 5)
        while not console.reports:
            await asyncio.sleep(0.01)
        return console.died()

    unknown = 'colo-bench: failed {"error":"unknown command; legal: alive N"}'
    report = 'colo-bench: report {"seconds":1.0,"bytes":4096}'
    said = f'colo-bench: started {{"workload":"dirty"}}\r\n{unknown}\r\n{report}'
    assert converse(tmp_path, [], talk, lambda _: said) is None
