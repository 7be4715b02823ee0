"""From runs to cells: a cell is summarised over its runs, never over its pooled checkpoints."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import stats
from analysis.format.outcomes import TRIGGERS
from analysis.format.table import PHASES
from analysis.stats.groups import half_width

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from analysis.stored.campaign import Campaign, Run
    from analysis.stored.cells import Cells

MEANS = tuple(phase.removesuffix("_s") for phase in PHASES)
"""The phases, as columns of the run and cell tables: means, so that they add up."""


def cell_table(campaign: Campaign, cells: Cells, runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell that was measured, in the order of ``cells.names``; times in seconds.

    Columns: ``cell_id``, ``cell`` (its label), ``panel``, ``accel``, ``mem_bytes``, ``smp``; ``runs`` measured of
    ``planned``; ``failed`` attempts, ``failed_low``/``failed_high`` (Clopper-Pearson, 95 %) of the share of attempts
    that failed; ``checkpoints``, ``warmup``; ``pause``: the median over runs of the run medians, with the exact
    order-statistic interval ``pause_low``/``pause_high`` (95 %, NaN below six runs) and the range
    ``pause_min``/``pause_max``; ``p95``, ``p99``: medians over runs of each run's own, with ``*_low``/``*_high`` as of
    the pause, and ``*_exploratory`` where a run is too short for them; ``dirty_pages``, ``bytes_sent``, ``period``:
    medians over runs; ``pause_mean`` and each phase, with ``*_low``/``*_high``: means over runs with their t interval
    (95 %, NaN for one run); ``paused_share``, ``slow_share``, ``joined_share``, and one share per trigger: means over
    runs; ``quality_problems``: runs whose own
    check failed.
    """
    attempts = Counter(run.cell_id for run in campaign.plan.runs)
    failed = Counter(attempt.planned.cell_id for attempt in campaign.attempts)
    rows = [
        {
            **_name(cells, place),
            "runs": len(mine),
            "planned": attempts[cells.names[place].cell_id],
            **_failures(failed[cells.names[place].cell_id], len(mine)),
            **_numbers(mine),
        }
        for place, mine in runs.groupby("cell", sort=True)
    ]
    return pd.DataFrame(rows)


def sound_by_cell(campaign: Campaign, counts: Callable[[Run], bool]) -> list[list[Run]]:
    """Return the runs that passed their check and count for something, a list per cell, in the order planned."""
    groups: dict[str, list[Run]] = {cell.cell_id: [] for cell in campaign.plan.cells}
    for run in (*campaign.runs, *campaign.without):
        if run.record.quality.ok and counts(run):
            groups.setdefault(run.record.cell_id, []).append(run)
    return [runs for runs in groups.values() if runs]


def _name(cells: Cells, place: int) -> dict[str, Any]:
    name = cells.names[place]
    return {
        "cell_id": name.cell_id,
        "cell": name.label,
        "panel": name.panel,
        "accel": name.accel,
        "mem_bytes": name.mem_bytes,
        "smp": name.smp,
    }


def _failures(failed: int, measured: int) -> dict[str, float]:
    share = stats.clopper_pearson(failed, failed + measured)
    return {"failed": failed, "failed_low": share.low, "failed_high": share.high}


def _numbers(mine: pd.DataFrame) -> dict[str, Any]:
    pauses = mine["pause"].to_numpy()
    interval = stats.median_interval(pauses)
    return {
        "checkpoints": int(mine["checkpoints"].sum()),
        "warmup": int(mine["warmup"].sum()),
        "pause": interval.estimate,
        "pause_low": interval.low,
        "pause_high": interval.high,
        "coverage": interval.coverage,
        "pause_min": float(pauses.min()),
        "pause_max": float(pauses.max()),
        **_quantile(mine, "p95"),
        **_quantile(mine, "p99"),
        **{f"{tail}_exploratory": not mine[f"pause_{tail}_enough"].all() for tail in ("p95", "p99")},
        **{name: float(mine[name].median()) for name in ("dirty_pages", "bytes_sent", "period")},
        **_means(mine),
        **{name: float(mine[name].mean()) for name in ("paused_share", "slow_share", "joined_share")},
        **{f"{trigger}_share": float(mine[f"{trigger}_share"].mean()) for trigger in TRIGGERS},
        "quality_problems": int((~mine["quality_ok"]).sum()),
    }


def _quantile(mine: pd.DataFrame, tail: str) -> dict[str, float]:
    found = stats.median_interval(mine[f"pause_{tail}"].to_numpy())
    return {tail: found.estimate, f"{tail}_low": found.low, f"{tail}_high": found.high}


def _means(mine: pd.DataFrame) -> dict[str, float]:
    means: dict[str, float] = {}
    for name in ("pause_mean", *MEANS):
        values = mine[name].to_numpy(dtype=np.float64)
        low, high = t_interval(values)
        means |= {name: float(values.mean()), f"{name}_low": low, f"{name}_high": high}
    return means


def mean_of(values: Iterable[object]) -> float:
    """Return the mean of those that are numbers; NaN where none is."""
    known = [float(value) for value in values if isinstance(value, int | float)]
    return float(np.mean(known)) if known else float("nan")


def t_interval(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """Return Student's interval of 95 % for the mean of one number per run; NaN for a single run."""
    if len(values) < 2:  # noqa: PLR2004 - a spread needs two
        return float("nan"), float("nan")
    half = half_width(float(values.std(ddof=1) / np.sqrt(len(values))), len(values) - 1, 0.95)
    return float(values.mean()) - half, float(values.mean()) + half
