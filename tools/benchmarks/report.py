"""How long the report takes and in how much memory: a SYNTHETIC campaign, for which no virtual machine was run.

`python -m tools.benchmarks.report [--runs N] [--checkpoints N] [--times 10]` prints the figures: the whole report with
its stages, `compare` of two such campaigns, whether the aims are met, and with `--times` the same report of so many
times the rows.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

import analysis.report.build
from analysis.compare.comparison import compare
from analysis.stored.load import load_campaign
from bench.format.table import CHECKPOINTS, PHASES
from bench.format.version import SCHEMA_VERSION, VERSION_KEY
from bench.plan.plan import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.random import Generator
    from numpy.typing import NDArray

RUNS, ROWS = 1_000, 1_000
LABEL = "SYNTHETIC: invented numbers, no virtual machine was run"
AIMS = {("report", "seconds"): 60.0, ("report", "peak_rss_bytes"): float(2 << 30), ("compare", "seconds"): 15.0}
"""The most that a million rows may take, in seconds and bytes of memory."""

_MEMS = tuple(256 << 20 << doubling for doubling in range(5))
_SMPS = (1, 2, 4, 8, 16)
_ARMS = ("fixed", "mem")
_LINKS = ("unix", "tcp")
_WARMUP, _STALLED = 10, 0.1
_START = 1_795_414_000.0
_DEADLINE_S = 7_200.0
_SAMPLE_S = 0.1
_HYPOTHESES: tuple[dict[str, Any], ...] = (
    {"id": "H1_total", "claim": "Larger RAM, longer pause.", "factor": "mem", "where": {"workload.scaling": ["mem"]}},
    {"id": "H2_direct", "claim": "Even at equal work.", "factor": "mem", "where": {"workload.scaling": ["fixed"]}},
    {"id": "H3_smp", "claim": "More vCPUs, longer pause.", "factor": "smp"},
    {
        "id": "H4_link",
        "claim": "The transport does not matter.",
        "kind": "contrast",
        "factor": "link.transport",
        "levels": ["unix", "tcp"],
        "direction": "none",
    },
)


def benchmark(runs: int = RUNS, rows: int = ROWS, times: int = 1) -> dict[str, Any]:
    """Return the figures, each taken in a fresh process so that its peak memory is its own.

    Args:
        runs: of the campaign.
        rows: checkpoints per run.
        times: above 1, also the report of so many times the runs.
    """
    figures: dict[str, Any] = {"label": LABEL, "runs": runs, "checkpoints_per_run": rows}
    with tempfile.TemporaryDirectory(prefix="colo-bench-report-") as name:
        folder = Path(name)
        base, new = (write_campaign(folder / side, runs, rows, seed) for seed, side in enumerate(("base", "new"), 1))
        figures["report"] = _apart("report", base)
        figures["compare"] = _apart("compare", base, new)
        if times > 1:
            many = write_campaign(folder / "many", runs * times, rows, 3)
            figures[f"report_{times}_times"] = larger = _apart("report", many)
            figures["times_the_time"] = larger["seconds"] / figures["report"]["seconds"]
    return figures | {"aims": aims(figures)}


def aims(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each of :data:`AIMS` with what was measured and whether it is met; none for another number of rows."""
    if figures["runs"] * figures["checkpoints_per_run"] != RUNS * ROWS:
        return []
    measured = {which: figures[which[0]][which[1]] for which in AIMS}
    return [
        {"what": " ".join(which), "measured": measured[which], "aim": aim, "met": measured[which] <= aim}
        for which, aim in AIMS.items()
    ]


def _apart(what: str, *folders: Path) -> dict[str, Any]:
    argv = (sys.executable, "-m", "tools.benchmarks.report", "--measure", what, *map(str, folders))
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # as `python -m analysis` has it
    done = subprocess.run(argv, cwd=root, env=env, check=True, stdout=subprocess.PIPE, text=True, timeout=_DEADLINE_S)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def measure_report(folder: Path) -> dict[str, Any]:
    """Build the report once; seconds in all and by stage, bytes of memory, bytes and number of files written."""
    watch = Stopwatch()
    with watch.on(analysis.report.build), peak_memory() as peak:
        started = time.perf_counter()
        page = analysis.report.build.build_report([folder])
        seconds = time.perf_counter() - started
    written = [path for path in page.parent.rglob("*") if path.is_file()]
    return {
        "seconds": seconds,
        "peak_rss_bytes": peak[0],
        "files": len(written),
        "bytes": sum(path.stat().st_size for path in written),
        "page_bytes": page.stat().st_size,
        "stages_s": {
            name: round(watch.spent[name], 3) for name in sorted(watch.spent, key=lambda one: -watch.spent[one])
        },
    }


