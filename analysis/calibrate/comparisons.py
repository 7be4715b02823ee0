"""How often `compare` is wrong: over all cells, and cell by cell, between two campaigns and within one."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from analysis.calibrate.rates import AT_MOST, NONE, Claim, as_rate, at_least
from analysis.compare.judging import (
    NOT_REGRESSED,
    PASSING,
    REGRESSED,
    Rule,
    judge_all,
    judge_cells,
    overall_passes_at,
)
from analysis.compare.sides import SideCell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analysis.calibrate.rates import Asked, Rate
    from analysis.compare.ratios import Ratio

    Floats = NDArray[np.float64]

_THRESHOLD = 0.05
_EDGE = math.log1p(_THRESHOLD)
_SHOWN, _FAR = f"{100 * _THRESHOLD:g} %", f"{100 * math.expm1(2 * _EDGE):.3g} %"
_MOST_CELLS = 6
_DEALT = 10
"""Comparisons whose noise is asked for a threshold, by dealing their sides anew."""

_WORDS = (
    ("regressed without a difference", 0, REGRESSED, AT_MOST),
    (f"not regressed at {_SHOWN} slower", 1, NOT_REGRESSED, AT_MOST),
    ("not regressed without a difference", 0, NOT_REGRESSED, NONE),
    (f"regressed at {_FAR} slower", 2, REGRESSED, NONE),
)
"""What is said over all cells, after how many steps to the threshold, by which word, and what is claimed of it."""


def comparisons(asked: Asked) -> Iterator[Rate]:
    """Yield how often the words of ``compare`` are false where they are hardest, and how often true ones are said.

    The campaign is measured twice; host drift is left out, blocks differ as in the model. Nothing where there are fewer
    than three blocks, which are not compared.
    """
    for within, between in ((False, "two campaigns"), (True, "two levels within blocks")):
        rule = Rule(_THRESHOLD, within)
        overall: list[list[Ratio]] = []
        by_cell: list[list[set[str]]] = []
        for steps in range(3):
            pairs = list(_pairs(asked, steps * _EDGE, within=within))
            overall.append([judge_all(each, rule) for each in pairs])
            by_cell.append([{cell.verdict for cell in judge_cells(each, rule)} for each in pairs])
        if all(math.isnan(one.low) for one in overall[0]):
            continue
        said = f"over all cells, {between}"
        covered = [math.isnan(one.low) or one.low <= 1 <= one.high for one in overall[0]]
        yield as_rate(f"{said}: interval holds no difference", covered, at_least(0.90))
        for what, steps, word, claim in _WORDS:
            yield as_rate(f"{said}: {what}", [one.verdict == word for one in overall[steps]], claim)
        passed = list(_passed(asked, overall[0], rule))
        if passed:
            yield as_rate(f"{said}: pass what 80 % of equals do", passed, Claim(PASSING, 0.65, 0.95))
        said, hits = f"cell by cell, {between}", [REGRESSED in words for words in by_cell[0]]
        yield as_rate(f"{said}: any regressed without a difference", hits, AT_MOST)
        hits = [words == {NOT_REGRESSED} for words in by_cell[1]]
        yield as_rate(f"{said}: all not regressed at {_SHOWN} slower", hits, AT_MOST)


def _passed(asked: Asked, same: list[Ratio], rule: Rule) -> Iterator[bool]:
    """Yield whether equals pass the threshold that the noise of other equals says 80 % of them do."""
    dealt = islice(_pairs(asked, 0.0, within=rule.within), _DEALT)
    thresholds = [overall_passes_at(pairs, rule) for pairs in dealt]
    for place, one in enumerate(same, start=1):
        threshold = thresholds[place % len(thresholds)]
        if not math.isnan(threshold):
            yield one.high < 1 + threshold


def _pairs(asked: Asked, slope: float, *, within: bool) -> Iterator[list[tuple[SideCell, SideCell]]]:
    """Yield base and new of each cell, for every study."""
    blocks, cells = asked.model.blocks, min(len(asked.model.sizes) * asked.model.combinations, _MOST_CELLS)
    wide, long = (2 * cells, blocks) if within else (cells, 2 * blocks)
    logs = asked.runs(replace(asked.model.still, slope=0.0, sizes=(0.0,) * wide, blocks=long))
    base = logs[:, :blocks, :cells]
    new = (logs[:, :, cells:] if within else logs[:, blocks:]) + slope
    for one, other in zip(base, new, strict=True):
        yield [(_side(one[:, cell]), _side(other[:, cell])) for cell in range(cells)]


def _side(logs: Floats) -> SideCell:
    there = np.isfinite(logs)
    values, blocks = np.exp(logs[there]).tolist(), np.flatnonzero(there).tolist()
    return SideCell("cell", {"accel": "tcg"}, set(), values, blocks, np.flatnonzero(~there).tolist())
