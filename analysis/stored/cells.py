"""Names for the cells of a campaign: what tells them apart, as colour (memory), line (vCPUs) and panel (the rest)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from analysis.text import ACCEL_TEXT, plural, size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analysis.stored.records import RunRecord

_NOT_IN_PANELS = {"mem", "smp", "deadlines"}
_SIZES = {"working_set", "disk_size", "size"}
_FIRST = ("workload", "link", "host", "accel")
_HEADS = ("name", "transport", "kind", "model", "trigger", "nic")
_LONGEST = 40
_SEPARATOR = " · "


@dataclass(frozen=True)
class CellName:
    """One cell's place in the pictures.

    Attributes:
        label: the whole name, unique within the campaign.
        panel: what differs besides memory and vCPUs; empty when nothing does.
        size: memory and vCPUs, as in ``512 MiB · 1 vCPU``.
        accel: ``tcg`` or ``kvm``.
    """

    cell_id: str
    label: str
    panel: str
    mem_bytes: int
    smp: int
    accel: str

    @property
    def memory(self) -> str:
        """Return the memory as a person writes it."""
        return size_text(self.mem_bytes)

    @property
    def vcpus(self) -> str:
        """Return the number of vCPUs as a person writes it."""
        return plural(self.smp, "vCPU")

    @property
    def size(self) -> str:
        """Return memory and vCPUs."""
        return f"{self.memory}{_SEPARATOR}{self.vcpus}"


@dataclass(frozen=True)
class Cells:
    """The cells of a campaign by panel and size, and what all of them share (``idle · tcp``)."""

    names: tuple[CellName, ...]
    shared: str

    @property
    def panels(self) -> tuple[str, ...]:
        """Return the panels in order, each once."""
        return tuple(dict.fromkeys(name.panel for name in self.names))

    @property
    def accels(self) -> tuple[str, ...]:
        """Return the accelerators in use, sorted."""
        return tuple(sorted({name.accel for name in self.names}))


def name_cells(records: Iterable[RunRecord]) -> Cells:
    """Name each cell that was measured, by the keys of the configuration in which the cells differ."""
    by_id: dict[str, RunRecord] = {}
    for record in records:
        by_id.setdefault(record.cell_id, record)
    trees = {cell_id: {**record.cell, "accel": record.accel} for cell_id, record in by_id.items()}
    keys = _ordered_keys(trees.values())
    varying = [key for key in keys if len({_canonical(tree.get(key)) for tree in trees.values()}) > 1]
    names = [
        CellName(
            cell_id=cell_id,
            label=record.label,
            panel=_SEPARATOR.join(_say(key, trees[cell_id].get(key), trees.values()) for key in varying),
            mem_bytes=int(record.cell.get("mem", 0)),
            smp=int(record.cell.get("smp", 0)),
            accel=record.accel,
        )
        for cell_id, record in by_id.items()
    ]
    names.sort(key=lambda name: (name.panel, name.mem_bytes, name.smp, name.cell_id))
    any_tree = next(iter(trees.values()), {})
    same = [key for key in ("workload", "link") if key in any_tree and key not in varying]
    return Cells(_unique_labels(names), _SEPARATOR.join(_say(key, any_tree[key], ()) for key in same))


def _ordered_keys(trees: Iterable[Mapping[str, Any]]) -> list[str]:
    keys = {key for tree in trees for key in tree} - _NOT_IN_PANELS
    return [key for key in _FIRST if key in keys] + sorted(keys - set(_FIRST))


def _say(key: str, value: Any, others: Iterable[Mapping[str, Any]]) -> str:
    """Say a value by its head word, and by as much else as tells it from others with the same head."""
    if key == "accel":
        return ACCEL_TEXT[value]
    if not isinstance(value, dict):
        return f"{key}={_plain(key, value)}"
    head = _head(value)
    alike = [tree[key] for tree in others if isinstance(tree.get(key), dict) and _head(tree[key]) == head]
    differing = [name for name in value if len({_canonical(other.get(name)) for other in alike}) > 1]
    return " ".join([head or key, *(f"{name}={_plain(name, value[name])}" for name in differing)])


def _head(value: Mapping[str, Any]) -> str:
    return next((str(value[name]) for name in _HEADS if value.get(name)), "")


def _plain(name: str, value: Any) -> str:
    if name in _SIZES and isinstance(value, int):
        return size_text(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    text = value if isinstance(value, str) else _canonical(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 6]}…{hashlib.sha256(text.encode()).hexdigest()[:4]}"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _unique_labels(names: Sequence[CellName]) -> tuple[CellName, ...]:
    labels = [name.label for name in names]
    again = {label for label in labels if labels.count(label) > 1}
    return tuple(
        replace(name, label=f"{name.label} ({name.cell_id[:8]})") if name.label in again else name for name in names
    )
