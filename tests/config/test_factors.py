from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import pytest
from fake_session import make_cell

from analysis.format.factors import flatten
from bench.config.factors import factor_levels, identity, levels_left_out
from bench.system.frozen import LATER, Frozen
from bench.workload.base import build_workload

REFERENCE = Path(__file__).parents[2] / "results/reference/size_sweep/plan.json"
WORKLOADS = {
    "idle": {"name"},
    "dirty": {"name", "working_set", "scaling", "rate", "pattern", "threads"},
    "http": {"name", "rate", "connections", "path"},
}
APPLICATIONS = {
    "valkey": {"name", "rate", "connections", "command", "keys", "value_size", "persistence"},
    "redis": {"name", "rate", "connections", "command", "keys", "value_size", "persistence"},
    "nginx": {"name", "rate", "connections", "size"},
    "postgres": {"name", "rate", "connections", "scale", "script"},
    "fio": {"name", "rw", "block", "size", "fdatasync"},
    "build": {"name", "jobs", "files", "functions", "level"},
    "cpu": {"name", "threads"},
    "stream": {"name", "working_set", "threads"},
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_field_that_came_after_schema_1_is_in_the_identity_of_a_cell_at_its_default(name: str) -> None:
    cell = make_cell(workload=build_workload({"name": name}))
    stored = flatten(json.loads(REFERENCE.read_text())["cells"][0]["cell"])
    schema_1 = {path for path in stored if not path.startswith("workload.")}
    assert set(factor_levels(cell)) == schema_1 | {f"workload.{field}" for field in WORKLOADS[name]}


@pytest.mark.parametrize("name", APPLICATIONS)
def test_of_a_cell_with_applications_the_guest_is_in_the_identity_and_what_is_left_at_qemus_own_is_not(
    name: str,
) -> None:
    cell = make_cell(workload=build_workload({"name": name}), guest="apps")
    known = set(factor_levels(make_cell())) - {"workload.name"}
    assert set(factor_levels(cell)) == known | {"guest"} | {f"workload.{field}" for field in APPLICATIONS[name]}
    assert "compare.timeout" in factor_levels(make_cell(compare={"timeout": 0.1}))
    assert factor_levels(make_cell(tcp_timestamps=False))["tcp_timestamps"] is False


class Inner(Frozen):
    first: int = 1
    added: Annotated[int, LATER] = 2


class Group(Frozen):
    on: bool = False
    cpus: tuple[int, ...] = ()
    inner: Inner = Inner()


class Outer(Frozen):
    old: str = "a"
    inner: Inner = Inner()
    group: Annotated[Group, LATER] = Group()


def test_a_later_field_at_its_default_is_not_written_and_is_back_when_it_is_read() -> None:
    assert Outer().model_dump(mode="json") == {"old": "a", "inner": {"first": 1}}
    assert Outer.model_validate(Outer().model_dump()) == Outer()
    changed = Outer(group=Group(cpus=(1, 2)), inner=Inner(added=3))
    assert changed.model_dump(mode="json") == {
        "old": "a",
        "inner": {"first": 1, "added": 3},
        "group": {"on": False, "cpus": [1, 2], "inner": {"first": 1}},
    }
    assert Outer.model_validate(changed.model_dump()) == changed


def test_what_is_left_out_is_told_by_its_path() -> None:
    assert Outer().left_out() == {
        "inner.added": 2,
        "group.on": False,
        "group.cpus": [],
        "group.inner.first": 1,
        "group.inner.added": 2,
    }
    assert Outer(group=Group(on=True), inner=Inner(added=3)).left_out() == {"group.inner.added": 2}


def test_of_the_levels_that_cells_leave_out_those_that_another_one_sets_are_told() -> None:
    plain, tuned = make_cell(), make_cell(tune={"thp": "never"})
    assert levels_left_out([plain]) == ({},)
    told = {"tune.governor", "tune.thp", "tune.swap", "tune.pinning.primary", "tune.pinning.secondary"}
    assert levels_left_out([plain, tuned]) == (dict.fromkeys(told), {})
    assert "tune" not in identity(plain)
