"""After how many blocks verdicts were asked for: what they are judged from, and by which level."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.stats.sequential import FIRST_BLOCKS, cost_in_blocks, look_level
from analysis.verdicts.claims import ALPHA

if TYPE_CHECKING:
    import pandas as pd

    from analysis.stored.load import Campaign
    from analysis.stored.records import Plan


def level_of(plan: Plan, alpha: float = ALPHA) -> float:
    """Return the level of the last look at a plan, so that all looks together are wrong at a rate of ``alpha``."""
    return look_level(plan.looks, alpha, series=plan.until_known) if plan.looks else alpha


def planning_level(plan: Plan) -> float:
    """Return the level to plan further blocks with: of the last look, or of the next one that may decide anything."""
    if plan.looks and not plan.until_known:
        return look_level(_continued(plan))
    return level_of(plan) or look_level((*plan.looks, max(FIRST_BLOCKS, *plan.looks) + 1))


def _continued(plan: Plan) -> tuple[int, ...]:
    """Return the looks of a plan and one after as many blocks again: who continues looks once more."""
    return (*plan.looks, max(FIRST_BLOCKS + 1, 2 * plan.looks[-1]))


def cost_of(plan: Plan) -> float:
    """Return how many times the blocks of a single look the last look at a plan takes, or the next that may decide."""
    if not plan.looks:
        return 1.0
    if not plan.until_known:
        return cost_in_blocks(_continued(plan))
    if not level_of(plan):
        return cost_in_blocks((*plan.looks, max(FIRST_BLOCKS, *plan.looks) + 1))
    return cost_in_blocks(plan.looks, series=plan.until_known)


def looked_at(campaign: Campaign, runs: pd.DataFrame) -> tuple[Campaign, pd.DataFrame]:
    """Return what the last look saw: whole blocks. Runs of a block under way wait for the next one.

    Without a look on record everything that was measured is looked at, once.

    Args:
        campaign: as it was read.
        runs: :func:`analysis.runs.outcomes.run_table` of it.
    """
    if not campaign.plan.looks:
        return campaign, runs
    last = campaign.plan.looks[-1]
    failures = tuple(one for one in campaign.failures if one.planned.block < last)
    unread = tuple(one for one in campaign.unread if one.planned.block < last)
    return replace(campaign, failures=failures, unread=unread), runs[runs["block"] < last]
