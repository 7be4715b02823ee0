"""The words on two sides are false in 5 % of all ways to deal the same blocks to both, at most; and equals pass."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from analysis.compare.judging import PASSING, Rule, judge_all, overall_passes_at
from analysis.compare.sides import SideCell
from analysis.verdicts.claims import ALPHA

CELLS, THRESHOLD = 8, 0.05


def side(logs: np.ndarray) -> list[SideCell]:
    """Return the cells of a side, of shape (blocks, cells)."""
    return [SideCell("cell", {"accel": "tcg"}, set(), np.exp(own).tolist(), [*range(len(own))]) for own in logs.T]


@pytest.mark.parametrize(("base", "new"), [(3, 3), (3, 6), (6, 3)])
def test_two_campaigns_of_the_same_noise_have_a_false_word_in_5_percent_of_dealings(base: int, new: int) -> None:
    false, dealings = np.zeros(2), 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        logs = rng.uniform(0.0, 1.5, CELLS) + 0.12 * rng.standard_normal((base + new, CELLS))
        for mine in combinations(range(base + new), base):
            others = [block for block in range(base + new) if block not in mine]
            sides = [(side(logs[[*mine]]), side(logs[others] + growth)) for growth in (0.0, np.log1p(THRESHOLD))]
            same, at_edge = (judge_all([*zip(*both, strict=True)], Rule(THRESHOLD)) for both in sides)
            false += same.pvalue <= ALPHA, at_edge.pvalue_threshold <= ALPHA
            dealings += 1
    assert (false <= ALPHA * dealings).all()
    assert false.min() > 0


def test_a_threshold_for_equals_allows_for_what_its_own_estimate_took_from_their_noise() -> None:
    rng, rule, highs, said = np.random.default_rng(1), Rule(THRESHOLD), [], []
    for _ in range(80):
        base, new = rng.uniform(0.0, 1.5, CELLS) + 0.12 * rng.standard_normal((2, 3, CELLS))
        pairs = [*zip(side(base), side(new), strict=True)]
        highs.append(judge_all(pairs, rule).high)
        said.append(overall_passes_at(pairs, rule))
    assert np.median(said) == pytest.approx(np.quantile(highs, PASSING) - 1, rel=0.15)
