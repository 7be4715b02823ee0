"""From checkpoints to runs: one row per launched pair, one number per outcome. The run is the unit of all inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import stats
from analysis.derived.stalls import TCP, Free, free_cells, stalls
from analysis.format.phases import PARTS
from analysis.format.table import PHASES
from analysis.stored.factors import effective, flatten, working_set_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from analysis.stored.cells import Cells
    from analysis.stored.load import Run

FINER = tuple(part.name for part in PARTS)
"""Parts of phases, on the primary and on the secondary; a run without such events has none."""

TIMES = ("pause", "pause_mean", "pause_p95", "pause_p99", *(phase.removesuffix("_s") for phase in PHASES), *FINER)
"""Outcomes in seconds that one checkpoint has; ``period`` and ``colo_start`` are seconds too."""

OUTCOMES = (
    *TIMES,
    "dirty_pages",
    "bytes_sent",
    "period",
    "paused_share",
    "slow_share",
    "mismatch_share",
    "joined_share",
    "colo_start",
)
"""Every outcome that a hypothesis may name."""

_FLOATS = ["t_request", "pause_s", "total_s", *PHASES, *(f"{name}_s" for name in FINER)]

TRIGGERS = ("demand", "timer", "mismatch")
_TAILS = {"pause_p95": 0.95, "pause_p99": 0.99}
_FEWEST_FOR_MSER, _FEWEST_FOR_SHAPE = 20, 10


def run_table(runs: Iterable[Run], cells: Cells) -> pd.DataFrame:
    """Return one row per run, in the order measured.

    Columns: where it stands (``run_id``, ``campaign``, ``folder``: which of the study's, ``cell``: its place in
    ``cells.names``, ``block``, ``order``, ``started_at`` Unix s, ``checkpoints``, ``warmup``, ``quality_ok``), every
    factor by its dotted path,
    ``working_set_bytes``, ``effective`` (equal for cells that are the same machine), every outcome of ``OUTCOMES`` (s,
    pages, bytes or a share; NaN where it was not measured), ``slow_base_s`` and ``always_stalled`` (over TCP, see
    :class:`analysis.derived.stalls.Stalls`; else NaN and False), ``pause_p95_enough``/``pause_p99_enough``, a ``by_*``
    share per trigger, and how the series behaved: ``steadiness``, ``steady_from``, ``outliers`` (severe by Tukey),
    ``modified_z``, ``lag1``, ``modes``, ``mser``.
    """
    places = {name.cell_id: place for place, name in enumerate(cells.names)}
    every = list(runs)
    classes = steadiness_classes([used_pauses(run) for run in every])
    rows = zip(every, classes, free_cells(every), strict=True)
    return pd.DataFrame([_row(run, places[run.record.cell_id], one, free) for run, one, free in rows])


def used(run: Run) -> pd.DataFrame:
    """Return a run's checkpoints after its warm-up."""
    warmup = run.checkpoints["warmup"].to_numpy()
    first = int(warmup.sum())
    # The warm-up comes first: rows are taken from there without a copy of each column.
    return run.checkpoints[first:] if warmup[:first].all() else run.checkpoints[~warmup]


def used_pauses(run: Run) -> NDArray[np.float64]:
    """Return a run's pauses after its warm-up, in seconds."""
    rows = run.checkpoints
    pauses: NDArray[np.float64] = rows["pause_s"].to_numpy()[~rows["warmup"].to_numpy()]
    return pauses


def steadiness_classes(pauses: Sequence[NDArray[np.float64]]) -> list[tuple[str, int | None]]:
    """Return each run's class and from where it is steady; runs below ten checkpoints are ``too-short`` to have one."""
    known = iter(stats.steadiness_of([one for one in pauses if len(one) >= _FEWEST_FOR_SHAPE]))
    found = [next(known) if len(one) >= _FEWEST_FOR_SHAPE else None for one in pauses]
    return [("too-short", None) if one is None else (one.kind, one.steady_from) for one in found]


