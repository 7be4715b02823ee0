"""``index.csv``: one row per planned run of a campaign, made from what is stored."""

from __future__ import annotations

import csv
import io
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from bench.errors import StoreError
from bench.format.folder import CampaignFolder, RunFolder
from bench.record.ledger import read_entries
from bench.record.pauses import Pauses, read_pauses
from bench.record.run import quality_ok
from bench.system.documents import parse_json, read_document
from bench.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from bench.record.ledger import Entry

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
_HEADING = ",".join(COLUMNS) + "\n"

_DUTY = 50
"""The index of a campaign under way may take one part in so many of the time."""


class Index:
    """The ``index.csv`` of a campaign under way: a row is made again only when its run has changed.

    Making it anew after every run would cost a campaign of n runs n * n records read.
    """

    def __init__(
        self, folder: Path, last: Callable[[str], Entry | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the plan; the runs are read when the index is first written.

        Raises:
            StoreError: the plan cannot be read.
        """
        self._folder = folder
        self._last = last
        self._clock = clock
        self._planned = _planned(CampaignFolder(folder).plan)
        self._lines: dict[str, str] = {}
        self._pauses: dict[str, Pauses | None] = {}
        self._due = float("-inf")

    def changed(self, run_id: str) -> None:
        """Take note that a run is no longer what its row says; write, unless that is for later.

        Raises:
            StoreError: the index cannot be written.
        """
        self._lines.pop(run_id, None)
        self._pauses.pop(run_id, None)
        if self._clock() >= self._due:
            self.write()

    def write(self) -> None:
        """Write the file.

        Raises:
            StoreError: it cannot be written.
        """
        began = self._clock()
        for run_id, columns in self._planned.items():
            if run_id not in self._lines:
                self._lines[run_id] = _line(self._row(run_id, columns))
        write_atomic(self._folder / "index.csv", _HEADING + "".join(self._lines[run_id] for run_id in self._planned))
        ended = self._clock()
        self._due = ended + _DUTY * (ended - began)

    def pauses(self, run_id: str) -> Pauses | None:
        """Return the pauses of a run, its table read once; None when that cannot be read."""
        if run_id not in self._pauses:
            self._pauses[run_id] = read_pauses(CampaignFolder(self._folder).run(run_id))
        return self._pauses[run_id]

    def _row(self, run_id: str, planned: Mapping[str, Any]) -> dict[str, Any]:
        entry, home = self._last(run_id), CampaignFolder(self._folder).run(run_id)
        # Until the ledger says so, a record that is there may be one of an attempt that is about to be repeated.
        measured = entry is not None and entry.state == "measured"
        record = (read_document(RunFolder(home).record) if measured else None) or {}
        return {
            **planned,
            "state": entry.state if entry else "planned",
            "accel": record.get("accel", planned["accel"]),
            "quality_ok": quality_ok(record),
            "cause": entry.cause if entry else None,
            **(_columns(self.pauses(run_id)) if record else {}),
        }


def write_index(folder: Path) -> Index:
    """Write the ``index.csv`` of a campaign from its plan, its ledger and its runs; the same data give the same bytes.

    Returns:
        The index, with the pauses of the runs that it has read.

    Raises:
        StoreError: the plan or the ledger cannot be read, or the index not be written.
    """
    last = {entry.run_id: entry for entry in read_entries(CampaignFolder(folder).ledger)[0]}
    index = Index(folder, last.get)
    index.write()
    return index


@contextmanager
def true_index(folder: Path) -> Iterator[None]:
    """Write the ``index.csv`` of a campaign where an error ends the block, which is then what is raised."""
    try:
        yield
    except BaseException:
        with suppress(StoreError):
            write_index(folder)
        raise


def _line(row: Mapping[str, Any]) -> str:
    """Return a row, quoted as RFC 4180 has it; it ends in a mere line feed, as those of all other files here."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([_field(row.get(name)) for name in COLUMNS])
    return out.getvalue()


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _planned(path: Path) -> dict[str, dict[str, Any]]:
    """Return what the plan says of every run, in the plan's order."""
    try:
        plan = parse_json(path.read_bytes())
        cells = {one["cell_id"]: _factors(one["cell"]) for one in plan["cells"]}
        names = ("run_id", "block", "order", "cell_id", "label")
        runs = [{name: run[name] for name in names} | cells[run["cell_id"]] for run in plan["runs"]]
        return {str(run["run_id"]): run for run in sorted(runs, key=lambda run: run["order"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} cannot be read", cause="plan-unreadable", logs=(path,)) from error


def _factors(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "accel": cell["accel"],
        "mem_bytes": cell["mem"],
        "smp": cell["smp"],
        "workload": cell["workload"]["name"],
        "link": cell["link"]["transport"],
    }


def _columns(pauses: Pauses | None) -> dict[str, Any]:
    if pauses is None:
        return {}
    found = {"pause_median_s": pauses.median_s, "pause_p95_s": pauses.p95_s} if pauses.checkpoints else {}
    return {"checkpoints": pauses.checkpoints, **found}
