"""What the raw data of an attempt still holds when the attempt left no whole record, and whether a whole one is true.

The tables come from the very functions that a measured run's tables come from. What is recovered is not a measured
run: ``run.json`` and the ledger's ``measured`` make one, and neither is ever written here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.config.model import Cell
from bench.config.procedure import Checkpoint
from bench.errors import BenchError, StoreError
from bench.format.folder import CampaignFolder, RunFolder
from bench.format.version import MEANT_OTHERWISE, SCHEMA_VERSION
from bench.measure.journal import NAME as JOURNAL
from bench.measure.journal import Kept, read_entries
from bench.plan.plan import parse_plan
from bench.record.ledger import read_entries as ledger_entries
from bench.record.run import read_record
from bench.record.table import checkpoint_table, is_older, read_checkpoints
from bench.scenario.answers import read_json_lines
from bench.scenario.evidence import Evidence, gather
from bench.system.files import write_atomic
from bench.system.logs import log_exists
from bench.workload.idle import Idle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.plan.plan import PlannedCell
    from bench.record.ledger import Entry

RECOVERED = "recovered.json"

_SET_ASIDE = re.compile(r"(?P<run_id>.+)-(?P<number>[0-9]{1,9})", re.ASCII)
_NO_PLAN = Cell(mem=1 << 30, smp=1, workload=Idle(), checkpoint=Checkpoint(count=1, warmup=0))
"""Stands in for the cell where the plan cannot be read: nothing of it but the warm-up matters here, and it has none."""


@dataclass(frozen=True)
class Attempt:
    """The folder of one attempt at a run.

    Attributes:
        home: the folder.
        name: below the campaign, such as ``failed/0a1b2c3d4e5f-0``.
        run_id: which run.
        number: 0-based, where the folder's name tells: it was set aside.
    """

    home: Path
    name: str
    run_id: str
    number: int | None = None


@dataclass(frozen=True)
class Finding:
    """What became of one folder.

    Attributes:
        name: the folder below the campaign.
        text: one line for a person.
        checkpoints: how many its table now holds.
        ok: whether all that is there could be used (or, when checking, the table is the raw data's).
    """

    name: str
    text: str
    checkpoints: int = 0
    ok: bool = True


@dataclass(frozen=True)
class Known:
    """What a campaign's folder says of its runs.

    Attributes:
        cells: the planned cell of each run, by run id; empty when the plan cannot be read.
        entries: the ledger's readable lines, in order.
    """

    cells: Mapping[str, PlannedCell]
    entries: tuple[Entry, ...]

    def outcome(self, attempt: Attempt) -> Entry | None:
        """Return the newest entry of an attempt; of the run, where its folder does not tell which attempt it was."""
        found = [
            entry
            for entry in self.entries
            if entry.run_id == attempt.run_id and attempt.number in {None, entry.attempt} and entry.state != "planned"
        ]
        return found[-1] if found else None


def read_known(campaign: Path) -> Known:
    """Return what is known of a campaign's runs, however little."""
    cells: dict[str, PlannedCell] = {}
    try:
        plan = parse_plan(CampaignFolder(campaign).plan.read_bytes().decode(errors="replace"))
        by_id = {one.cell_id: one for one in plan.cells}
        cells = {run.run_id: by_id[run.cell_id] for run in plan.runs if run.cell_id in by_id}
    except (OSError, BenchError):
        pass  # a plan that cannot be read takes the warm-up's length along, and nothing else
    entries, _ = ledger_entries(CampaignFolder(campaign).ledger)
    return Known(cells, tuple(entries))


def unfinished(campaign: Path) -> list[Attempt]:
    """Return the attempts that have no whole record: what lies under ``runs/``, then what was set aside."""
    found = [Attempt(home, f"runs/{home.name}", home.name) for home in _folders(CampaignFolder(campaign).runs)]
    for home in _folders(CampaignFolder(campaign).failed):
        match = _SET_ASIDE.fullmatch(home.name)
        if match:
            found.append(Attempt(home, f"failed/{home.name}", match["run_id"], int(match["number"])))
    return [one for one in found if read_record(one.home, one.run_id) is None]


def finished(campaign: Path) -> list[Attempt]:
    """Return the runs that have a whole record."""
    found = [Attempt(home, f"runs/{home.name}", home.name) for home in _folders(CampaignFolder(campaign).runs)]
    return [one for one in found if read_record(one.home, one.run_id) is not None]


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def recover(attempt: Attempt, known: Known) -> Finding:
    """Write the tables of every checkpoint that an attempt completed, and ``recovered.json``, which says what they are.

    Raises:
        StoreError: they cannot be written.
    """
    entry = known.outcome(attempt)
    if not log_exists(RunFolder(attempt.home).trace("primary")):
        return Finding(attempt.name, f"no checkpoint: it ended before any was traced; {_why(entry)}")
    planned = known.cells.get(attempt.run_id)
    try:
        kept = _kept(attempt)
        evidence = _gather(attempt, planned.cell if planned else _NO_PLAN, kept, early=kept.early or 0)
    except BenchError as error:
        return Finding(attempt.name, f"the raw data cannot be used: {error.message}; {_why(entry)}", ok=False)
    rows = evidence.quality.used
    there = _rows_there(attempt.home)
    if there > rows:
        text = f"left as it is: its table has {there} checkpoints, the raw data only {rows}; {_why(entry)}"
        return Finding(attempt.name, text, there, ok=False)
    if rows:
        evidence.write_tables(attempt.home)
        tree = _document(attempt, planned, entry, evidence, kept)
        write_atomic(attempt.home / RECOVERED, json.dumps(tree, indent=1, ensure_ascii=False) + "\n")
    warmup = "" if planned else ", warm-up not marked, as plan.json cannot be read"
    noun = "checkpoint" if rows == 1 else "checkpoints"
    text = f"{rows} {noun} recovered ({evidence.measured} after the warm-up{warmup}); {_why(entry)}{_unused(evidence)}"
    return Finding(attempt.name, text, rows)


def check(attempt: Attempt) -> Finding:
    """Compare a whole run's table with what its raw data give."""
    record: dict[str, Any] = read_record(attempt.home, attempt.run_id) or {}
    try:
        cell = Cell.model_validate(record["cell"])
        kept = _kept(attempt)
        evidence = _gather(attempt, cell, kept, early=record["early_checkpoints"])
        stored, made = read_checkpoints(RunFolder(attempt.home).checkpoints), checkpoint_table(evidence.columns)
    except (BenchError, KeyError, ValueError) as error:
        reason = error.message if isinstance(error, BenchError) else "its record cannot be used"
        return Finding(attempt.name, f"cannot be checked: {reason}", ok=False)
    left_out = ""
    if not (attempt.home / JOURNAL).exists():  # a run from before this file was kept
        stored, made = (table.drop_columns(["bytes_sent"]) for table in (stored, made))
        left_out = " (bytes_sent left out: its readings were not kept)"
    if is_older(RunFolder(attempt.home).checkpoints):
        stored, made = (table.drop_columns(list(MEANT_OTHERWISE)) for table in (stored, made))
        left_out += f" ({', '.join(MEANT_OTHERWISE)} left out: they were measured from a later moment then)"
    if stored.equals(made):
        text = f"{len(stored)} checkpoints, exactly what the raw data give{left_out}"
        return Finding(attempt.name, text, len(stored))
    return Finding(attempt.name, f"differs from its raw data: {_difference(stored, made)}", len(stored), ok=False)


def _difference(stored: Any, made: Any) -> str:
    if len(stored) != len(made):
        return f"{len(stored)} checkpoints in the table, {len(made)} in the raw data"
    return f"column {', '.join(name for name in stored.column_names if not stored[name].equals(made[name]))}"


def _kept(attempt: Attempt) -> Kept:
    entries, _ = read_json_lines(attempt.home / JOURNAL)
    return read_entries(entries)


def _gather(attempt: Attempt, cell: Cell, kept: Kept, *, early: int) -> Evidence:
    return gather(
        attempt.home,
        attempt.run_id,
        cell,
        kept.samples,
        (),
        early=early,
        gaps=kept.gaps,
        one_sided=True,
        clocks=kept.clocks,
        struck_at=kept.struck,
        ended_at=kept.ended,
    )


def _rows_there(home: Path) -> int:
    try:
        return len(read_checkpoints(RunFolder(home).checkpoints))
    except StoreError:
        return 0


def _document(
    attempt: Attempt, planned: PlannedCell | None, entry: Entry | None, evidence: Evidence, kept: Kept
) -> dict[str, Any]:
    why = {key: getattr(entry, key, None) for key in ("state", "phase", "cause", "message")}
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": attempt.run_id,
        "attempt": entry.attempt if entry else attempt.number,
        "cell_id": planned.cell_id if planned else None,
        "label": planned.label if planned else None,
        "cell": planned.cell.model_dump(mode="json") if planned else None,
        **why,
        "checkpoints": evidence.quality.used,
        "after_warmup": evidence.measured if planned else None,
        "early_checkpoints": kept.early,
        "quality": evidence.quality.to_json(),
    }


def _why(entry: Entry | None) -> str:
    if entry is None:
        return "the ledger does not know it"
    if entry.state == "failed":
        return f"it had failed: {entry.phase}: {entry.cause}: {' '.join((entry.message or '').split())}"
    if entry.state == "measured":
        return "it had been measured, its record is lost"
    return "it never ended: the harness was killed or the machine went down"


def _unused(evidence: Evidence) -> str:
    said = [f"{one.count} x {one.what}" for one in evidence.quality.problems]
    return f"; not used: {', '.join(said)}" if said else ""