def measure_compare(base: Path, new: Path) -> dict[str, Any]:
    """Compare two campaigns once; seconds to read and in all, bytes of memory, and the verdict."""
    with peak_memory() as peak:
        started = time.perf_counter()
        campaigns = load_campaign(base), load_campaign(new)
        read = time.perf_counter() - started
        verdict = compare(*campaigns).verdict
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "read_s": read, "peak_rss_bytes": peak[0], "verdict": verdict}


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Sample the memory of this process and of those that it starts; the largest sum is that of the list afterwards.

    Pages that processes share count once for each, so the sum is rather too large than too small.
    """
    peak, over = [0], threading.Event()
    own = psutil.Process()

    def sample() -> None:
        while not over.wait(_SAMPLE_S):
            peak[0] = max(peak[0], sum(_rss(process) for process in (own, *own.children(recursive=True))))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()
        peak[0] = max(peak[0], _rss(own))


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


class Stopwatch:
    """Seconds spent in each stage, without those that it spent in others."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._inner = [0.0]

    @contextmanager
    def on(self, module: Any) -> Iterator[None]:
        """Time every function of the analysis that a module calls by a name of its own."""
        before = dict(vars(module))
        for name, value in before.items():
            if inspect.isfunction(value) and value.__module__.startswith("analysis."):
                setattr(module, name, self.timed(value))
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(module, name, value)

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function, timed.

        A generator waits for items that other processes make at the same time: which of them it waits for says nothing
        of what that one takes, so that all of it is one stage.
        """

        @functools.wraps(function)
        def whole(*args: Any, **kwargs: Any) -> Any:
            with self.stage(function.__name__):
                return function(*args, **kwargs)

        @functools.wraps(function)
        def items(*args: Any, **kwargs: Any) -> Iterator[Any]:
            iterator, done = function(*args, **kwargs), object()
            while True:
                with self.stage(f"{function.__name__} (in parallel)"):
                    item = next(iterator, done)
                if item is done:
                    return
                yield item

        return items if inspect.isgeneratorfunction(function) else whole

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time until the end of the block to a stage."""
        self._inner.append(0.0)
        started = time.perf_counter()
        try:
            yield
        finally:
            passed = time.perf_counter() - started
            self.spent[name] += passed - self._inner.pop()
            self._inner[-1] += passed


