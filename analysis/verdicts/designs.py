"""What a design can see: the questions that its cells answer, and how many blocks an effect takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

from analysis import stats
from analysis.errors import MORE_BLOCKS, NothingMeasuredError
from analysis.format.factors import flatten
from analysis.stats.groups import RANK, centred
from analysis.stored.factors import NOT_FACTORS, as_planned, differing, factor_text, is_size, level_text
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.trend import in_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from analysis.format.factors import Level
    from analysis.stored.campaign import Run

POWER, ASSURANCE = 0.80, 0.80
CONFIDENCE = 1 - 2 * ALPHA
_MOST_BLOCKS = 10_000
MANY_BLOCKS = 1_000
_RANK_SUM_EFFICIENCY = 3 / math.pi
_NO_VARIANCE = 1e-18

_NOT_SIZES = {"checkpoint.interval", "link.loss_percent"}


@dataclass(frozen=True)
class Deviation:
    """Standard deviation of the logs of what runs show, within cell and block (0.05 is about 5 %); ``df``: of it."""

    sd: float
    df: int

    @property
    def upper(self) -> float:
        """Return its upper 80 % bound, which plans are made with."""
        return self.sd * math.sqrt(self.df / float(chi2.ppf(1 - ASSURANCE, self.df)))


@dataclass(frozen=True)
class Reach:
    """What the design sees of one question, and the blocks that it would take to see the effect asked for.

    Attributes:
        question: such as ``RAM, 256 MiB to 4 GiB, at one combination of the others``.
        per: ``per doubling``, or ``of the base``.
        cells: whose runs it is planned from; ``deviation``: of these.
        blocks: at present.
        smallest: relative effect found with 80 % power at a one-sided 5 %.
        blocks_to_see: in all, for the effect asked for at that power; None when beyond reason.
        blocks_to_decide: in all, for an interval narrower than the effect, which then cannot hold both it and none.
        more_s: seconds of measuring for the larger of the two, beyond the blocks there are; NaN where there is none.
    """

    question: str
    per: str
    cells: int
    deviation: Deviation
    blocks: int
    smallest: float
    blocks_to_see: int | None
    blocks_to_decide: int | None
    more_s: float


@dataclass(frozen=True)
class Design:
    """A question: levels on the scale of its effect, how many combinations of other factors answer it, and by what.

    Attributes:
        cells: the identifiers of the cells that answer it, at whatever combination.
        efficiency: of its test, in runs of a least-squares slope.
    """

    question: str
    per: str
    x: tuple[float, ...]
    combinations: int
    efficiency: float
    cells: tuple[str, ...] = ()


def designs(runs: Iterable[Run]) -> list[Design]:
    """Return the trends over every size and the contrasts of every other factor with two or more levels.

    Of cells that differ in no such factor alone, the comparison of any two of them.

    Args:
        runs: one per cell.
    """
    cells = {run.record.cell_id: flatten(run.record.cell) for run in runs}
    trends: list[Design] = []
    contrasts: list[Design] = []
    for path in dict.fromkeys(path for cell in cells.values() for path in cell if path not in NOT_FACTORS):
        having = {cell_id: cell for cell_id, cell in cells.items() if path in cell}
        if path not in _NOT_SIZES and all(is_size(cell[path]) for cell in having.values()):
            trends += _designs(path, having, _trend)
        else:
            contrasts += _designs(path, having, _contrast)
    two = Design("two cells", "of the base", (0.0, 1.0), 1, _RANK_SUM_EFFICIENCY, tuple(cells))
    return [*trends, *(contrasts or [two])]


def _designs(
    path: str, cells: Mapping[str, Mapping[str, Level]], make: Callable[[str, Sequence[Level]], Design]
) -> list[Design]:
    """Return the design of one factor at one combination of the others, and over all that have two levels or more."""
    own = dict.fromkeys(other for cell in cells.values() for other in cell)
    others = differing(list(cells.values()), (other for other in own if other not in NOT_FACTORS | {path}))
    strata: dict[tuple[Level, ...], dict[str, Level]] = {}
    for cell_id, cell in cells.items():
        strata.setdefault(tuple(cell.get(other) for other in others), {})[cell_id] = cell[path]
    comparing = [found for found in strata.values() if len(set(found.values())) > 1]
    if not comparing:
        return []
    levels = max((list(dict.fromkeys(found.values())) for found in comparing), key=len)
    compared = tuple(cell_id for found in comparing for cell_id in found)
    over = replace(make(path, levels), combinations=len(comparing), cells=compared)
    one = replace(over, question=f"{over.question}, other factors fixed", combinations=1)
    if len(comparing) == 1:
        return [one]
    return [one, replace(over, question=f"{over.question}, over {len(comparing)} combinations")]


def _trend(path: str, levels: Sequence[Level]) -> Design:
    sizes = sorted(float(level or 0) for level in levels)
    low, high = (level_text(path, as_planned(size)) for size in (sizes[0], sizes[-1]))
    return trend_design(f"{factor_text(path)} {low} to {high} in {len(sizes)} sizes", sizes)


def _contrast(path: str, levels: Sequence[Level]) -> Design:
    named = [level_text(path, level) for level in levels]
    two = len(named) == 2  # noqa: PLR2004 - a pair
    return contrast_design(f"{factor_text(path)} {' against '.join(named) if two else f'two of {len(named)} levels'}")


def trend_design(question: str, sizes: Iterable[float], combinations: int = 1) -> Design:
    """Return the trend over sizes, found by ranks within blocks; the effect is per doubling."""
    x = tuple(float(np.log2(size)) for size in sorted(sizes))
    return Design(question, "per doubling", x, combinations, stats.rank_efficiency(len(x), blocked=True))


def contrast_design(question: str, combinations: int = 1) -> Design:
    """Return the contrast of two levels, found by ranks within blocks; the effect is relative to the base."""
    x = (0.0, 1.0)
    return Design(question, "of the base", x, combinations, stats.rank_efficiency(len(x), blocked=True))


def deviation(logs: ArrayLike, cells: Sequence[Hashable], blocks: Sequence[Hashable]) -> Deviation:
    """Return the deviation of logs within cells, blocks taken out.

    Least squares of cell plus block; cell alone where that leaves no degree of freedom.

    Args:
        logs: (n,) one per run.
        cells: (n,) the cell of each.
        blocks: (n,) the block of each.

    Raises:
        NothingMeasuredError: no cell has two runs.
    """
    values = np.asarray(logs, dtype=np.float64)
    cell, block = (np.unique([str(one) for one in labels], return_inverse=True)[1] for labels in (cells, blocks))
    indicators = np.eye(cell.max() + 1)[cell]
    # About the blocks' means (Frisch & Waugh): blocks are many where cells are few.
    within = [centred(column, block) for column in (values, *indicators.T)]
    for y, design, taken in ((within[0], np.column_stack(within[1:]), block.max() + 1), (values, indicators, 0)):
        found, _, rank, _ = np.linalg.lstsq(design, y, rcond=RANK)
        df = len(values) - taken - int(rank)
        if df > 0:
            rest = y - design @ found
            variance = float(rest @ rest) / df
            return Deviation(math.sqrt(variance) if variance > _NO_VARIANCE else 0.0, df)
    raise NothingMeasuredError("no cell has two runs that count, so nothing tells how runs differ", fix=MORE_BLOCKS)


def reach(design: Design, shown: Deviation, blocks: int, effect: float, block_s: float) -> Reach:
    """Return what a design sees with ``blocks`` blocks of runs that deviate, and the blocks for ``effect``."""
    target = math.log1p(effect)
    seen = _detectable(design, shown.sd, blocks)
    see = next((b for b in range(2, _MOST_BLOCKS) if _detectable(design, shown.upper, b) <= target), None)
    decide = blocks_to_decide(design, shown, effect)
    known = [needed for needed in (see, decide) if needed is not None]
    more = max(max(known) - blocks, 0) * block_s if len(known) == 2 else math.nan  # noqa: PLR2004 - both are known
    return Reach(design.question, design.per, len(design.cells), shown, blocks, math.expm1(seen), see, decide, more)


def blocks_to_decide(
    design: Design, shown: Deviation, effect: float, family: int = 1, *, falls: bool = False
) -> int | None:
    """Return the blocks, in all, for an interval narrower than ``effect``; None when ``MANY_BLOCKS`` are not enough.

    The interval is of 90 %, or as much wider as one in a ``family`` of hypotheses needs to keep its word. An effect
    that ``falls`` is further from none in logs than a rise of as much, and is judged so.
    """
    return stats.needed_blocks(
        shown.sd / math.sqrt(design.efficiency * design.combinations),
        shown.df,
        in_logs(effect, falls=falls) / 2,
        x=design.x,
        confidence=1 - 2 * ALPHA / family,
        assurance=ASSURANCE,
        most=MANY_BLOCKS,
    )


def _detectable(design: Design, sd: float, blocks: int) -> float:
    """Return the smallest log effect seen; infinite where a slope leaves no degree of freedom."""
    if len(design.x) * blocks * design.combinations <= len(design.x):
        return math.inf
    return stats.detectable_effect(
        sd, blocks * design.combinations, design.x, alpha=ALPHA, power=POWER, efficiency=design.efficiency
    ).estimate
