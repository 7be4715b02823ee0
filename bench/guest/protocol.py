"""What is said over a guest's console, whichever guest it is; the guests' own sources are beside this file.

A line for us begins with :data:`MARK`, then comes a word, and after it fields as JSON: ``ready`` when the guest has
booted, ``started`` when the workload of a ``start`` line runs, ``report`` with what it achieved, ``failed`` with an
``error``. A line to the guest is ``start WORKLOAD key=value...``, once.
"""

from __future__ import annotations

from typing import Any, Literal

from bench.system.documents import parse_json

Kind = Literal["linux", "bare"]

BARE_WORKLOADS = ("idle", "dirty")
"""What the bare guest knows to do."""

MARK = "colo-bench: "
"""Begins every line that the guest addresses to us."""

_FATAL = ("KVM internal error", "Kernel panic")

_BEATS = 20
_SHORTEST_BEAT_MS, _LONGEST_BEAT_MS = 1, 50


def parse_line(line: str) -> tuple[str, dict[str, Any]] | None:
    """Return the word and the fields of a line that the guest addressed to us, or ``None`` for anything else it prints.

    A report cut or overwritten by kernel messages is not ours to guess: it gives ``None`` too.
    """
    _, mark, text = line.partition(MARK)
    if not mark:
        return None
    word, _, rest = text.strip().partition(" ")
    try:
        fields = parse_json(rest) if rest else {}
    except ValueError:
        return None
    return (word, fields) if isinstance(fields, dict) else None


def has_stopped(line: str) -> bool:
    """Return whether a line says that the guest has stopped for good; the QEMU process itself may well stay."""
    return any(words in line for words in _FATAL)


def start_line(guest: Kind, command: str, interval_s: float) -> str:
    """Return the line that starts a workload; empty where the guest has nothing to start.

    The bare guest always has: it watches itself, with some :data:`_BEATS` beats between two checkpoints.

    Args:
        guest: which guest.
        command: what the workload says to it.
        interval_s: between two checkpoints.
    """
    if guest == "linux":
        return command
    beat_ms = round(interval_s * 1000 / _BEATS)
    return f"{command or 'start idle'} beat={min(max(beat_ms, _SHORTEST_BEAT_MS), _LONGEST_BEAT_MS)}"
