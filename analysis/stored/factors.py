"""The factors of a cell: its configuration by dotted path, and what of it two cells have in common."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from analysis.format.factors import SIZES, head_of, size_text
from analysis.format.hosts import ACCEL_TEXT
from analysis.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analysis.format.factors import Level

NOT_FACTORS = frozenset({"replica", "checkpoint.count", "checkpoint.warmup", "failover.after"})
"""What may differ between cells that are compared as one."""

_GIB = 1 << 30
SECONDS = frozenset(
    (
        "checkpoint.interval",
        *("compare.timeout", "compare.expired_scan_cycle"),
        *("failover.heartbeat", "failover.timeout"),
        *("link.delay", "client_link.delay"),
    )
)
"""Factors that are stored in seconds."""
_PAGE = 4096
_STREAM, _ARRAYS = "stream", 3
"""It goes through three arrays, its set together, and writes one of them."""

_SIZE = re.compile(r"(?P<n>[0-9]{1,19})(?:(?P<unit>[KMGT])(?:iB)?)?", re.ASCII)
_SHIFT = {None: 0, "K": 10, "M": 20, "G": 30, "T": 40}
_LONGEST = 40
_PARTS = {
    "checkpoint": "checkpoints {}",
    "checkpoint.interval": "{} apart",
    "checkpoint.count": "{} checkpoints",
    "checkpoint.warmup": "warm-up {}",
    "cpu.l3_cache": "L3 cache {}",
    "link.loss_percent": "loss {} %",
    "qemu": "QEMU {}",
    "workload.pattern": "{}",
    "workload.rate": "rate {}",
    "workload.scaling": "working set {}",
    "workload.threads": "threads {}",
}
_PLAIN = {
    ("checkpoint", "demand"): "on demand",
    ("checkpoint", "timer"): "by timer",
    ("workload.scaling", "fixed"): "fixed",
}
_LEVELS = {
    "accel": ACCEL_TEXT,
    "workload.scaling": {"fixed": "the same at every size", "mem": "growing with RAM"},
}
_WORDS = {
    "mem": "RAM",
    "qemu": "QEMU",
    "checkpoint.interval": "the time between checkpoints",
    "devices.vga": "graphics card",
    "migration.multifd": "multifd connections",
    "smp": "vCPUs",
    "workload.working_set": "working set",
    "link.transport": "transport",
    "cpu.l3_cache": "L3 cache",
    "cache.kind": "the host's caches",
    "workload.scaling": "dirty working set",
    "workload.name": "workload",
    "checkpoint.trigger": "checkpoints by",
    "start": "the guest",
}


def filled(cell: Mapping[str, Any], at_default: Mapping[str, Level]) -> dict[str, Any]:
    """Return a cell with the levels, by dotted path, that it leaves out because they are its defaults."""
    whole = dict(cell)
    for path, level in at_default.items():
        head, _, rest = path.partition(".")
        whole[head] = filled(whole.get(head) or {}, {rest: level}) if rest else level
    return whole


def working_set_bytes(factors: Mapping[str, Level]) -> int | None:
    """Return the bytes that a cell's workload dirties, or None where it has no working set."""
    size = factors.get("workload.working_set")
    if not isinstance(size, int):
        return None
    if factors.get("workload.name") == _STREAM:
        return size // _ARRAYS
    if factors.get("workload.scaling") != "mem":
        return size
    return max(size * int(factors["mem"] or 0) // _GIB // _PAGE, 1) * _PAGE


def effective(factors: Mapping[str, Level]) -> dict[str, Level]:
    """Return what a cell really is: two cells whose effective factors are equal are an A/A control."""
    kept = {path: level for path, level in factors.items() if path not in {"replica", "workload.scaling"}}
    return kept | {"workload.working_set": working_set_bytes(factors)}


def differing(cells: Sequence[Mapping[str, Level]], paths: Iterable[str]) -> list[str]:
    """Return those of the paths in which cells differ, in their order; a setting of something does within that.

    A cell without the factor has None of it.
    """
    found = []
    for path in dict.fromkeys(paths):
        head = head_of(path)
        groups: dict[Level, set[Level]] = {}
        for cell in cells:
            groups.setdefault(cell.get(head) if head else None, set()).add(cell.get(path))
        if any(len(levels) > 1 for levels in groups.values()):
            found.append(path)
    return found


def factor_text(path: str) -> str:
    """Return a factor's name for people: ``RAM``, ``vCPUs``, or its path."""
    return _WORDS.get(path, path)


def level_text(path: str, level: Level) -> str:
    """Return a level for people: ``512 MiB``, ``4 vCPUs``, ``unix``, ``not set``."""
    if level is None or isinstance(level, bool):
        return {None: "not set", True: "on", False: "off"}[level]
    if path.rpartition(".")[2] in SIZES and isinstance(level, int):
        return size_text(level)
    if path == "smp" and isinstance(level, int | float):
        return plural(int(level), "vCPU")
    if path in SECONDS and isinstance(level, int | float):
        return f"{level:g} s"
    if path in _LEVELS:
        return _LEVELS[path].get(str(level), str(level))
    return f"{level:g}" if isinstance(level, float) else str(level)


def is_size(level: Level) -> bool:
    """Tell whether a level is a number above 0: trends are told per doubling."""
    return isinstance(level, int | float) and not isinstance(level, bool) and level > 0


def as_planned(level: Level) -> Level:
    """Return a level as it was planned: a column that some cells lack holds whole numbers as floats."""
    return int(level) if isinstance(level, float) and level.is_integer() else level


def part_text(path: str, level: Level) -> str:
    """Return a level with the name of its factor, as a part of a cell's name: ``L3 cache off``, ``working set 64 MiB``.

    A long text is cut, and keeps what tells it from another one.
    """
    if path == "accel":
        return level_text(path, level)
    plain = _PLAIN.get((path, str(level)), level_text(path, level))
    if len(plain) > _LONGEST:
        plain = f"{plain[: _LONGEST - 6]}…{hashlib.sha256(plain.encode()).hexdigest()[:4]}"
    return _PARTS.get(path, f"{path.partition('.')[2].replace('.', ' ').replace('_', ' ') or path} {{}}").format(plain)


def unit(path: str) -> tuple[float, str]:
    """Return by what a numeric level is divided, and the name of the unit: bytes to GiB, else as it is."""
    if path.rpartition(".")[2] in SIZES:
        return float(_GIB), "GiB"
    return 1.0, "vCPU" if path == "smp" else "s" if path in SECONDS else "unit"


def parse_level(path: str, level: Level) -> Level:
    """Return a level as the stored cells have it: a size such as ``512M`` in bytes, anything else as it is."""
    match = _SIZE.fullmatch(level) if isinstance(level, str) and path.rpartition(".")[2] in SIZES else None
    return int(match["n"]) << _SHIFT[match["unit"]] if match else level
