"""Looking again and again is wrong no more often than looking once; without allowing for it, it is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from analysis.stats.sequential import FIRST_BLOCKS, cost_in_blocks, look_level, spent


def wrong(levels: list[float], members: int, studies: int = 200_000) -> float:
    """Return how often any of ``members`` independent hypotheses is ever said falsely, by its share of each level."""
    rng = np.random.default_rng(1)
    sums = rng.standard_normal((studies, len(levels))).cumsum(axis=1) / np.sqrt(np.arange(1, len(levels) + 1))
    bounds = ndtri(1 - np.array(levels) / members)
    return 1 - (1 - float((sums >= bounds).any(axis=1).mean())) ** members


def test_a_single_look_has_all_of_it() -> None:
    assert look_level([6]) == 0.05
    assert look_level([1]) == 0.05
    assert look_level([6], series=True) < 0.05


@pytest.mark.parametrize("members", [1, 2, 3, 4])
def test_all_looks_together_are_wrong_at_most_in_five_of_a_hundred(members: int) -> None:
    levels = [look_level(range(1, last + 1), series=True) for last in range(1, 25)]
    rate = wrong(levels, members)
    assert 0.03 < rate <= 0.05


def test_five_of_a_hundred_at_every_look_are_many_more() -> None:
    assert wrong([0.05] * 24, 1) > 0.2


def test_nothing_is_decided_within_the_first_blocks_of_several_looks() -> None:
    assert look_level([1, FIRST_BLOCKS]) == look_level([1], series=True) == look_level([FIRST_BLOCKS], series=True) == 0
    assert 0 < look_level([1, 2, 3]) < 0.05


def test_fewer_looks_leave_more_to_each() -> None:
    assert look_level(range(1, 7)) < look_level([1, 6]) < look_level([6])


def test_what_is_spent_rises_and_never_is_all() -> None:
    shares = [spent(blocks) for blocks in range(0, 60, 3)]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] < 1


def test_looking_costs_blocks_but_not_twice_as_many() -> None:
    assert cost_in_blocks([6]) == pytest.approx(1.0)
    assert 1.3 < cost_in_blocks(range(1, 9)) < 2.0


@pytest.mark.parametrize("looks", [[], [0], [3, 3], [4, 2]])
def test_looks_that_are_none_are_refused(looks: list[int]) -> None:
    with pytest.raises(ValueError, match="rise"):
        look_level(looks)
