"""How often words are false where verdicts are asked for after every block, as ``repeats=auto`` does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from analysis.calibrate.rates import AT_MOST, Rate, as_rate
from analysis.calibrate.simulate import simulate_runs
from analysis.stats import kendall
from analysis.stats.sequential import look_level
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.looks import shared_among

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.calibrate.layouts import Layout, Layouts
    from analysis.calibrate.simulate import Model

    Floats = NDArray[np.float64]
    Ties = tuple[int, ...]

MOST_BLOCKS = 24
"""Looks that are simulated: as many as ``max_blocks`` allows by default."""

_DRIFT, _WANDER, _LOST = 0.3, 0.1, 0.05
"""A host that gets slower by 30 % and wanders by a tenth, and that loses one run in twenty."""


def looking(model: Model, layouts: Layouts, *, studies: int, seed: int) -> list[Rate]:
    """Return how often any of the primary hypotheses gets a false word at any of the looks.

    A family is judged by Holm at the level of each look. A false SUPPORTED is asked where nothing grows, a false
    REFUTED where everything grows by just what matters. Once with the host and the losses of the campaign, once with a
    host that drifts and loses runs.

    Args:
        model: the campaign, made :data:`MOST_BLOCKS` blocks long.
        layouts: who is judged from which runs; every block is as the fullest one.
        studies: how many campaigns.
        seed: of the generator.
    """
    long = replace(model, blocks=MOST_BLOCKS, sizes=(0.0,) * max(layouts.cells, 2), slope=0.0)
    troubled = replace(long, drift=_DRIFT, wander=max(long.wander, _WANDER), missing=max(long.missing, _LOST))
    tests = shared_among([(one.hypothesis.family, one.hypothesis.kind) for one in layouts.primary], layouts.cells)
    every_look = (range(1, last + 1) for last in range(1, MOST_BLOCKS + 1))
    levels = np.array([look_level(looks, series=True, tests=tests) for looks in every_look])
    rates = []
    for host, own in (("", long), (f", {_DRIFT:.0%} drift and {_LOST:.0%} of runs lost", troubled)):
        logs = simulate_runs(own, np.random.default_rng(seed), studies)
        for word, where in (("SUPPORTED", "without growth"), ("REFUTED", "at the smallest effect of interest")):
            smallest = np.min([_pvalues(one, logs, word) for one in layouts.primary], axis=0)
            members = len(layouts.primary)
            said = f"any of {members} falsely {word} {where}, {MOST_BLOCKS} looks{host}"
            hits = (smallest <= levels / members).any(axis=1)
            every = (smallest <= ALPHA / members).any(axis=1)
            rates += [
                as_rate("looking", said, hits, ALPHA, AT_MOST),
                as_rate("looking", f"at 5 % every time: {said}", every, ALPHA, AT_MOST, recommended=False),
            ]
    return rates


def _pvalues(layout: Layout, logs: Floats, word: str) -> Floats:
    """Return the exact p-values of a word by look, shape (studies, blocks): 1 where nothing can be compared yet."""
    whole = layout.fullest
    x, cell, level = layout.x[whole], layout.cell[whole], layout.level[whole]
    falls = layout.hypothesis.direction == "decreasing"
    y = logs[:, :, cell]  # without growth; at the edge what is tested is the rest, which does not grow either
    first_of, second_of = kendall.pairs_of(len(x))
    pairs = (level[first_of] == level[second_of]) & (x[first_of] != x[second_of])
    one, other = first_of[pairs], second_of[pairs]
    rise = np.sign(y[..., other] - y[..., one]) * np.sign(x[other] - x[one])
    score = np.nansum(rise, axis=-1).astype(np.int64)
    sign = 1 if (word == "SUPPORTED") != falls else -1
    there = np.isfinite(y)
    found = np.ones(score.shape)
    for study in range(len(score)):
        strata: Counter[tuple[Ties, Ties]] = Counter()
        for block, total in enumerate(np.cumsum(sign * score[study])):
            strata.update(_strata(x, level, there[study, block]))
            found[study, block] = _tails(tuple(sorted(strata.items())), int(total)) if strata else 1.0
    return found


def _strata(x: Floats, level: NDArray[np.int64], there: NDArray[np.bool_]) -> list[tuple[Ties, Ties]]:
    mine = [x[there & (level == one)] for one in np.unique(level)]
    return [(kendall.tie_counts(own), (1,) * len(own)) for own in mine if len(set(own.tolist())) > 1]


@lru_cache(maxsize=200_000)
def _tails(strata: tuple[tuple[tuple[Ties, Ties], int], ...], score: int) -> float:
    return kendall.tail(kendall.summed_mass(strata), score, "increasing")
