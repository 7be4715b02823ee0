"""The table at the end of a campaign: one row per cell, from the tables that its runs left."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from bench.format.folder import CampaignFolder
from bench.format.hosts import KVM_TEXT
from bench.format.outcomes import FEWEST_BEYOND
from bench.plan.label import accel_text
from bench.record.run import quality_ok, read_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from bench.config.model import Cell
    from bench.plan.plan import Plan, PlannedCell
    from bench.record.pauses import Pauses

_MS = 1000.0
_P95, _P99 = (round(FEWEST_BEYOND / (1 - share)) for share in (0.95, 0.99))
"""The checkpoints that a run needs for enough of them to lie beyond the quantile."""


@dataclass(frozen=True)
class CellSummary:
    """One cell's figures, over its measured runs and without their warm-up.

    Medians and tail quantiles are medians over runs of each run's own, as on the report's page. Pauses are in seconds,
    NaN where there is nothing to say. ``under`` is what the pairs ran under, by the runs' records: other machines have
    a KVM of their own. ``shortest`` is the run with the fewest checkpoints; ``doubtful`` of the runs failed their
    quality check.
    """

    label: str
    under: str
    runs: int
    doubtful: int
    checkpoints: int
    shortest: int
    median_pause_s: float
    p95_pause_s: float
    p99_pause_s: float
    median_dirty_pages: float


def summarise(
    plan: Plan, folder: Path, done: Callable[[str], bool], pauses: Callable[[str], Pauses | None]
) -> tuple[CellSummary, ...]:
    """Return one summary per cell of the plan, in the plan's order; a run whose table cannot be read counts as none."""
    measured: defaultdict[str, list[str]] = defaultdict(list)
    for run in plan.runs:
        if done(run.run_id):
            measured[run.cell_id].append(run.run_id)
    read = {
        cell_id: {run_id: own for run_id in run_ids if (own := pauses(run_id)) is not None}
        for cell_id, run_ids in measured.items()
    }
    return tuple(_summary(planned, read.get(planned.cell_id, {}), folder) for planned in plan.cells)


def _summary(planned: PlannedCell, read: Mapping[str, Pauses], folder: Path) -> CellSummary:
    records = [read_record(CampaignFolder(folder).run(run_id), run_id) or {} for run_id in read]
    counted = [one for one in read.values() if one.checkpoints]
    return CellSummary(
        label=planned.label,
        under=_under(planned.cell, records),
        runs=len(read),
        doubtful=sum(quality_ok(record) is False for record in records),
        checkpoints=sum(one.checkpoints for one in counted),
        shortest=min((one.checkpoints for one in counted), default=0),
        median_pause_s=_median(one.median_s for one in counted),
        p95_pause_s=_median(one.p95_s for one in counted),
        p99_pause_s=_median(one.p99_s for one in counted),
        median_dirty_pages=_median(one.median_dirty_pages for one in counted),
    )


def _under(cell: Cell, records: Iterable[dict[str, Any]]) -> str:
    kvms = (record.get("kvm") for record in records)
    kinds = [kvm.get("kind") for kvm in kvms if isinstance(kvm, dict)]
    known = [text for kind, text in KVM_TEXT.items() if kind in kinds]
    return " and ".join(known) or accel_text(cell.accel, elsewhere=cell.host.far)


def _median(values: Iterable[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.median(known)) if known else float("nan")


def summary_table(campaign: str, rows: Sequence[CellSummary]) -> Table:
    """Return the table as rich renders it; its title says how the pairs ran."""
    under = list(dict.fromkeys(row.under for row in rows if row.runs) or dict.fromkeys(row.under for row in rows))
    caption = f"† exploratory: a run has fewer than {_P95} (p95) or {_P99} (p99) checkpoints"
    if any(row.doubtful for row in rows):
        caption += "\n‡ so many of these runs failed their quality check: see quality.failures in their run.json"
    title = f"{campaign}: pauses of pairs under {' and '.join(under)}"
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    for heading in ("cell", *(("under",) if under[1:] else ())):
        table.add_column(heading)
    for heading in ("runs", "checkpoints", "median ms", "p95 ms", "p99 ms", "dirty pages"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.label,
            *((row.under,) if under[1:] else ()),
            f"{row.runs} ({row.doubtful}‡)" if row.doubtful else str(row.runs),
            str(row.checkpoints),
            _number(row.median_pause_s * _MS, 1),
            *(_tail(row, value, least) for value, least in ((row.p95_pause_s, _P95), (row.p99_pause_s, _P99))),
            _number(row.median_dirty_pages, 0),
        )
    return table


def _tail(row: CellSummary, quantile_s: float, least: int) -> str:
    doubt = "†" if row.shortest < least and not np.isnan(quantile_s) else ""
    return _number(quantile_s * _MS, 1) + doubt


def _number(value: float, digits: int) -> str:
    return "-" if np.isnan(value) else f"{value:,.{digits}f}"
