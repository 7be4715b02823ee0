"""What the bare guest saw of each checkpoint: how long it stood still, and whether its working set was rewritten whole.

The guest beats (``bench/guest/bare/beat.c`` tells how): each beat carries its own clock, the longest hole in its loop
since the last beat, and how many pages each worker has written; QEMU's trace adds the host's time. From the last beats
before a pause to the first ones after it

    standstill = what host time went by that the guest's clock does not know of + the hole that holds the pause

Under TCG the guest's clock stands still with the machine, and the first part is nearly all; under KVM it goes on, and
the second is. So it needs no assumption about either, and it is the guest's own stores that are timed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from bench.format.phases import BEAT, P

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.measure.checkpoints import Assembly
    from bench.measure.sequence import Attempt
    from bench.measure.trace import Trace

_BRIDGE = "i440FX"
_AT_HOLE, _AT_ENDED, _AT_PROGRESS, _AT_CLOCK = 0x00, 0x28, 0x2C, 0x08
_WRAP = 1 << 32
_NEAR = 3
"""Beats on either side of a pause that its standstill is measured by: of three one was not held up on its way to the
trace, and farther ones would count the error of the guest's clock, some 0.05 %, for longer."""

_SLACK_US = 1_000
"""How far off its place in the guest's time a pause may seem."""


@dataclass(frozen=True)
class Beat:
    """One beat.

    Attributes:
        time_us: when QEMU traced it, on the primary's clock.
        clock_us: the guest's clock; its zero means nothing.
        hole_us: the longest hole in the guest's loop since the last beat.
        ended_us: where by its clock that hole ended.
        written: pages that each worker has written so far, modulo 2^32.
    """

    time_us: int
    clock_us: int
    hole_us: int
    ended_us: int
    written: tuple[int, ...]

    @property
    def ahead_us(self) -> int:
        """How far the host's clock is ahead of the guest's."""
        return self.time_us - self.clock_us


class Seen(NamedTuple):
    """What the guest saw of one checkpoint; ``None`` where its beats do not tell.

    Attributes:
        standstill_us: how long its stores stood still.
        rewritten: whether the whole working set was written between the previous checkpoint and this one.
    """

    standstill_us: int | None = None
    rewritten: bool | None = None


def read_beats(trace: Trace) -> tuple[Beat, ...]:
    """Return the whole beats of the primary's trace, in order; what firmware writes to the same device is none."""
    beats: list[Beat] = []
    hole: tuple[int, ...] = ()
    written: list[int] = []
    for time_us, kind in trace:
        if kind.event != BEAT.name or kind.values[0] != _BRIDGE:
            continue
        at, value = (int(text, 16) for text in kind.values[1:])
        if at == _AT_HOLE:
            hole, written = (value,), []
        elif at == _AT_ENDED:
            hole = (*hole, value)
        elif at == _AT_PROGRESS:
            written.append(value)
        elif at == _AT_CLOCK and len(hole) == 2:  # noqa: PLR2004 - its length and its end
            last_us = beats[-1].clock_us if beats else value
            clock_us = last_us + (value - last_us) % _WRAP
            ended_us = clock_us - (value - hole[1]) % _WRAP
            beats.append(Beat(time_us, clock_us, hole[0], ended_us, tuple(written)))
            hole = ()
    return tuple(beats)


def seen_by_guest(assembly: Assembly, beats: Sequence[Beat], shares: Sequence[int]) -> tuple[Seen, ...]:
    """Return what the guest saw of each complete checkpoint, n of them.

    Args:
        assembly: the run's checkpoints.
        beats: of the primary's guest, in order.
        shares: pages of each worker's share of the working set; none for an idle guest.
    """
    between = _between_pauses(assembly.attempts, beats)
    return tuple(
        Seen(
            _standstill_us(one.times_us[P.STOPPED], between[one.number], between[one.number + 1]),
            _rewritten(between, one.number, shares),
        )
        for one in assembly.checkpoints
    )


def _between_pauses(attempts: Sequence[Attempt], beats: Sequence[Beat]) -> list[tuple[Beat, ...]]:
    """Return the beats before the first pause, between each two, and after the last; none beside an unclear one."""
    edges = [0, *(one.times_us[P.STOPPED] if one.complete else 0 for one in attempts), _WRAP * _WRAP]
    groups: list[tuple[Beat, ...]] = []
    position = 0
    for begin, end in pairwise(edges):
        first = position
        while position < len(beats) and beats[position].time_us <= end:
            position += 1
        clear = begin > 0 or not groups
        groups.append(tuple(beats[first:position]) if clear and end else ())
    return groups


def _standstill_us(stopped_us: int, before: Sequence[Beat], after: Sequence[Beat]) -> int | None:
    if not before or not after:
        return None
    ahead_us = min(one.ahead_us for one in before[-_NEAR:])
    unknown_us = max(min(one.ahead_us for one in after[:_NEAR]) - ahead_us, 0)
    at_us = stopped_us - ahead_us
    # A pause in the midst of a beat is in the hole that the next one tells of.
    holes = [one.hole_us for one in after[:_NEAR] if -_SLACK_US <= one.ended_us - at_us <= one.hole_us + _SLACK_US]
    return unknown_us + max(holes, default=0)


def _rewritten(between: Sequence[Sequence[Beat]], number: int, shares: Sequence[int]) -> bool | None:
    """Count from inside, which is sure to be enough, and from outside, which is sure to be too little."""
    inner = between[number]
    if not shares or number == 0 or not inner or not between[number - 1] or not between[number + 1]:
        return None
    sure = _pages(inner[0], inner[-1], shares)
    most = _pages(between[number - 1][-1], between[number + 1][0], shares)
    if sure is None or most is None:
        return None
    if all(pages >= share for pages, share in zip(sure, shares, strict=True)):
        return True
    return False if any(pages < share for pages, share in zip(most, shares, strict=True)) else None


def _pages(first: Beat, last: Beat, shares: Sequence[int]) -> list[int] | None:
    if not len(first.written) == len(last.written) == len(shares):
        return None
    return [(now - then) % _WRAP for then, now in zip(first.written, last.written, strict=True)]
