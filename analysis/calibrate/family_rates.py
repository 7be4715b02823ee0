"""How often families of verdicts, the test of unequal slopes and verdicts on values are wrong."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import binom

from analysis import stats
from analysis.calibrate.layouts import told_apart
from analysis.calibrate.rates import AT_MOST, NOMINAL_BAND, SLACK, Rate, as_rate
from analysis.calibrate.simulate import simulate_runs
from analysis.stored.records import Hypothesis
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.equals import floor_of
from analysis.verdicts.families import adjust, decided
from analysis.verdicts.finding import Finding, nothing
from analysis.verdicts.hypotheses import judge
from analysis.verdicts.question import Question
from analysis.verdicts.trend import Edges, Sample, in_logs, stages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.calibrate.layouts import Layout, Layouts
    from analysis.calibrate.simulate import Model

    Floats = NDArray[np.float64]

_FAR, _ANY = 3.0, 1e-9
_CELLS, _BEYOND, _FEWER = 12, 5.0, 4


def families(model: Model, layouts: Layouts, *, studies: int, seed: int) -> list[Rate]:
    """Return how often a family holds a false word, before and after its adjustment, and which share of words is false.

    Every outcome is simulated once per study and shared by the hypotheses that ask about it; runs that are lost rank
    worst. A false SUPPORTED is asked of claims of any growth, however small: a smallest effect of interest makes it
    rarer. A false REFUTED is asked at the declared relative one, of claims in every direction, and there a false
    SUPPORTED of claims of no difference, with equal cells and without: what they differ by may make nothing easier.

    Args:
        model: the campaign; runs go missing where they do in ``layouts``, and where the model loses the longest.
        layouts: who is judged from which runs.
        studies: how many campaigns; each takes tens of milliseconds.
        seed: of the generator.
    """
    rates = []
    for said, family, counts in _questions(layouts):
        word = "SUPPORTED" if "SUPPORTED" in said or "way" in said else "REFUTED"
        raw: list[bool] = []
        adjusted: list[bool] = []
        slopes = [edge_of(one, word) for one in family]
        pairs = layouts.pairs if "with equal" in said else ()
        for found in _judged(model, layouts.cells, family, slopes, studies, seed, pairs):
            raw.append(any(counts(one) for one in found))
            adjusted.append(any(counts(one) for one in adjust(found)))
        rates += [
            as_rate("families", f"Holm: any of {len(family)} {said}", adjusted, ALPHA, AT_MOST),
            as_rate("families", f"unadjusted: any of {len(family)} {said}", raw, ALPHA, AT_MOST, recommended=False),
        ]
    return [*rates, *_false_discoveries(model, layouts, studies, seed)]


def _questions(layouts: Layouts) -> Iterator[tuple[str, list[Layout], Callable[[Finding], bool]]]:
    """Yield what may be false, of which family, and which findings are."""
    any_size = of_any_size(layouts.primary)
    yield "falsely SUPPORTED without growth", any_size, lambda one: one.word == "SUPPORTED"
    yield (
        "falsely said to go one way without growth",
        list(layouts.primary),
        lambda one: one.label in {"trivially positive", "trivially negative", "opposite sign", "material"},
    )
    for direction in ("increasing", "decreasing", "none"):
        family = [
            replace(one, hypothesis=one.hypothesis.model_copy(update={"direction": direction}))
            for one in layouts.primary
        ]
        # Of a claim of no difference both words are false there: it is as large as matters, and no larger.
        words = ("SUPPORTED", "REFUTED") if direction == "none" else ("REFUTED",)
        for word, equals in product(words, ("with equal cells", "without")):
            yield (
                f"falsely {word} at the smallest effect of interest, claimed {direction}, {equals}",
                family,
                partial(_has, word),
            )


def _has(word: str, found: Finding) -> bool:
    return found.word == word


def _false_discoveries(model: Model, layouts: Layouts, studies: int, seed: int) -> list[Rate]:
    """Return the mean share of false ones among SUPPORTED, where no secondary hypothesis holds, and every other one."""
    family, rates = of_any_size(layouts.secondary), []
    for first in (len(family), 1):
        holding = set(range(first, len(family), 2))
        slopes = [
            _holding(one) if place in holding else edge_of(one, "SUPPORTED")
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


def of_any_size(family: Sequence[Layout]) -> list[Layout]:
    """Return the claims of growth as those of any growth; a claim of no difference keeps its smallest effect."""
    return [
        one
        if one.hypothesis.direction == "none"
        else replace(one, hypothesis=one.hypothesis.model_copy(update={"sesoi": _ANY}))
        for one in family
    ]


def edge_of(layout: Layout, word: str) -> float:
    """Return the slope, in logs, at which a word is false and hardest to avoid."""
    direction = layout.hypothesis.direction
    if word == "SUPPORTED" and direction != "none":
        return 0.0
    falls = direction == "decreasing"
    return (-1.0 if falls else 1.0) * in_logs(layout.hypothesis.sesoi, falls=falls)


def _holding(layout: Layout) -> float:
    """Return a slope, in logs, at which a claim holds beyond doubt."""
    return 0.0 if layout.hypothesis.direction == "none" else _FAR * edge_of(layout, "REFUTED")


def _judged(
    model: Model,
    cells: int,
    family: Sequence[Layout],
    slopes: Sequence[float],
    studies: int,
    seed: int,
    pairs: Sequence[tuple[int, int]] = (),
) -> Iterator[list[Finding]]:
    """Yield the findings of a family, not yet adjusted, for each study; with what ``pairs`` of equals differ by."""
    rng = np.random.default_rng(seed)
    outcomes = dict.fromkeys(one.hypothesis.outcome for one in family)
    logs = {outcome: _noise(model, cells, rng, studies) for outcome in outcomes}
    for study in range(studies):
        yield [
            found_of(one, slope, logs[one.hypothesis.outcome][study], pairs)
            for one, slope in zip(family, slopes, strict=True)
        ]


def _noise(model: Model, cells: int, rng: np.random.Generator, studies: int) -> Floats:
    """Return logs without any effect, shape (studies, blocks, cells); NaN where the model loses the longest."""
    return simulate_runs(replace(model, sizes=(0.0,) * max(cells, 2), slope=0.0, missing=0.0), rng, studies)


def found_of(layout: Layout, slope: float, logs: Floats, pairs: Sequence[tuple[int, int]]) -> Finding:
    """Return the finding of one hypothesis in one study, not adjusted for its family.

    Args:
        layout: its runs.
        slope: what the logs grow by per unit of x.
        logs: (blocks, cells) without any effect, NaN where a run is lost.
        pairs: of equal cells, by their places.
    """
    rest = logs[layout.block, layout.cell]
    kept = np.isfinite(rest)
    strata = np.array(layout.strata)
    y = np.exp(rest[kept] + slope * layout.x[kept])
    sample = Sample(
        layout.x[kept],
        layout.x[kept],
        y,
        tuple(map(tuple, strata[kept].tolist())),
        layout.x[~kept],
        tuple(map(tuple, strata[~kept].tolist())),
    )
    hypothesis, blank = layout.hypothesis, nothing(layout.hypothesis, 0, int((~kept).sum()), ())
    if not sample.compares:
        return blank
    edges = Edges(hypothesis.sesoi, "sesoi", _floor(logs, pairs, sample.span))
    return decided(replace(blank, stages=tuple(stages(sample, edges, hypothesis.direction))), ALPHA)


def _floor(logs: Floats, pairs: Sequence[tuple[int, int]], span: float) -> float:
    """Return what equals differ by, per unit of x, as :func:`analysis.verdicts.equals.noise_floor` has it."""
    every = [logs[:, other] - logs[:, one] for one, other in pairs]
    known = [each[np.isfinite(each)] for each in every]
    return float(np.expm1(np.log1p(floor_of([each for each in known if len(each)])) / span))


def interactions(model: Model, layouts: Layouts, *, studies: int, seed: int) -> list[Rate]:
    """Return how often slopes that are equal at all levels of the other factors are found unequal (F test, 5 %).

    One rate per design with several levels, where its runs suffice for the test; two levels of the first one where no
    design has several.

    Args:
        model: the campaign; no run goes missing.
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
        logs = _noise(model.complete, 2 * layouts.cells, np.random.default_rng(seed), studies)[:, one.block, one.cell]
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

    Of one cell, where both have the level of the sign test, once where its median lies at one end, once where half of
    its runs lie beyond either end; of many in blocks that differ, where all have to lie inside, so that each false word
    is rarer; and of many cells of which one lies beyond. Empty where the blocks are too few for an interval.

    Args:
        model: the campaign, all cells alike; host drift is left out.
        studies: how many campaigns.
        seed: of the generator.
    """
    alike = replace(model.complete, sizes=(0.0,) * _CELLS, drift=0.0, wander=0.0, stuck_share=0.0)
    runs = np.exp(simulate_runs(alike, np.random.default_rng(seed), studies))
    interval = stats.median_interval(runs[0, :, 0], confidence=0.90)
    if not interval.rank:
        return []
    edge = {"low": model.base_s / 10, "high": model.base_s}
    asked = Hypothesis.model_validate({"id": "value", "claim": "It lies within.", "kind": "value", **edge})
    of_one_end, of_two = (1 - interval.coverage) / 2, _attained(model.blocks, ALPHA / 2)
    one = [_word(asked, study[:, :1]) for study in runs]
    halves = np.random.default_rng(seed + 1).random((len(runs), model.blocks, 1)) < 0.5  # noqa: PLR2004 - one half
    apart = [_word(asked, study) for study in np.where(halves, edge["low"] / _BEYOND, edge["high"] * _BEYOND)]
    inside, beyond = np.full(_CELLS, 0.5), np.full(_CELLS, 0.5)
    beyond[0] = _BEYOND
    fewer = runs[: max(studies // _FEWER, 50)]
    at_edge = [_word(asked, study) for study in fewer]
    rates = [
        as_rate("value", f"{word} {where}", [each == word for each in said], level, _around(level))
        for word, where, said, level in (
            ("SUPPORTED", "at the edge of the range", one, of_one_end),
            ("REFUTED", "at the edge of the range", one, of_two),
            ("REFUTED", "with half of the runs beyond either end", apart, 2 * of_two),
        )
    ]
    for said, words, false in (
        (f"all of {_CELLS} cells at the edge", at_edge, "SUPPORTED"),
        (f"all of {_CELLS} cells at the edge", at_edge, "REFUTED"),
        (f"all of {_CELLS} cells well inside", [_word(asked, study * inside) for study in fewer], "REFUTED"),
        (f"one of {_CELLS} cells far beyond", [_word(asked, study * beyond) for study in fewer], "SUPPORTED"),
    ):
        rates.append(as_rate("value", f"{false} with {said}", [word == false for word in words], ALPHA, AT_MOST))
    return rates


def _around(level: float) -> tuple[float, float]:
    return max(level - SLACK, 0.0), level + SLACK


def _attained(runs: int, level: float) -> float:
    """Return the chance that the sign test of so many runs comes out below a level which few signs cannot meet."""
    tails = binom.sf(np.arange(-1, runs), runs, 0.5)
    return float(tails[tails <= level].max(initial=0.0))


def _word(asked: Hypothesis, pauses: Floats) -> str:
    """Return the word on pauses of shape (blocks, cells)."""
    blocks, cells = pauses.shape
    cell, block = np.tile(np.arange(cells), blocks), np.repeat(np.arange(blocks), cells)
    table = pd.DataFrame({asked.outcome: pauses.ravel(), "replica": cell, "block": block})
    return judge(Question(asked, table, (), (), ("replica",), 0.0)).word
