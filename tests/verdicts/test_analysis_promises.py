"""What is promised of further blocks is what blocks like those there are can do."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from fixtures.simulated import (
    GIB,
    QUIET,
    RAM,
    Truth,
    cell,
    crossed,
    declared,
    simulate,
    verdicts,
)

from analysis.commands.expect import Asked, _sees
from analysis.stats.exact_power import exact_power
from analysis.stored.records import Hypothesis
from analysis.verdicts.promises import promises
from bench.run.preview import _lines


def test_blocks_like_these_are_as_they_are_on_average() -> None:
    cells = crossed(mem=(GIB, 2 * GIB), smp=(1, 2, 4))
    campaign = simulate(Truth(cells, lambda _: 0.0, [declared(**RAM)], blocks=2, **QUIET), 1)
    # The second block has one pair of the three: 4 pairs, and 5 are needed.
    kept = tuple(run for run in campaign.runs if not (run.record.block == 1 and run.record.cell["smp"] > 1))
    (found,) = verdicts(replace(campaign, runs=kept))
    assert "3 blocks like these give an interval of 90 %" in found.notes


def test_a_promise_is_that_of_the_middle_block_and_none_is_made_of_what_holds_a_0() -> None:
    asked = [declared(**RAM), declared(**RAM | {"id": "M", "outcome": "mismatch_share"})]
    cells = crossed(mem=(GIB, 2 * GIB), smp=(1, 2, 4))
    campaign = simulate(Truth(cells, lambda _: 0.0, asked, blocks=7), 1)
    kept = tuple(run for run in campaign.runs if run.record.block == 0 or run.record.cell["smp"] == 1)
    hypotheses = [Hypothesis.model_validate(one) for one in asked]
    (found,) = promises(replace(campaign, runs=kept), hypotheses, 0.1)
    assert (found.hypothesis, found.strata, found.blocks) == ("RAM", 1, 7)


def test_a_fall_that_is_promised_is_a_ratio_and_never_more_than_all_there_is() -> None:
    asked = [declared(**RAM | {"id": name, "direction": name}) for name in ("increasing", "decreasing")]
    hypotheses = tuple(Hypothesis.model_validate(one) for one in asked)
    cells = crossed(mem=(GIB, 2 * GIB))
    rise, fall = promises(simulate(Truth(cells, lambda _: 0.0, asked, blocks=7, run_sd=0.8), 1), hypotheses, 0.5)
    assert (1 + rise.smallest) * (1 - fall.smallest) == pytest.approx(1.0)
    # A fall of a half is a ratio of 1 / 2, a rise of a half one of 1.5: the one is seen sooner.
    assert rise.blocks_to_support is not None
    assert fall.blocks_to_support is not None
    assert fall.blocks_to_support < rise.blocks_to_support
    planned = Asked(cells=tuple(cells), hypotheses=hypotheses, accel="tcg", machine={}, blocks=(7,))
    up, down = (one["smallest"] for one in _sees(planned, 0.8))
    assert (1 + up) * (1 - down) == pytest.approx(1.0)


def test_an_effect_below_what_matters_is_refuted_and_promised_no_support() -> None:
    asked, quieter = [declared(**RAM)], QUIET | {"run_sd": 0.002, "checkpoint_sd": 0.002}
    cells = crossed(mem=(GIB, 2 * GIB))
    truth = Truth(cells, lambda own: float(np.log(1.02) * np.log2(own["mem"] / GIB)), asked, blocks=12, **quieter)
    campaign = simulate(truth, 1)
    (found,) = verdicts(campaign)
    assert (found.word, found.label) == ("REFUTED", "trivially positive")
    hypotheses = [Hypothesis.model_validate(one) for one in asked]
    below, at_it = (promises(campaign, hypotheses, effect)[0] for effect in (0.02, 0.05))
    assert below.smallest == at_it.smallest == pytest.approx(0.05)
    assert below.blocks_to_support is None
    assert at_it.blocks_to_support is not None


def test_no_difference_is_refuted_by_none_that_is_as_small_as_the_smallest_effect_of_interest() -> None:
    same = [declared(**RAM, direction="none")]
    campaign = simulate(Truth(crossed(mem=(GIB, 2 * GIB)), lambda _: 0.0, same, **QUIET), 1)
    hypotheses = [Hypothesis.model_validate(one) for one in same]
    at_it, beyond, far = (promises(campaign, hypotheses, effect)[0] for effect in (0.05, 0.06, 0.10))
    assert at_it.blocks_to_support is not None
    assert at_it.blocks_to_refute is None
    assert beyond.blocks_to_refute is not None
    assert far.blocks_to_refute is not None
    assert beyond.blocks_to_refute > far.blocks_to_refute


@pytest.mark.parametrize("direction", ["increasing", "decreasing", "none"])
def test_where_equals_may_differ_by_more_than_matters_it_takes_more_blocks_to_rule_it_out(
    direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ruled_out = "blocks_to_support" if direction == "none" else "blocks_to_refute"
    asked = [declared(**RAM, direction=direction)]
    cells = (*crossed(mem=(GIB, 2 * GIB)), cell(GIB, replica="b"))
    campaign = simulate(Truth(cells, lambda _: 0.0, asked, blocks=12, **QUIET | {"run_sd": 0.03}), 1)
    hypotheses = [Hypothesis.model_validate(one) for one in asked]
    (among,) = promises(campaign, hypotheses, 0.05)
    monkeypatch.setattr("analysis.verdicts.promises.equals", lambda _: [])
    (alone,) = promises(campaign, hypotheses, 0.05)
    assert getattr(among, ruled_out) > getattr(alone, ruled_out)


def test_a_dry_run_promises_nothing_that_the_exact_test_cannot_find() -> None:
    cells = tuple(crossed(mem=(GIB, 2 * GIB)))
    asked = Asked(cells=cells, hypotheses=(Hypothesis(**RAM),), accel="tcg", machine={}, blocks=(4, 5, 12))
    seen = {one["blocks"]: one["smallest"] for one in _sees(asked, 0.05)}
    assert seen[4] is None  # four pairs in one order come up once in 16
    assert 0 < seen[12] < seen[5]
    power = exact_power([np.array([30.0, 31.0])], 0.05, math.log1p(seen[12]), 12)
    assert power == pytest.approx(0.8, abs=0.03)
    twice = asked.model_copy(update={"cells": (*cells, cell(GIB, replica="b"))})
    with_equals = {one["blocks"]: one["smallest"] for one in _sees(twice, 0.05)}
    assert with_equals[12] > seen[12]
    every = asked.model_copy(update={"every": True, "blocks": (2, 6)})
    assert [one["smallest"] for one in _sees(every, 0.05)] == [None, None]
    told_ = {"campaigns": ["c"], "sd": 0.05, "short": [], "sees": list(_sees(asked, 0.05))}
    line = next(iter(_lines(told_, 60.0)))
    assert line.startswith("RAM: effects per doubling above ")
    assert line.endswith("; nothing in 4 blocks (4 min 0 s): too few for any word")