def _row(run: Run, cell: int, steadiness: tuple[str, int | None], free: Free | None) -> dict[str, Any]:
    record, kept = run.record, used(run)
    factors = flatten(record.cell) | {"accel": record.accel}
    return {
        "run_id": record.run_id,
        "campaign": record.campaign,
        "folder": run.folder,
        "cell": cell,
        "cell_id": record.cell_id,
        "block": record.block,
        "order": record.order,
        "started_at": record.started_at,
        "checkpoints": len(kept),
        "warmup": len(run.checkpoints) - len(kept),
        "quality_ok": record.quality.ok,
        **factors,
        "working_set_bytes": working_set_bytes(factors),
        "effective": repr(sorted(effective(factors).items())),
        **outcomes(kept, tcp=factors.get("link.transport") in TCP, free=free),
        "colo_start": float(record.timings.get("colo_start_s", np.nan)),
        "transport_bytes_per_s": float(record.transport.get("bytes_per_s", np.nan)),
        **behaviour(run.checkpoints["pause_s"].to_numpy(), kept["pause_s"].to_numpy()),
        "steadiness": steadiness[0],
        "steady_from": steadiness[1],
    }


def outcomes(kept: pd.DataFrame, *, tcp: bool, free: Free | None = None) -> dict[str, float | bool]:
    """Return the outcomes of one run from its checkpoints after the warm-up.

    ``slow_share`` has a meaning over TCP, and is measured from ``free``, its cell without stalls, where that is known.
    """
    # One look into the table for all columns of one type: pandas takes its time for each.
    times = dict(zip(_FLOATS, np.ascontiguousarray(kept[_FLOATS].to_numpy(dtype=np.float64).T), strict=True))
    pause, began = times["pause_s"], times["t_request"]
    row: dict[str, float | bool] = {"pause": float(np.median(pause)), "pause_mean": float(pause.mean())}
    tails = np.quantile(pause, list(_TAILS.values()))
    for (name, share), tail in zip(_TAILS.items(), tails, strict=True):
        row[name] = float(tail)
        row[f"{name}_enough"] = stats.quantile_allowed(len(pause), share)
    row |= {phase.removesuffix("_s"): float(times[phase].mean()) for phase in PHASES}
    row |= {name: _mean(times[f"{name}_s"]) for name in FINER}
    row |= {name: _median(_floats(kept[name])) for name in ("dirty_pages", "bytes_sent")}
    follows = np.diff(kept["index"].to_numpy()) == 1
    row["period"] = _median(np.diff(began)[follows])
    wall = float(began[-1] + times["total_s"][-1] - began[0])
    row["paused_share"] = float(pause.sum()) / wall if wall > 0 else np.nan
    stalled = stalls(pause, times["load_s"], free) if tcp else None
    row["slow_share"] = stalled.share if stalled else np.nan
    row["slow_base_s"] = stalled.base_s if stalled else np.nan
    row["always_stalled"] = bool(stalled and stalled.always)
    triggers = kept["trigger"].to_numpy()
    row |= {f"by_{name}": float((triggers == name).mean()) for name in TRIGGERS}
    row["mismatch_share"] = row["by_mismatch"]
    row["joined_share"] = float(np.isfinite(times["ram_receive_s"]).mean())
    return row


def behaviour(every: NDArray[np.float64], kept: NDArray[np.float64]) -> dict[str, Any]:
    """Return how a run's pauses behaved over time: ``every`` with the warm-up, ``kept`` without."""
    odd = stats.outliers(kept)
    return {
        "outliers": odd.severe_low + odd.severe_high,
        "mild_outliers": odd.mild_low + odd.mild_high,
        "modified_z": odd.modified_z,
        "lag1": _lag1(kept) if _varies(kept) else np.nan,
        "modes": len(stats.modes(kept).locations) if _varies(kept) and len(kept) >= _FEWEST_FOR_SHAPE else 1,
        "mser": stats.mser5(every).cut if len(every) >= _FEWEST_FOR_MSER else 0,
    }


def _varies(values: NDArray[np.float64]) -> bool:
    return len(values) > 3 and float(np.ptp(values)) > 0  # noqa: PLR2004 - a lag needs a few values


def _floats(column: pd.Series) -> NDArray[np.float64]:
    values: NDArray[np.float64] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else np.nan


def _lag1(values: NDArray[np.float64]) -> float:
    (first,) = stats.autocorrelation(values, lags=1).values  # noqa: PD011 - a field of that name
    return first
