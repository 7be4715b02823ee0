"""Reads a campaign folder: says what was measured, what failed, and which runs could not be read and why."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from analysis.errors import NotACampaignError, NothingMeasuredError, said
from analysis.format.folder import LEDGER, CampaignFolder, RunFolder
from analysis.process.paths import require_seen
from analysis.stored.campaign import WARMUP, Campaign, Failure, Run, Unread
from analysis.stored.checkpoints import read_checkpoints
from analysis.stored.documents import as_record, read_record
from analysis.stored.factors import filled
from analysis.stored.held import MOST_BYTES, Room, Stored
from analysis.stored.records import LedgerLine, Plan, PlannedCell, PlannedRun, RunRecord
from analysis.stored.requests import read_requests
from analysis.stored.tables import UnusableError
from analysis.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from analysis.stored.columns import Columns

_INTERRUPTED = "interrupted"
"""The cause of an attempt that a person or a program ended: it says nothing of the pair."""

_LOOKED_AT = ("pause_s", "dirty_pages")
"""What nearly everything looks at of checkpoints: columns that have a room of their own beside whole tables."""

Read = TypeVar("Read")


def load_campaign(folder: Path, most_bytes: int = MOST_BYTES) -> Campaign:
    """Read ``plan.json``, ``ledger.jsonl`` and the files of every measured run.

    Args:
        folder: the campaign's.
        most_bytes: how much of its tables is held in memory; the rest is read again when it is asked for.

    Raises:
        NotACampaignError: the folder or its plan is missing, broken, of another schema version, or somebody else's.
        NothingMeasuredError: no run can be read; the message says why.
    """
    try:
        return _load(folder, most_bytes)
    except PermissionError as error:
        raise NotACampaignError(said(error), fix="see that the campaign and its files are yours to read") from error


def _load(folder: Path, most_bytes: int) -> Campaign:
    plan, plan_sha256 = _read_plan(folder)
    ledger, notes = _read_ledger(CampaignFolder(folder).ledger)
    last = {line.run_id: line for line in ledger}
    # A record is written when everything else is there: what the ledger has lost, or not been told yet, it still says.
    unknown = {
        run.run_id
        for run in plan.runs
        if _state(last, run) in {"planned", "started"}
        and RunFolder(CampaignFolder(folder).run(run.run_id)).record.is_file()
    }
    if unknown:
        notes = (*notes, f"ledger.jsonl does not know of {plural(len(unknown), 'run')} with a record: taken from there")
    cells = {one.cell_id: one for one in plan.cells}
    runs, without, unread = _read_runs(
        folder,
        (run for run in plan.runs if run.run_id in unknown or _state(last, run) == "measured"),
        cells,
        Room(most_bytes),
    )
    failures = tuple(_failure(run, last[run.run_id]) for run in plan.runs if _state(last, run) == "failed")
    unfinished = tuple(
        run for run in plan.runs if run.run_id not in unknown and _state(last, run) in {"planned", "started"}
    )
    planned = {run.run_id: run for run in plan.runs}
    attempts = tuple(
        _failure(planned[line.run_id], line)
        for line in ledger
        if line.state == "failed" and line.run_id in planned and line.cause != _INTERRUPTED
    )
    campaign = Campaign(plan, plan_sha256, runs, unread, failures, unfinished, notes, attempts, without)
    if not runs:
        what = "no run that is asked for checkpoints was measured" if without else "nothing was measured"
        lost = failures or unread or unfinished
        fix = "measure the machine under COLO too: -m scenario=native,colo" if without and not lost else ""
        raise NothingMeasuredError(f"{folder}: {what} ({_why_nothing(campaign)})", fix=fix)
    return campaign


_AGAIN = "give the command again"


def _read_plan(folder: Path) -> tuple[Plan, str]:
    path = CampaignFolder(folder).plan
    if not _is_folder(folder):
        what = "a file" if folder.is_file() else "a link to nowhere" if folder.is_symlink() else "no such folder"
        raise NotACampaignError(f"{folder}: {what}")
    require_seen(path)
    if not path.is_file():
        kept = sum(1 for _ in folder.glob("runs/*/run.json"))
        words = (
            f"; its {kept} records are kept: the bench command that made them writes plan.json again" if kept else ""
        )
        fix = "give the command that made it once more" if kept else ""
        raise NotACampaignError(f"{folder}: not a campaign folder, it holds no plan.json{words}", fix=fix)
    try:
        plan = read_record(path, Plan)
    except UnusableError as error:
        raise NotACampaignError(f"{folder}: {error}", fix=_mend(error)) from error
    cells = tuple(one.model_copy(update={"cell": filled(one.cell, one.at_default)}) for one in plan.cells)
    return plan.model_copy(update={"cells": cells}), _sha256(path)


def load_run(folder: Path) -> Run:
    """Read one run by its own folder, wherever that lies: no plan is needed.

    Raises:
        NotACampaignError: it holds no record or no tables that this version can read.
    """
    try:
        return _read_tables(folder, read_record(RunFolder(folder).record, RunRecord), Room())
    except UnusableError as error:
        raise NotACampaignError(f"{folder}: {error}", fix=_mend(error)) from error


def _mend(error: UnusableError) -> str:
    """Return what mends a folder that is one of ours and cannot be read."""
    newer = "schema version" in str(error)
    return "install a newer colo-bench" if newer else "copy it again, as it is, from where it was measured"


def _is_folder(path: Path) -> bool:
    try:
        require_seen(path)
    except OSError as error:  # a name that is too long
        short = f"{str(path)[:60]}\N{HORIZONTAL ELLIPSIS}"
        raise NotACampaignError(f"{short}: {error.strerror}") from error
    return path.is_dir()


def _read_ledger(path: Path) -> tuple[list[LedgerLine], tuple[str, ...]]:
    lines: list[LedgerLine] = []
    bad: list[int] = []
    content = path.read_bytes() if path.is_file() else b""
    # Line feeds alone end a line: a message may hold other characters that str.splitlines cuts at.
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n") if content else (), start=1):
        try:
            lines.append(as_record(line, LEDGER, LedgerLine))
        except UnusableError:
            bad.append(number)
    if not bad:
        return lines, ()
    return lines, (f"ledger.jsonl: {len(bad)} unreadable line(s) left out, the first is line {bad[0]}",)


def _read_runs(
    folder: Path, measured: Iterable[PlannedRun], cells: Mapping[str, PlannedCell], room: Room
) -> tuple[tuple[Run, ...], tuple[Run, ...], tuple[Unread, ...]]:
    runs: list[Run] = []
    without: list[Run] = []
    unread: list[Unread] = []
    for planned in measured:
        home = CampaignFolder(folder).run(planned.run_id)
        try:
            record = _read_planned(home, planned, cells.get(planned.cell_id))
            (runs if record.takes_checkpoints else without).append(_read_tables(home, record, room))
        except UnusableError as error:
            unread.append(Unread(planned, str(error)))
    return in_order_measured(runs), in_order_measured(without), tuple(unread)


def in_order_measured(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Return runs by the time they started: one that was measured again ran later than it was planned."""
    return tuple(sorted(runs, key=lambda run: (run.record.started_at, run.record.block, run.record.order)))


