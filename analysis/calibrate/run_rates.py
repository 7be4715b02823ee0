"""How often what is said beside a trend is wrong on simulated campaigns: of equals, of failures, of modes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.calibrate.rates import AT_MOST, SLACK, Rate, as_rate
from analysis.calibrate.simulate import simulate_checkpoints, simulate_runs
from analysis.stats.failures import clopper_pearson
from analysis.stats.intervals import hodges_lehmann, median_interval
from analysis.stats.modality import modes, slow_mode_share
from analysis.verdicts.claims import ALPHA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.calibrate.simulate import Model

_SHARES = (0.05, 0.30)
_FEWEST_FOR_MODES = 10
_P95 = 0.95
_MANY, _FEWEST_MANY = 400_000, 1_000
"""Checkpoints, and runs at least, by which the p95 of the median run is known."""


def equals(
    model: Model, pairs: Sequence[tuple[int, int]], cells: int, *, studies: int = 2_000, seed: int = 1
) -> tuple[Rate, ...]:
    """Return how often the 95 % interval of the difference of equals (Hodges-Lehmann) holds 0.

    Empty where blocks and pairs are too few for an interval.

    Args:
        model: the campaign; no run goes missing.
        pairs: of cells that are the same machine, by their places; a cell may be in several.
        cells: per block.
        studies: how many campaigns.
        seed: of the generator.
    """
    same = replace(model.complete, sizes=(0.0,) * max(cells, 2), slope=0.0)
    logs = simulate_runs(same, np.random.default_rng(seed), studies)
    one, other = (list(places) for places in zip(*pairs, strict=True))
    differences = (logs[:, :, other] - logs[:, :, one]).reshape(studies, -1)
    none = np.zeros(differences.shape[1])
    found = [hodges_lehmann(study, none) for study in differences]
    if not found[0].rank:
        return ()
    claimed = found[0].coverage
    held = [each.low <= 0 <= each.high for each in found]
    band = (claimed - SLACK, min(claimed + SLACK, 1.0))
    return (as_rate("noise floor", "Hodges-Lehmann interval of equals: coverage of 0", held, claimed, band),)


def failures(attempts: int, *, studies: int = 2_000, seed: int = 1) -> tuple[Rate, ...]:
    """Return how often the 95 % interval of a cell's share of failed attempts (Clopper & Pearson) holds the truth.

    It claims 95 % at least, so that no rate above is too large.

    Args:
        attempts: of the cell.
        studies: how many cells.
        seed: of the generator.
    """
    rng = np.random.default_rng(seed)
    intervals = [clopper_pearson(failed, attempts) for failed in range(attempts + 1)]
    low, high = (np.array([getattr(each, end) for each in intervals]) for end in ("low", "high"))
    rates = []
    for share in _SHARES:
        failed = rng.binomial(attempts, share, studies)
        held = (low[failed] <= share) & (share <= high[failed])
        method = f"Clopper-Pearson interval where {100 * share:.0f} % fail: coverage"
        rates.append(as_rate("failures", method, held, 0.95, (0.95 - SLACK, 1.0)))
    return tuple(rates)


def false_modes(model: Model, *, studies: int = 2_000, seed: int = 1) -> tuple[Rate, ...]:
    """Return how often a run without any stall is flagged as slow, or said to have several modes.

    Both are descriptions and claim no rate; 5 % is what a reader may expect. Modes are told from ten checkpoints on.

    Args:
        model: the campaign; its stalls are left out.
        studies: how many runs.
        seed: of the generator.
    """
    steady = replace(model.complete, slow_share=0.0, stuck_share=0.0, blocks=1, sizes=(0.0, 0.0), slope=0.0)
    runs = simulate_checkpoints(steady, np.random.default_rng(seed), -(-studies // 2)).reshape(-1, model.checkpoints)
    flagged = [slow_mode_share(run).flagged for run in runs[:studies]]
    rates = [as_rate("modes", "slow checkpoints flagged in a run without any", flagged, ALPHA, AT_MOST)]
    if model.checkpoints >= _FEWEST_FOR_MODES:
        several = [len(modes(run)) > 1 for run in runs[:studies]]
        rates.append(as_rate("modes", "several modes said of a run with one", several, ALPHA, AT_MOST))
    return tuple(rates)


def tails(model: Model, *, studies: int, seed: int) -> list[Rate]:
    """Return how often the interval of a cell's p95, of the median over runs of each run's own, holds it.

    Empty where the blocks are too few for an interval.

    Args:
        model: the campaign, of which one cell is looked at; host drift and lost runs are left out.
        studies: how many cells.
        seed: of the generator.
    """
    cell = replace(model.complete, sizes=(0.0, 0.0), drift=0.0, wander=0.0)
    rng = np.random.default_rng(seed)
    many = simulate_checkpoints(replace(cell, blocks=1), rng, max(_MANY // cell.checkpoints, _FEWEST_MANY))
    truth = float(np.median(np.quantile(many[:, 0, 0], _P95, axis=-1)))
    found = [
        median_interval(np.quantile(pauses[:, 0], _P95, axis=-1)) for pauses in simulate_checkpoints(cell, rng, studies)
    ]
    held = [one.low <= truth <= one.high for one in found if one.rank]
    if not held:
        return []
    attained = found[0].coverage
    return [as_rate("coverage", "order statistics of run p95s", held, attained, (attained - SLACK, 1.0))]
