"""Were records lost? The raw traces, counted by other means than the instrument's, against what is kept."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bench.errors import StoreError
from bench.record.run import read_record
from bench.record.table import read_checkpoints
from bench.system.places import PACKAGES

if TYPE_CHECKING:
    from pathlib import Path

_RECOVER_S = 60.0


def begun_and_complete(trace: bytes) -> tuple[int, int]:
    """Return how many checkpoints a primary's trace shows begun, and how many of these complete.

    Complete: requested, loaded by the secondary, and the guest running again, whole lines each. This is not how the
    instrument counts (:mod:`bench.measure.sequence`), on purpose.
    """
    begun = complete = 0
    loaded = open_ = False
    for line in trace.split(b"\n")[:-1]:
        if b"colo_send_message Send 'checkpoint-request'" in line:
            begun, open_, loaded = begun + 1, True, False
        elif b"colo_receive_message Receive 'vmstate-loaded'" in line:
            loaded = open_
        elif b"colo_vm_state_change Change 'stop' => 'run'" in line:
            complete += loaded
            open_ = loaded = False
    return begun, complete


def attempts(campaign: Path) -> dict[str, Path]:
    """Return the folders of all attempts at a run, measured, failed or broken off, by a name."""
    homes = (campaign, *campaign.glob("parts/*/begun-*"))  # of jobs, until what they have is the campaign's
    found = (path for home in homes for kind in ("runs", "failed") for path in home.glob(f"{kind}/*"))
    return {str(path.relative_to(campaign)): path for path in found}


def complete_by_trace(attempt: Path) -> int:
    """Return how many complete checkpoints an attempt's raw trace shows."""
    with suppress(OSError):
        return begun_and_complete((attempt / "primary" / "trace.log").read_bytes())[1]
    return 0


def by_trace(campaign: Path) -> dict[str, int]:
    """Return the complete checkpoints of every attempt's raw trace, by what the trace begins with, which names it."""
    counts = {}
    for attempt in attempts(campaign).values():
        with suppress(OSError):
            trace = (attempt / "primary" / "trace.log").read_bytes()
            count = begun_and_complete(trace)[1]
            if count:
                counts[hashlib.sha256(trace[:400]).hexdigest()] = count
    return counts


def recover(campaign: Path) -> str:
    """Have every attempt that left no whole record recovered from its raw traces; return what was said of a failure.

    By ``python -m bench.recover``, which writes a table into the attempt's folder.
    """
    argv = (sys.executable, "-m", "bench.recover", str(campaign))
    done = subprocess.run(argv, cwd=PACKAGES, capture_output=True, text=True, timeout=_RECOVER_S, check=False)
    return "" if done.returncode == 0 else f"bench.recover ended with {done.returncode}: {done.stdout}{done.stderr}"


def stored(attempt: Path) -> int | None:
    """Return how many checkpoints an attempt's table holds, ``None`` where there is no whole table."""
    try:
        return int(read_checkpoints(attempt / "checkpoints.parquet").num_rows)
    except StoreError:
        return None


def _beside_a_step(attempt: Path) -> int:
    with suppress(OSError, ValueError, KeyError):
        problems = json.loads((attempt / "recovered.json").read_bytes())["quality"]["problems"]
        return sum(int(one["count"]) for one in problems if one["what"].startswith("primary: time steps back"))
    return 0


def lost(campaign: Path, before: dict[str, int]) -> int:
    """Return how many complete checkpoints are in no table, once what can be recovered has been.

    One beside which the clock was set is none: it is refused, and on record as refused, since its times may be false.

    Args:
        campaign: its folder.
        before: what :func:`by_trace` said at an earlier time: none of it may have gone since.
    """
    tried = attempts(campaign).values()
    gone = sum(max(complete_by_trace(one) - (stored(one) or 0) - _beside_a_step(one), 0) for one in tried)
    now = by_trace(campaign)
    return gone + sum(max(count - now.get(name, 0), 0) for name, count in before.items())


def fingerprint(run: Path) -> str:
    """Return what changes when a run is measured again."""
    parts = [(run / name).read_bytes() for name in ("run.json", "checkpoints.parquet", "qmp.jsonl")]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def differences(campaign: Path, reference: Path) -> list[str]:
    """Return how a finished campaign's data set differs from an undisturbed one; empty when it does not."""
    wrong = []
    with suppress(OSError, ValueError, KeyError):
        asked = json.loads((campaign / "plan.json").read_bytes())["cells"][0]["cell"]["checkpoint"]
        want = _plan_runs(reference)
        if _plan_runs(campaign) != want:
            wrong.append("the plan has other runs")
        index = _index(campaign)
        if [row["run_id"] for row in index] != want:
            wrong.append("the index does not hold each run once, in order")
        wrong += [f"{row['run_id']} is {row['state']} in the index" for row in index if row["state"] != "measured"]
        for run_id in want:
            wrong += _run_differences(campaign / "runs" / run_id, run_id, asked["count"], asked["warmup"])
        folders = {path.name for path in (campaign / "runs").iterdir()}
        wrong += [f"a folder too many: runs/{name}" for name in sorted(folders - set(want))]
        return wrong
    return [*wrong, "the campaign's plan or index cannot be read"]


def _run_differences(run: Path, run_id: str, count: int, warmup: int) -> list[str]:
    record = read_record(run, run_id)
    if record is None:
        return [f"{run_id} has no whole record"]
    try:
        table = read_checkpoints(run / "checkpoints.parquet")
    except StoreError as error:
        return [f"{run_id}: {error.message}"]
    used = table["warmup"].to_pylist().count(False)
    rows = count + warmup + int(record.get("early_checkpoints", 0))
    wrong = [f"{run_id} has {used} checkpoints, not {count}"] if used != count else []
    return wrong + ([f"{run_id} has {table.num_rows} rows, not {rows}"] if table.num_rows != rows else [])


def measured_twice(ledger: list[dict[str, Any]]) -> list[str]:
    """Return the runs that the ledger calls measured more than once."""
    measured = [entry["run_id"] for entry in ledger if entry.get("state") == "measured"]
    return sorted({run_id for run_id in measured if measured.count(run_id) > 1})


def _plan_runs(campaign: Path) -> list[str]:
    return [run["run_id"] for run in json.loads((campaign / "plan.json").read_bytes())["runs"]]


def _index(campaign: Path) -> list[dict[str, str]]:
    with (campaign / "index.csv").open(newline="") as file:
        return list(csv.DictReader(file))
