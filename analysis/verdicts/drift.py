"""How the host changed while a campaign was measured: blocks against each other, and runs outside their block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from analysis import stats
from analysis.runs.counting import counting
from analysis.verdicts.claims import Effect

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST_BLOCKS = 5
"""With fewer, no order of them is rare enough for a 95 % interval."""

TOO_FEW = f"fewer than {FEWEST_BLOCKS} blocks with runs that count"
"""Why nothing is told of a drift."""

_SHARED = 2


@dataclass(frozen=True)
class Drift:
    """How the median run of a block moved over the campaign, each run against the others of its cell.

    Attributes:
        per_hour: change of logs per hour (Theil-Sen over blocks), with a 95 % interval. Runs of a block share what
            happened to the host at that time, so that a block counts once.
        pvalue: of no change, two-sided (Kendall; exact as long as blocks are few).
        blocks: how many.
        hours: from the first run to the last one that has its like.
        level: log change at the time of the first run, of the line through the blocks.
    """

    per_hour: Effect
    pvalue: float
    blocks: int
    hours: float
    level: float


def drift(runs: pd.DataFrame) -> Drift | None:
    """Return the drift of a campaign; None with fewer than :data:`FEWEST_BLOCKS` blocks.

    Runs that did not pass their quality check play no part.

    Args:
        runs: with ``cell``, ``folder``, ``block``, ``quality_ok``, ``started_at`` (s) and ``pause`` (s) of
            :func:`analysis.runs.outcomes.run_table`.
    """
    hours = (runs["started_at"] - runs["started_at"].min()).astype(float) / 3600
    sound = runs.assign(hours=hours)[counting(runs)]
    table = sound.assign(residual=residuals(sound)).dropna(subset=["residual"])
    blocks = table.groupby(["folder", "block"])[["hours", "residual"]].median()
    if len(blocks) < FEWEST_BLOCKS or blocks["hours"].nunique() < FEWEST_BLOCKS:
        return None
    slope = stats.stratified_theil_sen(blocks["hours"], blocks["residual"], [0] * len(blocks), confidence=0.95)
    test = kendalltau(blocks["hours"], blocks["residual"])
    level = float((blocks["residual"] - slope.estimate * blocks["hours"]).median())
    per_hour = Effect(slope.estimate, slope.low, slope.high)
    return Drift(per_hour, float(test.pvalue), len(blocks), float(table["hours"].max()), level)


def residuals(runs: pd.DataFrame) -> pd.Series:
    """Return the log of each run's median pause over its cell's; NaN in cells with a single run, and of a 0."""
    logs = np.log(runs["pause"].where(runs["pause"] > 0))
    centre = logs.groupby(runs["cell"]).transform("median")
    alone = logs.groupby(runs["cell"]).transform("size") < _SHARED
    return (logs - centre).mask(alone)


def outside_block(runs: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which runs started after the first run of a later block of their folder: those measured again.

    A block holds what happened to the host in its time; it does not hold what happened to such a run. Folders of one
    study may have been measured in any order, and campaigns in them may have one name. On a cluster blocks are measured
    side by side: a later one is one of the same node.
    """
    place = ["folder", *(["node"] if "node" in runs else [])]
    first = runs.groupby([*place, "block"])["started_at"].min().astype(float).sort_index(ascending=False)
    of_later = first.groupby(level=place).transform(lambda starts: starts.cummin().shift(1, fill_value=np.inf))
    own = pd.MultiIndex.from_frame(runs[[*place, "block"]])
    outside: NDArray[np.bool_] = runs["started_at"].to_numpy() > of_later.reindex(own).to_numpy()
    return outside
