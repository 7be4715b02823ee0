"""How often what is said beside a trend is wrong, by the report's code: of RAM, pages, drift, values and shapes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import binom

from analysis import stats
from analysis.calibrate.rates import AT_MOST, COVER_95, NONE, around, as_rate, at_least, held
from analysis.calibrate.simulate import simulate_checkpoints
from analysis.stored.records import Hypothesis
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.drift import drift
from analysis.verdicts.effects import GIB, across_runs, splits, within_runs
from analysis.verdicts.hypotheses import judge
from analysis.verdicts.question import Question

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.calibrate.rates import Asked, Claim, Rate
    from analysis.verdicts.finding import Finding

    Floats = NDArray[np.float64]

_GROWTH = 0.5
"""What the largest size adds to the pause of the smallest, as a share of it."""

_PAGES_GROWTH = 3.0
"""The same where the dirty pages grow with the size: runs of the largest then vary four times as much."""

_PAGES, _VARY = 2_000.0, 0.2
_CELLS, _BEYOND = 12, 5.0
_FEWEST_SIZES, _STEP = 3, float(np.log(1.25))


def split(asked: Asked) -> Iterator[Rate]:
    """Yield how often the 90 % intervals over blocks hold what RAM costs in all, by itself, and through its pages.

    With RAM the pause grows along a line where the dirty working set does, and not at all where that is fixed. Nothing
    where the blocks are too few for an interval.
    """
    model = asked.model
    claimed = stats.median_interval(np.zeros(model.blocks), confidence=0.90)
    if not claimed.rank:
        return
    gib = 2.0 ** (np.array(model.sizes) - model.sizes[0])
    per_gib = _GROWTH * model.base_s / float(np.ptp(gib))
    noise = np.exp(asked.runs(model.complete.alike(2 * len(gib)))) / model.base_s
    pauses = noise * np.concatenate([model.base_s + per_gib * (gib - 1), np.full(len(gib), model.base_s)])
    table = _arms(model.blocks, gib)
    found = [splits(table.assign(pause=study.ravel()))[0] for study in pauses]
    for part, truth in {"total": 1e3 * per_gib, "direct": 0.0, "explained": 1e3 * per_gib}.items():
        hits = held((getattr(one, part) for one in found), truth)
        said = f"{part} effect of RAM, order statistics over blocks: coverage"
        yield as_rate(said, hits, around(claimed.coverage))


def _arms(blocks: int, gib: np.ndarray) -> pd.DataFrame:
    """Return the runs of both arms in every block, without their pauses."""
    per_block = pd.DataFrame({"mem": np.tile(gib * GIB, 2), "workload.scaling": np.repeat(["mem", "fixed"], len(gib))})
    runs = pd.concat([per_block.assign(block=block) for block in range(blocks)], ignore_index=True)
    return runs.assign(**{"accel": "tcg", "link.transport": "unix", "smp": 1})


def page_cost(asked: Asked) -> Iterator[Rate]:
    """Yield how often the 95 % intervals of what a page costs hold it, between and within runs.

    Pages grow with the size, at least twofold, and vary within a run; they do not depend on how fast the host is. A
    run's pause varies in proportion, as everywhere here; stalls are left out.
    """
    model = asked.model
    if model.blocks * len(model.sizes) < 3 or model.blocks < 2:  # noqa: PLR2004 - a line needs three runs
        return
    rng = asked.rng
    steady = replace(model.complete, slope=0.0, slow_share=0.0, stuck_share=0.0)
    doublings = np.array(model.sizes) - model.sizes[0]
    mean = np.tile(_PAGES * 2.0 ** (doublings * max(1.0, 1 / float(np.ptp(doublings)))), model.blocks)
    cells = np.tile(np.arange(len(model.sizes)), model.blocks).astype(str).tolist()
    cost = _PAGES_GROWTH * model.base_s / float(np.ptp(mean))
    across, within = [], []
    for _ in range(asked.studies):
        pauses = simulate_checkpoints(steady, rng)[0].reshape(len(mean), -1)
        pages = mean[:, None] * (1 + _VARY * rng.standard_normal(pauses.shape))
        pauses = pauses * (1 + cost * mean / model.base_s)[:, None] + cost * (pages - mean[:, None])
        line = across_runs(pages.mean(axis=1), pauses.mean(axis=1), cells)
        # A mean pause grows by so much more with a page than the median one.
        across += [False] if line is None else held([line], 1e6 * cost * steady.inflation)
        within += held([within_runs(list(pages), list(pauses), cells)], 1e6 * cost)
    yield as_rate("Welch interval between runs: coverage", across, COVER_95)
    yield as_rate("Welch interval within runs: coverage", within, COVER_95)


def host_drift(asked: Asked) -> Iterator[Rate]:
    """Yield how often the 95 % interval of the drift holds none, where blocks differ by as much as runs do.

    Every size is a cell. Nothing where the blocks are too few for an interval.
    """
    rng, shape = asked.rng, (asked.model.blocks, len(asked.model.sizes))
    block, cell = (axis.ravel() for axis in np.indices(shape))
    runs = pd.DataFrame({"cell": cell, "folder": 0, "block": block, "quality_ok": True})
    runs["started_at"] = 60.0 * np.arange(len(runs))
    hits: list[bool] = []
    for _ in range(asked.studies):
        logs = asked.model.run_sd * (rng.standard_normal((shape[0], 1)) + rng.standard_normal(shape))
        found = drift(runs.assign(pause=np.exp(logs.ravel())))
        if found is None:
            return
        hits += held([found.per_hour], 0.0)
    yield as_rate("Theil-Sen interval over blocks where none drift: coverage of 0", hits, at_least(0.95))


def values(asked: Asked) -> Iterator[Rate]:
    """Yield how often a value at the edge of its range is said to lie inside, and how often outside.

    Of one cell, where both have the level of the sign test, once where its median lies at one end, once where half of
    its runs lie beyond either end; of many in blocks that differ, where all have to lie inside, so that each false word
    is rarer; and of many cells of which one lies beyond. Nothing where the blocks are too few for an interval.
    """
    model = asked.model
    runs = np.exp(asked.runs(replace(model.complete.still.alike(_CELLS), stuck_share=0.0)))
    interval = stats.median_interval(runs[0, :, 0], confidence=0.90)
    if not interval.rank:
        return
    low, high = model.base_s / 10, model.base_s
    within = {"id": "value", "claim": "It lies within.", "kind": "value", "low": low, "high": high}
    asks = Hypothesis.model_validate(within)

    def rate(word: str, where: str, pauses: Floats, claim: Claim) -> Rate:
        places = range(pauses.shape[-1])
        said = [_judged(asks, study, "replica", places, others=("replica",)).word for study in pauses]
        return as_rate(f"{word} {where}", [one == word for one in said], claim)

    of_two = _attained(model.blocks, ALPHA / 2)
    halves = np.random.default_rng(asked.seed + 1).random((len(runs), model.blocks, 1)) < 0.5  # noqa: PLR2004 - one half
    apart = np.where(halves, low / _BEYOND, high * _BEYOND)
    yield rate("SUPPORTED", "at the edge of the range", runs[..., :1], around((1 - interval.coverage) / 2))
    yield rate("REFUTED", "at the edge of the range", runs[..., :1], around(of_two))
    yield rate("REFUTED", "with half of the runs beyond either end", apart, around(2 * of_two))
    fewer = runs[: asked.fewer(4).studies]
    inside = np.full(_CELLS, 0.5)
    yield rate("SUPPORTED", f"with all of {_CELLS} cells at the edge", fewer, AT_MOST)
    yield rate("REFUTED", f"with all of {_CELLS} cells at the edge", fewer, AT_MOST)
    yield rate("REFUTED", f"with all of {_CELLS} cells well inside", fewer * inside, AT_MOST)
    inside[0] = _BEYOND
    yield rate("SUPPORTED", f"with one of {_CELLS} cells far beyond", fewer * inside, AT_MOST)


def _attained(runs: int, level: float) -> float:
    """Return the chance that the sign test of so many runs comes out below a level which few signs cannot meet."""
    tails = binom.sf(np.arange(-1, runs), runs, 0.5)
    return float(tails[tails <= level].max(initial=0.0))


def shapes(asked: Asked) -> Iterator[Rate]:
    """Yield how often a line is called none, and how often a step of 25 % passes for no effect.

    Of one combination of the other factors; nothing where there are fewer than three sizes, of which every line is one.
    """
    count = len(asked.model.sizes)
    if count < _FEWEST_SIZES:
        return
    # In a pause of a millisecond the milliseconds that matter are more than the step.
    grows = {"id": "shape", "claim": "The pause grows with RAM.", "factor": "mem", "sesoi_ms": 0.0}
    asks = Hypothesis.model_validate(grows)
    logs = asked.runs(replace(asked.model.complete, slope=0.0, combinations=1))
    sizes = np.array(asked.model.sizes)
    mem = np.round(GIB * 2.0**sizes)

    def found(added: Floats) -> list[Finding]:
        return [_judged(asks, np.exp(study + added), "mem", mem) for study in logs]

    line = [one.shape for one in found(np.log1p(asks.sesoi) * (sizes - sizes[0]))]
    bent = [one is not None and one.pvalue <= ALPHA for one in line]
    yield as_rate("a line is said to be none", bent, AT_MOST)
    # A hump is no growth from end to end: how often it is called so is told, and no level claimed for it.
    for said, place, claim in (("the last step", count - 1, AT_MOST), ("a hump at one size", count // 2, NONE)):
        step = found(_STEP * (np.arange(count) == place))
        yield as_rate(f"equivalent said of {said}, 25 %", ["equivalent" in one.label for one in step], AT_MOST)
        yield as_rate(f"growth REFUTED with {said}, 25 %", [one.word == "REFUTED" for one in step], claim)


def _judged(
    asks: Hypothesis, pauses: Floats, factor: str, levels: Sequence[float] | Floats, others: tuple[str, ...] = ()
) -> Finding:
    """Return the finding on pauses of shape (blocks, cells), of which each cell has its level of a factor."""
    blocks, cells = pauses.shape
    block = np.repeat(np.arange(blocks), cells)
    runs = pd.DataFrame({factor: np.tile(levels, blocks), "block": block, asks.outcome: pauses.ravel()})
    return judge(Question(asks, runs, (), (), others, 0.0))
