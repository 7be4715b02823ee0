"""The key-value client and the load it puts on, against a fake server on a real socket."""

from __future__ import annotations

import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.checkpoints import Assembly
from bench.measure.log_lines import is_answer
from bench.scenario.answers import client_answers, client_figures
from bench.workload import load
from bench.workload.http_client import Answer
from bench.workload.kept import value_of
from bench.workload.load import drive
from bench.workload.valkey_client import (
    MISSING,
    OK,
    REFUSED,
    Valkey,
    command,
    fill,
    key_of,
    read_reply,
    requests,
)

if TYPE_CHECKING:
    from fake_valkey import FakeValkey


def until(enough: Callable[[], bool]) -> Callable[[float], bool]:
    """Return what waits as the signal of a run's end would come: as soon as enough has happened."""
    pause = threading.Event()

    def wait(seconds: float) -> bool:
        pause.wait(min(seconds, 0.05))
        return enough()

    return wait


def run(server: FakeValkey, path: Path, rate: float, connections: int, many: int, what: str = "set") -> list[Any]:
    port = server.server_address[1]
    make = requests(what, 10, 16)
    drive(lambda: Valkey("127.0.0.1", port, make), rate, connections, path, until(lambda: server.asked >= many))
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_request_is_a_row_with_when_it_was_due_and_how_long_it_took(server: FakeValkey, tmp_path: Path) -> None:
    rows = run(server, tmp_path / "client.jsonl", 200, 2, 20)
    assert len(rows) >= 20
    assert all(is_answer(row) for row in rows)
    assert {(row["status"], row["error"]) for row in rows} == {(OK, None)}
    assert all(0 <= row["service_s"] <= row["latency_s"] for row in rows)
    answers, problems = client_answers(tmp_path / "client.jsonl")
    assert answers is not None
    assert (len(answers["t_send"]), problems) == (len(rows), [])
    assert {row["connection"] for row in rows} == set(answers["connection"]) == {0, 1}
    figures = client_figures(answers, Assembly((), (), None, ()))
    assert figures is not None
    assert 0 < figures["service_p50_s"] <= figures["service_p99_s"]


def test_the_keys_are_set_round_and_round_and_got_again(server: FakeValkey, tmp_path: Path) -> None:
    run(server, tmp_path / "set.jsonl", 0, 1, 30)
    assert sorted(server.kept) == [b"key:%012d" % number for number in range(10)]
    assert {value[12:] for value in server.kept.values()} == {b"x" * 4}  # behind which write it is of
    server.asked = 0
    rows = run(server, tmp_path / "get.jsonl", 0, 2, 10, "get")
    assert {(row["status"], row["bytes"]) for row in rows} == {(OK, 16)}
    server.kept.clear()
    server.asked = 0
    assert {row["status"] for row in run(server, tmp_path / "none.jsonl", 0, 1, 10, "get")} == {MISSING}


def connecting(server: FakeValkey, keys: int) -> Callable[[], Valkey]:
    port, make = server.server_address[1], requests("get", keys, 16)
    return lambda: Valkey("127.0.0.1", port, make)


def test_every_key_is_set_before_any_is_got(server: FakeValkey, tmp_path: Path) -> None:
    keys, path = 450, tmp_path / "client.jsonl"  # more than are set at once
    assert fill(connecting(server, keys), keys, 16, path, lambda _seconds: True)
    assert (len(server.kept), server.kept[key_of(449)]) == (keys, value_of(449, 16))
    assert path.read_text() == ""


def test_a_server_that_takes_no_key_is_asked_again_and_each_refusal_is_a_row(
    server: FakeValkey, tmp_path: Path
) -> None:
    server.full = True
    turns, path = iter((False, True)), tmp_path / "client.jsonl"
    assert not fill(connecting(server, 10), 10, 16, path, lambda _seconds: next(turns))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(is_answer(row) for row in rows)
    assert ["No space left on device" in row["error"] for row in rows] == [True, True]


def test_a_client_that_gets_is_answered_by_a_server_that_begins_empty(server: FakeValkey, tmp_path: Path) -> None:
    path = tmp_path / "client.jsonl"
    argv = (
        *(sys.executable, "-m", "bench.workload.valkey_client", "--address", "127.0.0.1"),
        *("--port", str(server.server_address[1]), "--rate", "0", "--connections", "1", "--command", "get"),
        *("--keys", "10", "--value-bytes", "16", "--output", str(path)),
    )
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(argv, cwd=tmp_path, env={**os.environ, **paths}) as process:
        while process.poll() is None and not (path.exists() and path.read_text().count("\n") > 10):
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert {(row["status"], row["bytes"]) for row in rows} == {(OK, 16)}


def test_what_the_server_refuses_is_told_in_its_words(server: FakeValkey, tmp_path: Path) -> None:
    server.full = True
    rows = run(server, tmp_path / "client.jsonl", 0, 1, 3)
    assert {row["error"] for row in rows} == {
        "ValueError: MISCONF Errors writing to the AOF file: No space left on device"
    }
    assert {row["status"] for row in rows} == {0}


