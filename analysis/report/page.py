"""Tables of the page: cells that know by what they are sorted."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Built:
    """How a report was asked for, so that its page can say how to build it again.

    Attributes:
        style: of the figures.
        asked: whether other hypotheses than those declared were given in a file.
        seeds: of the plans' orders, one per campaign; empty: that of the plan.
        homes: how each campaign's folder is reached from that of the page.
    """

    style: str = "screen"
    asked: bool = False
    seeds: tuple[int | None, ...] = ()
    homes: tuple[str, ...] = ("..",)


@dataclass(frozen=True)
class Column:
    """A heading; numbers stand on the right, and a wide column is not pressed together by the others."""

    name: str
    numeric: bool = False
    wide: bool = False


def numbers(*names: str) -> tuple[Column, ...]:
    """Return columns of numbers."""
    return tuple(Column(name, numeric=True) for name in names)


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
