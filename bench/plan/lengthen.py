"""More blocks of the same plan: drawn one after another from the seed, so that a longer plan begins as a shorter."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from bench.plan.plan import make_plan

if TYPE_CHECKING:
    from bench.plan.plan import Plan


_FOLLOWS = {"cells", "runs", "repeats", "looks", "until_known"}
"""What of a plan is not an input that all its runs share."""


def first_blocks(plan: Plan, blocks: int) -> Plan:
    """Return a plan without the blocks after the first so many."""
    return replace(plan, repeats=blocks, runs=tuple(run for run in plan.runs if run.block < blocks))


def with_blocks(plan: Plan, blocks: int) -> Plan:
    """Return a plan with so many blocks: its runs, and those that come after them."""
    inputs = {one.name: getattr(plan, one.name) for one in fields(plan) if one.name not in _FOLLOWS}
    longer = make_plan(cells=[one.cell for one in plan.cells], repeats=blocks, **inputs)
    return replace(longer, looks=plan.looks, until_known=plan.until_known)


def looked(plan: Plan, blocks: int, *, until_known: bool = False, again: bool = False) -> Plan:
    """Return a plan on which it is written that its verdicts were asked for after so many blocks.

    Args:
        plan: to write it on.
        blocks: after how many.
        until_known: whether it is one of a series, with a look after every block.
        again: whether runs were measured since these blocks were looked at, if they were: then it is a further look.
    """
    further = again or blocks not in plan.looks
    looks = tuple(sorted((*plan.looks, blocks))) if further else plan.looks
    return replace(plan, looks=looks, until_known=plan.until_known or until_known)
