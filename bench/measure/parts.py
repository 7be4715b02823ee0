"""The parts of phases and of the secondary's work, as ``format.phases`` has them, read from one attempt's events."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from bench.format.phases import FLUSH, MARKERS, ORDER, PARTS, Kind, Marker, Part, SideName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.measure.sequence import Attempt

EVENTS = {
    side: frozenset(
        kind.event
        for kinds in (ORDER[side], *(marker.kinds for marker in MARKERS if marker.side == side))
        for kind in kinds
    )
    for side in SideName
}
"""The trace events of each side that checkpoints are assembled from."""


class Step(NamedTuple):
    """Something that bounds a part: an event of the order (its place), or one that comes right before it."""

    place: int
    time_us: int
    mark: int | Kind
    values: tuple[str, ...] = ()


Found = dict[Marker, list[Step]]


def find_markers(attempt: Attempt, side: SideName) -> Found:
    """Return the events of each marker within an attempt that lie between their neighbours in time."""
    times = attempt.times_us
    found: Found = {marker: [] for marker in MARKERS if marker.side == side}
    for place, time, kind in attempt.others:
        for marker, steps in found.items():
            if place in marker.before and times[place - 1] <= time <= times[place]:
                steps += [Step(place, time, mark, kind.values) for mark in marker.kinds if _is(kind, mark)]
    return found


def _is(kind: Kind, sought: Kind) -> bool:
    return kind.event == sought.event and (not sought.values or kind.values == sought.values)


def came_as_it_does(marker: Marker, steps: list[Step]) -> bool:
    """Whether a marker came whole, in order, and once unless it may come often."""
    times = len(steps) // len(marker.kinds) if marker.often else 1
    rising = all(before.time_us <= after.time_us for before, after in pairwise(steps))
    return bool(steps) and [step.mark for step in steps] == list(marker.kinds) * times and rising


def read_parts(attempt: Attempt, side: SideName, found: Found) -> dict[str, int | None]:
    """Return each of a side's parts in microseconds, by name; ``None`` where it cannot be told."""
    sound = [step for marker, steps in found.items() if came_as_it_does(marker, steps) for step in steps]
    own = [Step(place, time, place) for place, time in enumerate(attempt.times_us)]
    known = {step.mark for step in (*sound, *own)}
    # What comes right before an event of the order stands in front of it, else as the trace had it.
    steps = sorted((*sound, *own), key=lambda step: (step.place, step.mark == step.place))
    return {
        part.name: _part(part, steps) if known.issuperset({*part.begins, *part.ends}) else None
        for part in PARTS
        if part.side == side
    }


def _part(part: Part, steps: list[Step]) -> int | None:
    total_us, began_us = 0, None
    for step in steps:
        if step.mark in part.ends and began_us is not None:
            if step.time_us < began_us:
                return None
            total_us, began_us = total_us + step.time_us - began_us, None
        if step.mark in part.begins:
            began_us = max(step.time_us, began_us or 0)
    return total_us if began_us is None else None


def dirty_pages(found: Mapping[Marker, list[Step]]) -> int | None:
    """Return how many pages the secondary copied; ``None`` where it did not say so once."""
    said = [step.values for step in found.get(FLUSH, ()) if step.mark == FLUSH.kinds[0]]
    return int(said[0][0]) if len(said) == 1 else None
