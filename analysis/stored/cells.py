"""Names for the cells of a campaign: what tells them apart, as colour (memory), line (vCPUs) and panel (the rest)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analysis.format.factors import flatten, size_text
from analysis.stored.factors import part_text
from analysis.stored.records import under_text
from analysis.text import plural

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from analysis.stored.records import RunRecord

_NOT_IN_PANELS = {"mem", "smp", "deadlines"}
_FIRST = ("workload", "link", "host", "accel")
_ALWAYS = {"workload", "link", "accel"}
"""Keys that are said of every cell once they differ; of the others, what most cells have goes without saying."""

_NAMING = ("name", "transport", "kind", "model", "trigger", "nic")
_SEPARATOR = " · "


@dataclass(frozen=True)
class CellName:
    """One cell's place in the pictures.

    Attributes:
        label: the whole name: size, and panel or else what all cells share; unique within the campaign.
        panel: what differs besides memory and vCPUs, in words; empty when nothing does.
        size: memory and vCPUs, as in ``512 MiB · 1 vCPU``.
        accel: ``tcg`` or ``kvm``.
        under: the same in words, and which KVM: several where its runs were on hosts that differ in it.
    """

    cell_id: str
    label: str
    panel: str
    mem_bytes: int
    smp: int
    accel: str
    under: str

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
    """The cells of a campaign by panel and size, and what they share (``idle · tcp``) unless a panel says otherwise.

    ``under`` is what the pairs ran under, in words: which KVM, too.
    """

    names: tuple[CellName, ...]
    shared: str
    under: str = ""

    @cached_property
    def places(self) -> dict[str, int]:
        """Return the place of each cell in ``names`` by its id."""
        return {name.cell_id: place for place, name in enumerate(self.names)}

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
    every: dict[str, list[RunRecord]] = {}
    for record in records:
        every.setdefault(record.cell_id, []).append(record)
    by_id = {cell_id: own[0] for cell_id, own in every.items()}
    trees = {cell_id: {**record.cell, "accel": record.accel} for cell_id, record in by_id.items()}
    keys = _ordered_keys(trees.values())
    varying = [key for key in keys if len({_canonical(tree.get(key)) for tree in trees.values()}) > 1]
    said = {key: _Said.of(key, [tree.get(key) for tree in trees.values()]) for key in varying}
    panels = {cell_id: _panel(tree, said, said.keys() - _ALWAYS) for cell_id, tree in trees.items()}
    quiet = [one.usual for key, one in said.items() if key not in _ALWAYS and one.usual]
    if "" in panels.values():
        panels, quiet = {cell_id: _panel(tree, said, ()) for cell_id, tree in trees.items()}, []
    same = shared_text(trees.values())
    shared = _SEPARATOR.join(filter(None, [same, f"unless said: {', '.join(quiet)}" if quiet else ""]))
    names = [
        CellName(
            cell_id=cell_id,
            label="",
            panel=panels[cell_id],
            mem_bytes=int(record.cell.get("mem", 0)),
            smp=int(record.cell.get("smp", 0)),
            accel=record.accel,
            under=under_text(every[cell_id]),
        )
        for cell_id, record in by_id.items()
    ]
    names.sort(key=lambda name: (name.panel, name.mem_bytes, name.smp, name.cell_id))
    under = under_text(record for own in every.values() for record in own)
    return Cells(_labelled(names, same), shared, under)


def shared_text(trees: Iterable[Mapping[str, Any]]) -> str:
    """Return what configurations have in common of workload and link: ``idle · tcp``, or one of them, or nothing."""
    every = list(trees)
    heads = [{_head(tree.get(key)) for tree in every} for key in ("workload", "link")]
    return _SEPARATOR.join(head for one in heads if len(one) == 1 for head in one if head)


def _ordered_keys(trees: Iterable[Mapping[str, Any]]) -> list[str]:
    keys = {key for tree in trees for key in tree} - _NOT_IN_PANELS
    return [key for key in _FIRST if key in keys] + sorted(keys - set(_FIRST))


@dataclass(frozen=True)
class _Said:
    """How the values of one key are said.

    Attributes:
        texts: by canonical value.
        shared: the head word of all values, which none of them repeats; empty where heads differ.
        usual: what more than half of the cells have; empty where there is no such thing.
    """

    key: str
    texts: dict[str, str]
    shared: str
    usual: str

    @classmethod
    def of(cls, key: str, values: Sequence[Any]) -> _Said:
        """Say each value by its head word, and by as much else as tells it from others with the same head."""
        heads = {_head(value) for value in values}
        shared = next(iter(heads)) if len(heads) == 1 else ""
        texts = {_canonical(value): _say(key, value, values, shared) for value in values}
        usual, count = Counter(texts[_canonical(value)] for value in values).most_common(1)[0]
        return cls(key, texts, shared, usual if 2 * count > len(values) else "")


def _panel(tree: Mapping[str, Any], said: Mapping[str, _Said], quiet: Collection[str]) -> str:
    texts = {key: one.texts[_canonical(tree.get(key))] for key, one in said.items()}
    return _SEPARATOR.join(text for key, text in texts.items() if not (key in quiet and text == said[key].usual))


def _say(key: str, value: Any, others: Sequence[Any], shared: str) -> str:
    if not isinstance(value, dict):
        return part_text(key, value)
    head = _head(value)
    levels = flatten(value)
    alike = [flatten(other) for other in others if isinstance(other, dict) and _head(other) == head]
    differing = [path for path in levels if len({_canonical(other.get(path)) for other in alike}) > 1]
    words = [part_text(f"{key}.{path}", levels[path]) for path in differing]
    named = "" if head == shared else part_text(key, head) if key == "checkpoint" else head
    return ", ".join(filter(None, [named, *words])) or key


def _head(value: Any) -> str:
    return next((str(value[name]) for name in _NAMING if value.get(name)), "") if isinstance(value, dict) else ""


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _labelled(names: Sequence[CellName], shared: str) -> tuple[CellName, ...]:
    labels = [_SEPARATOR.join(filter(None, [name.size, name.panel or shared])) for name in names]
    again = Counter(labels)
    return tuple(
        replace(name, label=f"{label} ({name.cell_id[:8]})" if again[label] > 1 else label)
        for name, label in zip(names, labels, strict=True)
    )
