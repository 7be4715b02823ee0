"""How often `compare` is wrong: over all cells, and cell by cell, between two campaigns and within one."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from analysis.calibrate.rates import AT_MOST, SLACK, Rate, as_rate
from analysis.calibrate.simulate import simulate_runs
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
from analysis.verdicts.claims import ALPHA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analysis.calibrate.simulate import Model
    from analysis.compare.judging import Ratio

    Floats = NDArray[np.float64]

_THRESHOLD = 0.05
_COVERED = 0.90
_MOST_CELLS = 6
_DEALT = 10
"""Comparisons whose noise is asked for a threshold, by dealing their sides anew."""

_PASSING_BAND = (0.65, 0.95)


def comparisons(model: Model, *, studies: int, seed: int) -> list[Rate]:
    """Return how often the words of ``compare`` are false where they are hardest, and how often true ones are said.

    Empty where there are fewer than three blocks, which are not compared.

    Args:
        model: the campaign, measured twice; host drift is left out, blocks differ as in the model.
        studies: how many comparisons.
        seed: of the generator.
    """
    edge, rates = math.log1p(_THRESHOLD), []
    shown, far = f"{100 * _THRESHOLD:g} %", f"{100 * math.expm1(2 * edge):.3g} %"
    for within, between in ((False, "two campaigns"), (True, "two levels within blocks")):
        same, at_edge, twice = (
            list(_answers(model, slope, studies, seed, within=within)) for slope in (0.0, edge, 2 * edge)
        )
        overall = [one for one, _ in same]
        if all(math.isnan(one.low) for one in overall):
            continue
        covered = [math.isnan(one.low) or one.low <= 1 <= one.high for one in overall]
        said = f"over all cells, {between}"
        rates += [
            as_rate("comparison", f"{said}: interval holds no difference", covered, _COVERED, (_COVERED - SLACK, 1.0)),
            *_words(f"{said}: regressed without a difference", overall, REGRESSED),
            *_words(f"{said}: not regressed at {shown} slower", [one for one, _ in at_edge], NOT_REGRESSED),
            *_words(f"{said}: not regressed without a difference", overall, NOT_REGRESSED, claimed=False),
            *_words(f"{said}: regressed at {far} slower", [one for one, _ in twice], REGRESSED, claimed=False),
            *_passing(said, model, overall, studies, seed, Rule(_THRESHOLD, within)),
        ]
        said = f"cell by cell, {between}"
        rates += [
            as_rate("comparison", f"{said}: any regressed without a difference",
                    [REGRESSED in words for _, words in same], ALPHA, AT_MOST),
            as_rate("comparison", f"{said}: all not regressed at {shown} slower",
                    [set(words) == {NOT_REGRESSED} for _, words in at_edge], ALPHA, AT_MOST),
        ]  # fmt: skip
    return rates


def _passing(said: str, model: Model, same: list[Ratio], studies: int, seed: int, rule: Rule) -> list[Rate]:
    """Return how often equals pass the threshold that the noise of other equals says 80 % of them do."""
    dealt = islice(_pairs(model, 0.0, studies, seed, within=rule.within), _DEALT)
    thresholds = [overall_passes_at(pairs, rule) for pairs in dealt]
    others = [thresholds[(place + 1) % len(thresholds)] for place in range(len(same))]
    hits = [one.high < 1 + other for one, other in zip(same, others, strict=True) if not math.isnan(other)]
    if not hits:
        return []
    return [as_rate("comparison", f"{said}: pass what 80 % of equals do", hits, PASSING, _PASSING_BAND)]


def _words(method: str, found: list[Ratio], word: str, *, claimed: bool = True) -> list[Rate]:
    hits = [one.verdict == word for one in found]
    return [as_rate("comparison", method, hits, *((ALPHA, AT_MOST) if claimed else (math.nan, (0.0, 1.0))))]


def _answers(model: Model, slope: float, studies: int, seed: int, *, within: bool) -> Iterator[tuple[Ratio, list[str]]]:
    """Yield the answer over all cells and the words of each, for every study."""
    rule = Rule(_THRESHOLD, within)
    for pairs in _pairs(model, slope, studies, seed, within=within):
        yield judge_all(pairs, rule), [cell.verdict for cell in judge_cells(pairs, rule)]


def _pairs(
    model: Model, slope: float, studies: int, seed: int, *, within: bool
) -> Iterator[list[tuple[SideCell, SideCell]]]:
    """Yield base and new of each cell, for every study."""
    cells = min(len(model.sizes) * model.combinations, _MOST_CELLS)
    still = replace(model, slope=0.0, drift=0.0, wander=0.0)
    wide, long = (2 * cells, model.blocks) if within else (cells, 2 * model.blocks)
    logs = simulate_runs(replace(still, sizes=(0.0,) * wide, blocks=long), np.random.default_rng(seed), studies)
    base = logs[:, : model.blocks, :cells]
    new = (logs[:, :, cells:] if within else logs[:, model.blocks :]) + slope
    for one, other in zip(base, new, strict=True):
        yield [(_side(one[:, cell]), _side(other[:, cell])) for cell in range(cells)]


def _side(logs: Floats) -> SideCell:
    there = np.isfinite(logs)
    values, blocks = np.exp(logs[there]).tolist(), np.flatnonzero(there).tolist()
    return SideCell("cell", {"accel": "tcg"}, set(), values, blocks, np.flatnonzero(~there).tolist())
