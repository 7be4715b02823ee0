"""What is said over a guest's console, whichever guest it is; the guests' own sources are beside this file.

A line for us begins with :data:`MARK`, then comes a word, and after it fields as JSON: ``ready`` when the guest has
booted, ``started`` when the workload of a ``start`` line runs, ``report`` with what it achieved, ``failed`` with an
``error``. A line to the guest is ``start WORKLOAD key=value...``, once; or a question with a number of its own:
``alive N``, answered at once by ``alive`` with how far the guest has come, and ``check N``, answered by ``checked``
with whether its memory is as it should be. The answer repeats the number as ``asked``.
"""

from __future__ import annotations

from typing import Any, Literal

from bench.system.documents import parse_json

Kind = Literal["linux", "bare", "apps"]

BARE_WORKLOADS = ("idle", "dirty")
"""What the bare guest knows to do."""

ANSWERS = {"alive": "alive", "check": "checked"}
"""By which word each question is answered."""

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


def cause_of(error: str) -> str:
    """Return the catalogue's name for what a ``failed`` line tells."""
    cause = "workload-died"
    if "disk is full" in error:
        cause = "guest-disk-full"
    elif error.startswith("the server "):
        cause = "server-ended"
    return cause


def question(word: str, number: int) -> str:
    """Return the line that asks the guest something: ``alive`` or ``check``."""
    return f"{word} {number}"


def start_line(guest: Kind, command: str, interval_s: float, poll_ms: int = 0) -> str:
    """Return the line that starts a workload; empty where the guest has nothing to start.

    The bare guest always has: it watches itself, with some :data:`_BEATS` beats between two checkpoints.

    Args:
        guest: which guest.
        command: what the workload says to it.
        interval_s: between two checkpoints.
        poll_ms: how often the bare guest looks at its console, where that is to be more often than it does by itself:
            each look leaves the virtual machine.
    """
    if guest != "bare":
        return command
    beat_ms = round(interval_s * 1000 / _BEATS)
    beats = f"beat={min(max(beat_ms, _SHORTEST_BEAT_MS), _LONGEST_BEAT_MS)}"
    return " ".join((command or "start idle", beats, *((f"poll={poll_ms}",) if poll_ms else ())))
