"""How often what is said of a cell is wrong: intervals of its runs, pooled checkpoints, equals, failures, modes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.calibrate import naive
from analysis.calibrate.rates import AT_MOST, COVER_95, FEWEST_STUDIES, NOMINAL, around, as_rate, at_least, held
from analysis.calibrate.simulate import simulate_checkpoints, simulate_runs
from analysis.runs.cell_table import t_interval
from analysis.stats.bootstrap import hierarchical_bootstrap
from analysis.stats.failures import clopper_pearson
from analysis.stats.intervals import hodges_lehmann, median_interval
from analysis.stats.modality import modes, slow_mode_share
from analysis.stats.variance import log_mean_interval
from analysis.verdicts.claims import ALPHA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analysis.calibrate.rates import Asked, Rate
    from analysis.calibrate.simulate import Model
    from analysis.stats.bootstrap import Statistic
    from analysis.stats.checks import FloatArray

_MOST_VALUES = 6_000_000
_SLOW_CHUNK = 2_500_000
_RUNS_OF_TRUTH = 200_001
_SHARES = (0.05, 0.30)
_FEWEST_FOR_MODES = 10
_P95 = 0.95
_MANY, _FEWEST_MANY = 400_000, 1_000
"""Checkpoints, and runs at least, by which the p95 of the median run is known."""


def pooled_and_by_run(asked: Asked) -> Iterator[Rate]:
    """Yield how often the same tests find an effect that is not there, on pooled checkpoints and on run medians.

    Both look at the same simulated campaigns, two-sided at 5 %, of which there are fewer where campaigns are long.
    """
    model = replace(asked.model.complete, slope=0.0)
    found: dict[tuple[str, str], list[NDArray[np.bool_]]] = defaultdict(list)
    for pauses in _affordable(asked, model).checkpoints(model):
        for level, values in (("pooled", pauses), ("run", np.median(pauses, axis=-1, keepdims=True))):
            for method, pvalues in naive.TESTS.items():
                found[method, level].append(pvalues(values, model.sizes) <= ALPHA)
    for (method, level), hits in found.items():
        yield as_rate(method, np.concatenate(hits), NOMINAL, level=level, recommended=False)


def medians(asked: Asked) -> Iterator[Rate]:
    """Yield how often intervals of one cell hold its median run; nothing where the blocks admit none."""
    cell = asked.designs[0][1].complete.still
    truth = _median_run(cell, asked.seed)
    runs = np.exp(asked.runs(cell)[:, :, 0])
    intervals = [median_interval(one) for one in runs]
    if intervals[0].rank:
        yield as_rate("order statistics of run medians", held(intervals, truth), around(intervals[0].coverage))
    if cell.blocks > 1:
        hits = held(map(log_mean_interval, runs), truth)
        yield as_rate("t on logs of run medians", hits, COVER_95, recommended=False)


def phase_means(asked: Asked) -> Iterator[Rate]:
    """Yield how often Student's interval of one cell, of the mean over runs of phase means, holds the true mean.

    The phase is the whole pause, the most skewed that the model has: its checkpoints are lognormal, and stall. Nothing
    for one block.
    """
    cells = asked.model.complete.still.alike(2)
    if cells.blocks == 1:
        return
    stalled = 1 - (1 - cells.slow_share) * (1 - cells.stuck_share)
    truth = cells.base_s * cells.inflation + cells.slow_extra_s * stalled
    hits: list[bool] = []
    for pauses in _affordable(replace(asked, studies=-(-asked.studies // 2)), cells).checkpoints(cells):
        means = pauses.mean(axis=-1).swapaxes(1, 2).reshape(-1, cells.blocks)
        hits += [low <= truth <= high for low, high in map(t_interval, means)]
    yield as_rate("t interval of phase means", hits[: asked.studies], COVER_95)


def bootstraps(asked: Asked) -> Iterator[Rate]:
    """Yield how often bootstrap intervals of one cell hold its median run."""
    cell = asked.model.complete.still.alike(2)
    truth = _median_run(cell, asked.seed)
    pauses = np.concatenate([part[:, :, 0] for part in asked.checkpoints(cell, _SLOW_CHUNK)])
    low, high = naive.pooled_bootstrap(pauses, asked.seed)
    hits = (low <= truth) & (truth <= high)
    yield as_rate("bootstrap of pooled checkpoints", hits, COVER_95, level="pooled", recommended=False)
    two_level: list[tuple[str, FloatArray, Statistic, float]] = [("medians", pauses, np.median, truth)]
    if cell.stuck_share == cell.slow_share == 0:
        two_level.append(("mean logs", np.log(pauses), np.mean, float(np.log(truth))))
    for said, data, statistic, true in two_level:
        found = [hierarchical_bootstrap(runs, statistic=statistic, resamples=400, seed=asked.seed) for runs in data]
        yield as_rate(f"two-level bootstrap of {said}", held(found, true), COVER_95, recommended=False)


def tails(asked: Asked) -> Iterator[Rate]:
    """Yield how often the interval of a cell's p95, of the median over runs of each run's own, holds it.

    Nothing where the blocks are too few for an interval.
    """
    cell, rng = asked.model.complete.still.alike(2), asked.rng
    many = simulate_checkpoints(replace(cell, blocks=1), rng, max(_MANY // cell.checkpoints, _FEWEST_MANY))
    truth = float(np.median(np.quantile(many[:, 0, 0], _P95, axis=-1)))
    studies = simulate_checkpoints(cell, rng, asked.studies)
    found = [median_interval(np.quantile(pauses[:, 0], _P95, axis=-1)) for pauses in studies]
    if found[0].rank:
        yield as_rate("order statistics of run p95s", held(found, truth), at_least(found[0].coverage))


def slow(asked: Asked) -> Asked:
    """Return the same with as many studies as a method that takes milliseconds for each affords."""
    affordable = _MOST_VALUES // (10 * asked.model.blocks * asked.model.checkpoints)
    return replace(asked, studies=max(min(asked.studies // 10, affordable), FEWEST_STUDIES))


def equals(asked: Asked) -> Iterator[Rate]:
    """Yield how often the 95 % interval of the difference of equals (Hodges-Lehmann) holds 0.

    Nothing where blocks and pairs are too few for an interval. A cell may be in several pairs.
    """
    logs = asked.runs(asked.model.complete.alike(asked.layouts.cells))
    one, other = (list(places) for places in zip(*asked.layouts.pairs, strict=True))
    differences = (logs[:, :, other] - logs[:, :, one]).reshape(asked.studies, -1)
    none = np.zeros(differences.shape[1])
    found = [hodges_lehmann(study, none) for study in differences]
    if found[0].rank:
        claim = around(found[0].coverage)
        yield as_rate("Hodges-Lehmann interval of equals: coverage of 0", held(found, 0.0), claim)


def failures(asked: Asked) -> Iterator[Rate]:
    """Yield how often the 95 % interval of a cell's share of failed attempts (Clopper & Pearson) holds the truth.

    Every block is one attempt. It claims 95 % at least, so that no rate above is too large.
    """
    rng, attempts = asked.rng, asked.model.blocks
    intervals = [clopper_pearson(failed, attempts) for failed in range(attempts + 1)]
    for share in _SHARES:
        hits = np.array(held(intervals, share))[rng.binomial(attempts, share, asked.studies)]
        yield as_rate(f"Clopper-Pearson interval where {100 * share:.0f} % fail: coverage", hits, at_least(0.95))


def false_modes(asked: Asked) -> Iterator[Rate]:
    """Yield how often a run without any stall is flagged as slow, or said to have several modes.

    Both are descriptions and claim no rate; 5 % is what a reader may expect. Modes are told from ten checkpoints on.
    """
    steady = replace(asked.model.complete.alike(2), slow_share=0.0, stuck_share=0.0, blocks=1)
    runs = simulate_checkpoints(steady, asked.rng, -(-asked.studies // 2)).reshape(-1, steady.checkpoints)
    runs = runs[: asked.studies]
    flagged = [slow_mode_share(run).flagged for run in runs]
    yield as_rate("slow checkpoints flagged in a run without any", flagged, AT_MOST)
    if steady.checkpoints >= _FEWEST_FOR_MODES:
        yield as_rate("several modes said of a run with one", [len(modes(run)) > 1 for run in runs], AT_MOST)


def _affordable(asked: Asked, model: Model) -> Asked:
    """Return the same with no more studies than take a few seconds."""
    return replace(asked, studies=max(min(asked.studies, _MOST_VALUES // model.all_checkpoints), FEWEST_STUDIES))


def _median_run(model: Model, seed: int) -> float:
    """Return the median over runs of the run median of the smallest size, in seconds."""
    if model.stuck_share == 0:
        return model.base_s
    many = simulate_runs(replace(model, blocks=1), np.random.default_rng(seed), _RUNS_OF_TRUTH)
    return float(np.exp(np.median(many[:, 0, 0])))
