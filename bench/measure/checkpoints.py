"""Checkpoints from the traces of both sides: complete ones with every phase, the others counted with a reason.

All times are integer microseconds; nothing is rounded here. The phases are defined in ``docs/data.md``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from bench.format.phases import PARTS, RESUMING, STOPPING, P, S
from bench.host.clock import SLEW
from bench.measure.parts import came_as_it_does, dirty_pages, find_markers, read_parts
from bench.measure.sequence import INCOMPLETE, PRIMARY, SECONDARY, read_sequence
from bench.measure.trace import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.format.phases import Marker
    from bench.measure.parts import Found
    from bench.measure.sequence import Attempt, Sequence
    from bench.measure.trace import Trace

FOREVER_US = 1 << 62
"""A time after every run."""

_SLACK_US = 100_000
"""How late a side may log a message after it left: the thread may lose its CPU in between (26 ms were seen)."""


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint.

    Attributes:
        number: 0-based, counted from the start of COLO; a checkpoint that could not be used leaves a gap.
        times_us: microseconds since the epoch on the primary's clock of the events of :class:`P`, in order.
        parts_us: how long each of ``format.phases.PARTS`` took, by name; ``None`` where it was not traced or not
            understood.
        dirty_pages: what the secondary copied from its cache; ``None`` as for parts.
        halted_us: when QEMU said that the primary stood still; QMP's STOP comes before that, when its vCPUs do, and
            after the change of the run state that the pause begins with. ``None`` where that change was not traced.
        resumed_us: when the primary began to resume, as QMP's RESUME says too; ``None`` as for parts.
    """

    number: int
    times_us: tuple[int, ...]
    parts_us: Mapping[str, int | None] = field(default_factory=dict)
    dirty_pages: int | None = None
    halted_us: int | None = None
    resumed_us: int | None = None

    @property
    def request_us(self) -> int:
        """When the checkpoint began."""
        return self.times_us[P.REQUEST]

    @property
    def running_us(self) -> int:
        """When it ended: the primary runs again."""
        return self.times_us[P.RUNNING]

    @property
    def pause_us(self) -> int:
        """How long the primary stood still."""
        return self.times_us[P.RUNNING] - self.times_us[P.STOPPED]

    @property
    def phases_us(self) -> tuple[int, ...]:
        """Return request, stop, prepare, save, deliver, load and resume; they add up to request -> running."""
        return tuple(after - before for before, after in pairwise(self.times_us))


@dataclass(frozen=True)
class Assembly:
    """What two traces say about a run's checkpoints.

    Attributes:
        checkpoints: the complete ones, by number.
        attempts: all of the primary's, the unused included.
        running_us: when the primary first ran under COLO, ``None`` when the trace does not show it.
        problems: what could not be used and why.
    """

    checkpoints: tuple[Checkpoint, ...]
    attempts: tuple[Attempt, ...]
    running_us: int | None
    problems: tuple[Problem, ...]

    def spans_us(self) -> tuple[tuple[int, int], ...]:
        """Return begin and end of every attempt; one that is not complete may reach from its neighbour to the next."""
        spans = []
        for number, attempt in enumerate(self.attempts):
            begin, end = attempt.times_us[0], attempt.times_us[-1]
            if not attempt.complete:
                begin = max((one.times_us[-1] for one in self.attempts[:number] if one.complete), default=0)
                end = min((one.times_us[0] for one in self.attempts[number + 1 :] if one.complete), default=FOREVER_US)
            spans.append((begin, end))
        return tuple(spans)

    def begun_by(self, time_us: int) -> Assembly:
        """Return it without what began later than a time."""
        return replace(
            self,
            checkpoints=tuple(one for one in self.checkpoints if one.request_us <= time_us),
            attempts=tuple(one for one in self.attempts if one.times_us[0] <= time_us),
        )


