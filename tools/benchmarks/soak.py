"""``python -m tools.benchmarks.soak --hours 1``: the main command on small runs, watched for what grows."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from bench.record.ledger import read_entries
from bench.system.files import write_atomic
from bench.system.owner import end_with_owner
from bench.system.places import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SMALL = ("mem=256M", "smp=1", "accel=tcg", "workload=idle", "checkpoint.interval=0.1", "checkpoint.count=5")
_MORE = ("checkpoint.warmup=1", "on_error=retry:3", "campaign=soak")
_RUN_S = 6.0
"""The shortest a run can be expected to take: the plan has to outlast the soak."""
_POLL_S = 0.05
_WITHIN_RUN_S = 2.0
"""How long after its start a run is looked at: at the same place in each, or the stage would pass for growth."""
_END_S = 120.0
_TEMPORARY = ("*.qcow2", "*.sock", ".*.tmp")
_QUARTERS = 4
_MOST_GROWTH, _MOST_BYTES = 0.5, 1 << 20
"""Per 100 runs."""

FIGURES = ("rss_bytes", "descriptors", "threads", "children", "temporary_files")


@dataclass(frozen=True)
class Sample:
    """The harness as seen from outside during one run.

    Attributes:
        run: how many runs had begun.
        t_s: since the command was started.
        rss_bytes: memory of the harness, without its children.
        descriptors: its open files and sockets.
        threads: its threads.
        children: its child processes.
        temporary_files: in its TMPDIR, and images, sockets and unfinished files of all runs but the one under way.
    """

    run: int
    t_s: float
    rss_bytes: int
    descriptors: int
    threads: int
    children: int
    temporary_files: int


def summarise(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return, by figure, the medians of the first and of the last quarter, and the growth per 100 runs.

    The growth is the slope of a least-squares line over the second half of the samples, by which what is loaded once
    has been loaded.
    """
    quarter = max(1, len(samples) // _QUARTERS)
    later = samples[len(samples) // 2 :]
    return {name: _figure(samples, later, quarter, name) for name in FIGURES}


def _figure(samples: Sequence[Sample], later: Sequence[Sample], quarter: int, name: str) -> dict[str, float]:
    values = [float(getattr(one, name)) for one in samples]
    slope = 0.0
    if len({one.run for one in later}) > 1:
        slope = float(np.polyfit([one.run for one in later], [float(getattr(one, name)) for one in later], 1)[0])
    return {
        "first_quarter": float(np.median(values[:quarter])),
        "last_quarter": float(np.median(values[-quarter:])),
        "largest": max(values),
        "growth_per_100_runs": round(100 * slope, 3),
    }


def grown(figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the figures that grew by more than what is kept of each run on purpose: some kilobytes of memory."""
    most = dict.fromkeys(FIGURES, _MOST_GROWTH) | {"rss_bytes": _MOST_BYTES}
    return [name for name in FIGURES if figures[name]["growth_per_100_runs"] > most[name]]


def soak(seconds: float, work: Path) -> dict[str, Any]:
    """Run the main command for so long and return the figures and every sample.

    Raises:
        RuntimeError: the command ended by itself.
    """
    results, temporary = work / "results", work / "tmp"
    for folder in (results, temporary):
        folder.mkdir(mode=0o700)
    repeats = f"repeats={max(2, round(seconds / _RUN_S))}"
    argv = [sys.executable, "-m", "bench", *_SMALL, *_MORE, repeats, f"results={results}"]
    path = os.pathsep.join((str(PACKAGES), *filter(None, (os.environ.get("PYTHONPATH"),))))
    env = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": path}
    with (work / "output.txt").open("wb") as out:
        command = subprocess.Popen(
            argv, cwd=work, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=end_with_owner()
        )
        try:
            samples = _watch(command, seconds, results / "soak", temporary)
            command.send_signal(signal.SIGINT)
            status = command.wait(_END_S)
        finally:
            if command.poll() is None:
                command.kill()
                command.wait()
    states = [entry.state for entry in read_entries(results / "soak" / "ledger.jsonl")[0]]
    return {
        "seconds": seconds,
        "exit_status": status,
        "measured": states.count("measured"),
        "failed": states.count("failed"),
        "left_in_tmpdir": len(list(temporary.iterdir())),
        "figures": summarise(samples),
        "samples": [asdict(one) for one in samples],
    }


def _watch(command: subprocess.Popen[bytes], seconds: float, campaign: Path, temporary: Path) -> list[Sample]:
    harness, began = psutil.Process(command.pid), time.monotonic()
    samples: list[Sample] = []
    while time.monotonic() - began < seconds:
        if command.poll() is not None:
            raise RuntimeError(f"the command ended with status {command.returncode}: see output.txt")
        starts = [entry for entry in read_entries(campaign / "ledger.jsonl")[0] if entry.state == "started"]
        if len(starts) <= (samples[-1].run if samples else 0):
            time.sleep(_POLL_S)
            continue
        time.sleep(_WITHIN_RUN_S)
        files = sum(1 for _ in temporary.iterdir()) + _stale(campaign, starts[-1].run_id)
        with harness.oneshot():
            samples.append(
                Sample(
                    run=len(starts),
                    t_s=round(time.monotonic() - began, 1),
                    rss_bytes=harness.memory_info().rss,
                    descriptors=harness.num_fds(),
                    threads=harness.num_threads(),
                    children=len(harness.children()),
                    temporary_files=files,
                )
            )
    return samples


def _stale(campaign: Path, under_way: str) -> int:
    """Return how many images, sockets and unfinished files lie where no run is under way."""
    found = (path for pattern in _TEMPORARY for path in campaign.rglob(pattern))
    return sum(1 for path in found if under_way not in path.parts)


def table(report: dict[str, Any]) -> str:
    """Return the figures as a table for a document."""
    lines = [("figure", "first quarter", "last quarter", "largest", "growth per 100 runs"), ("---", *["---:"] * 4)]
    for name, one in report["figures"].items():
        scale, unit = (1 << 20, " MiB") if name == "rss_bytes" else (1, "")
        columns = ("first_quarter", "last_quarter", "largest", "growth_per_100_runs")
        digits = ".2f" if name == "rss_bytes" else "g"
        label = "resident memory" if name == "rss_bytes" else name.replace("_", " ")
        lines.append((label, *(f"{one[column] / scale:{digits}}{unit}" for column in columns)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; store them where asked; return 1 when something grows or is left."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and every sample there")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="colo-bench-soak-") as name:
        report = soak(options.hours * 3600, Path(name))
    report |= {"machine": platform.node(), "kernel": platform.release(), "python": platform.python_version()}
    head = f"{report['seconds'] / 60:g} min, {report['measured']} runs measured, {report['failed']} failed attempts"
    print(f"{head}, exit status {report['exit_status']}, {report['left_in_tmpdir']} files left in TMPDIR\n")  # noqa: T201
    print(table(report))  # noqa: T201 - printing the figures is what this command is for
    if options.json:
        write_atomic(options.json, json.dumps(report, indent=1) + "\n")
    growing = grown(report["figures"])
    if growing:
        print(f"\ngrows: {', '.join(growing)}")  # noqa: T201
    return 1 if growing or report["left_in_tmpdir"] else 0


if __name__ == "__main__":
    sys.exit(main())