def test_a_request_whose_row_is_written_is_not_unanswered_too() -> None:
    lines = io.StringIO()
    one = load._Load(lambda: pytest.fail("connected"), lines, closed=False)
    one.under_way[threading.get_ident()] = 0.0
    one.write(Answer(1.0, 0.5, OK, None, 2, 0.5, 0))
    one.finish()
    assert [json.loads(line)["error"] for line in lines.getvalue().splitlines()] == [None]


def test_the_end_does_not_wait_for_a_request_that_a_worker_has_just_taken() -> None:
    one = load._Load(lambda: pytest.fail("connected"), io.StringIO(), closed=False)

    class Taken(queue.Queue[float]):
        def empty(self) -> bool:
            return False  # as it was a moment ago

        def get(self, block: bool = True, timeout: float | None = None) -> float:  # noqa: FBT001, FBT002
            assert not block, "it would wait for ever"
            return super().get(block, timeout)

    one.due = Taken()  # type: ignore[assignment]
    one.finish()


def test_a_client_that_cannot_connect_writes_each_refusal(tmp_path: Path) -> None:
    path = tmp_path / "client.jsonl"
    drive(
        lambda: Valkey("127.0.0.1", 1, requests("set", 1, 1)),
        50,
        1,
        path,
        until(lambda: path.read_text().count("\n") > 2),
    )
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) > 2
    assert all("ConnectionRefusedError" in row["error"] for row in rows)


def test_what_waits_for_a_free_connection_has_a_response_time_beyond_its_service_time(
    server: FakeValkey, tmp_path: Path
) -> None:
    slow = threading.Event()
    port = server.server_address[1]

    class Slow(Valkey):
        def ask(self, number: int) -> tuple[int, int]:
            slow.wait(0.05)
            return super().ask(number)

    make = requests("set", 10, 16)
    path = tmp_path / "client.jsonl"
    drive(lambda: Slow("127.0.0.1", port, make), 200, 1, path, until(lambda: server.asked >= 10))
    rows = [row for row in map(json.loads, path.read_text().splitlines()) if row["error"] is None]
    waited = [row["latency_s"] - row["service_s"] for row in rows]
    assert waited == sorted(waited)  # each waits for all before it
    assert waited[-1] > rows[-1]["service_s"]


def test_a_connection_that_was_cut_is_followed_by_one_of_another_number(server: FakeValkey, tmp_path: Path) -> None:
    cut = [3]
    port = server.server_address[1]

    class Cut(Valkey):
        def ask(self, number: int) -> tuple[int, int]:
            if number in cut:
                raise ConnectionResetError("cut")
            return super().ask(number)

    make = requests("set", 10, 16)
    path = tmp_path / "client.jsonl"
    drive(lambda: Cut("127.0.0.1", port, make), 0, 1, path, until(lambda: server.asked >= 10))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["connection"] for row in rows[:6]] == [0, 0, 0, 0, 1, 1]
    assert [row["error"] for row in rows[:6]] == [None, None, None, "ConnectionResetError: cut", None, None]


def test_in_the_open_loop_what_waits_behind_a_server_that_stands_still_is_on_record(
    server: FakeValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "LAST_ANSWERS_S", 0.1)
    server.silent.set()
    path = tmp_path / "client.jsonl"
    turns = iter(range(20))
    pause = threading.Event()

    def wait(seconds: float) -> bool:
        pause.wait(seconds)
        return next(turns) == 10

    port = server.server_address[1]
    drive(lambda: Valkey("127.0.0.1", port, requests("set", 1, 1)), 100, 1, path, wait)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == 11
    assert {row["error"] for row in rows} == {"unanswered when the run ended"}
    times = [row["t_send"] for row in rows]
    assert times == sorted(times)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=4))
def test_a_command_is_read_back_word_by_word(words: list[bytes]) -> None:
    from fake_valkey import _words

    assert _words(io.BytesIO(command(*words))) == words


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        (b"+OK\r\n", (OK, 2, "")),
        (b":7\r\n", (OK, 1, "")),
        (b"$3\r\nabc\r\n", (OK, 3, "")),
        (b"$-1\r\n", (MISSING, 0, "")),
        (b"-ERR no\r\n", (REFUSED, 6, "ERR no")),
    ],
)
def test_a_reply_is_read(reply: bytes, read: tuple[int, int, str]) -> None:
    assert read_reply(io.BytesIO(reply)) == read


@pytest.mark.parametrize("reply", [b"", b"+OK", b"$5\r\nab", b"HTTP/1.1 200 OK\r\n", b"$x\r\n", b"$99999999999\r\n"])
def test_what_is_no_reply_is_an_error_and_never_an_answer(reply: bytes) -> None:
    with pytest.raises((OSError, ValueError), match=r"closed the connection|no answer of the protocol"):
        read_reply(io.BytesIO(reply))
