"""From checkpoints to runs to cells: the run is the unit, so a cell is summarised over its runs, not its checkpoints.

The exceptions are the tail quantiles: this first picture pools them, and marks them where a run is too short for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.load import PHASES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analysis.cells import Cells
    from analysis.load import Run

ENOUGH_FOR = {95: 100, 99: 500}
"""Checkpoints that each run needs before its p95 or p99 is more than exploratory: at least 5 beyond the quantile."""

MS = 1e3

MEAN_MS = {phase: f"mean_{phase.removesuffix('_s')}_ms" for phase in PHASES}
"""The column that holds the mean of each phase."""


def used_checkpoints(runs: Iterable[Run], cells: Cells) -> pd.DataFrame:
    """Return the checkpoints after the warm-up of all runs.

    Columns: those of ``checkpoints.parquet``, and ``cell`` (the cell's place in ``cells.names``), ``pause_ms``.
    """
    places = {name.cell_id: place for place, name in enumerate(cells.names)}
    frames = []
    for run in runs:
        used = run.checkpoints[~run.checkpoints["warmup"]]
        frames.append(used.assign(cell=places[run.record.cell_id], pause_ms=used["pause_s"] * MS))
    return pd.concat(frames, ignore_index=True)


def run_table(runs: Iterable[Run], cells: Cells) -> pd.DataFrame:
    """Return one row per run, in the order measured: its place in the plan, its median pause, its mean phases in ms."""
    places = {name.cell_id: place for place, name in enumerate(cells.names)}
    return pd.DataFrame([_run_row(run, places[run.record.cell_id]) for run in runs])


def _run_row(run: Run, cell: int) -> dict[str, object]:
    record, used = run.record, run.checkpoints[~run.checkpoints["warmup"]]
    return {
        "run_id": record.run_id,
        "cell": cell,
        "block": record.block,
        "order": record.order,
        "checkpoints": len(used),
        "warmup": len(run.checkpoints) - len(used),
        "median_pause_ms": float(used["pause_s"].median()) * MS,
        "mean_pause_ms": float(used["pause_s"].mean()) * MS,
        "p90_to_p10": float(used["pause_s"].quantile(0.9) / used["pause_s"].quantile(0.1)),
        "median_dirty_pages": _median(used["dirty_pages"]),
        **{name: float(used[phase].mean()) * MS for phase, name in MEAN_MS.items()},
        **{f"by_{trigger}": int((used["trigger"] == trigger).sum()) for trigger in ("demand", "timer", "mismatch")},
        "quality_ok": record.quality.ok,
    }


def _median(values: pd.Series) -> float:
    known = values.dropna()
    return float(known.median()) if len(known) else np.nan


def cell_table(cells: Cells, per_run: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell, in the order of ``cells.names``; times in ms.

    ``median_pause_ms`` is the median of the run medians, ``low``/``high`` the smallest and largest run median;
    ``median_dirty_pages`` is the median of run medians too;
    ``p95``/``p99`` are pooled over the cell's checkpoints and exploratory where ``*_exploratory`` says so;
    ``mean_*_ms`` are means over runs of the runs' means, so that phases add up to the mean pause.
    """
    rows = [
        _cell_row(place, cells, per_run[per_run["cell"] == place], used[used["cell"] == place])
        for place in range(len(cells.names))
    ]
    return pd.DataFrame(rows)


def _cell_row(place: int, cells: Cells, per_run: pd.DataFrame, used: pd.DataFrame) -> dict[str, object]:
    name, medians = cells.names[place], per_run["median_pause_ms"]
    return {
        "cell_id": name.cell_id,
        "cell": name.label,
        "accel": name.accel,
        "panel": name.panel,
        "mem_bytes": name.mem_bytes,
        "smp": name.smp,
        "runs": len(per_run),
        "checkpoints": len(used),
        "warmup_left_out": int(per_run["warmup"].sum()),
        "median_pause_ms": float(medians.median()),
        "low_pause_ms": float(medians.min()),
        "high_pause_ms": float(medians.max()),
        **_tails(per_run, used),
        "median_dirty_pages": float(per_run["median_dirty_pages"].median()),
        "mean_pause_ms": float(per_run["mean_pause_ms"].mean()),
        "low_mean_pause_ms": float(per_run["mean_pause_ms"].min()),
        "high_mean_pause_ms": float(per_run["mean_pause_ms"].max()),
        **{column: float(per_run[column].mean()) for column in MEAN_MS.values()},
        **{column: int(per_run[column].sum()) for column in ("by_demand", "by_timer", "by_mismatch")},
        "runs_with_quality_problems": int((~per_run["quality_ok"]).sum()),
    }


def _tails(per_run: pd.DataFrame, used: pd.DataFrame) -> dict[str, object]:
    shortest = int(per_run["checkpoints"].min())
    tails: dict[str, object] = {}
    for percent, enough in ENOUGH_FOR.items():
        tails[f"p{percent}_pause_ms"] = float(used["pause_ms"].quantile(percent / 100))
        tails[f"p{percent}_exploratory"] = shortest < enough
    return tails


def range_coverage(runs: int) -> float:
    """Return how likely the range of ``runs`` run medians holds the true median run: ``1 - 2**(1 - runs)``.

    Distribution-free (order statistics); 0.969 at six runs, the first number that reaches 95 %.
    """
    return 1.0 - 2.0 ** (1 - runs)
