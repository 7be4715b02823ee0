"""The monitor against a fake QMP server on a real socket."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fake_qmp import SILENCE, event, fake_qmp, send

from bench.errors import QmpError, StoreError
from bench.vm.qmp import Event, QmpLog, connect


def read_log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_command_its_reply_and_its_time_are_logged(tmp_path: Path) -> None:
    async def scenario() -> Any:
        with QmpLog(tmp_path / "qmp.jsonl") as log:
            async with (
                fake_qmp(tmp_path / "qmp.sock", lambda command, _: {"status": command}),
                await connect("primary", tmp_path / "qmp.sock", log, 5) as monitor,
            ):
                return await monitor.execute("query-status")

    assert asyncio.run(scenario()) == {"status": "query-status"}
    greeted, entry = read_log(tmp_path / "qmp.jsonl")
    assert greeted["command"] == "qmp_capabilities"
    assert "QMP" in greeted["reply"]
    assert entry["side"] == "primary"
    assert entry["command"] == "query-status"
    assert entry["reply"] == {"status": "query-status"}
    assert entry["seconds"] >= 0


def test_a_refusal_is_raised_and_logged(tmp_path: Path) -> None:
    def refuse(command: str, _: Any) -> Any:
        raise ValueError(f"no {command}")

    async def scenario() -> None:
        with QmpLog(tmp_path / "qmp.jsonl") as log:
            async with (
                fake_qmp(tmp_path / "qmp.sock", refuse),
                await connect("primary", tmp_path / "qmp.sock", log, 5) as monitor,
            ):
                with pytest.raises(QmpError, match="the primary refused `migrate`: no migrate"):
                    await monitor.execute("migrate")

    asyncio.run(scenario())
    assert read_log(tmp_path / "qmp.jsonl")[-1]["error"] == "no migrate"


def test_silence_is_an_error_with_a_name_and_a_hint(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            fake_qmp(tmp_path / "qmp.sock", lambda *_: SILENCE),
            await connect("primary", tmp_path / "qmp.sock", None, 5) as monitor,
        ):
            await monitor.execute("query-status", deadline_s=0.1)

    with pytest.raises(QmpError) as caught:
        asyncio.run(scenario())
    assert caught.value.cause == "qmp-timeout"
    assert "deadlines.qmp" in caught.value.hint


def test_a_connection_that_dies_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            fake_qmp(tmp_path / "qmp.sock", lambda *_: SILENCE) as clients,
            await connect("secondary", tmp_path / "qmp.sock", None, 5) as monitor,
        ):
            asyncio.get_running_loop().call_later(0.05, clients[0].close)
            await monitor.execute("query-status")

    with pytest.raises(QmpError) as caught:
        asyncio.run(scenario())
    assert caught.value.cause == "qmp-lost"


def client_tasks() -> list[str]:
    return [name for one in asyncio.all_tasks() if "AsyncProtocol" in (name := repr(one.get_coro()))]


def test_a_log_that_refuses_the_greeting_leaves_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreError("full", cause="disk-full")

    monkeypatch.setattr(QmpLog, "write", full)

    async def scenario() -> list[str]:
        with QmpLog(tmp_path / "qmp.jsonl") as log:
            async with fake_qmp(tmp_path / "qmp.sock", lambda *_: {}):
                with pytest.raises(StoreError):
                    await connect("primary", tmp_path / "qmp.sock", log, 5)
                return client_tasks()

    assert asyncio.run(scenario()) == []


def test_an_interrupt_while_a_connection_ends_does_not_cut_its_end_short(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        async with fake_qmp(tmp_path / "qmp.sock", lambda *_: {}):
            monitor = await connect("primary", tmp_path / "qmp.sock", None, 5)
            ended = monitor._client.disconnect

            async def slow() -> None:
                await asyncio.sleep(0.1)
                await ended()

            monitor._client.disconnect = slow  # type: ignore[method-assign]
            await monitor.__aenter__()
            assert client_tasks()
            ending = asyncio.create_task(monitor.__aexit__(None))
            await asyncio.sleep(0.02)
            ending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await ending
            return client_tasks()

    assert asyncio.run(scenario()) == []


def test_nobody_there_is_an_error_within_the_deadline(tmp_path: Path) -> None:
    with pytest.raises(QmpError, match="did not answer within"):
        asyncio.run(connect("primary", tmp_path / "qmp.sock", None, 0.1))


def test_events_reach_subscribers_with_qemus_own_time(tmp_path: Path) -> None:
    async def scenario() -> list[Event]:
        seen: list[Event] = []
        with QmpLog(tmp_path / "qmp.jsonl") as log:
            async with (
                fake_qmp(tmp_path / "qmp.sock", lambda *_: {}) as clients,
                await connect("primary", tmp_path / "qmp.sock", log, 5) as monitor,
            ):
                monitor.subscribe(seen.append)
                send(clients[0], event("STOP", 100, 250000))
                while not seen:
                    await asyncio.sleep(0.01)
        return seen

    assert asyncio.run(scenario()) == [Event("STOP", 100.25, {})]
    assert read_log(tmp_path / "qmp.jsonl")[-1]["event"] == "STOP"


@pytest.mark.parametrize("asked_again", [True, False])
def test_an_event_that_cannot_be_recorded_still_arrives_and_then_ends_the_run(
    tmp_path: Path, *, asked_again: bool
) -> None:
    seen: list[Event] = []

    class Full(QmpLog):
        def write(self, entry: dict[str, Any]) -> None:
            if "event" not in entry:
                return
            kept, self._file = self._file, Path("/dev/full").open("a", buffering=1)  # noqa: SIM115 - closed below
            try:
                super().write(entry)
            finally:
                with suppress(OSError):
                    self._file.close()
                self._file = kept

    async def scenario() -> None:
        with Full(tmp_path / "qmp.jsonl") as log:
            async with (
                fake_qmp(tmp_path / "qmp.sock", lambda *_: {}) as clients,
                await connect("primary", tmp_path / "qmp.sock", log, 5) as monitor,
            ):
                monitor.subscribe(seen.append)
                for number in range(2):
                    send(clients[0], event("STOP", number, 0))
                while len(seen) < 2:
                    await asyncio.sleep(0.01)
                if asked_again:
                    await monitor.execute("query-status")

    with pytest.raises(StoreError, match="No space left") as caught:
        asyncio.run(scenario())
    assert caught.value.cause == "disk-full"


def test_a_socket_path_longer_than_the_kernel_allows_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)

    async def scenario() -> Any:
        async with (
            fake_qmp(Path("qmp.sock"), lambda *_: {"ok": True}),
            await connect("primary", deep / "qmp.sock", None, 5) as monitor,
        ):
            return await monitor.execute("query-status")

    assert asyncio.run(scenario()) == {"ok": True}


GARBAGE = [
    b"this is no JSON\n",
    b"[1, 2]\n",
    b'{"return": \n',
    b"\xff\xfe\xfd\n",
    b'{"error": {"class": "GenericError", "desc": "x"}}\n',
    b'{"event": "STOP"}\n',
]


@pytest.mark.parametrize("sent", GARBAGE)
def test_what_is_not_qmp_is_named_and_quoted(tmp_path: Path, sent: bytes) -> None:
    async def scenario() -> None:
        async with (
            fake_qmp(tmp_path / "qmp.sock", lambda *_: SILENCE) as clients,
            await connect("primary", tmp_path / "qmp.sock", None, 5) as monitor,
        ):
            clients[0].write(sent)
            await asyncio.sleep(0.1)
            await monitor.execute("query-status", deadline_s=2)

    with pytest.raises(QmpError) as caught:
        asyncio.run(scenario())
    assert caught.value.cause == "qmp-garbled"
    assert caught.value.evidence


def test_a_reply_that_is_not_json_is_quoted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            fake_qmp(tmp_path / "qmp.sock", lambda *_: SILENCE) as clients,
            await connect("primary", tmp_path / "qmp.sock", None, 5) as monitor,
        ):
            asyncio.get_running_loop().call_later(0.05, clients[0].write, b'{"return": nonsense}\r\n')
            await monitor.execute("query-status")

    with pytest.raises(QmpError, match="the primary sent over QMP what is none") as caught:
        asyncio.run(scenario())
    assert caught.value.cause == "qmp-garbled"
    assert "nonsense" in caught.value.evidence[0]


@pytest.mark.parametrize(
    ("greeting", "cause"), [(b"SSH-2.0-OpenSSH_9.2\r\n", "qmp-garbled"), (b'{"QMP": {"ver', "qmp-timeout")]
)
def test_a_greeting_is_qmp_or_named_for_what_it_is(tmp_path: Path, greeting: bytes, cause: str) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_unix_server(serve, tmp_path / "qmp.sock")
        async with server:
            await connect("primary", tmp_path / "qmp.sock", None, 0.3)

    with pytest.raises(QmpError) as caught:
        asyncio.run(scenario())
    assert caught.value.cause == cause


def test_a_message_that_its_sender_s_end_cut_off_is_a_lost_connection(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            fake_qmp(tmp_path / "qmp.sock", lambda *_: SILENCE) as clients,
            await connect("primary", tmp_path / "qmp.sock", None, 5) as monitor,
        ):
            clients[0].write(b'{"return": {"sta')
            asyncio.get_running_loop().call_later(0.05, clients[0].close)
            await monitor.execute("query-status")

    with pytest.raises(QmpError) as caught:
        asyncio.run(scenario())
    assert caught.value.cause == "qmp-lost"


def test_a_log_that_a_full_disk_refuses_is_named() -> None:
    with pytest.raises(StoreError, match="full could not be written") as caught, QmpLog(Path("/dev/full")) as log:
        log.write({"t": 1})
    assert caught.value.cause == "disk-full"
