"""Was the wall clock set during a run? Trace and QMP events are stamped by it: a step falsifies what lies around it.

Linux slews both clocks alike (NTP, adjtime), so that the wall clock minus the monotonic one changes only when the wall
clock is set, at a leap second, or when the machine sleeps: see clock_gettime(2).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.errors import MeasureError

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_STEP_S = 0.5
"""A run whose wall clock stepped by more does not count."""

NOTED_STEP_S = 0.002
"""A smaller step may falsify one checkpoint by as much: it is said. It is also the largest error of a fair reading."""

_READINGS = 3


def clock_offset_s(wall: Callable[[], float], monotonic: Callable[[], float]) -> float:
    """Return the wall clock minus the monotonic clock in s, by the tightest of a few readings.

    The wall clock is read between two readings of the other: where this thread lost its CPU in between, they are far
    apart.
    """
    readings = []
    for _ in range(_READINGS):
        before, now, after = monotonic(), wall(), monotonic()
        readings.append((after - before, now - (before + after) / 2))
    return min(readings)[1]


class ClockWatch:
    """Compares the two clocks again and again, and keeps the largest difference from when it began.

    Attributes:
        largest_step_s: by how much the wall clock was set forward (negative: back), at its worst.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._first_s = clock_offset_s(wall, monotonic)
        self.largest_step_s = 0.0

    def look(self) -> None:
        """Compare the clocks now. A step that is taken back later is seen only by a look in between."""
        step_s = clock_offset_s(self._wall, self._monotonic) - self._first_s
        if abs(step_s) > abs(self.largest_step_s):
            self.largest_step_s = step_s

    def drift(self) -> list[str]:
        """Return what to say of a step too small to fail the run, as a line of the host's drift; nothing without."""
        if abs(self.largest_step_s) <= NOTED_STEP_S:
            return []
        return [f"the wall clock was set {_amount(self.largest_step_s)}"]

    def require_steady(self) -> None:
        """Return when the clock was not set by more than :data:`LARGEST_STEP_S`.

        Raises:
            MeasureError: it was.
        """
        if abs(self.largest_step_s) > LARGEST_STEP_S:
            raise MeasureError(
                f"the wall clock was set {_amount(self.largest_step_s)} during the run, so its times are false",
                cause="clock-stepped",
                evidence=(f"wall clock minus monotonic clock: {self.largest_step_s:+.6f} s since the run began",),
            )


def _amount(step_s: float) -> str:
    return f"{'forward' if step_s > 0 else 'back'} by {abs(step_s):.3f} s"
