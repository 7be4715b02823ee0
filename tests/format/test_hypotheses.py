"""Hypotheses are declared in the configuration and settled in the words of the cells, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from analysis.format import outcomes as theirs
from analysis.runs.outcomes import OF_TABLE, OF_VALUES
from analysis.stored.records import Hypothesis as Stored
from analysis.stored.records import RunRecord
from bench.config.factors import factor_levels
from bench.config.hypotheses import Hypothesis, settle
from bench.config.model import Cell
from bench.errors import ConfigError
from bench.format import outcomes as ours
from bench.plan.plan import GuestBuild, QemuBuild, hypotheses_sha256, make_plan, parse_plan, plan_json
from bench.workload.dirty import Dirty

GIB = 1 << 30


def cells(*sizes: str, **changes: Any) -> tuple[Cell, ...]:
    return tuple(Cell.model_validate({"smp": 1, "workload": {"name": "idle"}, "mem": size} | changes) for size in sizes)


def hypothesis(**changes: Any) -> Hypothesis:
    return Hypothesis.model_validate({"id": "H1", "claim": "It grows.", "factor": "mem"} | changes)


def test_levels_are_settled_in_the_words_of_the_cells() -> None:
    asked = hypothesis(kind="contrast", levels=["1G", "4G"], where={"smp": 1, "link.transport": ["tcp", "unix"]})
    (settled,) = settle([asked], cells("1G", "4G"))
    assert settled.levels == (GIB, 4 * GIB)
    assert settled.where == {"smp": (1,), "link.transport": ("tcp", "unix")}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"factor": "memory"}, "unknown factor memory; legal: accel, "),
        ({"where": {"color": "red"}}, "unknown factor color"),
        ({"where": {"smp": 3}}, "no cell of this campaign is where it asks"),
        ({"where": {"mem": "1G"}}, "mem does not take the levels that it compares; it has 1073741824"),
        ({"kind": "contrast", "levels": ["1G", "8G"]}, "mem does not take the levels that it compares"),
        ({"kind": "contrast", "levels": ["1G", "1024M"]}, "mem is not compared with itself: both levels are"),
    ],
)
def test_a_hypothesis_that_these_cells_cannot_decide_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        settle([hypothesis(**changes)], cells("1G", "4G"))


def test_a_trend_over_levels_without_a_size_is_refused_before_anything_is_measured() -> None:
    linked = [cells("1G", link={"transport": name})[0] for name in ("tcp", "unix")]
    with pytest.raises(ConfigError, match=r"per doubling of numbers above 0, and link\.transport has tcp, unix"):
        settle([hypothesis(factor="link.transport")], linked)


def test_cells_without_the_factor_of_a_trend_play_no_part_in_it() -> None:
    dirty = [cells("1G", workload={"name": "dirty", "rate": rate})[0] for rate in (10, 20)]
    asked = hypothesis(factor="workload.rate")
    assert settle([asked], [*cells("1G"), *dirty]) == (asked,)
    with pytest.raises(ConfigError, match="does not take the levels"):
        settle([asked], [*cells("1G"), dirty[0]])


def test_two_hypotheses_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two are called H1"):
        settle([hypothesis(), hypothesis()], cells("1G", "4G"))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "trend", "factor": None},
        {"kind": "contrast"},
        {"kind": "trend", "levels": ["1G", "4G"]},
        {"kind": "value", "low": 1},
        {"kind": "value", "low": 2, "high": 1},
        {"outcome": "speed"},
        {"sesoi": 0},
        {"sesoi": True},
        {"id": "H 1"},
        {"claim": ""},
        {"direction": "up"},
        {"surprise": 1},
    ],
)
def test_a_hypothesis_without_a_rule_for_an_answer_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        hypothesis(**changes)


@pytest.mark.parametrize("kind", [Hypothesis, Stored])
def test_of_requests_no_milliseconds_count_that_were_not_declared(kind: type[Hypothesis | Stored]) -> None:
    asked = [
        {"outcome": "pause"},
        {"outcome": "client_p50"},
        {"outcome": "client_service_p99"},
        {"outcome": "client_p99", "sesoi_ms": 2},
        {"outcome": "client_gap"},
    ]
    declared = [kind.model_validate({"id": "H1", "claim": "It grows.", "factor": "mem"} | one) for one in asked]
    assert [one.sesoi_ms for one in declared] == [0.5, 0.0, 0.0, 2.0, 0.5]


def test_the_plan_holds_the_hypotheses_and_their_hash() -> None:
    settled = settle([hypothesis()], cells("1G", "4G"))
    plan = make_plan(
        "c",
        cells("1G", "4G"),
        repeats=1,
        seed=1,
        qemu={"provisioned": QemuBuild("11", "00", "provisioned")},
        guest=GuestBuild("6", "00", "00"),
        hypotheses=settled,
    )
    text = plan_json(plan)
    assert parse_plan(text) == plan
    assert f'"hypotheses_sha256": "{hypotheses_sha256(settled)}"' in text
    assert hypotheses_sha256(settled) != hypotheses_sha256([hypothesis(sesoi=0.1)])


def test_a_list_is_one_level() -> None:
    (cell,) = cells("1G", cpu={"features": ["+kvmclock", "-x2apic"]})
    assert factor_levels(cell)["cpu.features"] == "+kvmclock,-x2apic"


@pytest.mark.parametrize(("mem", "expected"), [(GIB >> 2, 8 << 20), (GIB, 32 << 20), (4 * GIB, 128 << 20)])
def test_a_scaled_working_set_is_the_same_share_of_every_guest(mem: int, expected: int) -> None:
    scaled = Dirty.model_validate({"working_set": "32M", "scaling": "mem"})
    assert scaled.guest_memory_bytes(mem) == expected
    assert f"bytes={expected} " in scaled.guest_command(mem)
    assert Dirty.model_validate({"working_set": "32M"}).guest_memory_bytes(mem) == 32 << 20


def test_replicas_are_two_cells_that_differ_in_nothing_else() -> None:
    first, second = cells("1G", replica="a")[0], cells("1G", replica="b")[0]
    assert {key for key, value in factor_levels(first).items() if factor_levels(second)[key] != value} == {"replica"}


def test_configuration_analysis_and_document_have_one_list_of_outcomes() -> None:
    assert list(ours.OUTCOMES) == list(theirs.OUTCOMES)
    text = (Path(__file__).parents[2] / "docs" / "hypotheses.md").read_text(encoding="utf-8")
    assert ours.in_document(text) == text, "make docs"
    every = [one for one in theirs.OUTCOMES.values() if one.reducer != "slow" and one.table != "run"]
    assert {one.reducer for one in every} <= {*OF_VALUES, *OF_TABLE}
    recorded = {one.column.partition(".")[0] for one in theirs.OUTCOMES.values() if one.table == "run"}
    assert recorded <= set(RunRecord.model_fields)
    assert hypothesis(outcome="bytes_sent").outcome == "bytes_sent"
    with pytest.raises(ValidationError, match="bytes is no outcome; legal: pause, pause_mean"):
        hypothesis(outcome="bytes")
