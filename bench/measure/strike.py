"""In which phase of a checkpoint something fell, by the primary's trace; and the line by which a phase begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.format.phases import CHANGED, GOT, ORDER, PHASES, PRIMARY, RUNSTATE, SENT, Kind, P
from bench.measure.sequence import PRIMARY as PRIMARY_SIDE
from bench.measure.sequence import read_sequence
from bench.measure.trace import Trace

if TYPE_CHECKING:
    from bench.measure.sequence import Attempt

BETWEEN = "between"

_WRITTEN = {SENT: "Send '{}' message", GOT: "Receive '{}' message", CHANGED: "Change '{}' => '{}'"}


@dataclass(frozen=True)
class Hit:
    """Where it fell.

    Attributes:
        phase: one of ``PHASES``, or ``between`` two checkpoints.
        into_s: how long after that phase began; ``None`` between.
        checkpoint: the number of the checkpoint that it fell into, or that it came after; ``None`` before the first.
        unfinished: checkpoints before that one that the trace does not show whole.
    """

    phase: str
    into_s: float | None
    checkpoint: int | None
    unfinished: int

    def to_json(self) -> dict[str, Any]:
        """Return it as ``run.json`` keeps it."""
        return {"phase": self.phase, "into_s": self.into_s, "checkpoint": self.checkpoint}


def beginning_of(phase: str) -> bytes:
    """Return what the line of the primary's trace holds with which a phase begins."""
    return written(ORDER[PRIMARY][PHASES.index(phase)])


def written(kind: Kind) -> bytes:
    """Return an event of a checkpoint's order as QEMU writes it into its log."""
    return f"{kind.event} {_WRITTEN[kind.event].format(*kind.values)}".encode()


def hit(primary: Trace, struck_us: int) -> Hit:
    """Return where something fell that had its effect at a time by the primary's clock.

    Args:
        primary: its trace, with the events of a checkpoint's order and of the run state.
        struck_us: microseconds since the epoch.
    """
    begun = [one for one in read_sequence(primary, PRIMARY_SIDE).attempts if one.times_us[0] <= struck_us]
    if not begun:
        return Hit(BETWEEN, None, None, 0)
    *before, last = begun
    unfinished = sum(not one.complete for one in before)
    return _within(last, struck_us, unfinished)


def _within(last: Attempt, struck_us: int, unfinished: int) -> Hit:
    came = [time_us for time_us in _begins(last) if time_us <= struck_us]
    if len(came) > len(PHASES):
        return Hit(BETWEEN, None, last.number, unfinished)
    return Hit(PHASES[len(came) - 1], (struck_us - came[-1]) / 1e6, last.number, unfinished)


def _begins(attempt: Attempt) -> list[int]:
    """Return when its phases began, as far as they came: prepare, as in the table, when the run state changed."""
    begins = list(attempt.times_us)
    changed = [time_us for place, time_us, kind in attempt.others if place == P.STOPPED and kind.event == RUNSTATE]
    if len(changed) == 1:
        begins[P.STOPPED : P.STOPPED + 1] = changed
    return begins


def until(trace: Trace, time_us: int) -> Trace:
    """Return the part of a trace that was written before its first event later than a time."""
    later = np.flatnonzero(trace.times_us > time_us)
    if not len(later):
        return trace
    end = int(later[0])
    gaps = tuple(place for place in trace.gaps if place <= end)
    return Trace(trace.times_us[:end], trace.codes[:end], trace.kinds, gaps, trace.lines, trace.problems)
