"""Did everybody run all the time? The harness's own heartbeat, and a look at the state of the processes it measures.

A harness that is stopped (Ctrl-Z, a debugger), starved or asleep with its machine asks for a checkpoint too late, and
nothing in QEMU's traces tells why; a QEMU that is stopped or frozen makes a pause as long as it likes.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from bench.host.vitals import State

BEAT_S = 0.05
"""How often the harness looks: each look costs it some 0.1 ms."""

NOTED_GAP_S = 0.1
"""A beat that comes later than this is on record. Where the distribution of quiet runs lies is in ``docs/data.md``."""

SUSPENDED_S = 1.0
"""A harness that did not run for longer than this may have missed a deadline for that alone."""

HARNESS = "harness"


@dataclass(frozen=True)
class Gap:
    """A time in which somebody did not run.

    Attributes:
        who: ``harness``, ``primary``, ``secondary`` or ``client``.
        begin: Unix seconds; of a side, when it was first seen standing still.
        end: Unix seconds.
    """

    who: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end - self.begin


def _boot_s() -> float:
    """Return the seconds since boot, those that the machine slept included (CLOCK_MONOTONIC leaves them out)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Pulse:
    """Looks every :data:`BEAT_S` whether the harness came to run in time, and whether the watched processes do.

    Attributes:
        gaps: every gap that is worth keeping, in the order of their ends.
    """

    def __init__(self, clock: Callable[[], float] = _boot_s, wall: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._wall = wall
        self._last = clock()
        self._lost_s = 0.0
        self._longest_s = 0.0
        self._beats = 0
        self._began = self._last
        self._watched: Mapping[str, Callable[[], State | None]] = {}
        self._still: dict[str, float] = {}
        self._on_gap: Callable[[Gap], None] = lambda _: None
        self.gaps: list[Gap] = []

    def look(self) -> None:
        """Look now: the beat that is due may be late already."""
        now, wall = self._clock(), self._wall()
        late_s = max(0.0, now - self._last - BEAT_S)
        self._last = now
        self._beats += 1
        self._lost_s += late_s
        self._longest_s = max(self._longest_s, late_s)
        if late_s > NOTED_GAP_S:
            self._note(Gap(HARNESS, wall - late_s, wall))
        for side, state_of in self._watched.items():
            state = state_of()
            if state is not None and state.still:
                self._still.setdefault(side, wall)
            elif side in self._still:
                self._note(Gap(side, self._still.pop(side), wall))

    def _note(self, gap: Gap) -> None:
        self.gaps.append(gap)
        self._on_gap(gap)

    @asynccontextmanager
    async def watching(
        self, sides: Mapping[str, Callable[[], State | None]], on_gap: Callable[[Gap], None]
    ) -> AsyncIterator[None]:
        """Look at these processes too, until the block ends.

        Args:
            sides: returns a process's state, by what it is called.
            on_gap: called with each gap as soon as it is known.
        """
        self._watched, self._on_gap = sides, on_gap
        try:
            yield
        finally:
            self.look()
            for side, begin in self._still.items():  # standing still to the end
                self._note(Gap(side, begin, self._wall()))
            self._watched, self._still, self._on_gap = {}, {}, lambda _: None

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Keep looking until the block ends."""
        self._last = self._began = self._clock()
        task = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            self.look()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self.look()

    def lost_since(self, wall_s: float) -> float:
        """Return for how long the harness did not run, in the gaps that ended after a time (Unix seconds)."""
        return sum(gap.seconds for gap in self.gaps if gap.who == HARNESS and gap.end >= wall_s)

    def to_json(self) -> dict[str, Any]:
        """Return it as stored in ``run.json``: how late the harness came to run, together and at its worst, in s."""
        return {
            "seconds": round(self._clock() - self._began, 6),
            "beats": self._beats,
            "lost_s": round(self._lost_s, 6),
            "longest_gap_s": round(self._longest_s, 6),
        }
