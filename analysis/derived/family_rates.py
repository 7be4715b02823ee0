"""How often families of verdicts, the test of unequal slopes and verdicts on values are wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import stats
from analysis.derived.claims import ALPHA
from analysis.derived.families import adjust, decided
from analysis.derived.finding import Finding, nothing
from analysis.derived.hypotheses import judge
from analysis.derived.layouts import told_apart
from analysis.derived.question import Question
from analysis.derived.trend import Edges, Sample, stages
from analysis.stats.calibrate import AT_MOST, NOMINAL_BAND, SLACK, Rate, as_rate
from analysis.stats.simulate import simulate_runs
from analysis.stored.records import Hypothesis

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.derived.layouts import Layout, Layouts
    from analysis.stats.simulate import Model

    Floats = NDArray[np.float64]

_FAR, _ANY = 3.0, 1e-9


def families(model: Model, layouts: Layouts, *, studies: int, seed: int) -> list[Rate]:
    """Return how often a family holds a false word, before and after its adjustment, and which share of words is false.

    Every outcome is simulated once per study and shared by the hypotheses that ask about it. A false SUPPORTED is asked
    of claims of any growth, however small: a smallest effect of interest makes it rarer. A false REFUTED is asked at
    the declared relative one.

    Args:
        model: the campaign; runs go missing where they do in ``layouts``.
        layouts: who is judged from which runs.
        studies: how many campaigns; each takes tens of milliseconds.
        seed: of the generator.
    """
    rates = []
    for word, where in (("SUPPORTED", "without growth"), ("REFUTED", "at the smallest effect of interest")):
        raw: list[bool] = []
        adjusted: list[bool] = []
        slopes = [_edge(one, word) for one in layouts.primary]
        family = _of_any_size(layouts.primary) if word == "SUPPORTED" else layouts.primary
        for found in _judged(model, layouts.cells, family, slopes, studies, seed):
            raw.append(any(one.word == word for one in found))
            adjusted.append(any(one.word == word for one in adjust(found)))
        said = f"any of {len(slopes)} falsely {word} {where}"
        rates += [
            as_rate("families", f"Holm: {said}", adjusted, ALPHA, AT_MOST),
            as_rate("families", f"unadjusted: {said}", raw, ALPHA, AT_MOST, recommended=False),
        ]
    return [*rates, *_false_discoveries(model, layouts, studies, seed)]


def _false_discoveries(model: Model, layouts: Layouts, studies: int, seed: int) -> list[Rate]:
    """Return the mean share of false ones among SUPPORTED, where no secondary hypothesis holds, and every other one."""
    family, rates = _of_any_size(layouts.secondary), []
    for first in (len(family), 1):
        holding = set(range(first, len(family), 2))
        slopes = [
            _FAR * _edge(one, "REFUTED") if place in holding else _edge(one, "SUPPORTED")
            for place, one in enumerate(layouts.secondary)
        ]
        raw: list[float] = []
        adjusted: list[float] = []
        for found in _judged(model, layouts.cells, family, slopes, studies, seed):
            raw.append(_false_share(found, holding))
            adjusted.append(_false_share(adjust(found), holding))
        said = f"share of false ones among SUPPORTED of {len(family)}, {len(family) - len(holding)} without growth"
        rates += [
            as_rate("families", f"Benjamini-Hochberg: {said}", adjusted, ALPHA, AT_MOST),
            as_rate("families", f"unadjusted: {said}", raw, ALPHA, AT_MOST, recommended=False),
        ]
        if len(family) == 1:
            break
    return rates


def _false_share(found: Sequence[Finding], holding: Collection[int]) -> float:
    said = [place for place, one in enumerate(found) if one.word == "SUPPORTED"]
    return sum(place not in holding for place in said) / max(len(said), 1)


def _of_any_size(family: Sequence[Layout]) -> list[Layout]:
    """Return the claims of growth as those of any growth; a claim of no difference keeps its smallest effect."""
    return [
        one
        if one.hypothesis.direction == "none"
        else replace(one, hypothesis=one.hypothesis.model_copy(update={"sesoi": _ANY}))
        for one in family
    ]


def _edge(layout: Layout, word: str) -> float:
    """Return the slope, in logs, at which a word is false and hardest to avoid."""
    edge = float(np.log1p(layout.hypothesis.sesoi))
    at_none = (word == "SUPPORTED") != (layout.hypothesis.direction == "none")
    sign = -1.0 if layout.hypothesis.direction == "decreasing" else 1.0
    return 0.0 if at_none else sign * edge


def _judged(
    model: Model, cells: int, family: Sequence[Layout], slopes: Sequence[float], studies: int, seed: int
) -> Iterator[list[Finding]]:
    """Yield the findings of a family, not yet adjusted, for each study."""
    rng = np.random.default_rng(seed)
    outcomes = dict.fromkeys(one.hypothesis.outcome for one in family)
    logs = {outcome: _noise(model, cells, rng, studies) for outcome in outcomes}
    for study in range(studies):
        yield [
            _finding(one, slope, logs[one.hypothesis.outcome][study]) for one, slope in zip(family, slopes, strict=True)
        ]


def _noise(model: Model, cells: int, rng: np.random.Generator, studies: int) -> Floats:
    """Return logs without any effect, shape (studies, blocks, cells)."""
    return simulate_runs(replace(model, sizes=(0.0,) * max(cells, 2), slope=0.0, missing=0.0), rng, studies)


def _finding(layout: Layout, slope: float, logs: Floats) -> Finding:
    y = np.exp(logs[layout.block, layout.cell] + slope * layout.x)
    sample, hypothesis = Sample(layout.x, layout.x, y, tuple(layout.strata), np.empty(0)), layout.hypothesis
    found = stages(sample, Edges(hypothesis.sesoi, "sesoi", 0.0), hypothesis.direction)
    return decided(replace(nothing(hypothesis, 0, 0, ()), stages=tuple(found)), ALPHA)


def interactions(model: Model, layouts: Layouts, *, studies: int, seed: int) -> list[Rate]:
    """Return how often slopes that are equal at all levels of the other factors are found unequal (F test, 5 %).

    One rate per design with several levels, where its runs suffice for the test; two levels of the first one where no
    design has several.

    Args:
        model: the campaign.
        layouts: who is judged from which runs.
        studies: how many campaigns.
        seed: of the generator.
    """
    several = {one.design: one for one in (*layouts.primary, *layouts.secondary) if one.design[1] > 1}
    if not several:
        one = layouts.primary[0]
        twice = replace(
            one,
            x=np.tile(one.x, 2),
            block=np.tile(one.block, 2),
            cell=np.concatenate([one.cell, one.cell + layouts.cells]),
            level=np.concatenate([one.level, one.level + one.level.max() + 1]),
        )
        several = {twice.design: twice}
    rates, apart = [], told_apart(several)
    for (sizes, levels), one in several.items():
        logs = _noise(model, 2 * layouts.cells, np.random.default_rng(seed), studies)[:, one.block, one.cell]
        level, block = one.level.tolist(), one.block.tolist()
        try:
            hits = [stats.interaction(one.x, study, level, block).pvalue <= ALPHA for study in logs]
        except ValueError:
            continue
        said = f"F test of equal slopes, {len(sizes)} levels at {levels} combinations of others{apart[sizes, levels]}"
        rates.append(as_rate("interaction", said, hits, ALPHA, NOMINAL_BAND))
    return rates


def values(model: Model, *, studies: int, seed: int) -> list[Rate]:
    """Return how often a value at the edge of its range is said to lie inside, and how often outside.

    Empty where the blocks are too few for an interval.

    Args:
        model: the campaign, of which one cell is looked at; host drift is left out.
        studies: how many campaigns.
        seed: of the generator.
    """
    cell = replace(model, sizes=(0.0, 0.0), missing=0.0, drift=0.0, wander=0.0, stuck_share=0.0)
    runs = np.exp(simulate_runs(cell, np.random.default_rng(seed), studies)[:, :, 0])
    interval = stats.median_interval(runs[0], confidence=0.90)
    if not interval.rank:
        return []
    edge = {"low": model.base_s / 10, "high": model.base_s}
    asked = Hypothesis.model_validate({"id": "value", "claim": "It lies within.", "kind": "value", **edge})
    words = [_word(asked, study) for study in runs]
    claimed = (1 - interval.coverage) / 2
    band = (max(claimed - SLACK, 0.0), claimed + SLACK)
    return [
        as_rate("value", f"{word} at the edge of the range", [one == word for one in words], claimed, band)
        for word in ("SUPPORTED", "REFUTED")
    ]


def _word(asked: Hypothesis, pauses: Floats) -> str:
    table = pd.DataFrame({asked.outcome: pauses})
    return judge(Question(asked, table.assign(block=range(len(table))), 0, (), (), 0.0)).word
