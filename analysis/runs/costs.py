"""What the machines of a run cost their hosts while it was measured: CPU by thread group, memory, network, waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.runs.cell_table import mean_of, sound_by_cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.stored.campaign import Campaign, Run
    from analysis.stored.records import RunRecord

GROUPS = ("vcpus", "main", "iothreads", "others")
"""Of threads: the guest's CPUs, the main loop, iothreads (which compare packets), the rest (migration above all)."""

SIDES = ("primary", "secondary")
_PRESSURES = ("cpu_some", "memory_some", "io_some")


def cost_table(campaign: Campaign) -> pd.DataFrame:
    """Return one row per cell and side, in the order planned; means over runs, NaN for what no run has on record.

    Columns: ``cell_id``, ``cell`` (its label), ``scenario``, ``side``, ``runs``; ``cpus``: CPUs that were busy with it;
    ``{group}_cpus`` for each of :data:`GROUPS`; ``rss_bytes``, ``peak_rss_bytes``; ``sent_bytes_per_s``,
    ``received_bytes_per_s`` over its own network; ``migration_bytes_per_s`` of the pair's migration connection; and of
    the side's host, from before the run to after it, ``steal_share`` and ``{what}_pressure_share``: the share of
    time in which something waited for a CPU, memory or a disk. Runs that did not pass their check are left out.
    """
    return pd.DataFrame(
        [
            _row(runs, side)
            for runs in sound_by_cell(campaign, lambda run: bool(run.record.costs))
            for side in SIDES
            if any(isinstance(run.record.costs.get(side), dict) for run in runs)
        ]
    )


def _row(runs: Sequence[Run], side: str) -> dict[str, Any]:
    record = runs[0].record
    costs = [run.record.costs for run in runs]
    own = [{**one[side], "seconds": one.get("seconds")} for one in costs if isinstance(one.get(side), dict)]
    return {
        "cell_id": record.cell_id,
        "cell": record.label,
        "scenario": record.cell.get("scenario") or "colo",
        "side": side,
        "runs": len(runs),
        "cpus": mean_of(one.get("cpus") for one in own),
        **{f"{group}_cpus": mean_of(_per_s(one, f"{group}_s") for one in own) for group in GROUPS},
        "rss_bytes": mean_of(one.get("rss_bytes") for one in own),
        "peak_rss_bytes": mean_of(one.get("peak_rss_bytes") for one in own),
        **{f"{way}_bytes_per_s": mean_of(_per_s(one, f"{way}_bytes") for one in own) for way in ("sent", "received")},
        "migration_bytes_per_s": mean_of(_per_s(one, "migration_bytes") for one in costs),
        "steal_share": mean_of(steal_share(run.record, side) for run in runs),
        **{
            f"{what.partition('_')[0]}_pressure_share": mean_of(pressure_share(run.record, what, side) for run in runs)
            for what in _PRESSURES
        },
    }


def steal_share(record: RunRecord, side: str = "primary") -> float | None:
    """Return the share of a side's host's CPU time that other virtual machines took during a run."""
    host = record.host_of(side)
    before, after = (one.get("ticks") for one in (host.before, host.after))
    if not isinstance(before, dict) or not isinstance(after, dict):
        return None
    spent = {name: after[name] - before[name] for name in before if name in after}
    whole = sum(spent.values())
    return spent.get("steal", 0) / whole if whole > 0 else None


def pressure_share(record: RunRecord, what: str, side: str = "primary") -> float | None:
    """Return the share of a run during which something waited (``cpu_some``, ...), by the kernel's pressure stalls."""
    host = record.host_of(side)
    before, after = host.before, host.after
    totals = [(side.get("pressure_us") or {}).get(what) for side in (before, after)]
    times = [side.get("t") for side in (before, after)]
    known = [float(one) for one in (*totals, *times) if isinstance(one, int | float)]
    if len(known) < len((*totals, *times)):
        return None
    first, last, began, ended = known
    return (last - first) / 1e6 / (ended - began) if ended > began else None


def _per_s(one: Mapping[str, Any], name: str) -> float | None:
    value, seconds = one.get(name), one.get("seconds")
    return value / seconds if value is not None and seconds else None
