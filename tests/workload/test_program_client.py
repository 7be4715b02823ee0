"""Benchmark programs as clients: fakes of them, shell scripts, against the fake key-value store and a web server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.measure.checkpoints import Assembly
from bench.measure.log_lines import is_account
from bench.scenario.answers import client_answers, with_program
from bench.scenario.client import is_answer

if TYPE_CHECKING:
    from fake_valkey import FakeValkey

COLUMNS = ",".join(f'"{one}_latency_ms"' for one in ("avg", "min", "p50", "p95", "p99", "max"))
ROUNDS = f"""#!/bin/sh
[ "$1" = --version ] && {{ echo "valkey-benchmark 8.1.1"; exit; }}
echo "$*" >>asked
echo '"test","rps",{COLUMNS}'
[ "$(wc -l <asked)" -lt 3 ] || exec sleep 60
echo '"SET","40.00","1.0","0.5","1.0","2.0","3.0","4.0"'
"""
SUMMARY = """#!/bin/sh
[ "$1" = -v ] && { echo "wrk 4.1.0 [epoll]"; exit 1; }
summary() {
    echo "    Latency     2.50ms    0.89ms  10.00ms   93.69%"
    echo "     50%    2.00ms"
    echo "  20 requests in 2.00s, 5.10MB read"
    echo "Requests/sec:     10.00"
    exit
}
trap summary INT
touch asked
while :; do sleep 0.05; done
"""
BROKEN = '#!/bin/sh\necho "Error from server: gone"\nexit 1\n'


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"page")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one.server_address[1]
        one.shutdown()
        thread.join()


@contextmanager
def client(folder: Path, name: str, port: int, does: str) -> Iterator[subprocess.Popen[str]]:
    """Run it for the length of the block, and no longer where the block fails."""
    program = folder / "fake"
    program.write_text(does)
    program.chmod(0o700)
    argv = (
        *(sys.executable, "-m", "bench.workload.program_client", "--program", name, "--address", "127.0.0.1"),
        *("--port", str(port), "--connections", "2", "--keys", "10", "--value-bytes", "16", "--path", "/page"),
        *("--output", str(folder / "client.jsonl"), "--", str(program)),
    )
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(argv, cwd=folder, text=True, stderr=subprocess.PIPE, env={**os.environ, **paths}) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / "client.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(process: subprocess.Popen[str], *, there: Path, lines: int) -> None:
    while process.poll() is None and not (there.exists() and there.read_text().count("\n") >= lines):
        time.sleep(0.02)


def figures_of(folder: Path) -> dict[str, Any]:
    path = folder / "client.jsonl"
    assert client_answers(path) == (None, [])
    figures = with_program(path, None, Assembly((), (), None, ()))
    assert figures is not None
    return figures


def test_a_program_that_ends_by_itself_is_run_in_rounds_and_the_one_that_is_cut_counts_for_nothing(
    server: FakeValkey, tmp_path: Path
) -> None:
    with client(tmp_path, "valkey-benchmark", server.server_address[1], ROUNDS) as process:
        wait_for(process, there=tmp_path / "asked", lines=3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    up, *rounds = lines_of(tmp_path)
    assert is_answer(json.dumps(up))
    assert all(is_account(one) for one in rounds)
    asked = [line.split() for line in (tmp_path / "asked").read_text().splitlines()]
    # The first round is a small one; the next ones last a second by what it came to.
    assert [words[words.index("-n") + 1] for words in asked] == ["16", "40", "40"]
    figures = figures_of(tmp_path)
    assert (figures["requests"], figures["requests_per_s"], figures["max_s"]) == (56, 40.0, 0.004)
    assert (figures["program"]["name"], figures["program"]["version"]) == ("valkey-benchmark", "8.1.1")
    assert figures["program"]["rounds"] == 2


def test_a_program_that_goes_on_is_interrupted_for_its_summary(web: int, tmp_path: Path) -> None:
    with client(tmp_path, "wrk", web, SUMMARY) as process:
        wait_for(process, there=tmp_path / "asked", lines=0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    figures = figures_of(tmp_path)
    assert (figures["requests"], figures["p50_s"], figures["max_s"]) == (20, 0.002, 0.01)
    assert (figures["program"]["name"], figures["program"]["version"]) == ("wrk", "4.1.0")


def test_a_server_that_is_not_there_yet_is_asked_again(tmp_path: Path) -> None:
    with client(tmp_path, "wrk", 1, SUMMARY) as process:
        wait_for(process, there=tmp_path / "client.jsonl", lines=2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    refused = lines_of(tmp_path)
    assert len(refused) >= 2
    assert all(is_account(one) and "ConnectionRefused" in one["error"] for one in refused)
    assert not any(is_answer(json.dumps(one)) for one in refused)


def test_a_program_that_fails_fails_the_client_with_its_words(server: FakeValkey, tmp_path: Path) -> None:
    with client(tmp_path, "valkey-benchmark", server.server_address[1], BROKEN) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "valkey-benchmark ended: Error from server: gone" in said
