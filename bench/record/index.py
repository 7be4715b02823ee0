"""``index.csv``: one row per planned run of a campaign, made anew from what is stored."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import StoreError
from bench.files import write_atomic
from bench.record.ledger import Entry, parse_entry
from bench.record.table import read_checkpoints

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

COLUMNS = (
    "run_id",
    "block",
    "order",
    "cell_id",
    "label",
    "state",
    "accel",
    "mem_bytes",
    "smp",
    "workload",
    "link",
    "checkpoints",
    "pause_median_s",
    "pause_p95_s",
    "quality_ok",
    "cause",
)


def write_index(folder: Path) -> None:
    """Write the ``index.csv`` of a campaign from its plan, its ledger and its runs; the same data give the same bytes.

    Raises:
        StoreError: the plan cannot be read, or the index not be written.
    """
    plan = _load(folder / "plan.json")
    if plan is None:
        raise StoreError(f"{folder / 'plan.json'} cannot be read", cause="plan-unreadable")
    cells = {cell["cell_id"]: cell["cell"] for cell in plan["cells"]}
    states = _states(folder / "ledger.jsonl")
    rows = [_row(folder, run, cells[run["cell_id"]], states.get(run["run_id"])) for run in plan["runs"]]
    write_atomic(folder / "index.csv", index_text(rows))


def index_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the file's content: a heading, rows in the plan's order, nothing where nothing is known.

    Quoted as RFC 4180 has it; lines end in a mere line feed, as all other files here.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in sorted(rows, key=lambda row: row["order"]):
        writer.writerow({name: _field(row.get(name)) for name in COLUMNS})
    return out.getvalue()


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _row(folder: Path, run: Mapping[str, Any], planned: Mapping[str, Any], entry: Entry | None) -> dict[str, Any]:
    home = folder / "runs" / run["run_id"]
    # Until the ledger says so, a record that is there may be one of an attempt that is about to be repeated.
    record = (_load(home / "run.json") if entry is not None and entry.state == "measured" else None) or {}
    cell = record.get("cell", planned)
    return {
        **{name: run[name] for name in ("run_id", "block", "order", "cell_id", "label")},
        "state": entry.state if entry else "planned",
        "accel": record.get("accel", cell["accel"]),
        "mem_bytes": cell["mem"],
        "smp": cell["smp"],
        "workload": cell["workload"]["name"],
        "link": cell["link"]["transport"],
        "quality_ok": record.get("quality", {}).get("ok"),
        "cause": entry.cause if entry else None,
        **(_pauses(home / "checkpoints.parquet") if record else {}),
    }


def _pauses(path: Path) -> dict[str, Any]:
    try:
        table = read_checkpoints(path)
    except StoreError:
        return {}
    pauses = table["pause_s"].to_numpy()[~table["warmup"].to_numpy()]
    if not len(pauses):
        return {"checkpoints": 0}
    return {
        "checkpoints": len(pauses),
        "pause_median_s": float(np.median(pauses)),
        "pause_p95_s": float(np.quantile(pauses, 0.95)),
    }


def _states(path: Path) -> dict[str, Entry]:
    """Return each run's newest entry; a torn line is no entry."""
    states: dict[str, Entry] = {}
    for line in path.read_bytes().decode(errors="replace").splitlines() if path.exists() else []:
        try:
            entry = parse_entry(line)
        except ValueError:
            continue
        states[entry.run_id] = entry
    return states


def _load(path: Path) -> dict[str, Any] | None:
    try:
        tree = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return tree if isinstance(tree, dict) else None
