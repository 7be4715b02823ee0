"""The steps between sizes, where parts of blocks were lost: every number is invented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.stored.records import Hypothesis
from analysis.verdicts.finding import nothing
from analysis.verdicts.sentences import shape_text
from analysis.verdicts.shape import NO_LINE, Shape, shape_of
from analysis.verdicts.trend import Sample

RAM = Hypothesis(id="RAM", claim="It grows with RAM.", factor="mem")


def shape(*blocks: tuple[int, ...], thrice_at: int) -> Shape:
    """Return the shape over blocks with runs of so many GiB each, of pauses that one size makes thrice as long."""
    gib = np.array([size for block in blocks for size in block], dtype=float)
    strata = tuple((place,) for place, block in enumerate(blocks) for _ in block)
    found = shape_of(
        Sample(np.log2(gib) + 30, gib, 0.02 * np.where(gib == thrice_at, 3.0, 1.0), strata, np.empty(0)), RAM
    )
    assert found is not None
    return found


def told(found: Shape) -> str:
    return shape_text(replace(nothing(RAM, 0, 0, ()), shape=found, label=NO_LINE))


def test_in_whole_blocks_steps_go_from_each_size_to_the_next() -> None:
    found = shape(*[(1, 2, 4, 8)] * 3, thrice_at=2)
    assert [(step.from_size, step.to_size) for step in found.steps] == [(1.0, 2.0), (2.0, 4.0), (4.0, 8.0)]
    assert told(found) == (
        " It is no straight line in doublings: from 1 GiB to 2 GiB +200 %, then to 4 GiB \N{MINUS SIGN}66.7 %, "
        "then to 8 GiB 0.0 %."
    )


@pytest.mark.parametrize(
    ("blocks", "steps"),
    [
        (((1, 4), (2, 8), (4, 8)), [(1.0, 4.0), (2.0, 8.0), (4.0, 8.0)]),
        (((1, 2), (1, 4), (2, 8)), [(1.0, 2.0), (1.0, 4.0), (2.0, 8.0)]),
    ],
    ids=["with a larger one alone", "with a smaller one alone"],
)
def test_a_size_that_shares_blocks_with_a_far_one_alone_is_in_a_step(
    blocks: tuple[tuple[int, ...], ...], steps: list[tuple[float, float]]
) -> None:
    found = shape(*blocks * 2, thrice_at=2)
    assert [(step.from_size, step.to_size) for step in found.steps] == steps


def test_steps_that_do_not_follow_on_each_other_are_told_by_both_ends() -> None:
    assert told(shape(*[(1, 4), (2, 8), (4, 8)] * 2, thrice_at=2)) == (
        " It is no straight line in doublings: from 1 GiB to 4 GiB 0.0 %, from 2 GiB to 8 GiB \N{MINUS SIGN}66.7 %, "
        "from 4 GiB to 8 GiB 0.0 %."
    )
