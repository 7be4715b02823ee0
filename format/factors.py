"""The factors of a cell: its configuration by dotted path, and the sizes among them in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Level = bool | int | float | str | None
"""One value of a factor."""

SIZES = frozenset(("block", "buffer", "chase", "disk_size", "mem", "size", "value_size", "working_set"))
"""What the last part of a path is called whose level is a number of bytes."""

_HEADS = {"workload": "workload.name", "cache": "cache.kind"}
"""What the other keys of a group are settings of: they are compared among the cells that have the same of it."""

DEADLINES = "deadlines"
"""What of a configuration is no factor: it only says when to give up."""


def head_of(path: str) -> str | None:
    """Return what a factor is a setting of: ``cache.kind`` of ``cache.buffer``; None for what stands for itself."""
    head = _HEADS.get(path.partition(".")[0])
    return None if head == path else head


def flatten(cell: Mapping[str, Any]) -> dict[str, Level]:
    """Return every factor of a cell by its dotted path; a list is one level, as text."""
    flat: dict[str, Level] = {}
    for key, value in cell.items():
        if key == DEADLINES:
            continue
        if isinstance(value, dict):
            flat |= {f"{key}.{path}": level for path, level in flatten(value).items()}
        else:
            flat[key] = ",".join(map(str, value)) if isinstance(value, list) else value
    return flat


def size_text(size_bytes: int) -> str:
    """Return a size as ``512 MiB`` or ``4 GiB``, exact: the largest binary unit that divides it."""
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size_bytes and size_bytes % (1 << shift) == 0:
            return f"{size_bytes >> shift} {unit}"
    return f"{size_bytes} B"
