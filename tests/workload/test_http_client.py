"""The client against a real HTTP server of this process."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from bench.workload import http_client
from bench.workload.http_client import Answer, ask, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(0.2)
        self.send_response(200 if self.path != "/none" else 404)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def run_for(seconds: float, url: str, rate: float, connections: int, output: Path) -> list[dict[str, object]]:
    stop = threading.Event()
    threading.Timer(seconds, stop.set).start()
    run(url, rate, connections, output, stop.wait)
    return [json.loads(line) for line in output.read_text().splitlines()]


def test_an_answer_has_its_status_size_and_latency(port: int) -> None:
    answer = ask("127.0.0.1", port, "/slow", time.monotonic())
    assert (answer.status, answer.bytes, answer.error) == (200, 5, None)
    assert answer.latency_s >= 0.2
    assert answer.service_s is not None
    assert 0.2 <= answer.service_s <= answer.latency_s


def test_a_request_that_was_due_before_it_was_sent_waited_for_its_turn(port: int) -> None:
    answer = ask("127.0.0.1", port, "/", time.monotonic() - 5)
    assert answer.service_s is not None
    assert answer.latency_s >= answer.service_s + 5


def test_a_refusal_is_recorded_and_not_raised() -> None:
    answer = ask("127.0.0.1", 1, "/", time.monotonic())
    assert answer.status == 0
    assert answer.error is not None
    assert "ConnectionRefused" in answer.error


def test_the_open_loop_keeps_its_schedule_and_counts_waiting_as_latency(port: int, tmp_path: Path) -> None:
    answers = run_for(1.0, f"http://127.0.0.1:{port}/slow", 20, 1, tmp_path / "client.jsonl")
    assert len(answers) >= 18
    answered = [float(str(answer["latency_s"])) for answer in answers if answer["error"] is None]
    assert answered == sorted(answered)
    assert answered[-1] > 2 * answered[0]


def test_a_request_without_an_answer_at_the_end_is_on_record(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "LAST_ANSWERS_S", 0.1)
    answers = run_for(0.5, f"http://127.0.0.1:{port}/slow", 50, 1, tmp_path / "client.jsonl")
    assert "unanswered when the run ended" in {answer["error"] for answer in answers}


def test_what_was_due_before_the_end_gets_its_answer(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "LAST_ANSWERS_S", 30.0)
    answers = run_for(0.5, f"http://127.0.0.1:{port}/slow", 50, 1, tmp_path / "client.jsonl")
    assert len(answers) >= 20
    assert {answer["error"] for answer in answers} == {None}


def test_the_closed_loop_asks_again_when_answered(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "LAST_ANSWERS_S", 30.0)  # a busy machine answers late
    answers = run_for(0.5, f"http://127.0.0.1:{port}/", 0, 2, tmp_path / "client.jsonl")
    assert len(answers) > 4
    assert {answer["status"] for answer in answers} == {200}


def test_the_closed_loop_asks_as_often_as_it_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "ask", lambda *_: Answer(0.0, 0.0, 200, None, 0))
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) == 10

    run("http://127.0.0.1:1/", 0, 1, tmp_path / "client.jsonl", wait)
    assert waited == [0.0] * 10  # between an answer and the next request nothing is waited for


def test_the_closed_loop_leaves_a_server_that_failed_alone_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "AFTER_AN_ERROR_S", 60.0)
    monkeypatch.setattr(http_client, "ask", lambda *_: Answer(0.0, 0.0, 0, "ConnectionRefusedError: ", 0))
    turns = iter((False, False, True))
    run("http://127.0.0.1:1/", 0, 1, tmp_path / "client.jsonl", lambda _seconds: next(turns))
    lines = (tmp_path / "client.jsonl").read_text().splitlines()
    assert [json.loads(line)["error"] for line in lines] == ["ConnectionRefusedError: "]


@pytest.mark.parametrize(("rate", "on_record"), [(0, 0), (20, 1)])
def test_a_request_that_never_began_was_asked_in_the_open_loop_only(
    rate: float, on_record: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(ThreadPoolExecutor):
        """A busy machine, whose worker has not begun with what was submitted when the run ends."""

        def _adjust_thread_count(self) -> None:
            pass

    monkeypatch.setattr(http_client, "ThreadPoolExecutor", Late)
    monkeypatch.setattr(http_client, "LAST_ANSWERS_S", 0.1)
    run("http://127.0.0.1:1/", rate, 1, tmp_path / "client.jsonl", lambda _seconds: True)
    lines = (tmp_path / "client.jsonl").read_text().splitlines()
    assert [json.loads(line)["error"] for line in lines] == ["unanswered when the run ended"] * on_record


def test_an_unanswered_request_of_the_closed_loop_is_on_record_from_when_it_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "LAST_ANSWERS_S", 0.01)
    asked: list[float] = []
    turns: list[float] = []
    over = threading.Event()

    def answer_the_first(_host: str, _port: int, _path: str, due: float) -> Answer:
        asked.append(due)
        if len(asked) > 1:
            over.wait(60)
        return Answer(0.0, 0.0, 200, None, 0)

    def wait(_seconds: float) -> bool:
        while not asked:
            time.sleep(0.01)
        time.sleep(0.1)  # a busy machine: the loop's turn comes late, and the second request with it
        turns.append(time.time())
        return len(turns) == 3

    monkeypatch.setattr(http_client, "ask", answer_the_first)
    try:
        run("http://127.0.0.1:1/", 0, 1, tmp_path / "client.jsonl", wait)
    finally:
        over.set()
    first, second = [json.loads(line) for line in (tmp_path / "client.jsonl").read_text().splitlines()]
    assert (first["status"], second["error"]) == (200, "unanswered when the run ended")
    assert turns[0] - 0.01 < second["t_send"] < turns[1]
