"""What the benchmark programs print at their end, as their documentation and sources have it, read as numbers."""

from __future__ import annotations

import pytest

from bench.measure.accounts import as_client, program_figures, stretch
from bench.measure.log_lines import is_account
from bench.workload.totals import read_pgbench, read_valkey_benchmark, read_wrk, version_in

COLUMNS = ",".join(f'"{one}_latency_ms"' for one in ("avg", "min", "p50", "p95", "p99", "max"))
VALKEY = f""""test","rps",{COLUMNS}
"SET","12500.00","0.600","0.104","0.500","1.200","2.400","12.800"
"""
WRK = """Running 1440m test @ http://10.0.2.15:80/page
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.50ms    0.89ms   1.20s    93.69%
    Req/Sec     3.20k   807.00     4.00k    86.54%
  Latency Distribution
     50%  250.00us
     75%    1.10ms
     90%    2.00ms
     99%    1.50m
  1234 requests in 10.00s, 5.10MB read
  Socket errors: connect 0, read 1, write 0, timeout 4
  Non-2xx or 3xx responses: 3
Requests/sec:    123.40
Transfer/sec:    522.03KB
"""
PGBENCH = """pgbench (17.6)
transaction type: <builtin: TPC-B (sort of)>
scaling factor: 5
query mode: simple
number of clients: 4
number of threads: 1
maximum number of tries: 1
duration: 86400 s
number of transactions actually processed: 2051
number of failed transactions: 1 (0.049%)
latency average = 19.501 ms
initial connection time = 12.802 ms
tps = 205.104812 (without initial connection time)
"""
ROUND = {"program": "valkey-benchmark", "version": "8.1.1", "began": 10.0, "ended": 11.0}


def test_a_round_of_valkey_benchmark_is_read() -> None:
    totals = read_valkey_benchmark(VALKEY, 12_500)
    assert totals is not None
    assert (totals["requests"], totals["errors"], totals["requests_per_s"]) == (12_500, 0, 12_500.0)
    assert totals["mean_s"] == pytest.approx(0.0006)
    assert (totals["p50_s"], totals["max_s"]) == (pytest.approx(0.0005), pytest.approx(0.0128))


def test_wrk_s_summary_is_read_with_every_unit_and_every_kind_of_error() -> None:
    totals = read_wrk(WRK)
    assert totals is not None
    assert (totals["requests"], totals["errors"], totals["requests_per_s"]) == (1234, 8, 123.4)
    assert (totals["mean_s"], totals["max_s"]) == (pytest.approx(0.0025), 1.2)
    assert (totals["p50_s"], totals["p99_s"]) == (pytest.approx(0.00025), 90.0)


def test_pgbench_s_summary_is_read() -> None:
    assert read_pgbench(PGBENCH) == {
        "requests": 2051.0,
        "errors": 1.0,
        "requests_per_s": 205.104812,
        "mean_s": pytest.approx(0.019501),
    }


@pytest.mark.parametrize("text", ["", "Could not connect to server", VALKEY.splitlines()[0], WRK[:200], PGBENCH[:150]])
def test_a_program_that_was_cut_has_no_totals(text: str) -> None:
    assert read_valkey_benchmark(text, 1) is None
    assert read_wrk(text) is None
    assert read_pgbench(text) is None


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("valkey-benchmark 8.1.1\n", "8.1.1"),
        ("pgbench (PostgreSQL) 17.6 (Debian 17.6-0+deb13u1)\n", "17.6"),
        ("wrk 4.1.0 [epoll] Copyright (C) 2012 Will Glozer\nUsage: wrk <options> <url>", "4.1.0"),
        ("no such option", ""),
    ],
)
def test_a_program_names_its_version(said: str, version: str) -> None:
    assert version_in(said) == version


def test_rounds_are_added_up_and_their_quantiles_are_medians() -> None:
    rounds = [
        ROUND | {"totals": {"requests": 100, "requests_per_s": 100.0, "mean_s": 0.01, "p99_s": 0.1, "max_s": 0.5}},
        ROUND | {"totals": {"requests": 300, "requests_per_s": 100.0, "mean_s": 0.03, "p99_s": 0.3, "max_s": 0.2}},
        ROUND | {"ended": 19.0, "totals": {"requests": 100, "requests_per_s": 50.0, "p99_s": 0.2, "errors": 2}},
    ]
    up = {"program": "valkey-benchmark", "version": "8.1.1", "up": True, "error": None}
    figures = program_figures([up, *rounds])
    assert figures == {
        "name": "valkey-benchmark",
        "version": "8.1.1",
        "rounds": 3,
        "requests": 500,
        "errors": 2,
        "requests_per_s": pytest.approx(500 / 6),
        "mean_s": 0.025,
        "p99_s": 0.2,
        "max_s": 0.5,
    }
    assert stretch([up, *rounds]) == (10.0, 19.0)
    assert as_client(figures) == {
        "requests": 500,
        "errors": 2,
        "requests_per_s": figures["requests_per_s"],
        "p99_s": 0.2,
        "max_s": 0.5,
    }


def test_a_program_that_came_to_nothing_has_no_figures() -> None:
    up = {"program": "wrk", "version": "4.1.0", "up": True, "error": None}
    assert program_figures([up]) == {"name": "wrk", "version": "4.1.0", "rounds": 0}
    assert stretch([up]) == ()
    assert as_client(program_figures([up])) == {"requests": 0, "errors": 0}


@pytest.mark.parametrize(
    "change",
    [
        *({"program": 3}, {"began": "now"}, {"totals": []}, {"totals": {"requests": 1}}, {"more": 1}),
        *({"totals": {"requests": 1, "requests_per_s": one}} for one in (-1, "1", None)),
    ],
)
def test_an_account_of_another_kind_is_none(change: dict[str, object]) -> None:
    account = ROUND | {"totals": {"requests": 1, "requests_per_s": 1.0}}
    assert is_account(account)
    assert not is_account(account | change)
