"""Verdicts on campaigns that try to make them false: noise of real hosts, through ``run_table`` and ``judge_all``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fixtures.changed import columns
from fixtures.simulated import GIB, Truth, cell, crossed, declared, failure_of, judged, simulate, verdicts

from analysis.compare.comparison import compare, compare_levels
from analysis.verdicts.shape import NO_LINE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MEMS = (GIB // 4, GIB, 4 * GIB)
UNIX = {"where": {"link.transport": ["unix"]}}
RAM = {"id": "RAM", "claim": "It grows with RAM.", "factor": "mem"} | UNIX
VCPUS = {"id": "VCPUS", "claim": "It grows with vCPUs.", "factor": "smp"} | UNIX
LINK = {"id": "LINK", "claim": "TCP is slower.", "kind": "contrast", "factor": "link.transport", "levels": ["unix", "tcp"]}  # fmt: skip # noqa: E501
ARMS = (*crossed(mem=MEMS, smp=(1, 4)), cell(GIB, 1, link="tcp"))
TWINS = (cell(GIB, 1, replica="b"), cell(4 * GIB, 4, replica="b"))
STUDIES, MOST = 16, 4
"""Campaigns per question, and 5 % of them with three standard errors of that; ``calibrate`` simulates more."""


def plan(*asked: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    return [declared(**one | changes) for one in asked]


def nothing(own: Mapping[str, Any]) -> float:
    return 0.0 * len(own)


def ram_doublings(own: Mapping[str, Any]) -> float:
    return float(np.log2(own["mem"] / GIB))


def all_of(own: Mapping[str, Any]) -> float:
    return ram_doublings(own) + float(np.log2(own["smp"])) + (own["link"]["transport"] == "tcp")


@pytest.mark.parametrize(
    ("blocks", "cells", "direction"),
    [
        (3, ARMS, "increasing"),
        (6, (*ARMS, *TWINS), "increasing"),
        (12, (*ARMS, *TWINS), "decreasing"),
        (6, ARMS, "none"),
    ],
)
def test_what_is_as_large_as_declared_is_refuted_in_5_of_100_families_at_most(
    blocks: int, cells: tuple[dict[str, Any], ...], direction: str
) -> None:
    edge = np.log1p(-0.05 if direction == "decreasing" else 0.05)
    asked = plan(RAM, VCPUS, LINK | {"where": {"mem": [GIB], "smp": [1]}}, direction=direction)
    truth = Truth(cells, lambda own: edge * all_of(own), asked, blocks=blocks)
    false = "SUPPORTED" if direction == "none" else "REFUTED"
    assert sum(any(one.word == false for one in judged(truth, seed)) for seed in range(STUDIES)) <= MOST


def test_where_nothing_matters_few_campaigns_say_that_anything_does() -> None:
    truth = Truth((*ARMS, *TWINS), nothing, plan(RAM, VCPUS, LINK | {"where": {"mem": [GIB], "smp": [1]}}))
    claims = {"trivially positive", "opposite sign", "material", "direction certain, size uncertain"}
    found = [{one.label for one in judged(truth, seed)} & claims for seed in range(STUDIES)]
    assert sum(bool(said) for said in found) <= MOST


def test_large_runs_that_fail_do_not_support_what_is_not_there() -> None:
    truth = Truth(ARMS, nothing, plan(RAM, VCPUS), lost=0.15, stalled=0.1)
    found = [any(one.word == "SUPPORTED" for one in judged(truth, seed)) for seed in range(STUDIES)]
    assert sum(found) <= MOST


MIXED = (
    *crossed(mem=MEMS, smp=(1,)),
    *(cell(mem, 1, name="dirty", working_set=size) for mem in MEMS for size in (32 << 20, 64 << 20)),
)


def test_failed_runs_of_a_mixed_campaign_rank_against_the_measured_ones_of_their_stratum() -> None:
    truth = Truth(MIXED, lambda own: 0.5 * ram_doublings(own), plan(RAM), run_sd=0.02, block_sd=0.0)
    campaign = simulate(truth, 1)
    of_idle = {f"c{place}" for place, own in enumerate(MIXED) if own["workload"]["name"] == "idle"}
    of_large = {f"c{place}" for place, own in enumerate(MIXED) if own["workload"].get("working_set") == 64 << 20}
    for failing in (of_idle, of_large):
        lost = [run for run in campaign.runs if run.record.cell_id in failing and run.record.cell["mem"] == MEMS[0]]
        kept = tuple(run for run in campaign.runs if run not in lost)
        planned = {run.run_id: run for run in campaign.plan.runs}
        failures = tuple(failure_of(planned[run.record.run_id]) for run in lost)
        (found,) = verdicts(replace(campaign, runs=kept, failures=failures))
        # The smallest machine failed in one arm of three: ranked worst there, it falls where it grew.
        assert found.failed == 6
        assert found.claims.supports > 10 * found.stages[0].claims.supports


def test_what_is_adjusted_is_the_larger_p_value_of_both_ways_to_see_failures() -> None:
    truth = Truth(ARMS, lambda own: 0.06 * ram_doublings(own), plan(RAM, VCPUS), lost=0.1)
    with_failures = 0
    for seed in range(20):
        for one in judged(truth, seed):
            if one.failed and one.stages:
                with_failures += 1
                assert one.claims.supports >= max(stage.claims.supports for stage in one.stages)
                assert one.adjusted_claims.supports >= one.claims.supports
            if one.word == "INCONCLUSIVE":
                assert not any(note.startswith("the same with ") for note in one.notes)
    assert with_failures


def test_a_run_with_too_few_checkpoints_is_a_failure_and_no_exclusion() -> None:
    campaign = simulate(Truth(ARMS, lambda own: 0.2 * ram_doublings(own), plan(RAM)), 1)
    large = [run for run in campaign.runs if run.record.cell["mem"] == MEMS[2]]
    bad = large[0].record.quality.model_copy(update={"ok": False})
    short = replace(
        large[0],
        record=large[0].record.model_copy(update={"quality": bad}),
        rows=columns(large[0].checkpoints[:5]),
    )
    whole = replace(short, rows=columns(large[0].checkpoints))
    for run, failed, excluded in ((short, 1, 0), (whole, 0, 1)):
        others = tuple(one for one in campaign.runs if one is not large[0])
        (found,) = verdicts(replace(campaign, runs=(*others, run)))
        assert (found.failed, found.excluded) == (failed, excluded)


def test_a_value_at_its_bound_in_many_cells_of_few_blocks_is_seldom_supported() -> None:
    asked = plan({"id": "V", "claim": "At most 0.2 s.", "kind": "value", "low": 0.0, "high": 0.2})
    truth = Truth(crossed(mem=MEMS, smp=(1, 2, 4, 8)), nothing, asked, drift=0.0)
    assert sum(judged(truth, seed)[0].word == "SUPPORTED" for seed in range(STUDIES)) <= 3


def test_a_value_is_about_every_cell() -> None:
    asked = plan({"id": "V", "claim": "At most 3 s.", "kind": "value", "low": 0.0, "high": 3.0})
    truth = Truth(
        [*crossed(mem=MEMS, smp=(1,)), cell(16 * GIB)],
        lambda own: np.log(5.0 if own["mem"] > 4 * GIB else 1.0),
        asked,
        blocks=7,
        base_s=1.0,
    )
    (found,) = judged(truth, 1)
    assert (found.word, found.label) == ("REFUTED", "outside the range")
    assert found.pvalue == pytest.approx(4 / 2**7)
    assert sorted(level.word for level in found.levels) == ["REFUTED", "SUPPORTED", "SUPPORTED", "SUPPORTED"]


SIZES = (GIB // 4, GIB // 2, GIB, 2 * GIB, 4 * GIB)


@pytest.mark.parametrize(
    ("shape", "direction"),
    [
        (lambda own: np.log(2.0) * (own["mem"] == 4 * GIB), "increasing"),
        (lambda own: np.log(1.25) * (own["mem"] == GIB), "increasing"),
        (lambda own: np.log(1.25) * (own["mem"] == GIB), "none"),
    ],
    ids=["a jump", "a hump", "a hump, no difference claimed"],
)
def test_what_is_no_line_is_not_told_as_one(shape: Callable[[Mapping[str, Any]], float], direction: str) -> None:
    truth = Truth(crossed(mem=SIZES, smp=(1, 2)), shape, plan(RAM, direction=direction), run_sd=0.06)
    found = [judged(truth, seed)[0] for seed in range(20)]
    assert not any(one.label in {"equivalent to none", "equivalent"} for one in found)
    assert sum("It is no straight line in doublings" in one.sentence for one in found) >= 18
    if direction == "none":
        assert NO_LINE in {one.label for one in found}


def test_a_line_in_gib_is_told_as_that() -> None:
    truth = Truth(
        crossed(mem=SIZES, smp=(1, 2)), lambda own: np.log(1 + 0.5 * own["mem"] / GIB), plan(RAM), run_sd=0.03
    )
    found = judged(truth, 1)[0]
    assert found.word == "SUPPORTED"
    assert "no straight line in doublings (in GiB a line fits): from 256 MiB to 512 MiB +" in found.sentence


def test_equals_measured_in_two_campaigns_pass_a_threshold_that_their_noise_allows() -> None:
    truth = Truth(crossed(mem=MEMS, smp=(1,)), nothing, (), drift=0.0)
    pairs = [compare(simulate(truth, seed), simulate(truth, 1000 + seed)) for seed in range(20)]
    # The noise of one pair says what passes among others: 80 % of them, and not none.
    passed = [one.overall.high < 1 + other.passes_at for one in pairs for other in pairs]
    assert np.mean(passed) == pytest.approx(0.80, abs=0.2)
    assert sum(pair.overall.verdict == "regressed" for pair in pairs) <= 4


def test_two_levels_within_blocks_are_compared_without_what_happened_to_the_host() -> None:
    cells = [cell(mem, 1, replica=name) | {"qemu": name} for mem in MEMS for name in ("old", "new")]
    slower = Truth(cells, lambda own: np.log(1.15) * (own["qemu"] == "new"), (), block_sd=0.5, drift=1.0, run_sd=0.05)
    campaign = simulate(slower, 1)
    for run in campaign.runs:
        run.record.cell.pop("replica", None)
    found = compare_levels(campaign, "qemu")
    assert (found.verdict, found.exit_code, found.within) == ("regressed", 5, "qemu")
    assert found.overall.ratio == pytest.approx(1.15, rel=0.1)
    assert len(found.cells) == 3
    same = compare_levels(simulate(replace(slower, effect=nothing), 2), "qemu", threshold=0.25)
    assert same.exit_code == 0


def test_a_new_side_without_some_planned_cells_does_not_pass() -> None:
    truth = Truth(crossed(mem=MEMS, smp=(1, 4)), nothing, (), run_sd=0.01, block_sd=0.0, drift=0.0)
    base, new = simulate(truth, 1), simulate(truth, 2)
    assert compare(base, new).exit_code == 0
    fewer = tuple(run for run in new.runs if run.record.cell_id == "c0")
    found = compare(base, replace(new, runs=fewer))
    assert (found.exit_code, len(found.missing)) == (6, 5)
    assert found.by_cell[0] != "not regressed"
