"""``plan.json`` with arbitrary damage: the runs that were planned, or a refusal."""

from __future__ import annotations

import json
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from fake_session import GUEST, QEMU, make_cell
from fuzzing import ANY, damaged, json_values, trial
from hypothesis import given
from hypothesis import strategies as st

from bench.config.factors import identity
from bench.config.hosts import Host
from bench.config.links import Link
from bench.config.procedure import Checkpoint, Deadlines
from bench.errors import BenchError, StoreError
from bench.plan.plan import Plan, make_plan, parse_plan, plan_json
from bench.run.folder import agree_on_plan

CELLS = tuple(make_cell(mem, smp, dirty=smp == 2) for mem in ("256M", "512M") for smp in (1, 2))


def plan(cells: Any = CELLS, **more: Any) -> Plan:
    return make_plan("c", cells, **{"repeats": 2, "seed": 1, "qemu": QEMU, "guest": GUEST} | more)


PLAN = plan()
TEXT = plan_json(PLAN)
TREE = json.loads(TEXT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plan")


def measured(one: Plan) -> list[Any]:
    """What a plan will measure, run by run."""
    cells = {planned.cell_id: identity(planned.cell) for planned in one.cells}
    return sorted((run.run_id, run.block, json.dumps(cells[run.cell_id])) for run in one.runs)


@given(
    st.lists(st.integers(64, 1 << 20), min_size=1, max_size=3, unique=True),
    st.integers(1, 255),
    st.floats(0.001, 3000),
    st.floats(1e-9, 1e9),
    st.floats(1e-6, 99),
    st.integers(1, 10**18),
    st.integers(0, 1 << 100),
)
def test_every_plan_is_read_back(
    mems: list[int], smp: int, interval: float, deadline: float, loss: float, rate: int, seed: int
) -> None:
    more = {
        "checkpoint": Checkpoint(interval=interval),
        "deadlines": Deadlines(boot=deadline),
        "link": Link(bandwidth=rate, delay=interval / 1000, loss_percent=loss),
        "host": Host(kind="netns"),
    }
    with trial("plan.json") as one:
        made = plan([make_cell(mem << 20, smp, **more) for mem in mems], seed=seed, command="\N{LINE SEPARATOR}\x85")
        assert one.attempt(parse_plan, plan_json(made)) == made
        assert parse_plan(plan_json(made).encode()) == made


@given(damaged(TEXT.encode(), ANY))
def test_a_damaged_plan_is_refused_or_measures_what_was_planned(folder: Path, content: bytes) -> None:
    (folder / "plan.json").write_bytes(content)
    with trial("plan.json") as one:
        found = one.attempt(agree_on_plan, folder, PLAN)
        assert found is None or measured(found) == measured(PLAN)


def paths(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [at, *(path for key in keys for path in paths(tree[key], (*at, key)))]


@given(
    st.sampled_from(paths(TREE)),
    json_values(4) | st.sampled_from([run["run_id"] for run in TREE["runs"]]),
    st.booleans(),
)
def test_a_plan_with_a_part_replaced_is_refused_or_measures_what_was_planned(
    folder: Path,
    path: tuple[Any, ...],
    value: Any,
    gone: bool,  # noqa: FBT001
) -> None:
    tree: Any = json.loads(TEXT)
    if path:
        beside = reduce(lambda part, key: part[key], path[:-1], tree)
        if gone:
            del beside[path[-1]]
        else:
            beside[path[-1]] = value
    (folder / "plan.json").write_text(json.dumps(tree if path else value), encoding="utf-8")
    with trial("plan.json") as one:
        found = one.attempt(agree_on_plan, folder, PLAN)
        assert found is None or measured(found) == measured(PLAN)


def change(**more: Any) -> str:
    return json.dumps(TREE | more)


RUNS = TREE["runs"]
SWAPPED = [RUNS[0] | {"cell_id": RUNS[1]["cell_id"]}, *RUNS[1:]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (change(runs=[*RUNS, RUNS[0] | {"order": len(RUNS)}]), "two runs are the same one"),
        (change(runs=RUNS[::-1]), "not in their order"),
        (change(runs=[RUNS[0] | {"cell_id": "nowhere"}, *RUNS[1:]]), "a run is of no cell"),
        (change(runs=[RUNS[0] | {"block": "first"}, *RUNS[1:]]), r"runs\.0\.block"),
        (change(qemu=[]), "qemu"),
        (change(qemu={"provisioned": 3}), "qemu"),
        (change(hypotheses=3), "hypotheses"),
        (change(seed=None), "seed"),
        (change(runs=SWAPPED), "was changed after it was written: run .* another cell"),
        (
            change(cells=[TREE["cells"][1] | {"cell_id": TREE["cells"][0]["cell_id"]}, *TREE["cells"][1:]]),
            r"plan\.json",
        ),
        ("[" * 100_000, "nested too deep"),
        (TEXT.replace("2", "NaN", 1), "NaN"),
    ],
)
def test_a_plan_that_was_changed_by_hand_is_refused_in_words(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(StoreError, match=said) as caught:
        agree_on_plan(tmp_path, PLAN)
    assert caught.value.cause == "plan-unreadable"
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("content", [b"\xff\xfe{", b"", b"\0" * 100, TEXT.encode()[:-40]])
def test_a_plan_that_is_no_text_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(BenchError, match="cannot be read"):
        agree_on_plan(tmp_path, PLAN)
