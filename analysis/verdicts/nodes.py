"""The nodes of a cluster that blocks were measured on: whether words hang on one, and how far apart nodes are.

A block is measured on one node (or pair of them), so that what the hardware does is in the difference between blocks,
and in no comparison of cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.runs.counting import counting
from analysis.verdicts.drift import residuals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from analysis.stored.campaign import Campaign

MOST = 16
"""Nodes that are left out one at a time; where there are more, each holds little, and those with most runs are."""

LEFT_OUT = "the runs on {} left out"
"""The choice by which a node's runs are left out, as the table of other choices has it."""


@dataclass(frozen=True)
class Nodes:
    """Where a campaign was measured.

    Attributes:
        blocks: of each node (or pair), which blocks it holds runs of.
        split: how many blocks hold runs of more than one.
        spread: by how much the slowest node's median run is above the fastest one's, each against the others of its
            cell; NaN where not two nodes have such runs. Of nodes that are alike it is chance, and more make it larger.
    """

    blocks: Mapping[str, tuple[int, ...]]
    split: int
    spread: float


def nodes_of(runs: pd.DataFrame) -> Nodes | None:
    """Return where the runs were measured; None where no record names a node.

    Args:
        runs: of :func:`analysis.runs.outcomes.run_table`.
    """
    if "node" not in runs:
        return None
    held = {str(node): tuple(sorted(set(map(int, own["block"])))) for node, own in runs.groupby("node")}
    places = runs[["folder", "block", "node"]].drop_duplicates()
    split = int((places.groupby(["folder", "block"]).size() > 1).sum())
    sound = runs[counting(runs)]
    middles = residuals(sound).groupby(sound["node"]).median().dropna()
    spread = float(np.expm1(middles.max() - middles.min())) if len(middles) > 1 else math.nan
    return Nodes(held, split, spread)


def without_each(campaign: Campaign, runs: pd.DataFrame) -> Iterator[tuple[str, Campaign, pd.DataFrame]]:
    """Yield what was measured without one node after another, each with what that choice is called.

    What was lost on a node is left out with it: no ledger says where a run failed, but its block does, unless that was
    measured on several; then a run that failed stays, and ranks worst.

    Args:
        campaign: as it was read.
        runs: of :func:`analysis.runs.outcomes.run_table`.
    """
    if "node" not in runs or runs["node"].nunique() < 2:  # noqa: PLR2004 - one node leaves nothing
        return
    for node in list(runs["node"].value_counts().index)[:MOST]:
        kept = runs[runs["node"] != node]
        gone = set(runs["block"]) - set(kept["block"])
        yield LEFT_OUT.format(node), _without(campaign, gone), kept


def _without(campaign: Campaign, blocks: set[int]) -> Campaign:
    """Return a campaign without the runs of some blocks that failed, cannot be read or were never finished."""
    return replace(
        campaign,
        failures=tuple(one for one in campaign.failures if one.planned.block not in blocks),
        unread=tuple(one for one in campaign.unread if one.planned.block not in blocks),
        unfinished=tuple(one for one in campaign.unfinished if one.block not in blocks),
    )


def hanging(words: Mapping[str, str], others: Mapping[tuple[str, str], str], node: str) -> list[str]:
    """Return the hypotheses whose word is another one when a node's runs are left out.

    Args:
        words: of each hypothesis by itself.
        others: of each (hypothesis, choice).
        node: that is left out.
    """
    choice = LEFT_OUT.format(node)
    return [name for name, word in words.items() if others.get((name, choice), word) != word]
