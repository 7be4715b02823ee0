"""After how many blocks verdicts were asked for: what they are judged from, and by which level."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.stats.sequential import FIRST_BLOCKS, cost_in_blocks, look_level
from analysis.verdicts.claims import ALPHA

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from analysis.stored.campaign import Campaign
    from analysis.stored.records import Plan

_WAYS = 2
"""In which a test can come out against what it asks: larger and smaller, below a range and above it."""


def shared_among(asked: Sequence[tuple[str, str]], cells: int) -> int:
    """Return among how many tests the level of a look is shared at most: as many as have to be right together.

    Those of a family, each of either side where it has two; of a value each of its cells besides. At the levels of
    other factors a question is asked without its family, once for two cells or more.

    Args:
        asked: family and kind of each hypothesis.
        cells: of the plan.
    """
    members = Counter(family for family, _ in asked)
    of_each = (members[family] * (cells if kind == "value" else 1) for family, kind in asked)
    return max(1, *(_WAYS * count for count in (*of_each, cells // 2 if asked else 0)))


def _among(plan: Plan) -> int:
    asked = [(str(one.get("family", "primary")), str(one.get("kind", "trend"))) for one in plan.hypotheses]
    return shared_among(asked, max(len(plan.cells), 1))


def level_of(plan: Plan) -> float:
    """Return the level of the last look at a plan, so that all looks together are wrong at a rate of ``ALPHA``."""
    return look_level(plan.looks, ALPHA, series=plan.until_known, tests=_among(plan)) if plan.looks else ALPHA


def planning_level(plan: Plan) -> float:
    """Return the level to plan further blocks with: of the last look, or of the next one that may decide anything."""
    if plan.looks and not plan.until_known:
        return look_level(_continued(plan), tests=_among(plan))
    return level_of(plan) or look_level((*plan.looks, max(FIRST_BLOCKS, *plan.looks) + 1), tests=_among(plan))


def _continued(plan: Plan) -> tuple[int, ...]:
    """Return the looks of a plan and one after as many blocks again: who continues looks once more."""
    return (*plan.looks, max(FIRST_BLOCKS + 1, 2 * plan.looks[-1]))


def cost_of(plan: Plan) -> float:
    """Return how many times the blocks of a single look the last look at a plan takes, or the next that may decide."""
    if not plan.looks:
        return 1.0
    tests = _among(plan)
    if not plan.until_known:
        return cost_in_blocks(_continued(plan), tests=tests)
    if not level_of(plan):
        return cost_in_blocks((*plan.looks, max(FIRST_BLOCKS, *plan.looks) + 1), tests=tests)
    return cost_in_blocks(plan.looks, series=plan.until_known, tests=tests)


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
    without = tuple(run for run in campaign.without if run.record.block < last)
    return replace(campaign, failures=failures, unread=unread, without=without), runs[runs["block"] < last]
