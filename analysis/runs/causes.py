"""Why checkpoints began, how often, and what became of the packets that are compared: one row per cell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.format.factors import flatten
from analysis.format.outcomes import TRIGGERS
from analysis.runs.cell_table import mean_of, sound_by_cell, t_interval
from analysis.runs.outcomes import rates_of, used

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analysis.stored.campaign import Campaign, Run

EVIDENCE = ("old_packet", "different", "unseen")
"""By what a mismatch was seen: a packet that waited too long, a comparison that found a difference, nothing traced."""

CAUSES = ("demand", "timer", *EVIDENCE)
"""What checkpoints are counted by; mismatches by their evidence."""

PACKETS = ("compared", "released", "differed", "held", "dropped")
_HOLDS = ("hold_median_s", "hold_max_s")
_BY_TABLE = {"mismatch": "unseen"}


def cause_table(campaign: Campaign) -> pd.DataFrame:
    """Return one row per cell of machines that are pairs, in the order planned.

    Columns: ``cell_id``, ``cell`` (its label), ``scenario``, ``workload``, ``nic``, ``runs``; ``{cause}_per_s`` for
    each of :data:`CAUSES` and ``mismatch_per_s``, means over runs, the last with its t interval over them
    ``mismatch_low``/``mismatch_high``; ``{packets}_per_s`` for each of :data:`PACKETS` (means), ``hold_median_s``
    (median), ``hold_max_s`` (largest): NaN where packets were not traced. Runs that did not pass their check are left
    out.
    """
    return pd.DataFrame([_row(runs) for runs in sound_by_cell(campaign, _is_pair)])


def _is_pair(run: Run) -> bool:
    return run.record.takes_checkpoints or bool(run.record.triggers) or len(run.rows) > 0


def _row(runs: list[Run]) -> dict[str, Any]:
    record = runs[0].record
    factors = flatten(record.cell)
    rates = [cause_rates(run) for run in runs]
    mismatches = np.array([sum(rate[name] for name in EVIDENCE) for rate in rates])
    low, high = t_interval(mismatches)
    return {
        "cell_id": record.cell_id,
        "cell": record.label,
        "scenario": factors.get("scenario") or "colo",
        "workload": factors.get("workload.name"),
        "nic": factors.get("devices.nic"),
        "runs": len(runs),
        **{f"{name}_per_s": mean_of(rate[name] for rate in rates) for name in CAUSES},
        "mismatch_per_s": float(mismatches.mean()),
        "mismatch_low": float(np.maximum(low, 0.0)),  # a rate is none below 0
        "mismatch_high": high,
        **_packets([run.record.compare for run in runs]),
    }


def cause_rates(run: Run) -> dict[str, float]:
    """Return how many checkpoints per second of the measurement had each of :data:`CAUSES`.

    By the run's record, where it has counted them; an older one is counted by its table, whose mismatches are unseen.
    One that ends in a failover names no seconds: what it has counted is of the stage before the blow.
    """
    told = run.record.triggers
    seconds = told.get("seconds") or (run.record.timings.get("measure_s") if told else None)
    if seconds:
        counts = {name: told.get(name) or 0.0 for name in CAUSES}
        return {name: count / seconds for name, count in counts.items()}
    by_table = {name: float(np.nan_to_num(rate)) for name, rate in rates_of(TRIGGERS, used(run)).items()}
    return {**dict.fromkeys(CAUSES, 0.0), **{_BY_TABLE.get(name, name): rate for name, rate in by_table.items()}}


def _packets(told: list[dict[str, float | None]]) -> dict[str, float]:
    found = {f"{name}_per_s": mean_of(_known(told, f"{name}_per_s")) for name in PACKETS}
    medians, largest = (_known(told, name) for name in _HOLDS)
    return {
        **found,
        "hold_median_s": float(np.median(medians)) if medians else math.nan,
        "hold_max_s": max(largest, default=math.nan),
    }


def _known(told: Iterable[Mapping[str, float | None]], name: str) -> list[float]:
    values = (one.get(name) for one in told)
    return [value for value in values if value is not None]