def write_campaign(folder: Path, runs: int, rows: int, seed: int) -> Path:
    """Write a synthetic campaign of so many runs, with a hundred cells where there are as many runs."""
    rng = np.random.default_rng(seed)
    cells = [_cell(*levels, rows) for levels in product(_MEMS, _SMPS, _ARMS, _LINKS)][:runs]
    folder.mkdir(parents=True)
    plan: list[dict[str, Any]] = []
    lines: list[str] = []
    for block in range(-(-runs // len(cells))):
        for place in rng.permutation(len(cells)):
            if len(plan) == runs:
                break
            cell = cells[place]
            run = {"order": len(plan), "block": block, "run_id": digest([seed, block, cell["cell_id"]], 12)}
            run |= {"cell_id": cell["cell_id"], "label": cell["label"]}
            plan.append(run)
            _write_run(folder / "runs" / str(run["run_id"]), run, cell["cell"], rows, rng)
            line = {"schema_version": 1, "t": _START, "run_id": run["run_id"], "attempt": 0, "state": "measured"}
            lines.append(json.dumps(line))
    _write_json(folder / "plan.json", _plan(folder.name, seed, cells, plan))
    (folder / "ledger.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _cell(mem: int, smp: int, arm: str, link: str, rows: int) -> dict[str, Any]:
    cell = {
        "mem": mem,
        "smp": smp,
        "accel": "tcg",
        "workload": {"name": "dirty", "working_set": 32 << 20, "scaling": arm, "rate": 300.0, "pattern": "sequential"},
        "link": {"transport": link, "quickack": False},
        "host": {"kind": "local"},
        "cpu": {"model": "qemu64", "features": []},
        "checkpoint": {"trigger": "demand", "interval": 0.5, "count": rows, "warmup": _WARMUP},
        "replica": "a",
    }
    label = f"{mem >> 20} MiB \N{MIDDLE DOT} {smp} vCPU \N{MIDDLE DOT} {arm} \N{MIDDLE DOT} {link}"
    return {"cell_id": digest(cell, 12), "label": label, "cell": cell}


def _plan(name: str, seed: int, cells: list[dict[str, Any]], runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "campaign": f"synthetic-{name}",
        "command": LABEL,
        "experiment": "synthetic",
        "seed": seed,
        "repeats": -(-len(runs) // len(cells)),
        "cells": cells,
        "runs": runs,
        "hypotheses": list(_HYPOTHESES),
        "hypotheses_sha256": digest(list(_HYPOTHESES), 64),
    }


def _write_run(folder: Path, run: dict[str, Any], cell: dict[str, Any], rows: int, rng: Generator) -> None:
    folder.mkdir(parents=True)
    began = _START + 600.0 * run["order"]
    columns = _columns(run["run_id"], cell, rows + _WARMUP, began, rng)
    table = pa.table(
        [columns.get(field.name, pa.nulls(rows + _WARMUP, field.type)) for field in CHECKPOINTS],
        schema=CHECKPOINTS.with_metadata({VERSION_KEY: str(SCHEMA_VERSION).encode()}),
    )
    pq.write_table(table, folder / "checkpoints.parquet")
    measuring = 0.5 * (rows + _WARMUP)
    document = {
        "schema_version": 1,
        "campaign": "synthetic",
        **run,
        "cell": cell,
        "accel": "tcg",
        "started_at": began,
        "finished_at": began + 25.0 + measuring,
        "versions": {"qemu": LABEL, "qemu_sha256": "0" * 64, "colo_bench": "0", "python": "3"},
        "host": {"before": {"cpu_model": LABEL, "cpus": 2, "memory_total_bytes": 8 << 30}, "drift": []},
        "timings": {"boot_s": 20.0, "colo_start_s": 5.0, "measure_s": measuring},
        "transport": {"bytes_per_s": 2e9},
        "hypotheses_sha256": digest(list(_HYPOTHESES), 64),
        "quality": {"ok": True},
    }
    _write_json(folder / "run.json", document)


def _columns(run_id: str, cell: dict[str, Any], rows: int, began: float, rng: Generator) -> dict[str, Any]:
    pages = _dirty_pages(cell, rng, rows)
    us = _phases_us(cell, pages, rng)
    seconds = {name: values / 1e6 for name, values in zip(PHASES, us, strict=True)}
    pause = seconds["prepare_s"].copy()
    for name in PHASES[3:]:
        pause = pause + seconds[name]
    save, load = seconds["save_s"], seconds["load_s"]
    return {
        "run_id": pa.array([run_id]).take(pa.array(np.zeros(rows, dtype=np.int32))),
        "index": pa.array(np.arange(rows, dtype=np.int32)),
        "warmup": pa.array(np.arange(rows) < _WARMUP),
        "trigger": pa.array(["demand"]).take(pa.array(np.zeros(rows, dtype=np.int32))),
        "t_request": pa.array(began + 25.0 + 0.5 * np.arange(rows)),
        "pause_s": pa.array(pause),
        "total_s": pa.array(seconds["request_s"] + seconds["stop_s"] + pause),
        **{name: pa.array(values) for name, values in seconds.items()},
        "dirty_pages": pa.array(pages),
        "device_save_s": pa.array(save * 0.2),
        "bitmap_sync_s": pa.array(save * 0.05),
        "ram_send_s": pa.array(save * 0.75),
        "ram_receive_s": pa.array(save * 0.97),
        "cache_flush_s": pa.array(load * 0.3),
        "device_load_s": pa.array(load * 0.6),
        "restart_s": pa.array(load * 0.1),
        "qmp_pause_s": pa.array(pause + 0.0004),
        "bytes_sent": pa.array(pages * 4_104 + 90_000),
    }


def _dirty_pages(cell: dict[str, Any], rng: Generator, rows: int) -> NDArray[np.int64]:
    grown = cell["mem"] / (1 << 30) if cell["workload"]["scaling"] == "mem" else 1.0
    pages = cell["workload"]["working_set"] / 4096 * grown
    counts: NDArray[np.int64] = (pages * rng.uniform(0.95, 1.05, rows)).astype(np.int64)
    return counts


def _phases_us(cell: dict[str, Any], pages: NDArray[np.int64], rng: Generator) -> NDArray[np.int64]:
    """Return phases in whole microseconds: a factor per run, and over TCP stalls of some checkpoints."""
    base = np.array([1300, 400, 120, 1100, 400, 5200, 400], dtype=np.float64)[:, None]
    scale = rng.lognormal(0.0, 0.05) * rng.lognormal(0.0, 0.12, (len(PHASES), len(pages)))
    us = base * scale * (1.0 + 0.06 * np.log2(cell["smp"]))
    us[3] += 0.9 * pages
    us[5] += 0.4 * pages
    if cell["link"]["transport"] == "tcp":
        us[4] += np.where(rng.random(len(pages)) < _STALLED, 41_000.0, 0.0)
    whole: NDArray[np.int64] = us.astype(np.int64)
    return whole


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value) + "\n", encoding="utf-8")


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--checkpoints", type=int, default=ROWS, help="per run")
    parser.add_argument("--times", type=int, default=1, help="also build the report of so many times the runs")
    parser.add_argument("--measure", nargs="+", metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what, *folders = options.measure
        figures = measure_report(Path(folders[0])) if what == "report" else measure_compare(*map(Path, folders))
        print(json.dumps(figures))  # noqa: T201 - the process that asked reads it
        return 0
    figures = benchmark(options.runs, options.checkpoints, options.times)
    print(json.dumps(figures, indent=1))  # noqa: T201 - printing the figures is what this command is for
    return 0


if __name__ == "__main__":
    sys.exit(main())
