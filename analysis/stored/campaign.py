"""What was read of a campaign: its plan, its runs with their tables, what failed, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from analysis.format.scenarios import ALONE
from analysis.stored.held import Reading, unread
from analysis.stored.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from analysis.stored.columns import Columns
    from analysis.stored.records import Plan, PlannedRun, RunRecord

WARMUP = "warmup"
"""The column that tells which checkpoints are none to be counted."""

NO_REQUESTS = Requests()


@dataclass(frozen=True)
class Run:
    """One measured run: its record, and its checkpoints in the columns of their table.

    Beyond some millions of checkpoints in a campaign, those of a run are read anew each time they are asked for.

    Attributes:
        folder: which of the folders of a study it comes from, counted from 0; two may hold campaigns of one name.
        requests: of its client; none without one.
        rows: its checkpoints, column by column.
        held: columns of ``rows`` that are held whether or not these are.
    """

    record: RunRecord
    rows: Reading[Columns] = Reading()  # noqa: RUF009 - a descriptor, one for the class
    sha256: str = ""
    folder: int = 0
    requests: Reading[Requests] = Reading(NO_REQUESTS)  # noqa: RUF009 - as above
    held: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def of_study(self, record: RunRecord, folder: int) -> Run:
        """Return the run as part of a study, its tables where they are."""
        return Run(record, unread(self, "rows"), self.sha256, folder, unread(self, "requests"), self.held)

    def column(self, name: str, *, warmup: bool = False) -> NDArray[np.float64]:
        """Return a column of the checkpoints after the warm-up, with it if asked for; NaN where it was not measured."""
        if name in self.held:
            values, first = self.held[name], self.held[WARMUP]
        else:
            rows = self.rows
            values, first = rows.floats(name), rows[WARMUP]
        return values if warmup else values[~first]

    @property
    def checkpoints(self) -> pd.DataFrame:
        """Return the checkpoints as a frame in the columns of their table, made anew each time."""
        return self.rows.frame()

    @property
    def latencies(self) -> NDArray[np.float64]:
        """Return the latencies of the answered requests in seconds; none without a client."""
        return self.requests.latencies


@dataclass(frozen=True)
class Unread:
    """A run that the ledger calls measured but whose files cannot be used."""

    planned: PlannedRun
    why: str


@dataclass(frozen=True)
class Failure:
    """A run whose last attempt failed."""

    planned: PlannedRun
    attempts: int
    phase: str
    cause: str
    message: str


@dataclass(frozen=True)
class Campaign:
    """Everything that the report is made of; runs are in the order in which they were measured.

    Attributes:
        failures: runs whose last attempt failed; ``unfinished``: not yet measured, or interrupted, which is no failure.
        without: runs that are asked for no checkpoints: those of ``scenario=native`` and ``formed``. The table of one
            may be empty, or hold the checkpoints that its output made.
        attempts: every attempt that failed, those of runs that were measured later included; interrupts are none.
    """

    plan: Plan
    plan_sha256: str
    runs: tuple[Run, ...]
    unread: tuple[Unread, ...]
    failures: tuple[Failure, ...]
    unfinished: tuple[PlannedRun, ...]
    notes: tuple[str, ...]
    attempts: tuple[Failure, ...] = ()
    without: tuple[Run, ...] = ()

    @property
    def measured(self) -> int:
        """How many runs were measured, those that take no checkpoints included."""
        return len(self.runs) + len(self.without)

    @property
    def pairs(self) -> tuple[RunRecord, ...]:
        """The records of all runs of pairs, of those too that take no checkpoints."""
        records = (run.record for run in (*self.runs, *self.without))
        return tuple(one for one in records if one.cell.get("scenario") not in ALONE)

    @property
    def lost(self) -> tuple[PlannedRun, ...]:
        """The runs that failed, and those of which nothing can be read."""
        return (*(one.planned for one in self.failures), *(one.planned for one in self.unread))
