"""What a campaign of 10,000 runs costs the harness. No pair is booted: the "measuring" is a FAKE that copies files.

Real are the plan, the ledger, the records' sizes (copies of one real run), the index, the loop, and continuing after a
stop. `python -m tools.benchmarks.long_campaign [--runs N] [--cells N]` prints the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import psutil

from bench.config.load import OnError, Settings
from bench.config.model import Cell
from bench.config.procedure import Checkpoint
from bench.errors import GuestError
from bench.plan.plan import hypotheses_sha256
from bench.provision.guest import Guest
from bench.provision.qemu import Binary
from bench.record.table import read_checkpoints, write_checkpoints
from bench.run.campaign import run_campaign
from bench.run.prepare import Prepared
from bench.run.tools import Tools
from bench.scenario.progress import Assets, Progress, RunOutcome
from bench.system.exits import Exit
from bench.system.files import write_atomic
from bench.vm.features import MODERN
from bench.workload.idle import Idle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from bench.plan.plan import PlannedRun

RUNS, CELLS = 10_000, 50
GROUP = 1000
"""How many runs at the beginning are compared with as many at the end."""

LEFT = 10
"""How many runs of the first command fail, for the second to find."""

STORED = Path(__file__).resolve().parents[2] / "results" / "reference" / "size_sweep" / "runs"


@dataclass
class FakePairs:
    """Stands in for measured pairs: puts a copy of a real run's files where the pair's would be.

    Attributes:
        fail_from: the run, by its place in the plan, from which on every run fails.
        began_s: when each run was asked for (monotonic).
        cpu_s: the CPU time that this process had used then.
    """

    fail_from: int
    began_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    _record: dict[str, Any] = field(init=False)
    _columns: dict[str, list[Any]] = field(init=False)

    def __post_init__(self) -> None:
        home = min(path.parent for path in STORED.glob("*/run.json"))
        self._record = json.loads((home / "run.json").read_bytes())
        self._columns = read_checkpoints(home / "checkpoints.parquet").to_pydict()

    async def __call__(
        self,
        run: PlannedRun,
        cell: Cell,
        assets: Assets,  # noqa: ARG002 - the protocol of what measures a run
        folder: Path,
        on_event: Callable[[Progress], None],
        *,
        attempt: int,
    ) -> RunOutcome:
        """Write the files of one run, or fail."""
        self.began_s.append(time.perf_counter())
        self.cpu_s.append(time.process_time())
        on_event(Progress(stage="measure", done=1, total=1, pause_s=0.01))
        if run.order >= self.fail_from:
            raise GuestError("a fake that fails", transient=False)
        columns = self._columns | {"run_id": [run.run_id] * len(self._columns["index"])}
        record = self._record | {"run_id": run.run_id, "cell_id": run.cell_id, "block": run.block, "order": run.order}
        write_checkpoints(folder / "checkpoints.parquet", columns)
        text = json.dumps(record | {"attempt": attempt, "cell": cell.model_dump(mode="json")}, indent=1)
        write_atomic(folder / "run.json", text)
        return RunOutcome(run.run_id, len(columns["index"]), quality_ok=True, message="")


def benchmark(runs: int = RUNS, cells: int = CELLS) -> dict[str, Any]:
    """Return the figures of a campaign of so many runs in a temporary folder; the disk is not waited for."""
    with tempfile.TemporaryDirectory(prefix="colo-bench-long-") as name:
        return simulate(Path(name), runs, cells)


def simulate(results: Path, runs: int, cells: int, group: int = GROUP) -> dict[str, Any]:
    """Run the campaign, then continue it; seconds, ratios, bytes.

    Args:
        results: an empty folder.
        runs: how many, a multiple of ``cells``.
        cells: how many configurations.
        group: how many runs at either end are compared.
    """
    first, second = FakePairs(fail_from=runs - LEFT), FakePairs(fail_from=runs)
    asked = [small_cell(index) for index in range(cells)]
    settings = Settings(results=results, campaign="long", repeats=runs // cells, seed=1, on_error=OnError())
    process = psutil.Process()
    memory, files = process.memory_info().rss, process.num_fds()
    with not_waiting_for_the_disk(), contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        started = time.perf_counter()
        status = run_campaign(settings, asked, "a fake", _tools(first))
        took = time.perf_counter() - started
        shutil.copyfile(results / "long" / "index.csv", results / "index-before.csv")
        continued, cpu_before_s = time.perf_counter(), time.process_time()
        again = run_campaign(settings, asked, "a fake", _tools(second))
    if (status, again, len(second.began_s)) != (Exit.RUNS_FAILED, Exit.DONE, LEFT):
        raise AssertionError(f"the simulation went wrong: {status}, {again}, {len(second.began_s)} runs continued")
    wall, cpu = ([after - before for before, after in pairwise(times)] for times in (first.began_s, first.cpu_s))
    ends = slice(-group - LEFT, -LEFT)
    return {
        "fake_pairs": "no pair was booted; files of one real run were copied",
        "runs": runs,
        "cells": cells,
        "first_command_s": took,
        "first_run_began_after_s": first.began_s[0] - started,
        "per_run_first_s": fmean(wall[:group]),
        "per_run_last_s": fmean(wall[ends]),
        "per_run_median_s": median(wall),
        # Medians: a garbage collection of all that the process holds falls into a single run.
        "cpu_per_run_first_s": median(cpu[:group]),
        "cpu_per_run_last_s": median(cpu[ends]),
        "cpu_ratio_last_to_first": median(cpu[ends]) / median(cpu[:group]),
        "after_the_last_run_s": started + took - first.began_s[-1],
        "resume_s": second.began_s[0] - continued,
        "resume_cpu_s": second.cpu_s[0] - cpu_before_s,
        "plan_bytes": (results / "long" / "plan.json").stat().st_size,
        "ledger_bytes": (results / "long" / "ledger.jsonl").stat().st_size,
        "memory_grown_bytes": process.memory_info().rss - memory,
        "files_left_open": process.num_fds() - files,
    }


def small_cell(index: int) -> Cell:
    """Return one of so many cells, no two of them alike."""
    return Cell(mem=(256 + index) << 20, smp=1, accel="tcg", workload=Idle(), checkpoint=Checkpoint(count=24, warmup=6))


def _tools(measure: FakePairs) -> Tools:
    binary = Binary(("qemu",), ("qemu-img",), (), Path("/nowhere"), "a" * 64, "fake", "provisioned")
    guest = Guest(Path("/nowhere"), Path("/nowhere"), "b" * 64, "c" * 64, "fake", ())

    def prepare(settings: Settings, cells: Sequence[Cell], campaign: str, _say: Callable[[str], None]) -> Prepared:
        declared = hypotheses_sha256(settings.hypotheses)
        return Prepared(
            tuple(cells), {"provisioned": Assets(binary, guest, MODERN, campaign, hypotheses_sha256=declared)}
        )

    def report(_folder: Path, _console: Console) -> bool:
        return True  # the report has its own benchmark

    return Tools(prepare, measure, report, lambda: 1 << 40)


@contextlib.contextmanager
def not_waiting_for_the_disk() -> Any:
    """Leave out fsync: what a disk takes is the disk's, the same for each run, and hides what grows."""
    sync = os.fsync
    os.fsync = lambda fd: None  # noqa: ARG005
    try:
        yield
    finally:
        os.fsync = sync


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--cells", type=int, default=CELLS)
    options = parser.parse_args()
    print(json.dumps(benchmark(options.runs, options.cells), indent=1))  # noqa: T201 - what this command is for
    return 0


if __name__ == "__main__":
    sys.exit(main())
