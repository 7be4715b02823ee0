"""One side's trace cut into attempts at a checkpoint by a strict state machine.

The orders are those of ``colo_do_checkpoint_transaction`` (primary) and ``colo_incoming_process_checkpoint``
(secondary) in QEMU's ``migration/colo.c``. An attempt is complete when each event of the order came exactly once,
in order, and time never stepped back; every other attempt carries the reason why it is not used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import dropwhile
from typing import TYPE_CHECKING

from bench.format.phases import CHANGED, ORDER, READY, START, Kind, SideName

if TYPE_CHECKING:
    from bench.measure.trace import Trace

INCOMPLETE = "incomplete last checkpoint"
CUT = "the trace begins inside a checkpoint"


@dataclass(frozen=True)
class Side:
    """What one side's trace shows of a checkpoint.

    Attributes:
        name: which of the two.
        ready: the message after which checkpoints are counted.
        order: the events of one checkpoint.
    """

    name: SideName
    ready: Kind
    order: tuple[Kind, ...]


PRIMARY, SECONDARY = (Side(name, READY[name], ORDER[name]) for name in SideName)


@dataclass(frozen=True)
class Attempt:
    """A checkpoint as one side's trace shows it, used or not.

    Attributes:
        number: 0-based, counted from the start of COLO, attempts that are not used included.
        times_us: the times of the events of the order, as far as they came.
        others: (events of the order before it, microseconds, kind) of each other wanted event within.
        reason: why it is not used; empty when it is complete.
        after_gap: whether a damaged line precedes it: attempts may be missing from the count.
    """

    number: int
    times_us: tuple[int, ...]
    others: tuple[tuple[int, int, Kind], ...] = ()
    reason: str = ""
    after_gap: bool = False

    @property
    def complete(self) -> bool:
        """Whether every event came once and in order."""
        return not self.reason


@dataclass(frozen=True)
class Sequence:
    """All attempts of one side.

    Attributes:
        side: whose they are.
        attempts: in order; ``attempts[n].number == n``.
        ready_us: when COLO started, ``None`` when the trace does not show it or it started more than once.
        running_us: when the VM first ran under COLO, if the trace shows it.
    """

    side: Side
    attempts: tuple[Attempt, ...]
    ready_us: int | None
    running_us: int | None


def describe(kind: Kind) -> str:
    """Return an event of the order in words: ``send vmstate-size``, ``run => stop``."""
    if kind.event == CHANGED:
        return " => ".join(kind.values)
    return f"{kind.event.split('_')[1]} {' '.join(kind.values)}"


def read_sequence(trace: Trace, side: Side) -> Sequence:
    """Cut one side's trace into attempts.

    What comes before the first ready message belongs to the migration that precedes COLO. A trace without one
    (rotated, or switched on late) is read from its beginning.
    """
    machine = _Machine(side)
    seen = any(kind == side.ready for kind in trace.kinds)
    gaps = frozenset(trace.gaps)
    events = enumerate(trace)
    for position, (time_us, kind) in dropwhile(lambda entry: seen and entry[1][1] != side.ready, events):
        if position in gaps:
            machine.gap()
        machine.step(time_us, kind)
    machine.close(INCOMPLETE)
    return Sequence(side, tuple(machine.attempts), machine.ready_us, machine.running_us)


class _Machine:
    """The strict automaton: between checkpoints, inside one, or skipping to the next request."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._positions = {kind: position for position, kind in enumerate(side.order)}
        self._open: list[int] = []
        self._others: list[tuple[int, int, Kind]] = []
        self._skipping = False
        self._last_us = 0
        self._starts = 0
        self._after_gap = False
        self.attempts: list[Attempt] = []
        self.ready_us: int | None = None
        self.running_us: int | None = None

    def step(self, time_us: int, kind: Kind) -> None:
        """Take the next event."""
        position = self._positions.get(kind)
        if kind == self._side.ready:
            self.close("COLO started anew")
            self._skipping = False
            self._starts += 1
            self.ready_us = time_us if self._starts == 1 else None
        elif position is None:
            if self._open:
                self._others.append((len(self._open), time_us, kind))
        else:
            self._order(time_us, position)
            self._last_us = time_us

    def _order(self, time_us: int, position: int) -> None:
        late = time_us < self._last_us
        if self._open:
            self._inside(time_us, position)
            return
        if late and self.attempts and self.attempts[-1].complete:
            # One of the two times is wrong: the end of the attempt before, or this one.
            self._retract("time steps back after it")
        if position == 0 and not (late and self._skipping):
            self._begin(time_us)
        elif position > 0 and not self._skipping:
            self._between(time_us, position)

    def _begin(self, time_us: int) -> None:
        self._open, self._skipping = [time_us], False
        if time_us < self._last_us:
            self.close(f"time steps back at {describe(self._side.order[0])}")

    def _retract(self, reason: str) -> None:
        self.attempts[-1] = replace(self.attempts[-1], reason=reason)

    def gap(self) -> None:
        """A damaged line: whatever it was, it is missing."""
        self.close("damaged line inside")
        self._after_gap = True

    def close(self, reason: str) -> None:
        """End the open attempt, if any, for a reason (empty: it is complete)."""
        if self._open:
            self._append(self._open, reason)
            self._skipping = bool(reason)
        self._open, self._others = [], []

    def _append(self, times_us: list[int], reason: str) -> None:
        number = len(self.attempts)
        attempt = Attempt(number, tuple(times_us), tuple(self._others), reason, after_gap=self._after_gap)
        self.attempts.append(attempt)

    def _inside(self, time_us: int, position: int) -> None:
        expected = len(self._open)
        if position == 0 and time_us != self._open[0]:
            self.close(f"missing {describe(self._side.order[expected])}")
            self._begin(time_us)
        elif position < expected:
            self.close(f"duplicate {describe(self._side.order[position])}")
        elif position > expected:
            self.close(f"missing {describe(self._side.order[expected])}")
        elif time_us < self._open[-1]:
            self.close(f"time steps back at {describe(self._side.order[position])}")
        else:
            self._open.append(time_us)
            if len(self._open) == len(self._side.order):
                self.close("")

    def _between(self, time_us: int, position: int) -> None:
        """An event of the order outside of any attempt."""
        last = position == len(self._side.order) - 1
        if not self.attempts and self.ready_us is not None and self._side.order[position] == START:
            if self.running_us is None:
                self.running_us = time_us
            return
        if self.attempts and last:
            # The end twice: which of the two was the end of the attempt before cannot be told.
            self._retract(f"duplicate {describe(self._side.order[position])}")
        else:
            reason = CUT if not self.attempts and self.ready_us is None else f"missing {describe(self._side.order[0])}"
            self._append([time_us], reason)
        self._skipping = True
