"""What a plan cannot decide however its runs come out: the smallest p-value that an exact test of so few blocks has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.runs.outcomes import YES_OR_NO
from analysis.stats.kendall import tie_counts
from analysis.stats.slopes import fewest_blocks
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.question import is_meant, varying

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.format.factors import Level
    from analysis.stored.records import Hypothesis

    Cells = Sequence[Mapping[str, Level]]


@dataclass(frozen=True)
class Short:
    """A hypothesis that its blocks cannot decide.

    Attributes:
        id: of the hypothesis; ``blocks``: the fewest that can; ``family``: how many are decided together.
    """

    id: str
    blocks: int
    family: int


def undecidable(cells: Cells, hypotheses: Sequence[Hypothesis], accel: str, blocks: int) -> list[Short]:
    """Return the hypotheses that no result of so many blocks, each looked at once, can decide.

    In a block the runs of a stratum come out in one of its orders, all equally likely where there is no effect; that
    all blocks show the one order that is asked for is the least likely of all results, and its probability the smallest
    p-value of the exact test. Of a value the runs of each cell, one a block, are on one side of a bound. Holm compares
    the smallest p-value of a primary family with ``ALPHA`` over its size; in a secondary one ``ALPHA`` itself can do.

    Args:
        cells: the factors of each, flattened.
        hypotheses: all of the plan.
        accel: under which the pairs run.
        blocks: of the plan.
    """
    found = []
    for one in hypotheses:
        strata = strata_of(cells, one, accel)
        if not (_has_cells(cells, one, accel) if one.kind == "value" else strata):
            continue
        family = sum(other.family == one.family for other in hypotheses)
        level = ALPHA / family if one.family == "primary" else ALPHA
        ties = [tie_counts(np.array(xs)) for xs in strata]
        needed = math.ceil(-math.log2(level)) if one.kind == "value" else fewest_blocks(ties, alpha=level)
        if blocks < needed:
            found.append(Short(one.id, needed, family))
    return found


def _has_cells(cells: Cells, one: Hypothesis, accel: str) -> bool:
    """Tell whether a value is asked of any cell by the sign test; of a yes or a no its share is, by its own test."""
    if one.outcome in YES_OR_NO or not asks(one, accel):
        return False
    return any(all(cell.get(path) in levels for path, levels in one.where.items()) for cell in cells)


def strata_of(cells: Cells, one: Hypothesis, accel: str) -> list[list[float]]:
    """Return what is compared in a block: for each combination of the other factors the levels that a question is over.

    Levels of a contrast count from 0 in the order in which it names them; of a trend they are its sizes. A combination
    with a single level is left out.
    """
    if not asks(one, accel):
        return []
    meant = [cell for cell in cells if cell.get("accel", accel) == accel and is_meant(one, cell)]
    others = varying(meant, one, [path for cell in meant for path in cell])
    strata: dict[tuple[Level, ...], list[float]] = {}
    for cell in meant:
        x = _x(one, cell.get(str(one.factor)))
        if x is not None:
            strata.setdefault(tuple(cell.get(path) for path in others), []).append(x)
    return [xs for xs in strata.values() if len(set(xs)) > 1]


def _x(one: Hypothesis, level: Level) -> float | None:
    if one.kind == "contrast":
        return float(one.levels.index(level)) if level in one.levels else None
    return float(level) if isinstance(level, int | float) and not isinstance(level, bool) else None


def asks(one: Hypothesis, accel: str) -> bool:
    """Tell whether a hypothesis asks of pairs under this accelerator, by its name or for want of one."""
    return accel in one.where.get("accel", (accel,))
