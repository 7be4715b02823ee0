"""Whether `power` promises what verdicts then do: the effect that it calls certain by 80 %, simulated and judged."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.calibrate.family_rates import edge_of, found_of, of_any_size
from analysis.calibrate.rates import Rate, as_rate
from analysis.calibrate.simulate import simulate_runs
from analysis.stats.exact_power import smallest_slope
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.designs import POWER
from analysis.verdicts.families import adjust

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.calibrate.layouts import Layout, Layouts
    from analysis.calibrate.simulate import Model

    Floats = NDArray[np.float64]

BLOCKS = (3, 6, 12)
_SLACK = 0.05
_LARGE = 1.0  # a doubling per doubling, where no effect can be found


def promises(model: Model, layouts: Layouts, *, studies: int, seed: int) -> list[Rate]:
    """Return how often an effect that is alone in its family is SUPPORTED at the size that ``power`` promises it at.

    Empty where nobody claims one: no effect supports that there is none.

    Args:
        model: the campaign, at other numbers of blocks; no run goes missing, as ``power`` assumes.
        layouts: who is judged from which runs; the first of the primary family that claims an effect has it.
        studies: how many campaigns.
        seed: of the generator.
    """
    rates = []
    claimed = next((one for one in layouts.primary if one.hypothesis.direction != "none"), None)
    if claimed is None:
        return []
    primary = (claimed, *(one for one in layouts.primary if one is not claimed))
    way = -1.0 if claimed.hypothesis.direction == "decreasing" else 1.0
    for blocks in BLOCKS:
        family = [lengthened(one, blocks) for one in of_any_size(primary)]
        cells = (0.0,) * max(layouts.cells, 2)
        own = replace(model.complete, blocks=blocks, sizes=cells, slope=0.0)
        logs = simulate_runs(own, np.random.default_rng(seed), studies)
        slope = _promised(family, logs, blocks, len(layouts.pairs))
        level, band = (0.0, (0.0, _SLACK)) if math.isinf(slope) else (POWER, (POWER - _SLACK, POWER + _SLACK))
        slopes = [way * (_LARGE if math.isinf(slope) else slope), *(edge_of(one, "SUPPORTED") for one in family[1:])]
        said = f"SUPPORTED at the size that power promises, {blocks} blocks"
        if math.isinf(slope):
            said = f"SUPPORTED though power says that no effect can be, {blocks} blocks"
        hits = [_supported(family, slopes, study, layouts.pairs) for study in logs]
        rates.append(as_rate("promise", said, hits, level, band))
    return rates


def _promised(family: list[Layout], logs: Floats, blocks: int, pairs: int) -> float:
    """Return the smallest slope that is promised, planned with the deviation that this noise has within blocks."""
    one = family[0]
    first = one.block == 0
    strata = [one.x[first & (one.level == level)] for level in np.unique(one.level)]
    rest = logs - logs.mean(axis=-1, keepdims=True)
    sd = math.sqrt(float((rest**2).mean()) * logs.shape[-1] / (logs.shape[-1] - 1))
    return smallest_slope(strata, sd, blocks, alpha=ALPHA / len(family), power=POWER, pairs=pairs)


def _supported(family: list[Layout], slopes: list[float], logs: Floats, pairs: tuple[tuple[int, int], ...]) -> bool:
    found = [found_of(one, slope, logs, pairs) for one, slope in zip(family, slopes, strict=True)]
    return adjust(found)[0].word == "SUPPORTED"


def lengthened(layout: Layout, blocks: int) -> Layout:
    """Return a layout of so many blocks, each as its fullest one."""
    whole = layout.fullest
    return replace(
        layout,
        x=np.tile(layout.x[whole], blocks),
        cell=np.tile(layout.cell[whole], blocks),
        level=np.tile(layout.level[whole], blocks),
        block=np.repeat(np.arange(blocks), int(whole.sum())),
    )
