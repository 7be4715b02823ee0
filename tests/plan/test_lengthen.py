"""More blocks lengthen a plan: what was planned stays, run for run, whatever the runs are made with."""

from __future__ import annotations

from typing import Any

import pytest
from fake_session import GUEST, QEMU, make_cell

from bench.config.links import Link
from bench.config.questions import questions
from bench.plan.lengthen import first_blocks, looked, with_blocks
from bench.plan.plan import Plan, make_plan, parse_plan, plan_json

SIZES = ("256M", "512M", "1G")


def plan(blocks: int, **cell: Any) -> Plan:
    cells = [make_cell(mem, **cell) for mem in SIZES]
    builds = {"qemu": QEMU, "guest": GUEST, "nodelay_sha256": "d" * 64, "bare_sha256": "e" * 64}
    made = make_plan("c", cells, repeats=blocks, seed=3, hypotheses=questions(cells), command="python", **builds)
    return looked(made, blocks)


@pytest.mark.parametrize("cell", [{}, {"link": Link(transport="nodelay")}, {"guest": "bare"}])
def test_a_longer_plan_begins_as_the_shorter_one(cell: dict[str, Any]) -> None:
    short, long = plan(2, **cell), plan(5, **cell)
    assert with_blocks(short, 5).runs == long.runs
    assert first_blocks(long, 2).runs == short.runs
    stored = parse_plan(plan_json(short))
    assert parse_plan(plan_json(with_blocks(stored, 5))).runs == long.runs


def test_nothing_else_of_it_changes() -> None:
    short = plan(2)
    longer = with_blocks(short, 3)
    assert (longer.hypotheses, longer.command, longer.looks) == (short.hypotheses, "python", (2,))
    assert not looked(longer, 3).until_known
    series = parse_plan(plan_json(looked(longer, 3, until_known=True)))
    assert series.until_known
    assert looked(with_blocks(series, 4), 4).until_known
    assert looked(longer, 3).looks == looked(looked(longer, 3), 3).looks == (2, 3)
    assert looked(longer, 3, again=True).looks == (2, 3)
    assert looked(looked(longer, 3), 3, again=True).looks == (2, 3, 3)