class Tally:
    """Counts problems by kind and keeps the first example of each."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, what: str, example: str) -> None:
        """Count one more instance."""
        self._counts[what] += 1
        self._examples.setdefault(what, example)

    def problems(self) -> tuple[Problem, ...]:
        """Return them in the order of their first instance."""
        return tuple(Problem(what, count, self._examples[what]) for what, count in self._counts.items())


def assemble(primary: Trace, secondary: Trace | None) -> Assembly:
    """Assemble the checkpoints of a run.

    Args:
        primary: parsed with at least its side's :data:`bench.measure.parts.EVENTS` wanted.
        secondary: the same; ``None`` leaves its columns empty.
    """
    tally = Tally()
    ours = read_sequence(primary, PRIMARY)
    _report(ours, tally)
    partners: dict[int, Attempt] = {}
    if secondary is not None:
        theirs = read_sequence(secondary, SECONDARY)
        _report(theirs, tally)
        partners = match_sides(ours, theirs, tally)
    checkpoints = tuple(
        _checkpoint(attempt, partners.get(attempt.number), tally) for attempt in ours.attempts if attempt.complete
    )
    return Assembly(checkpoints, ours.attempts, ours.running_us, tally.problems())


def _report(sequence: Sequence, tally: Tally) -> None:
    for attempt in sequence.attempts:
        if attempt.reason:
            where = f"checkpoint {attempt.number}, its first event at {attempt.times_us[0] / 1e6:.6f}"
            tally.add(f"{sequence.side.name}: {attempt.reason}", where)


def _checkpoint(ours: Attempt, theirs: Attempt | None, tally: Tally) -> Checkpoint:
    parts_us: dict[str, int | None] = dict.fromkeys(part.name for part in PARTS)
    pages = None
    for side, attempt in ((PRIMARY, ours), (SECONDARY, theirs)):
        if attempt is None or not attempt.complete:
            continue
        found = find_markers(attempt, side.name)
        parts_us |= read_parts(attempt, side.name, found)
        pages = dirty_pages(found)
        for marker, steps in found.items():
            if steps and not came_as_it_does(marker, steps):
                what = "unpaired" if marker.often else "not one"
                tally.add(f"{side.name}: {what} {marker.name}", f"checkpoint {attempt.number}: {len(steps)} events")
    times = list(ours.times_us)
    own = find_markers(ours, PRIMARY.name)
    changed_us, halted_us = _once_us(own, STOPPING), times[P.STOPPED]
    times[P.STOPPED] = changed_us or halted_us
    told_us = halted_us if changed_us else None
    return Checkpoint(ours.number, tuple(times), parts_us, pages, told_us, _once_us(own, RESUMING))


def _once_us(found: Found, marker: Marker) -> int | None:
    return found[marker][0].time_us if came_as_it_does(marker, found[marker]) else None


def match_sides(ours: Sequence, theirs: Sequence, tally: Tally) -> dict[int, Attempt]:
    """Return the secondary's attempt for each of the primary's that has a sure partner.

    Two hosts have two clocks, so the k-th checkpoint since the start of COLO on one side is the k-th on the other. That
    needs the start in both traces and equal counts (but for a last one that only one side began). Then one offset
    between the clocks must explain every message of a pair, and of the pair after it: where it does not, whole
    checkpoints are missing from one trace, and nothing from there on is matched. After an attempt that a side could not
    use the count alone is not trusted: the offset must be known already, and a neighbour be too far to be mistaken for.
    """
    if not ours.attempts or not theirs.attempts:
        return {}
    if ours.ready_us is None or theirs.ready_us is None:
        side = ours.side.name if ours.ready_us is None else theirs.side.name
        tally.add("sides not matched: the start of COLO is not in both traces", f"missing on the {side}")
        return {}
    if len(_begun(ours, theirs)) != len(_begun(theirs, ours)):
        example = f"{len(ours.attempts)} on the primary, {len(theirs.attempts)} on the secondary"
        tally.add("sides not matched: they differ in the number of checkpoints", example)
        return {}
    return _in_step(ours.attempts, theirs.attempts, tally)


def _begun(sequence: Sequence, other: Sequence) -> tuple[Attempt, ...]:
    """Return the attempts without a last, incomplete one that the other side may not have begun."""
    extra = len(sequence.attempts) - len(other.attempts) == 1 and sequence.attempts[-1].reason == INCOMPLETE
    return sequence.attempts[:-1] if extra else sequence.attempts


def _in_step(ours: tuple[Attempt, ...], theirs: tuple[Attempt, ...], tally: Tally) -> dict[int, Attempt]:
    matched: dict[int, Attempt] = {}
    doubt = False
    known: tuple[int, int, int] | None = None
    for one, partner in zip(ours, theirs, strict=False):
        doubt = doubt or one.after_gap or partner.after_gap
        if not (one.complete and partner.complete):
            doubt = True
            continue
        lowest, highest = offset_bounds(one.times_us, partner.times_us)
        at_us, low, high = known or (one.times_us[0], lowest, highest)
        # A message that seems to arrive before it was sent shows how late a log line can be, not that a pair is wrong:
        # checkpoints that do not belong together are apart as wholes, and consistent in themselves.
        late = max(0, lowest - highest) + max(0, low - high)
        slack = _SLACK_US + late + round(SLEW * (one.times_us[0] - at_us))
        unsure = doubt and (known is None or _nearest_us(ours, one.number) <= 3 * slack)
        if unsure or max(lowest, low) > min(highest, high) + slack:
            tally.add("sides not matched: they fall out of step", f"from checkpoint {one.number} on")
            break
        known = (one.times_us[0], lowest, highest)
        matched[one.number] = partner
    return matched


def _nearest_us(attempts: tuple[Attempt, ...], number: int) -> int:
    """Return the time between an attempt's beginning and the closest other one's."""
    others = (*attempts[max(number - 1, 0) : number], *attempts[number + 1 : number + 2])
    begun_us = attempts[number].times_us[0]
    return min((abs(begun_us - other.times_us[0]) for other in others), default=FOREVER_US)


def offset_bounds(ours: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[int, int]:
    """Return the least and the greatest secondary-minus-primary clock offset that the messages of a pair allow.

    No message arrives before it was sent, in either direction.
    """
    highest = min(theirs[S.REQUEST] - ours[P.REQUEST], theirs[S.SEND] - ours[P.SEND], theirs[S.SIZE] - ours[P.SIZE])
    lowest = max(
        theirs[S.REPLY] - ours[P.REPLY], theirs[S.RECEIVED] - ours[P.RECEIVED], theirs[S.LOADED] - ours[P.LOADED]
    )
    return lowest, highest
