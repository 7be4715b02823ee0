"""pgbench's log as rows, and the run of a fake pgbench: a shell script that writes such a log where it is told to."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.checkpoints import Assembly
from bench.scenario.answers import client_answers, client_figures, kept_by_server, with_program
from bench.workload.http_client import Answer
from bench.workload.pgbench_client import Rows, arguments, parse_line

FAKE = """#!/bin/sh
[ "$1" = --version ] && { echo "pgbench (PostgreSQL) 17.6 (Debian)"; exit; }
for word; do case $word in --log-prefix=*) log=${word#*=}.$$ ;; esac; done
summary() {
    echo "number of transactions actually processed: 2"
    echo "number of failed transactions: 0 (0.000%%)"
    echo "latency average = 2.528 ms"
    echo "tps = 20.500000 (without initial connection time)"
}
trap 'echo "0 9 1000 0 1795421249 0" >$log; summary; exit 0' ALRM
%s
"""
SERVES = 'echo "0 1 4056 0 1795421240 500000" >$log\nwhile :; do sleep 0.05; done'
REFUSED = """echo "pgbench: error: connection to server failed: Connection refused" >&2
echo "pgbench: error: could not create connection for setup" >&2
exit 1"""


def test_a_transaction_is_due_so_long_before_it_ended() -> None:
    row = parse_line("0 199 2241 0 1175850568 995598")
    assert row == Answer(pytest.approx(1175850568.993357, abs=1e-6), 0.002241, 200, None, 0, 0.002241, 0)


def test_under_a_rate_the_schedule_lag_is_no_service() -> None:
    row = parse_line("3 12 30500 0 1175850568 995598 20500\n")
    assert row is not None
    assert (row.latency_s, row.service_s, row.connection) == (0.0305, 0.01, 3)


def test_a_transaction_that_failed_or_was_left_out_is_no_answer() -> None:
    for word in ("skipped", "failed", "deadlock"):
        row = parse_line(f"0 1 {word} 0 1175850568 995598")
        assert row is not None
        assert (row.status, row.error) == (0, f"pgbench: {word}")


@pytest.mark.parametrize("line", ["", "0 1 2", "a b c d e f", "0 1 2 3 4 5 6 7", "pgbench: error: x"])
def test_any_other_line_is_no_row(line: str) -> None:
    assert parse_line(line) is None


@given(st.lists(st.integers(1, 10**7), max_size=8), st.lists(st.integers(1, 40), max_size=20))
def test_rows_are_the_same_however_the_stream_is_cut(times: list[int], cuts: list[int]) -> None:
    stream = "".join(f"0 {n} {took} 0 1795421240 {n:06d}\n" for n, took in enumerate(times)).encode()
    rows, found = Rows(), []
    for size in (*cuts, len(stream)):
        found += rows.feed(stream[:size])
        stream = stream[size:]
    assert [round(row.latency_s * 1e6) for row in found] == times


def test_a_rate_is_pgbenchs_own_schedule() -> None:
    options = argparse.Namespace(address="127.0.0.1", port=5, rate=0.0, connections=4, script="tpcb-like")
    assert not any(word == "--rate" for word in arguments(options, "x"))
    options.rate = 50.0
    words = arguments(options, "x")
    assert words[words.index("--rate") + 1] == "50"


@contextmanager
def client(folder: Path, does: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Run it for the length of the block, and no longer where the block fails."""
    program = folder / "fake-pgbench"
    program.write_text(FAKE % does)
    program.chmod(0o700)
    argv = (
        *(sys.executable, "-m", "bench.workload.pgbench_client", "--address", "127.0.0.1", "--port", "1"),
        *("--rate", "0", "--connections", "1", "--script", "tpcb-like", "--output", str(folder / "client.jsonl")),
        *(*more, "--", str(program)),
    )
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(argv, cwd=folder, text=True, stderr=subprocess.PIPE, env={**os.environ, **paths}) as process:
        try:
            yield process
        finally:
            process.kill()


def rows_of(folder: Path, process: subprocess.Popen[str], count: int) -> list[dict[str, object]]:
    """Return the rows once there are so many, or the process has ended."""
    path = folder / "client.jsonl"
    while True:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= count or process.poll() is not None:
            return [json.loads(line) for line in lines]
        time.sleep(0.02)


def test_each_transaction_is_a_row_at_once_and_the_last_ones_are_let_end(tmp_path: Path) -> None:
    with client(tmp_path, SERVES) as process:
        (first,) = rows_of(tmp_path, process, 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert (first["status"], first["latency_s"]) == (200, 0.004056)
    answers, problems = client_answers(tmp_path / "client.jsonl")
    assert answers is not None
    assert (len(answers["t_send"]), problems) == (2, [])
    assert [path.name for path in tmp_path.glob("pgbench.[0-9]*")] == []


def test_pgbench_s_own_totals_stand_beside_the_rows(tmp_path: Path) -> None:
    with client(tmp_path, SERVES) as process:
        rows_of(tmp_path, process, 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    path, none = tmp_path / "client.jsonl", Assembly((), (), None, ())
    figures = with_program(path, client_figures(client_answers(path)[0], none), none)
    assert figures is not None
    assert figures["requests"] == 2
    assert figures["program"] == {
        "name": "pgbench",
        "version": "17.6",
        "rounds": 1,
        "requests": 2,
        "errors": 0,
        "requests_per_s": 20.5,
        "mean_s": pytest.approx(0.002528),
    }


@pytest.mark.parametrize(
    ("says", "lost", "words"),
    [("echo 2", 0, ""), ("echo 3", 0, ""), ("echo 1", 1, "2 transactions were acknowledged, the history has 1 rows")],
)
def test_an_acknowledged_transaction_without_its_row_is_lost(tmp_path: Path, says: str, lost: int, words: str) -> None:
    psql = tmp_path / "psql"
    psql.write_text(f"#!/bin/sh\n{says}\n")
    psql.chmod(0o700)
    with client(tmp_path, SERVES, "--verify") as process:
        rows_of(tmp_path, process, 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    kept = kept_by_server(tmp_path / "client.jsonl")
    assert kept == {"checked": 2, "lost": lost, "examples": [words] if words else [], "error": ""}


def test_a_history_that_cannot_be_counted_is_told_and_is_no_loss(tmp_path: Path) -> None:
    psql = tmp_path / "psql"
    psql.write_text("#!/bin/sh\necho 'psql: error: the database system is shutting down' >&2\nexit 2\n")
    psql.chmod(0o700)
    with client(tmp_path, SERVES, "--verify") as process:
        rows_of(tmp_path, process, 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    kept = kept_by_server(tmp_path / "client.jsonl")
    assert kept is not None
    assert (kept["checked"], kept["lost"]) == (0, 0)
    assert "shutting down" in kept["error"]


def test_a_server_that_is_not_there_yet_is_asked_again_and_each_refusal_is_a_row(tmp_path: Path) -> None:
    with client(tmp_path, REFUSED) as process:
        rows = rows_of(tmp_path, process, 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert {row["error"] for row in rows} == {
        "pgbench: pgbench: error: connection to server failed: Connection refused"
    }


def test_a_pgbench_that_ends_after_it_served_fails_the_client_with_its_words(tmp_path: Path) -> None:
    does = 'echo "0 1 4056 0 1795421240 500000" >$log\necho "pgbench: error: client 0 aborted" >&2; exit 2'
    with client(tmp_path, does) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "pgbench: error: client 0 aborted" in said


def test_where_a_side_is_lost_its_connections_are_made_anew_and_what_was_acknowledged_is_looked_for(
    tmp_path: Path,
) -> None:
    psql = tmp_path / "psql"
    psql.write_text("#!/bin/sh\necho 1\n")
    psql.chmod(0o700)
    does = 'echo "0 1 4056 0 1795421240 500000" >$log\necho "pgbench: error: client 0 aborted" >&2; exit 2'
    with client(tmp_path, does, "--again", "--verify") as process:
        rows_of(tmp_path, process, 4)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    lines = [json.loads(line) for line in (tmp_path / "client.jsonl").read_text().splitlines()]
    rows = [line for line in lines if "status" in line]
    assert [row["error"] for row in rows[:4]] == [None, "pgbench: pgbench: error: client 0 aborted"] * 2
    assert [row["connection"] for row in rows[:4]] == [0, None, 1, None]
    kept = kept_by_server(tmp_path / "client.jsonl")
    acknowledged = sum(row["error"] is None for row in rows)
    assert kept is not None
    assert (kept["checked"], kept["lost"]) == (acknowledged, acknowledged - 1)
