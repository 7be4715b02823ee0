"""What the declared hypotheses can be promised: each planned as it will be judged, in its strata and its family."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.errors import NothingMeasuredError
from analysis.runs.outcomes import YES_OR_NO, run_table
from analysis.stats import kendall
from analysis.stats.exact_power import exact_power, smallest_slope
from analysis.stored.cells import name_cells
from analysis.verdicts.applied import applied
from analysis.verdicts.designs import MANY_BLOCKS, POWER, deviation
from analysis.verdicts.equals import equals
from analysis.verdicts.hypotheses import edges_of
from analysis.verdicts.looks import planning_level
from analysis.verdicts.question import make_sample, question
from analysis.verdicts.trend import in_logs, relative

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from analysis.stored.campaign import Campaign
    from analysis.stored.records import Hypothesis
    from analysis.verdicts.designs import Deviation
    from analysis.verdicts.trend import Sample


@dataclass(frozen=True)
class Promise:
    """What a hypothesis can expect of its test, if its effect is the only one of its family.

    Attributes:
        hypothesis: its id; ``per``: ``per doubling``, or ``of the base``.
        strata: of a block, the middle one by what they tell; ``family``: members; ``deviation``: of its runs within
            cell and block.
        blocks: at present.
        smallest: relative effect in the direction claimed that is SUPPORTED with 80 % power, and never less than the
            smallest one of interest: below that, what is told from none for certain is REFUTED as material. Infinite
            where these blocks can support none, NaN for a claim of no difference, which no effect supports.
        blocks_to_support: in all, for the effect asked for; ``blocks_to_refute``: for one of at least that, where there
            is none. A claim of no difference is supported where there is none, and refuted by the effect asked for,
            which has to be larger than the smallest one of interest. Both allow for what equal cells differ by: where
            that is more than what matters no effect is ruled out. Planned with the upper 80 % bound of the deviation;
            None when beyond reason.
    """

    hypothesis: str
    per: str
    strata: int
    family: int
    deviation: Deviation
    blocks: int
    smallest: float
    blocks_to_support: int | None
    blocks_to_refute: int | None


def promises(campaign: Campaign, hypotheses: Sequence[Hypothesis], effect: float) -> list[Promise]:
    """Return what each trend and contrast that compares anything can expect.

    Args:
        campaign: whose noise, cells and equals to plan with.
        hypotheses: of its plan.
        effect: relative, that should be seen.
    """
    if not hypotheses:
        return []
    runs = run_table(campaign.runs, name_cells(run.record for run in campaign.runs))
    sizes = [sum(one.family == family for one in hypotheses) for family in (one.family for one in hypotheses)]
    found = [_promise(campaign, runs, one, size, effect) for one, size in zip(hypotheses, sizes, strict=True)]
    return [one for one in found if one is not None]


def _promise(campaign: Campaign, runs: pd.DataFrame, one: Hypothesis, family: int, effect: float) -> Promise | None:
    if one.kind == "value" or one.outcome in YES_OR_NO:
        return None
    asked = question(campaign, runs, one)
    known = asked.runs[asked.runs[one.outcome].notna()]
    if not applied(one, known)[0] or not (known[one.outcome].astype(float) > 0).all():
        return None  # no number of blocks like these answers it
    sample = make_sample(asked, known) if len(known) else None
    if sample is None:
        return None
    try:
        shown = deviation(sample.logs, known["cell"].tolist(), known["block"].tolist())
    except NothingMeasuredError:
        return None
    if shown.sd == 0:
        return None
    of_blocks = _by_block(sample)
    strata, blocks = of_blocks[(len(of_blocks) - 1) // 2], len(of_blocks)
    alpha, pairs = planning_level(campaign.plan) / family, len(equals(runs))
    none, falls = one.direction == "none", one.direction == "decreasing"
    sesoi = edges_of(asked, sample).sesoi
    target, matters = (in_logs(size, falls=falls) for size in (effect, sesoi))
    seen = 0.0 if none else smallest_slope(strata, shown.sd, blocks, alpha=alpha, power=POWER, pairs=pairs)
    planned = partial(_blocks, strata, shown.upper, target, pairs=pairs)
    # No difference is supported by two tests, both of which have to hold where there is none.
    rest = planned(alpha, (1 + POWER) / 2 if none else POWER, within=math.log1p(sesoi))
    support = planned(alpha, POWER) if target >= matters else None
    return Promise(
        hypothesis=one.id,
        per="per doubling" if one.kind == "trend" else "of the base",
        strata=len(strata),
        family=family,
        deviation=shown,
        blocks=blocks,
        smallest=math.nan if none else relative(max(seen, matters), falls=falls),
        blocks_to_support=rest if none else support,
        blocks_to_refute=planned(alpha / 2, POWER, edge=matters) if none else rest,
    )


def _by_block(sample: Sample) -> list[list[np.ndarray]]:
    """Return the strata of every block that compares anything, those that tell least first."""
    by_block: dict[object, dict[object, list[float]]] = {}
    for x, stratum in zip(sample.x.tolist(), sample.strata, strict=True):
        if stratum in sample.spans:
            by_block.setdefault(stratum[0], {}).setdefault(stratum[1:], []).append(x)
    found = [[np.array(xs) for xs in own.values()] for own in by_block.values()]

    def told(strata: list[np.ndarray]) -> float:
        return sum(kendall.variance(kendall.tie_counts(x), (1,) * len(x)) for x in strata)

    return sorted(found, key=told)


def _blocks(
    strata: Sequence[np.ndarray],
    sd: float,
    slope: float,
    alpha: float,
    power: float,
    *,
    pairs: int,
    edge: float = 0.0,
    within: float | None = None,
) -> int | None:
    """Return the fewest blocks that find a slope with so much power, by doubling and halving; None where none do."""
    if slope <= edge:
        return None

    def enough(blocks: int) -> bool:
        return exact_power(strata, sd, slope, blocks, alpha=alpha, pairs=pairs, edge=edge, within=within) >= power

    low, high = 1, 2
    while not enough(high):
        if high == MANY_BLOCKS:
            return None
        low, high = high, min(2 * high, MANY_BLOCKS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
