"""What a design can see: the questions that its cells answer, and how many blocks an effect takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.stored.factors import factor_text, flatten, level_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analysis.stored.factors import Level
    from analysis.stored.load import Run

POWER, ALPHA, ASSURANCE = 0.80, 0.05, 0.80
CONFIDENCE = 1 - 2 * ALPHA
_MOST_BLOCKS = 10_000
_MANY_BLOCKS = 1_000
_RANK_SUM_EFFICIENCY = 3 / math.pi
_NOT_SIZES = {"checkpoint.count", "checkpoint.warmup", "checkpoint.interval", "link.loss_percent"}


@dataclass(frozen=True)
class Reach:
    """What the design sees of one question, and the blocks that it would take to see the effect asked for.

    Attributes:
        question: such as ``RAM, 256 MiB to 4 GiB, at one combination of the others``.
        per: ``per doubling``, or ``of the base``.
        blocks: at present.
        smallest: relative effect found with 80 % power at a one-sided 5 %.
        blocks_to_see: in all, for the effect asked for at that power; None when beyond reason.
        blocks_to_decide: in all, for an interval narrower than the effect, which then cannot hold both it and none.
        more_s: seconds of measuring for the larger of the two, beyond the blocks there are; NaN where there is none.
    """

    question: str
    per: str
    blocks: int
    smallest: float
    blocks_to_see: int | None
    blocks_to_decide: int | None
    more_s: float


@dataclass(frozen=True)
class Design:
    """A question: levels on the scale of its effect, how many combinations of other factors answer it, and by what."""

    question: str
    per: str
    x: tuple[float, ...]
    combinations: int
    efficiency: float


def designs(runs: Iterable[Run]) -> list[Design]:
    """Return the trends over every size with two or more levels, and the comparison of two cells; one run per cell."""
    cells = [flatten(run.record.cell) for run in runs]
    found = []
    for path in dict.fromkeys(path for cell in cells for path in cell):
        if path not in _NOT_SIZES and all(_is_size(cell[path]) for cell in cells if path in cell):
            found += _trends(path, [cell for cell in cells if path in cell])
    return [*found, Design("two cells", "of the base", (0.0, 1.0), 1, _RANK_SUM_EFFICIENCY)]


def _is_size(level: Level) -> bool:
    return isinstance(level, int | float) and not isinstance(level, bool) and level > 0


def _trends(path: str, cells: Sequence[Mapping[str, Level]]) -> list[Design]:
    """Return the trend over one factor at one combination of the others, and over all that have two sizes or more."""
    strata: dict[tuple[tuple[str, str], ...], set[float]] = {}
    for cell in cells:
        others = tuple(sorted((other, repr(level)) for other, level in cell.items() if other != path))
        strata.setdefault(others, set()).add(float(cell[path] or 0))
    comparing = [sizes for sizes in strata.values() if len(sizes) > 1]
    if not comparing:
        return []
    sizes = max((sorted(levels) for levels in comparing), key=len)
    x = tuple(float(np.log2(size)) for size in sizes)
    low, high = (level_text(path, int(size) if size.is_integer() else size) for size in (sizes[0], sizes[-1]))
    name = f"{factor_text(path)} {low} to {high} in {len(x)} sizes"
    one = Design(f"{name}, other factors fixed", "per doubling", x, 1, stats.rank_efficiency(len(x), blocked=True))
    if len(comparing) == 1:
        return [one]
    return [one, replace(one, question=f"{name}, over {len(comparing)} combinations", combinations=len(comparing))]


def reach(design: Design, sd: float, upper: float, df: int, blocks: int, effect: float, block_s: float) -> Reach:
    """Return what a design sees with ``blocks`` blocks, and the blocks for ``effect``, planned with ``upper``."""
    target = math.log1p(effect)
    seen = _detectable(design, sd, blocks)
    see = next((b for b in range(2, _MOST_BLOCKS) if _detectable(design, upper, b) <= target), None)
    decided = stats.needed_blocks(
        sd / math.sqrt(design.efficiency * design.combinations),
        df,
        target / 2,
        x=design.x,
        confidence=CONFIDENCE,
        assurance=ASSURANCE,
        most=_MANY_BLOCKS,
    )
    known = [needed for needed in (see, decided.blocks) if needed is not None]
    more = max(max(known) - blocks, 0) * block_s if len(known) == 2 else math.nan  # noqa: PLR2004 - both are known
    return Reach(design.question, design.per, blocks, math.expm1(seen), see, decided.blocks, more)


def _detectable(design: Design, sd: float, blocks: int) -> float:
    """Return the smallest log effect seen; infinite where a slope leaves no degree of freedom."""
    if len(design.x) * blocks * design.combinations <= len(design.x):
        return math.inf
    return stats.detectable_effect(
        sd, blocks * design.combinations, design.x, alpha=ALPHA, power=POWER, efficiency=design.efficiency
    ).estimate
