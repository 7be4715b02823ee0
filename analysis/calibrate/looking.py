"""How often words are false where verdicts are asked for after every block, as ``repeats=auto`` does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from analysis.calibrate.rates import AT_MOST, as_rate
from analysis.stats import kendall
from analysis.stats.sequential import look_level
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.looks import shared_among

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analysis.calibrate.layouts import Layout
    from analysis.calibrate.rates import Asked, Rate

    Floats = NDArray[np.float64]
    Ties = tuple[int, ...]

MOST_BLOCKS = 24
"""Looks that are simulated: as many as ``max_blocks`` allows by default."""

_DRIFT, _WANDER, _LOST = 0.3, 0.1, 0.05
"""A host that gets slower by 30 % and wanders by a tenth, and that loses one run in twenty."""


def looking(asked: Asked) -> Iterator[Rate]:
    """Yield how often any of the primary hypotheses gets a false word at any of the looks, every block as the fullest.

    A family is judged by Holm at the level of each look. A false SUPPORTED is asked where nothing grows, a false
    REFUTED where everything grows by just what matters. Once with the host and the losses of the campaign, once with a
    host that drifts and loses runs.
    """
    primary, cells = asked.layouts.primary, asked.layouts.cells
    long = replace(asked.model.alike(cells), blocks=MOST_BLOCKS)
    troubled = replace(long, drift=_DRIFT, wander=max(long.wander, _WANDER), missing=max(long.missing, _LOST))
    tests = shared_among([(one.hypothesis.family, one.hypothesis.kind) for one in primary], cells)
    every_look = (range(1, last + 1) for last in range(1, MOST_BLOCKS + 1))
    levels = np.array([look_level(looks, series=True, tests=tests) for looks in every_look])
    for host, own in (("", long), (f", {_DRIFT:.0%} drift and {_LOST:.0%} of runs lost", troubled)):
        logs = asked.runs(own)
        for word, where in (("SUPPORTED", "without growth"), ("REFUTED", "at the smallest effect of interest")):
            smallest = np.min([_pvalues(one, logs, word) for one in primary], axis=0)
            said = f"any of {len(primary)} falsely {word} {where}, {MOST_BLOCKS} looks{host}"
            yield as_rate(said, (smallest <= levels / len(primary)).any(axis=1), AT_MOST)
            every = (smallest <= ALPHA / len(primary)).any(axis=1)
            yield as_rate(f"at 5 % every time: {said}", every, AT_MOST, recommended=False)


def _pvalues(layout: Layout, logs: Floats, word: str) -> Floats:
    """Return the exact p-values of a word by look, shape (studies, blocks): 1 where nothing can be compared yet."""
    block = layout.of_blocks(1)
    x, level = block.x, block.level
    falls = layout.hypothesis.direction == "decreasing"
    y = logs[:, :, block.cell]  # without growth; at the edge what is tested is the rest, which does not grow either
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
        for look, total in enumerate(np.cumsum(sign * score[study])):
            strata.update(_strata(x, level, there[study, look]))
            found[study, look] = _tails(tuple(sorted(strata.items())), int(total)) if strata else 1.0
    return found


def _strata(x: Floats, level: NDArray[np.int64], there: NDArray[np.bool_]) -> list[tuple[Ties, Ties]]:
    mine = [x[there & (level == one)] for one in np.unique(level)]
    return [(kendall.tie_counts(own), (1,) * len(own)) for own in mine if len(set(own.tolist())) > 1]


@lru_cache(maxsize=200_000)
def _tails(strata: tuple[tuple[tuple[Ties, Ties], int], ...], score: int) -> float:
    return kendall.tail(kendall.summed_mass(strata), score, "increasing")
