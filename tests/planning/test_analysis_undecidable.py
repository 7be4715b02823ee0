"""What a plan cannot decide whatever its runs show; and that no experiment of ours is such a plan."""

from __future__ import annotations

from typing import Any

import pytest
from fake_session import make_cell

from analysis.planning.undecidable import strata_of, undecidable
from analysis.stored.records import Hypothesis
from bench.config.factors import factors_told
from bench.config.load import load_grid
from bench.config.sweep import compose
from bench.plan.plan import declared
from bench.run.preview import _lines
from bench.system.places import CONF

SIZES = [{"mem": mem, "smp": smp, "link.transport": "unix"} for mem in (1, 2, 4) for smp in (1, 2)]


def asked(**changes: Any) -> Hypothesis:
    return Hypothesis.model_validate({"id": "one", "claim": "It grows.", "factor": "mem", **changes})


def needed(blocks: int, *hypotheses: Hypothesis, cells: list[dict[str, Any]] = SIZES) -> dict[str, int]:
    return {one.id: one.blocks for one in undecidable(cells, hypotheses, "tcg", blocks)}


def test_two_levels_of_five_hypotheses_take_seven_blocks() -> None:
    # One of 2^6 results is 0.0156, of five hypotheses 0.078 after Holm: seen with real pairs of two QEMU releases.
    two = [{"qemu": name} for name in ("10.0", "11.1")]
    five = [asked(id=f"{number}", kind="contrast", factor="qemu", levels=("10.0", "11.1")) for number in range(5)]
    assert needed(6, *five, cells=two) == dict.fromkeys("01234", 7)
    assert needed(7, *five, cells=two) == {}
    assert needed(4, five[0], cells=two) == {"0": 5}
    alone = [one.model_copy(update={"family": "secondary"}) for one in five]
    assert needed(5, *alone, cells=two) == {}


def test_three_sizes_at_two_levels_of_another_factor_have_thirty_six_orders_a_block() -> None:
    assert strata_of(SIZES, asked(), "tcg") == [[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]]
    assert needed(1, asked()) == {}
    assert needed(1, asked(), asked(id="other", factor="smp")) == {"one": 2, "other": 2}
    assert needed(1, asked(where={"smp": (2,)})) == {"one": 2}


def test_runs_of_equal_cells_have_no_order_between_them() -> None:
    twice = [{"mem": mem, "replica": replica} for mem in (1, 2) for replica in ("a", "b")]
    assert strata_of(twice, asked(), "tcg") == [[1.0, 1.0, 2.0, 2.0]]
    assert needed(1, asked(), cells=twice) == {"one": 2}  # six orders


def test_what_is_compared_with_nothing_is_no_matter_of_blocks() -> None:
    assert needed(1, asked(factor="cpu.l3_cache")) == {}
    assert needed(1, asked(where={"accel": ("kvm",)})) == {}
    assert needed(1, asked(kind="value", low=1.0, where={"link.transport": ("tcp",)})) == {}


def test_scenarios_are_compared_by_what_is_no_checkpoint_s() -> None:
    cells = [{"scenario": name} for name in ("native", "colo")]
    one = asked(kind="contrast", factor="scenario", levels=("native", "colo"), outcome="requests_per_s")
    assert strata_of(cells, one, "tcg") == [[0.0, 1.0]]
    assert needed(4, one, cells=cells) == {"one": 5}
    assert strata_of(cells, one.model_copy(update={"outcome": "pause"}), "tcg") == []


def test_a_level_that_a_plan_leaves_out_as_it_is_the_default_is_compared_too() -> None:
    cells = factors_told([make_cell(tcp_timestamps=level) for level in (True, False)])
    one = asked(kind="contrast", factor="tcp_timestamps", levels=(False, True))
    assert needed(4, one, cells=cells) == {"one": 5}


def test_what_a_workload_alone_has_parts_it_from_no_other() -> None:
    idle, dirty = {"workload.name": "idle"}, {"workload.name": "dirty", "workload.working_set": 1 << 20}
    one = asked(kind="contrast", factor="workload.name", levels=("idle", "dirty"))
    assert strata_of([idle, dirty], one, "tcg") == [[0.0, 1.0]]
    assert needed(4, one, cells=[idle, dirty]) == {"one": 5}
    assert strata_of([idle, dirty, dirty | {"workload.working_set": 2 << 20}], one, "tcg") == []


def test_a_value_takes_as_many_runs_of_a_cell_as_its_family_asks_for() -> None:
    value = asked(kind="value", factor=None, low=1.0, high=2.0)
    assert needed(4, value) == {"one": 5}
    assert needed(5, value) == {}
    four = [value, *(asked(id=f"{number}") for number in range(3))]
    assert needed(6, *four) == {"one": 7}  # one of 2^6 results is 0.0156, of four hypotheses 0.0625 after Holm
    assert needed(6, *(one.model_copy(update={"family": "secondary"}) for one in four)) == {}
    assert needed(1, value.model_copy(update={"outcome": "survived"})) == {}


def test_a_person_is_told_what_would_do() -> None:
    told = {"short": [{"id": "R1", "blocks": 7, "family": 5}], "sees": [], "campaigns": ["c"], "sd": 0.0}
    assert list(_lines(told, 60.0)) == [
        "R1: so few blocks cannot decide it with the 4 decided together with it, whatever they show; repeats=7 can"
    ]


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (CONF / "experiment").glob("*.yaml")))
def test_every_experiment_of_ours_can_decide_what_it_asks(experiment: str) -> None:
    settings, cells = load_grid(compose([f"experiment={experiment}"]))
    hypotheses = [Hypothesis.model_validate(one) for one in declared(settings.hypotheses)]
    factors = factors_told(cells)
    for accel in {cell.accel for cell in cells} - {"auto"} or {"tcg"}:
        own = [one for one in factors if one["accel"] in {accel, "auto"}]
        fixed = [{**one, "accel": accel} for one in own]
        blocks = 24 if settings.until_known else settings.blocks
        assert undecidable(fixed, hypotheses, accel, blocks) == []
