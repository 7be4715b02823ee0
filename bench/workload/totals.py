"""What the servers' own benchmark programs say of themselves at their end, read as numbers in SI units.

Sources: valkey-benchmark's ``--csv`` (valkey 8.1, ``src/valkey-benchmark.c``), wrk's summary (wrk 4.1, ``src/wrk.c``
and ``src/units.c``), pgbench's ("Results", PostgreSQL 17's documentation).
"""

from __future__ import annotations

import csv
import re

Totals = dict[str, float]
"""``requests``, ``errors``, ``requests_per_s``, and of the latency in s as many of ``mean_s``, ``min_s``, ``p50_s``,
``p75_s``, ``p90_s``, ``p95_s``, ``p99_s``, ``max_s`` as the program tells."""

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_VERSION = re.compile(r"\b[0-9]+(?:\.[0-9]+)+")
_VALKEY = {"avg": "mean_s", "min": "min_s", "p50": "p50_s", "p95": "p95_s", "p99": "p99_s", "max": "max_s"}

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TIME = rf"({_NUMBER})(us|ms|s|m|h)"
_WRK_LATENCY = re.compile(rf"^ +Latency +{_TIME} +\S+ +{_TIME} ", re.MULTILINE)
_WRK_SHARE = re.compile(rf"^ +([0-9]+)% +{_TIME}$", re.MULTILINE)
_WRK_DONE = re.compile(r"^ +([0-9]+) requests in ", re.MULTILINE)
_WRK_RATE = re.compile(rf"^Requests/sec: +({_NUMBER})$", re.MULTILINE)
_WRK_ERRORS = re.compile(
    r"^ +(?:Socket errors: connect ([0-9]+), read ([0-9]+), write ([0-9]+), timeout ([0-9]+)"
    r"|Non-2xx or 3xx responses: ([0-9]+))$",
    re.MULTILINE,
)

_PGBENCH = {
    "requests": (re.compile(r"^number of transactions actually processed: ([0-9]+)", re.MULTILINE), 1.0),
    "errors": (re.compile(r"^number of failed transactions: ([0-9]+)", re.MULTILINE), 1.0),
    "requests_per_s": (re.compile(rf"^tps = ({_NUMBER}) ", re.MULTILINE), 1.0),
    "mean_s": (re.compile(rf"^latency average = ({_NUMBER}) ms", re.MULTILINE), 1e-3),
}


def version_in(text: str) -> str:
    """Return the first version that a program names; empty where it names none."""
    match = _VERSION.search(text)
    return match[0] if match else ""


def read_valkey_benchmark(text: str, requests: int) -> Totals | None:
    """Return the totals of one test of so many requests, out of ``--csv``; ``None`` where it did not come to them."""
    rows = list(csv.DictReader(line for line in text.splitlines() if line.startswith('"')))
    try:
        (row,) = rows
        totals = {name: float(row[f"{ours}_latency_ms"]) / 1e3 for ours, name in _VALKEY.items()}
        return {"requests": requests, "errors": 0, "requests_per_s": float(row["rps"]), **totals}
    except (ValueError, KeyError, TypeError):
        return None


def read_wrk(text: str) -> Totals | None:
    """Return the totals of wrk's summary with ``--latency``; ``None`` where there is none."""
    latency, done, rate = _WRK_LATENCY.search(text), _WRK_DONE.search(text), _WRK_RATE.search(text)
    if not (latency and done and rate):
        return None
    mean, mean_unit, largest, largest_unit = latency.groups()
    shares = {f"p{share}_s": float(time) * _SECONDS[unit] for share, time, unit in _WRK_SHARE.findall(text)}
    return {
        "requests": int(done[1]),
        "errors": sum(int(count) for counts in _WRK_ERRORS.findall(text) for count in counts if count),
        "requests_per_s": float(rate[1]),
        "mean_s": float(mean) * _SECONDS[mean_unit],
        **shares,
        "max_s": float(largest) * _SECONDS[largest_unit],
    }


def read_pgbench(text: str) -> Totals | None:
    """Return the totals of pgbench's summary; ``None`` where there is none."""
    found = {name: (expression.search(text), unit) for name, (expression, unit) in _PGBENCH.items()}
    totals = {name: float(match[1]) * unit for name, (match, unit) in found.items() if match}
    return totals if "requests" in totals and "requests_per_s" in totals else None
