"""One campaign as a side of a comparison: what ran, and per cell the runs that count."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from analysis.errors import AnalysisError
from analysis.format.factors import flatten
from analysis.runs.outcomes import OF_CLIENTS, outcome_of, too_short
from analysis.runs.stalls import free_cells
from analysis.stored.factors import level_text
from analysis.stored.records import under_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from analysis.format.factors import Level
    from analysis.stored.load import Campaign, Run

    Key = tuple[tuple[str, str], ...]

_SIDES = 2
_IGNORED = {"qemu", "checkpoint.count", "checkpoint.warmup"}


class NotComparableError(AnalysisError):
    """Two campaigns whose numbers must not be set against each other."""

    exit_code = 2


@dataclass(frozen=True)
class Side:
    """One of the two campaigns: what ran, ``under`` which accelerator in words, and how many of its runs count."""

    campaign: str
    plan_sha256: str
    accel: tuple[str, ...]
    under: str
    qemu: tuple[tuple[str, str], ...]
    runs: int
    excluded: int
    failed: int


@dataclass
class SideCell:
    """What one side knows of one cell: a value and its block per run that counts, the blocks of runs that failed."""

    label: str
    factors: dict[str, Level]
    cell_ids: set[str]
    values: list[float] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)


def side_of(campaign: Campaign) -> Side:
    """Return what ran in a campaign, and how many of its runs count."""
    records = [run.record for run in campaign.runs]
    qemus = {one for r in records for one in r.binaries}
    return Side(
        campaign=campaign.plan.campaign,
        plan_sha256=campaign.plan_sha256,
        accel=tuple(sorted({record.accel for record in records})),
        under=under_text(records),
        qemu=tuple(sorted(qemus)),
        runs=sum(record.quality.ok for record in records),
        excluded=sum(not run.record.quality.ok and not too_short(run) for run in campaign.runs),
        failed=len(campaign.failures) + sum(not run.record.quality.ok and too_short(run) for run in campaign.runs),
    )


def levels_of(campaign: Campaign, factor: str) -> tuple[Campaign, Campaign]:
    """Return a campaign at the first and at the second level of a factor, in the order of its plan.

    Raises:
        NotComparableError: the factor does not have two levels there.
    """
    of_cell = {cell.cell_id: flatten(cell.cell).get(factor) for cell in campaign.plan.cells}
    levels = list(dict.fromkeys(of_cell.values()))
    known = dict.fromkeys(path for cell in campaign.plan.cells for path in flatten(cell.cell))
    if factor not in known:
        raise NotComparableError(f"--by {factor}: no such factor; legal: {', '.join(sorted(known))}")
    if len(levels) != _SIDES:
        has = ", ".join(level_text(factor, level) for level in levels) or "no cell"
        raise NotComparableError(f"{campaign.plan.campaign}: {factor} needs two levels to be compared and has {has}")
    base, new = (_at(campaign, {cell_id for cell_id, own in of_cell.items() if own == level}) for level in levels)
    return base, new


def _at(campaign: Campaign, cells: Collection[str]) -> Campaign:
    plan = campaign.plan
    kept = plan.model_copy(
        update={
            "cells": tuple(cell for cell in plan.cells if cell.cell_id in cells),
            "runs": tuple(run for run in plan.runs if run.cell_id in cells),
        }
    )
    return replace(
        campaign,
        plan=kept,
        runs=tuple(run for run in campaign.runs if run.record.cell_id in cells),
        failures=tuple(one for one in campaign.failures if one.planned.cell_id in cells),
        unread=tuple(one for one in campaign.unread if one.planned.cell_id in cells),
    )


def side_cells(campaign: Campaign, outcome: str, by: str | None = None) -> dict[Key, SideCell]:
    """Return a campaign's cells by their factors, in the order of the plan, with one value per run that counts.

    Args:
        campaign: one side.
        outcome: one of :data:`analysis.format.outcomes.OUTCOMES`.
        by: the factor in which the sides differ; None for two campaigns.
    """
    ignored = _IGNORED | {by}
    found: dict[Key, SideCell] = {}
    keys: dict[str, Key] = {}
    known = {cell.cell_id: (cell.label, cell.cell) for cell in campaign.plan.cells}
    left_out = {cell.cell_id: cell.at_default for cell in campaign.plan.cells}
    accels = {run.record.cell_id: run.record.accel for run in campaign.runs}
    known |= {run.record.cell_id: (run.record.label, run.record.cell) for run in campaign.runs}
    for cell_id, (label, cell) in known.items():
        factors = flatten(cell)
        factors["accel"] = accels.get(cell_id, factors.get("accel"))
        factors = {path: level for path, level in factors.items() if path not in ignored}
        # A campaign of before a factor has no level of it, and its cells are those at the default.
        told = {path: level for path, level in factors.items() if path not in left_out.get(cell_id, ())}
        keys[cell_id] = tuple(sorted((path, repr(level)) for path, level in told.items()))
        found.setdefault(keys[cell_id], SideCell(label, factors, set())).cell_ids.add(cell_id)
    _refuse_several(campaign, found, known)
    free = free_cells(campaign.runs) if outcome == "slow_share" else [None] * len(campaign.runs)
    for run, without in zip(campaign.runs, free, strict=True):
        own, record = found[keys[run.record.cell_id]], run.record
        value = outcome_of(run, outcome, without) if record.quality.ok else math.nan
        if math.isfinite(value):
            own.values.append(value)
            own.blocks.append(record.block)
        elif (not record.quality.ok and too_short(run)) or _unanswered(run, outcome):
            own.failed.append(record.block)
    for planned in [one.planned for one in campaign.failures] + [one.planned for one in campaign.unread]:
        if planned.cell_id in keys:
            found[keys[planned.cell_id]].failed.append(planned.block)
    return found


def _unanswered(run: Run, outcome: str) -> bool:
    """Return whether a client without an answer is what is asked about: to it that is what a failure looks like."""
    return outcome in OF_CLIENTS and run.record.client is not None and not math.isfinite(outcome_of(run, outcome))


def _refuse_several(campaign: Campaign, found: Mapping[Key, SideCell], known: Mapping[str, tuple[str, Any]]) -> None:
    for cell in found.values():
        if len(cell.cell_ids) > 1:
            trees = [flatten(known[cell_id][1]) for cell_id in sorted(cell.cell_ids)]
            differing = [path for path in sorted(_IGNORED) if len({tree.get(path) for tree in trees}) > 1]
            raise NotComparableError(
                f"{campaign.plan.campaign} holds {len(trees)} cells that differ in {', '.join(differing)} only "
                f"({cell.label}): a campaign to be compared needs one of each"
            )


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
