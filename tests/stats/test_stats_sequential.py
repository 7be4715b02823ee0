"""Looking again and again is wrong no more often than looking once; without allowing for it, it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss
from scipy.special import ndtr, ndtri

from analysis.stats.sequential import FEWEST_TESTS, FIRST_BLOCKS, cost_in_blocks, look_level, spent

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOKS = 24
HYPOTHESES = Path(__file__).parents[2] / "docs" / "hypotheses.md"


def wrong(levels: Sequence[float], members: int) -> float:
    """Return how often any of ``members`` independent hypotheses is ever said falsely, by its part of each level.

    The sum over blocks goes from look to look by quadrature on the way that has crossed no bound (Armitage, McPherson
    & Rowe 1969), on other points than the levels were worked out on.
    """
    points, weights = leggauss(400)
    crossed, nodes, density = 0.0, np.zeros(1), np.ones(1)
    for look, level in enumerate(levels, start=1):
        low, high = -9 * np.sqrt(look), (-ndtri(level / members) if level else 9.0) * np.sqrt(look)
        crossed += float((density * ndtr(nodes - high)).sum())
        there = low + (high - low) * (points + 1) / 2
        steps = np.exp(-((there[:, None] - nodes) ** 2) / 2) / np.sqrt(2 * np.pi)
        nodes, density = there, (steps @ density) * weights * (high - low) / 2
    return float(-np.expm1(members * np.log1p(-crossed)))


def levels_of(tests: int) -> list[float]:
    return [look_level(range(1, last + 1), series=True, tests=tests) for last in range(1, LOOKS + 1)]


def test_a_single_look_has_all_of_it() -> None:
    assert look_level([6]) == 0.05
    assert look_level([1]) == 0.05
    assert look_level([6], series=True) < 0.05


def test_some_of_it_is_left_after_any_number_of_looks() -> None:
    for last in (100, 260, 300):
        looks = range(1, last + 1)
        assert 0.0 < look_level(looks, series=True) < look_level(range(1, 25), series=True)
        assert 1.0 < cost_in_blocks(looks, series=True) < 100.0


@pytest.mark.parametrize("members", [1, 2, 4, 5, 8, 40, 400])
def test_all_looks_together_are_wrong_at_most_in_five_of_a_hundred(members: int) -> None:
    assert 0.03 < wrong(levels_of(members), members) <= 0.05


def test_levels_for_few_tests_are_too_large_for_many() -> None:
    few, many = levels_of(FEWEST_TESTS), levels_of(400)
    assert wrong(few, 400) > 1.05 * wrong(many, 400)
    assert wrong(few, 400) > 0.05
    assert levels_of(1) == few
    assert all(less < more for less, more in zip(many, few, strict=True) if more)


def test_five_of_a_hundred_at_every_look_are_many_more() -> None:
    assert wrong([0.05] * LOOKS, 1) > 0.2


def test_nothing_is_decided_within_the_first_blocks_of_several_looks() -> None:
    assert look_level([1, FIRST_BLOCKS]) == look_level([1], series=True) == look_level([FIRST_BLOCKS], series=True) == 0
    assert 0 < look_level([1, 2, 3]) < 0.05


def test_fewer_looks_leave_more_to_each() -> None:
    assert look_level(range(1, 7)) < look_level([1, 6]) < look_level([6])


def test_looks_at_the_same_blocks_have_their_share_together() -> None:
    assert look_level([6, 6]) < look_level([6], series=True)
    assert look_level([1, 6, 6, 6]) < look_level([1, 6, 6]) < look_level([1, 6])
    assert look_level([2, 2]) == 0
    assert 0.75 * look_level([6, 12]) < look_level([6, 6, 12]) <= look_level([6, 12])  # a later one has its own


def test_what_is_spent_rises_and_never_is_all() -> None:
    shares = [spent(blocks) for blocks in range(0, 60, 3)]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] < 1


def test_looking_costs_blocks_but_not_twice_as_many() -> None:
    assert cost_in_blocks([6]) == pytest.approx(1.0)
    assert 1.3 < cost_in_blocks(range(1, 9)) < 2.0


def test_the_documented_table_of_looks_is_what_is_judged_by() -> None:
    lines = HYPOTHESES.read_text(encoding="utf-8").splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("| looks, one after each block"))
    cells = [line.strip("| ").split(" | ") for line in (lines[start], *lines[start + 2 : start + 6])]
    after = [range(1, int(last) + 1) for last in cells[0][1:]]
    for row, tests in zip(cells[1:4], (4, 8, 40), strict=True):
        assert row[1:] == [f"{100 * look_level(looks, series=True, tests=tests):.2f}" for looks in after]
    assert cells[4][0].endswith("(eight tests)")
    assert cells[4][1:] == [f"{cost_in_blocks(looks, series=True, tests=8):.1f}" for looks in after]


@pytest.mark.parametrize("looks", [[], [0], [4, 2]])
def test_looks_that_are_none_are_refused(looks: list[int]) -> None:
    with pytest.raises(ValueError, match="rise"):
        look_level(looks)


def test_a_level_is_shared_by_one_test_at_least() -> None:
    with pytest.raises(ValueError, match="tests"):
        look_level([1, 6], tests=0)
