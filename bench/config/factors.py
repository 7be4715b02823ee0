"""The factors of a cell: its configuration by dotted path, without the deadlines, which only say when to give up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.format.factors import DEADLINES, flatten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.config.model import Cell


def identity(cell: Cell) -> dict[str, Any]:
    """Return what of a cell is measured, as JSON: what its id is made of, and no later field at its default."""
    return cell.model_dump(mode="json", exclude={DEADLINES})


def factor_levels(cell: Cell) -> dict[str, Any]:
    """Return every factor of a cell by its dotted path, as ``plan.json`` holds it; a list is one level, as text."""
    return flatten(identity(cell))


def levels_left_out(cells: Sequence[Cell]) -> tuple[dict[str, Any], ...]:
    """Return for each cell the defaults of later fields that it leaves out and that another of these cells has set."""
    told = {path for cell in cells for path in factor_levels(cell)}
    return tuple({path: level for path, level in cell.left_out().items() if path in told} for cell in cells)


def factors_told(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return every factor of each cell, the defaults that another one sets included: what a reader of the plan has."""
    return [factor_levels(cell) | out for cell, out in zip(cells, levels_left_out(cells), strict=True)]