def _read_planned(folder: Path, planned: PlannedRun, cell: PlannedCell | None) -> RunRecord:
    record = read_record(RunFolder(folder).record, RunRecord)
    if record.run_id != planned.run_id:
        raise UnusableError(f"run.json is of run {record.run_id}")
    if (record.cell_id, record.block, record.order) != (planned.cell_id, planned.block, planned.order):
        raise UnusableError("run.json is of another cell, block or order than the plan has for this run")
    if cell is not None:
        whole = filled(record.cell, cell.at_default)
        if _measured(cell.cell) != _measured(whole):
            raise UnusableError("run.json holds another configuration than the plan has for this run")
        record = record.model_copy(update={"cell": whole})
    return record


def _measured(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without its deadlines, which may differ from one command to the next."""
    return {key: value for key, value in cell.items() if key != "deadlines"}


def _read_tables(home: Path, record: RunRecord, room: Room) -> Run:
    """Return a run with its checkpoints and the requests of its client, on the clock of its primary."""
    files, shift_s = RunFolder(home), record.clock_between("client", "primary")
    of_run = partial(read_checkpoints, files.checkpoints, record.run_id, needed=record.takes_checkpoints)
    of_client = partial(read_requests, files.client, shift_s)
    (rows, sha256), (requests, asked_sha256) = of_run(), of_client()
    checkpoints = Stored(rows, rows.nbytes, partial(_read_again, of_run, sha256), room)
    held = {} if checkpoints.held else _columns(rows, room)
    asked = Stored(requests, requests.size_bytes, partial(_read_again, of_client, asked_sha256), room)
    return Run(record, checkpoints, sha256, requests=asked, held=held)


def _columns(rows: Columns, room: Room) -> dict[str, NDArray[Any]]:
    """Return the columns that are held of a table that is not; none where there is no room for these either."""
    found: dict[str, NDArray[Any]] = {name: rows.floats(name).copy() for name in _LOOKED_AT}
    found[WARMUP] = rows[WARMUP]
    return found if room.take(sum(one.nbytes for one in found.values()), "columns") else {}


def _read_again(read: Callable[..., tuple[Read, str]], sha256: str) -> Read:
    """Return a table of a run as it was when the campaign was read.

    Raises:
        NotACampaignError: it is another one, or gone.
    """
    try:
        found, now = read(known=sha256)
    except UnusableError as error:
        raise NotACampaignError(f"a table changed while it was looked at: {error}", fix=_AGAIN) from error
    if now != sha256:
        raise NotACampaignError("a table changed while it was looked at", fix=_AGAIN)
    return found


def _state(last: Mapping[str, LedgerLine], run: PlannedRun) -> str:
    """Return how far a run is; one whose last attempt was interrupted did not fail, and has not ended."""
    if run.run_id not in last:
        return "planned"
    line = last[run.run_id]
    return "started" if line.state == "failed" and line.cause == _INTERRUPTED else line.state


def _failure(run: PlannedRun, line: LedgerLine) -> Failure:
    return Failure(run, line.attempt + 1, line.phase or "", line.cause or "unknown", line.message or "")


def _why_nothing(campaign: Campaign) -> str:
    counts = (
        (len(campaign.failures), "failed"),
        (len(campaign.unread), "unreadable"),
        (len(campaign.unfinished), "not finished"),
        (len(campaign.without), "asked for none"),
    )
    counted = ", ".join(f"{count} {what}" for count, what in counts if count)
    first = [unread.why for unread in campaign.unread[:1]] + [f"{f.cause}: {f.message}" for f in campaign.failures[:1]]
    return "; ".join([counted or "the plan holds no run", *(" ".join(line.split()) for line in first)])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
