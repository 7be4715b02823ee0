"""What of a campaign is measured, by its ledger and its folders, and what is put on record of the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, StoreError
from bench.format.folder import CampaignFolder, RunFolder
from bench.record.run import is_recorded, quality_failures, read_record
from bench.record.table import has_whole_tables
from bench.run.folder import aside, set_aside
from bench.run.witness import last_words, logs_left, phase_reached
from bench.system.units import is_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from bench.plan.plan import PlannedRun
    from bench.record.ledger import Entry, Ledger

_MOST_EVIDENCE = 20
_LONGEST_EVIDENCE = 500


@dataclass
class Records:
    """The runs of a campaign as they are on record.

    Attributes:
        folder: the campaign's.
        ledger: its own.
        say: told what is taken for measured, and what is measured again.
    """

    folder: Path
    ledger: Ledger
    say: Callable[[str], None]
    _whole: set[str] = field(init=False, default_factory=set)

    def done(self, run_id: str) -> bool:
        """Return whether a run is measured and its record is there."""
        if not self.ledger.done(run_id):
            return False
        # Read once by each command: to read every record at every look would make a long campaign slow.
        if run_id not in self._whole and is_recorded(self._home(run_id), run_id):
            self._whole.add(run_id)
        return run_id in self._whole

    def recover(self, runs: Iterable[PlannedRun]) -> None:
        """Take what a kill left with its whole record, but without its line in the ledger, for measured.

        What it left without one is on record as broken off, and what has lost its table or its record since as failed:
        both are measured again, and their raw traces kept. What a ledger that is gone or older than the folder does not
        know is taken from the records.
        """
        runs = tuple(runs)
        known = self._take_from_records(runs)
        for run_id in (run.run_id for run in runs if run.run_id not in known):
            last = self.ledger.last(run_id)
            if last is not None and last.state == "measured":
                self._check_measured(last)
            elif last is not None and last.state == "started":
                self._settle(last)

    def _check_measured(self, last: Entry) -> None:
        if not has_whole_tables(self._home(last.run_id)):
            self._take_back(last, StoreError("its table is damaged or gone", cause="store-failed"))
        elif not self.done(last.run_id):
            self._take_back(last, StoreError("its record is damaged or gone", cause="store-failed"))

    def _settle(self, last: Entry) -> None:
        """Take a run that was begun for measured or for broken off."""
        home, record = self._home(last.run_id), self._record(last.run_id)
        if record is None:
            words = "it never ended: the harness was killed or the machine went down"
            self._take_back(last, BenchError(words, cause="interrupted", phase=phase_reached(home)))
            return
        # Its table is written.
        RunFolder(home).client_log.unlink(missing_ok=True)
        self._measured(last.run_id, last.attempt, record)
        self.say(f"run {last.run_id} had been measured when the campaign was killed: its record is whole")

    def _take_from_records(self, runs: Iterable[PlannedRun]) -> set[str]:
        """Write down as measured what has a whole record and whole tables, but of which the ledger says otherwise."""
        found: set[str] = set()
        for run in runs:
            last = self.ledger.last(run.run_id)
            if last is not None and last.state in ("started", "measured"):
                continue
            record = self._record(run.run_id)
            if record is None or not has_whole_tables(self._home(run.run_id)):
                continue
            self._measured(run.run_id, record["attempt"] if is_count(record.get("attempt")) else 0, record)
            found.add(run.run_id)
        if found:
            self.say(f"ledger.jsonl did not know of {len(found)} measured runs: taken from their whole records")
        return found

    def _measured(self, run_id: str, attempt: int, record: dict[str, Any]) -> None:
        doubt = "; ".join(quality_failures(record))
        self.ledger.append(run_id, "measured", attempt, message=doubt or None)

    def _take_back(self, last: Entry, error: BenchError) -> None:
        self.fail(last.run_id, last.attempt, error)
        text = f"run {last.run_id} is measured again: {error.message}"
        home = self._home(last.run_id)
        if last.state == "measured" and self._record(last.run_id) is not None:  # it would say that the tables are whole
            RunFolder(home).record.rename(home / "run-without-tables.json")
        if home.exists():
            text = f"{text}; kept: {set_aside(self.folder, last.run_id)}"
        self.say(text)

    def fail(self, run_id: str, attempt: int, error: BenchError) -> None:
        """Write a failure into the ledger; what it brings no proof of, the attempt's own logs say."""
        home, kept = self._home(run_id), aside(self.folder, run_id)
        error.evidence = error.evidence or last_words(home)
        own = error.logs or logs_left(home)
        error.logs = tuple(kept / log.relative_to(home) if log.is_relative_to(home) else log for log in own)
        logs = [log.relative_to(self.folder) if log.is_relative_to(self.folder) else log for log in error.logs]
        self.ledger.append(
            run_id,
            "failed",
            attempt,
            error.phase,
            error.cause,
            error.message,
            hint=error.hint,
            evidence=[line[:_LONGEST_EVIDENCE] for line in error.evidence[:_MOST_EVIDENCE]],
            logs=map(str, logs),
        )

    def _home(self, run_id: str) -> Path:
        return CampaignFolder(self.folder).run(run_id)

    def _record(self, run_id: str) -> dict[str, Any] | None:
        return read_record(self._home(run_id), run_id)
