"""Tables of the page: cells that know by what they are sorted."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A heading; numbers stand on the right."""

    name: str
    numeric: bool = False


@dataclass(frozen=True)
class Cell:
    """What a person reads, and by what a click on the heading sorts (empty: the text)."""

    shown: str
    key: str = ""


@dataclass(frozen=True)
class Table:
    """A sortable table with a label for those who do not see it."""

    label: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def text(shown: str) -> Cell:
    """Return a cell that is sorted by what it shows."""
    return Cell(shown)


def number(value: float, shown: str) -> Cell:
    """Return a cell that is sorted by its value; one without a value stands last."""
    return Cell(shown, "" if math.isnan(value) else f"{value:.9g}")
