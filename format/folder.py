"""What lies where in a campaign's folder and in a run's: every name of it, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PLAN, LEDGER, RUNS, FAILED, REPORT, VERDICTS = (
    *("plan.json", "ledger.jsonl", "runs", "failed"),
    *("report", "verdicts.json"),
)
RECORD, CHECKPOINTS, CLIENT = "run.json", "checkpoints.parquet", "client.parquet"
QMP_LOG, CLIENT_LOG, HARNESS_LOG = "qmp.jsonl", "client.jsonl", "harness.log"
TRACE, SERIAL, STDERR, ARGV = "trace.log", "serial.log", "stderr.log", "argv.json"
NEW_SECONDARY = "new-secondary"
"""The folder of the secondary that joins the survivor of a failover."""
MACHINES = ("primary", "secondary", NEW_SECONDARY)
"""The folders of a run's QEMUs, as far as it has them."""


@dataclass(frozen=True)
class CampaignFolder:
    """The folder of a campaign."""

    path: Path

    @property
    def plan(self) -> Path:
        """What is to be measured."""
        return self.path / PLAN

    @property
    def ledger(self) -> Path:
        """What became of each run."""
        return self.path / LEDGER

    @property
    def runs(self) -> Path:
        """The folders of the runs, by their ids."""
        return self.path / RUNS

    @property
    def failed(self) -> Path:
        """The folders of the attempts that failed."""
        return self.path / FAILED

    @property
    def verdicts(self) -> Path:
        """What the report says, for a program."""
        return self.path / REPORT / VERDICTS

    def run(self, run_id: str) -> Path:
        """The folder of a run."""
        return self.runs / run_id


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, or of an attempt; a side's own files lie in a folder of that name in it."""

    path: Path

    @property
    def record(self) -> Path:
        """What is known of the run; it is written last."""
        return self.path / RECORD

    @property
    def checkpoints(self) -> Path:
        """The table of its checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def client(self) -> Path:
        """The table of its client's requests."""
        return self.path / CLIENT

    @property
    def client_log(self) -> Path:
        """What its client writes, request by request."""
        return self.path / CLIENT_LOG

    @property
    def qmp_log(self) -> Path:
        """What was said to both QEMUs, and what they said."""
        return self.path / QMP_LOG

    def trace(self, side: str) -> Path:
        """The trace of a side's QEMU."""
        return self.path / side / TRACE

    def serial(self, side: str) -> Path:
        """The console of a side's guest."""
        return self.path / side / SERIAL
