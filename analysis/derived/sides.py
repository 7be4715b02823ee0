"""One campaign as a side of a comparison: what ran, and per cell the runs that count."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.derived.outcomes import outcomes, used, used_pauses
from analysis.derived.stalls import TCP, Free, free_cells
from analysis.errors import AnalysisError
from analysis.stored.factors import flatten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analysis.stored.factors import Level
    from analysis.stored.load import Campaign, Run

    Key = tuple[tuple[str, str], ...]

_IGNORED = {"qemu", "checkpoint.count", "checkpoint.warmup"}


class NotComparableError(AnalysisError):
    """Two campaigns whose numbers must not be set against each other."""

    exit_code = 2


@dataclass(frozen=True)
class Side:
    """One of the two campaigns: what ran, and how many of its runs count."""

    campaign: str
    plan_sha256: str
    accel: tuple[str, ...]
    qemu: tuple[tuple[str, str], ...]
    runs: int
    excluded: int
    failed: int


@dataclass
class SideCell:
    """What one campaign knows of one cell."""

    label: str
    factors: dict[str, Level]
    cell_ids: set[str]
    values: list[float]
    failed: int = 0


def side_of(campaign: Campaign) -> Side:
    """Return what ran in a campaign, and how many of its runs count."""
    records = [run.record for run in campaign.runs]
    qemus = {(str(r.versions.get("qemu", "")), str(r.versions.get("qemu_sha256", ""))) for r in records}
    return Side(
        campaign=campaign.plan.campaign,
        plan_sha256=campaign.plan_sha256,
        accel=tuple(sorted({record.accel for record in records})),
        qemu=tuple(sorted(qemus)),
        runs=sum(record.quality.ok for record in records),
        excluded=sum(not record.quality.ok for record in records),
        failed=len(campaign.failures),
    )


def side_cells(campaign: Campaign, outcome: str) -> dict[Key, SideCell]:
    """Return a campaign's cells by their factors, in the order of the plan, with one value per run that counts."""
    found: dict[Key, SideCell] = {}
    keys: dict[str, Key] = {}
    known = {cell.cell_id: (cell.label, cell.cell) for cell in campaign.plan.cells}
    left_out = {cell.cell_id: cell.at_default for cell in campaign.plan.cells}
    accels = {run.record.cell_id: run.record.accel for run in campaign.runs}
    known |= {run.record.cell_id: (run.record.label, run.record.cell) for run in campaign.runs}
    for cell_id, (label, cell) in known.items():
        factors = flatten(cell)
        factors["accel"] = accels.get(cell_id, factors.get("accel"))
        factors = {path: level for path, level in factors.items() if path not in _IGNORED}
        # A campaign of before a factor has no level of it, and its cells are those at the default.
        told = {path: level for path, level in factors.items() if path not in left_out.get(cell_id, ())}
        keys[cell_id] = tuple(sorted((path, repr(level)) for path, level in told.items()))
        found.setdefault(keys[cell_id], SideCell(label, factors, set(), [])).cell_ids.add(cell_id)
    _refuse_several(campaign, found, known)
    free = free_cells(campaign.runs) if outcome == "slow_share" else [None] * len(campaign.runs)
    for run, without in zip(campaign.runs, free, strict=True):
        value = run_value(run, outcome, without) if run.record.quality.ok else math.nan
        if math.isfinite(value):
            found[keys[run.record.cell_id]].values.append(value)
    for failure in campaign.failures:
        if failure.planned.cell_id in keys:
            found[keys[failure.planned.cell_id]].failed += 1
    return found


def _refuse_several(campaign: Campaign, found: Mapping[Key, SideCell], known: Mapping[str, tuple[str, Any]]) -> None:
    for cell in found.values():
        if len(cell.cell_ids) > 1:
            trees = [flatten(known[cell_id][1]) for cell_id in sorted(cell.cell_ids)]
            differing = [path for path in sorted(_IGNORED) if len({tree.get(path) for tree in trees}) > 1]
            raise NotComparableError(
                f"{campaign.plan.campaign} holds {len(trees)} cells that differ in {', '.join(differing)} only "
                f"({cell.label}): a campaign to be compared needs one of each"
            )


def run_value(run: Run, outcome: str, free: Free | None = None) -> float:
    """Return one run's outcome, as in :func:`analysis.derived.outcomes.run_table`; NaN where it was not measured."""
    if outcome == "colo_start":
        return float(run.record.timings.get("colo_start_s", math.nan))
    if outcome == "pause":
        return float(np.median(used_pauses(run)))
    tcp = flatten(run.record.cell).get("link.transport") in TCP
    return float(outcomes(used(run), tcp=tcp, free=free)[outcome])


def conditions(base: Campaign, new: Campaign) -> Iterable[tuple[str, str]]:
    """Yield what else differs between the two, and how."""
    old, now = ([_condition(run) for run in campaign.runs] for campaign in (base, new))
    for what in _condition(base.runs[0]):
        sides = [sorted({condition[what] for condition in side}) for side in (old, now)]
        if sides[0] != sides[1]:
            yield what, " against ".join(", ".join(side) for side in sides)


_LATER = "when the disks are drained too (version 1; some 0.6 ms later under emulation)"


def _condition(run: Run) -> dict[str, str]:
    factors = flatten(run.record.cell)
    return {
        "the guest's kernel": str(run.record.versions.get("kernel_sha256", ""))[:12],
        "the guest's initramfs": str(run.record.versions.get("initramfs_sha256", ""))[:12],
        "the host's CPU": str(run.record.host.before.get("cpu_model", "")),
        "the host's kernel": str(run.record.host.before.get("kernel", "")),
        "the number of checkpoints": str(factors.get("checkpoint.count", "")),
        "the warm-up": str(factors.get("checkpoint.warmup", "")),
        "where a pause begins": "when the run state changes" if run.record.schema_version > 1 else _LATER,
        "KVM": run.record.kvm.kind,
    }
