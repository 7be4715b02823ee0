"""The machine and the versions of a campaign as name and value: one value where all runs agree, else what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.format.factors import size_text
from analysis.text import plural, short_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.stored.campaign import Run

_LABELS = {
    "qemu": "QEMU",
    "qemu_source": "QEMU comes from",
    "qemu_sha256": "QEMU, SHA-256",
    "qemu_secondary": "QEMU of the secondary",
    "qemu_secondary_sha256": "QEMU of the secondary, SHA-256",
    "kernel": "Guest kernel",
    "kernel_sha256": "Guest kernel, SHA-256",
    "initramfs_sha256": "Guest initramfs, SHA-256",
    "colo_bench": "colo-bench",
    "python": "Python",
}
_HOST_LABELS = {
    "cpu_model": "CPU",
    "cpus": "CPUs online",
    "virtual": "Itself a virtual machine",
    "mhz": "CPU frequency, MHz",
    "governors": "CPU governor",
    "memory_total_bytes": "Memory",
    "memory_available_bytes": "Memory available",
    "swap_used_bytes": "Swap used",
    "kernel": "Kernel",
    "clock_source": "Clock source",
    "thp": "Transparent huge pages",
    "load": "Load, 1 minute",
    "temperature_c": "Temperature, °C",
}
_GIB = 1 << 30
_MOST_VALUES = 4
_LONGEST = 160


def describe_versions(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return what the runs say of QEMU, the guest and this program, SHA-256 included, and how many do where not all."""
    trees = [run.record.versions for run in runs]
    names = list(dict.fromkeys(name for tree in trees for name in tree))
    labels = {name: _LABELS.get(name, name.replace("_", " ")) for name in names}
    said = dict(_described(trees, labels))
    return [(label, said[label] + of_some(trees, name)) for name, label in labels.items() if label in said]


def of_some(trees: Sequence[Mapping[str, Any]], name: str) -> str:
    """Return in how many of the runs there is something, such as a secondary's own QEMU; empty where in all."""
    told = sum(tree.get(name) is not None for tree in trees)
    return "" if told == len(trees) else f" (in {told:,} of {plural(len(trees), 'run')})"


def describe_host(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return what the runs saw, before they began, of the hosts that their sides were on."""
    return _described([machine for run in runs for machine in run.record.machines], _HOST_LABELS)


def _described(trees: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> list[tuple[str, str]]:
    found = {name: [tree[name] for tree in trees if tree.get(name) is not None] for name in labels}
    return [(labels[name], _say(name, values)) for name, values in found.items() if values]


def _say(name: str, found: Sequence[Any]) -> str:
    values = [value[0] if name == "load" and value else value for value in found]
    distinct = list(dict.fromkeys(_text(name, value) for value in values))
    if len(distinct) == 1:
        return distinct[0]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return f"{_text(name, min(values))} to {_text(name, max(values))}"
    shown = "; ".join(distinct[:_MOST_VALUES])
    return shown if len(distinct) <= _MOST_VALUES else f"{shown}; {plural(len(distinct) - _MOST_VALUES, 'other value')}"


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_bytes") and isinstance(value, int):
        shown = f"{value / _GIB:.1f}"
        # Some megabytes of swap are not none.
        return f"{shown if float(shown) else short_text(value / _GIB, 1)} GiB" if value else size_text(0)
    if isinstance(value, float):
        return f"{value:.4g}"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
