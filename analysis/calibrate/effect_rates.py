"""How often the intervals of what RAM and dirty pages cost hold the truth, by the code of the report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import stats
from analysis.calibrate.rates import COVER_95, SLACK, Rate, as_rate
from analysis.calibrate.simulate import simulate_checkpoints, simulate_runs
from analysis.verdicts.drift import drift
from analysis.verdicts.effects import GIB, across_runs, splits, within_runs

if TYPE_CHECKING:
    from analysis.calibrate.simulate import Model
    from analysis.verdicts.claims import Effect

_GROWTH = 0.5
"""What the largest size adds to the pause of the smallest, as a share of it."""

_PAGES_GROWTH = 3.0
"""The same where the dirty pages grow with the size: runs of the largest then vary four times as much."""

_PAGES, _VARY = 2_000.0, 0.2


def split(model: Model, *, studies: int, seed: int) -> list[Rate]:
    """Return how often the 90 % intervals over blocks hold what RAM costs in all, by itself, and through its pages.

    With RAM the pause grows along a line where the dirty working set does, and not at all where that is fixed. Empty
    where the blocks are too few for an interval.

    Args:
        model: the campaign, its sizes taken as those of RAM.
        studies: how many campaigns; each takes milliseconds.
        seed: of the generator.
    """
    claimed = stats.median_interval(np.zeros(model.blocks), confidence=0.90)
    if not claimed.rank:
        return []
    gib = 2.0 ** (np.array(model.sizes) - model.sizes[0])
    per_gib = _GROWTH * model.base_s / float(np.ptp(gib))
    both = replace(model.complete, sizes=(0.0,) * (2 * len(gib)), slope=0.0)
    noise = np.exp(simulate_runs(both, np.random.default_rng(seed), studies)) / model.base_s
    pauses = noise * np.concatenate([model.base_s + per_gib * (gib - 1), np.full(len(gib), model.base_s)])
    table = _arms(model.blocks, gib)
    found = [splits(table.assign(pause=study.ravel()))[0] for study in pauses]
    band = (claimed.coverage - SLACK, min(claimed.coverage + SLACK, 1.0))
    truths = {"total": 1e3 * per_gib, "direct": 0.0, "explained": 1e3 * per_gib}
    return [
        as_rate(
            "RAM split",
            f"{part} effect of RAM, order statistics over blocks: coverage",
            [_holds(getattr(one, part), truth) for one in found],
            claimed.coverage,
            band,
        )
        for part, truth in truths.items()
    ]


def _arms(blocks: int, gib: np.ndarray) -> pd.DataFrame:
    """Return the runs of both arms in every block, without their pauses."""
    per_block = pd.DataFrame({"mem": np.tile(gib * GIB, 2), "workload.scaling": np.repeat(["mem", "fixed"], len(gib))})
    runs = pd.concat([per_block.assign(block=block) for block in range(blocks)], ignore_index=True)
    return runs.assign(**{"accel": "tcg", "link.transport": "unix", "smp": 1})


def page_cost(model: Model, *, studies: int, seed: int) -> list[Rate]:
    """Return how often the 95 % intervals of what a page costs hold it, between and within runs.

    Pages grow with the size, at least twofold, and vary within a run; they do not depend on how fast the host is. A
    run's pause varies in proportion, as everywhere here.

    Args:
        model: the campaign; its stalls are left out.
        studies: how many campaigns; each takes milliseconds.
        seed: of the generator.
    """
    if model.blocks * len(model.sizes) < 3 or model.blocks < 2:  # noqa: PLR2004 - a line needs three runs
        return []
    rng = np.random.default_rng(seed)
    steady = replace(model.complete, slope=0.0, slow_share=0.0, stuck_share=0.0)
    doublings = np.array(model.sizes) - model.sizes[0]
    mean = np.tile(_PAGES * 2.0 ** (doublings * max(1.0, 1 / float(np.ptp(doublings)))), model.blocks)
    cells = np.tile(np.arange(len(model.sizes)), model.blocks).astype(str).tolist()
    cost = _PAGES_GROWTH * model.base_s / float(np.ptp(mean))
    across, within = [], []
    for _ in range(studies):
        pauses = simulate_checkpoints(steady, rng)[0].reshape(len(mean), -1)
        pages = mean[:, None] * (1 + _VARY * rng.standard_normal(pauses.shape))
        pauses = pauses * (1 + cost * mean / model.base_s)[:, None] + cost * (pages - mean[:, None])
        line = across_runs(pages.mean(axis=1), pauses.mean(axis=1), cells)
        # A mean pause grows by so much more with a page than the median one.
        across.append(line is not None and _holds(line, 1e6 * cost * steady.inflation))
        within.append(_holds(within_runs(list(pages), list(pauses), cells), 1e6 * cost))
    return [
        as_rate("page cost", "Welch interval between runs: coverage", across, 0.95, COVER_95),
        as_rate("page cost", "Welch interval within runs: coverage", within, 0.95, COVER_95),
    ]


def host_drift(model: Model, *, studies: int, seed: int) -> list[Rate]:
    """Return how often the 95 % interval of the drift holds none, where blocks differ by as much as runs do.

    Empty where the blocks are too few for an interval.

    Args:
        model: the campaign, of which every size is a cell; nothing in it drifts.
        studies: how many campaigns; each takes milliseconds.
        seed: of the generator.
    """
    rng = np.random.default_rng(seed)
    shape = (model.blocks, len(model.sizes))
    block, cell = (axis.ravel() for axis in np.indices(shape))
    runs = pd.DataFrame({"cell": cell, "folder": 0, "block": block, "quality_ok": True})
    runs["started_at"] = 60.0 * np.arange(len(runs))
    held = []
    for _ in range(studies):
        logs = model.run_sd * (rng.standard_normal((model.blocks, 1)) + rng.standard_normal(shape))
        found = drift(runs.assign(pause=np.exp(logs.ravel())))
        if found is None:
            return []
        held.append(_holds(found.per_hour, 0.0))
    band = (0.95 - SLACK, 1.0)
    return [as_rate("drift", "Theil-Sen interval over blocks where none drift: coverage of 0", held, 0.95, band)]


def _holds(effect: Effect, truth: float) -> bool:
    return effect.low <= truth <= effect.high
