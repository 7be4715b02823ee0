"""One campaign as a side of a comparison: what ran, and per cell the runs that count."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.errors import AnalysisError
from analysis.format.factors import flatten, head_of
from analysis.format.outcomes import OUTCOMES
from analysis.runs.counting import STANDING, counting, failing
from analysis.runs.outcomes import YES_OR_NO, outcome_of
from analysis.runs.stalls import free_cells
from analysis.stored.factors import level_text
from analysis.stored.records import under_text
from analysis.text import plural
from analysis.verdicts.question import lacking

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from analysis.format.factors import Level
    from analysis.stored.campaign import Campaign, Run
    from analysis.stored.records import PlannedRun

    Key = tuple[tuple[str, str], ...]
    Lacks = Callable[[str, Mapping[str, Level]], bool]

_SIDES = 2
_IGNORED = {"qemu", "checkpoint.count", "checkpoint.warmup"}


class NotComparableError(AnalysisError):
    """Two campaigns whose numbers must not be set against each other."""

    fix = "docs/comparing.md says what can be compared"


class SharedRunsError(AnalysisError):
    """A campaign given twice, or beside a copy of it."""

    fix = "measure again under another name: the same command with campaign=NAME"


@dataclass(frozen=True)
class Side:
    """One of the two campaigns: what ran, ``under`` which accelerator in words, and how many of its runs count.

    Attributes:
        runs: that count; ``excluded``: that did not pass their own check; ``failed``: that failed, or of which nothing
            can be read.
    """

    campaign: str
    plan_sha256: str
    accel: tuple[str, ...]
    under: str
    qemu: tuple[tuple[str, str], ...]
    runs: int
    excluded: int
    failed: int


@dataclass(frozen=True)
class _Shown:
    """What a run shows of an outcome: its value, and whether it counts; else whether it failed, or is left out."""

    value: float
    counts: bool
    failed: bool
    left_out: bool


@dataclass
class SideCell:
    """What one side knows of one cell: a value and its block per run that counts, the blocks of runs that have none.

    Attributes:
        failed: blocks of the runs that failed; ``left_out``: of those that did not pass their own check.
        under: what its runs ran under, in words: which KVM, too.
        unmeasured: whether it is to have the outcome, and the campaign has yet to measure any of its runs.
    """

    label: str
    factors: dict[str, Level]
    cell_ids: set[str]
    values: list[float] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)
    under: set[str] = field(default_factory=set)
    unmeasured: bool = False

    @property
    def lost(self) -> list[int]:
        """Return the blocks of all runs without a value, of those that failed first."""
        return [*self.failed, *self.left_out]


def runs_with(campaign: Campaign, outcome: str) -> tuple[Run, ...]:
    """Return the runs that an outcome can be of: one that checkpoints make is of none that is asked for no checkpoint.

    Raises:
        NotComparableError: the outcome is a yes or a no in each run, of which no ratio can be told.
    """
    if outcome in YES_OR_NO:
        raise NotComparableError(
            f"{outcome} is a yes or a no in each run, and has no ratio: the report gives n of N with its exact "
            "interval, and a hypothesis of kind value can hold the share against a range"
        )
    if OUTCOMES[outcome].table == "checkpoints":
        return campaign.runs
    return (*campaign.runs, *campaign.without)


def side_of(campaign: Campaign, outcome: str = "pause") -> Side:
    """Return what ran in a campaign, and how many of its runs count for an outcome.

    Raises:
        NotComparableError: as :func:`runs_with`.
    """
    runs = runs_with(campaign, outcome)
    records = [run.record for run in runs]
    shown, lacks = _shown(runs, outcome)
    qemus = {one for r in records for one in r.binaries}
    return Side(
        campaign=campaign.plan.campaign,
        plan_sha256=campaign.plan_sha256,
        accel=tuple(sorted({record.accel for record in records})),
        under=under_text(records),
        qemu=tuple(sorted(qemus)),
        runs=sum(one.counts for one in shown),
        excluded=sum(one.left_out for one in shown),
        failed=len(_lost(campaign, runs, lacks)) + sum(one.failed for one in shown),
    )


def _shown(runs: Sequence[Run], outcome: str, beside: Sequence[Run] = ()) -> tuple[list[_Shown], Lacks]:
    """Return what each run shows of an outcome, and what tells of any other, by its cell, whether it lacks it.

    One of a kind or a cell that has no such outcome neither failed at it nor is left out.
    """
    free = free_cells((*runs, *beside))[: len(runs)] if outcome == "slow_share" else [None] * len(runs)
    values = [outcome_of(run, outcome, without) for run, without in zip(runs, free, strict=True)]
    table = pd.DataFrame({**{name: [told(run) for run in runs] for name, told in STANDING.items()}, outcome: values})
    failed = failing(table, outcome)
    counted = counting(table, outcome) & ~failed
    cells = [(run.record.cell_id, flatten(run.record.cell)) for run in runs]
    known = list(map(math.isfinite, values))
    of_kind = lacking(outcome, (own for _, own in cells), known=known, counted=counted.tolist())
    # A cell of which runs count and none has the outcome lost nothing either: stalls over a unix socket, say.
    each = [(cell_id, has, counts) for (cell_id, _), has, counts in zip(cells, known, counted.tolist(), strict=True)]
    without = {cell_id for cell_id, _, counts in each if counts} - {cell_id for cell_id, has, _ in each if has}

    def lacks(cell_id: str, own: Mapping[str, Level]) -> bool:
        return cell_id not in without and of_kind(own)

    shown = [
        _Shown(value, counts, failed=fell and lacks(*own), left_out=not counts and not fell and lacks(*own))
        for value, counts, fell, own in zip(values, counted.tolist(), failed.tolist(), cells, strict=True)
    ]
    return shown, lacks


def _lost(campaign: Campaign, runs: Sequence[Run], lacks: Lacks) -> list[PlannedRun]:
    """Return the runs that lack an outcome as they failed, or as nothing of them can be read."""
    cells = {run.record.cell_id: flatten(run.record.cell) for run in runs}
    cells |= {one.cell_id: flatten(one.cell) for one in campaign.plan.cells}
    return [one for one in campaign.lost if (own := cells.get(one.cell_id)) is not None and lacks(one.cell_id, own)]


def refuse_shared(campaigns: Sequence[Campaign]) -> None:
    """Refuse campaigns of which two hold the same runs, under whatever name: a run does not differ from itself.

    Raises:
        SharedRunsError: with how many runs, and whether that is all of them.
    """
    for one, other in combinations(campaigns, 2):
        of_both = [{_made(run) for run in (*side.runs, *side.without)} for side in (one, other)]
        shared = len(of_both[0] & of_both[1])
        if shared:
            what = "the same runs" if of_both[0] == of_both[1] else f"{plural(shared, 'run')} in common"
            raise SharedRunsError(f"two of these campaigns hold {what} ({one.plan.campaign}): each has to be measured")


def _made(run: Run) -> tuple[str, str, float]:
    return run.record.campaign, run.record.run_id, run.record.started_at


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
        without=tuple(run for run in campaign.without if run.record.cell_id in cells),
        failures=tuple(one for one in campaign.failures if one.planned.cell_id in cells),
        unread=tuple(one for one in campaign.unread if one.planned.cell_id in cells),
    )


def side_cells(
    campaign: Campaign, outcome: str, by: str | None = None, beside: Sequence[Run] = ()
) -> dict[Key, SideCell]:
    """Return a campaign's cells by their factors, in the order of the plan, with one value per run that counts.

    Args:
        campaign: one side.
        outcome: one of :data:`analysis.format.outcomes.OUTCOMES`.
        by: the factor in which the sides differ; None for two campaigns.
        beside: further runs of the campaign, which may tell what a cell takes without stalls.

    Raises:
        NotComparableError: as :func:`runs_with`, or several cells differ in what is ignored only.
    """
    runs = runs_with(campaign, outcome)
    ignored = _IGNORED | {by}
    found: dict[Key, SideCell] = {}
    keys: dict[str, Key] = {}
    known = {cell.cell_id: (cell.label, cell.cell) for cell in campaign.plan.cells}
    left_out = {cell.cell_id: cell.at_default for cell in campaign.plan.cells}
    accels = {run.record.cell_id: run.record.accel for run in runs}
    known |= {run.record.cell_id: (run.record.label, run.record.cell) for run in runs}
    for cell_id, (label, cell) in known.items():
        factors = flatten(cell)
        factors["accel"] = accels.get(cell_id, factors.get("accel"))
        # What is a setting of the factor compared, such as the buffer of cache.kind, one of its levels may not have.
        of_by = {path for path in factors if by and head_of(path) == by}
        factors = {path: level for path, level in factors.items() if path not in ignored | of_by}
        # A campaign of before a factor has no level of it, and its cells are those at the default.
        told = {path: level for path, level in factors.items() if path not in left_out.get(cell_id, ())}
        keys[cell_id] = tuple(sorted((path, repr(level)) for path, level in told.items()))
        found.setdefault(keys[cell_id], SideCell(label, factors, set())).cell_ids.add(cell_id)
    _refuse_several(campaign, found, known)
    shown, lacks = _shown(runs, outcome, beside)
    for run, one in zip(runs, shown, strict=True):
        own = found[keys[run.record.cell_id]]
        own.under.add(run.record.under)
        if one.failed:
            own.failed.append(run.record.block)
        elif one.left_out:
            own.left_out.append(run.record.block)
        elif one.counts and math.isfinite(one.value):
            own.values.append(one.value)  # noqa: PD011 - a list
            own.blocks.append(run.record.block)
    for planned in _lost(campaign, runs, lacks):
        if planned.cell_id in keys:
            found[keys[planned.cell_id]].failed.append(planned.block)
    for planned in campaign.unfinished:
        if planned.cell_id in keys:
            own = found[keys[planned.cell_id]]
            own.unmeasured = not own.under and lacks(planned.cell_id, flatten(known[planned.cell_id][1]))
    return found


def _refuse_several(campaign: Campaign, found: Mapping[Key, SideCell], known: Mapping[str, tuple[str, Any]]) -> None:
    for cell in found.values():
        if len(cell.cell_ids) > 1:
            trees = [flatten(known[cell_id][1]) for cell_id in sorted(cell.cell_ids)]
            every = dict.fromkeys(path for tree in trees for path in tree)
            differing = [path for path in sorted(every) if len({tree.get(path) for tree in trees}) > 1]
            raise NotComparableError(
                f"{campaign.plan.campaign} holds {len(trees)} cells that differ in {', '.join(differing)} only "
                f"({cell.label}): a campaign to be compared needs one of each"
            )


_SETTINGS = {"the number of checkpoints": "checkpoint.count", "the warm-up": "checkpoint.warmup"}
"""What is no factor of a cell, and its path."""


def conditions(
    base: Campaign, new: Campaign, outcome: str = "pause", by: str | None = None
) -> Iterable[tuple[str, str]]:
    """Yield what else differs between the two, and how; ``by``: the factor in which they are compared."""
    old, now = ([_condition(run) for run in runs_with(campaign, outcome)] for campaign in (base, new))
    for what in old[0] if old and now else ():
        if by is not None and _SETTINGS.get(what) == by:
            continue
        sides = [sorted({condition[what] for condition in side}) for side in (old, now)]
        if sides[0] != sides[1]:
            yield what, " against ".join(", ".join(side) for side in sides)


def _of_machines(run: Run, name: str) -> str:
    return " and ".join(dict.fromkeys(str(machine.get(name, "")) for machine in run.record.machines))


def _condition(run: Run) -> dict[str, str]:
    factors = flatten(run.record.cell)
    return {
        "the guest's kernel": str(run.record.versions.get("kernel_sha256", ""))[:12],
        "the guest's initramfs": str(run.record.versions.get("initramfs_sha256", ""))[:12],
        "the host's CPU": _of_machines(run, "cpu_model"),
        "the host's kernel": _of_machines(run, "kernel"),
        **{what: str(factors.get(path, "")) for what, path in _SETTINGS.items()},
        "where a pause begins": run.record.pause_begins,
        "KVM": run.record.kvm.kind,
    }
