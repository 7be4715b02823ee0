"""What each device's state costs at a checkpoint, where ``trace=devices`` recorded it.

Sources: ``qemu_savevm_state_complete_precopy_non_iterable`` and ``qemu_loadvm_state_main`` in QEMU's
``migration/savevm.c``. A device that has several instances is one here: their times are added up.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING

from bench.format.phases import LOADS_BEGINS, LOADS_NEXT, SAVES_BEGINS, SAVES_ENDS, SideName
from bench.measure.sequence import PRIMARY, SECONDARY, read_sequence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.measure.sequence import Attempt
    from bench.measure.trace import Trace

DEVICE_EVENTS = {
    SideName.PRIMARY: frozenset((SAVES_BEGINS, SAVES_ENDS)),
    SideName.SECONDARY: frozenset((LOADS_BEGINS, LOADS_NEXT)),
}
"""The trace events of each side that tell of single devices."""

_KNOWN = frozenset(event for events in DEVICE_EVENTS.values() for event in events)

Figures = dict[str, dict[str, float]]


def device_figures(primary: Trace, secondary: Trace | None) -> dict[str, Figures]:
    """Return ``{"save": {device: {"median_s", "max_s"}}, "load": ...}`` over the complete checkpoints of each side.

    Empty where nothing of devices was traced. A checkpoint in which a device's events are not in order tells nothing
    of that device.
    """
    figures: dict[str, Figures] = {}
    for word, side, trace in (("save", PRIMARY, primary), ("load", SECONDARY, secondary)):
        events = DEVICE_EVENTS[side.name]
        if trace is None or not any(kind.event in events for kind in trace.kinds):
            continue
        took: defaultdict[str, list[int]] = defaultdict(list)
        for attempt in read_sequence(trace, side).attempts:
            for device, time_us in (_spans(attempt) if attempt.complete else {}).items():
                took[device].append(time_us)
        figures[word] = {
            device: {"median_s": median(times) / 1e6, "max_s": max(times) / 1e6} for device, times in took.items()
        }
    return figures


def _spans(attempt: Attempt) -> dict[str, int]:
    """Return the microseconds of each device in one checkpoint: from the event that names it to the next one."""
    spans: defaultdict[str, int] = defaultdict(int)
    unsure: set[str] = set()
    device, began_us = "", 0
    for time_us, event, values in _sections(attempt):
        if time_us < began_us:
            unsure.add(device)
        elif device:
            spans[device] += time_us - began_us
        device, began_us = (values[0], time_us) if event in (SAVES_BEGINS, LOADS_BEGINS) else ("", 0)
    return {one: took_us for one, took_us in spans.items() if one not in unsure}


def _sections(attempt: Attempt) -> Iterable[tuple[int, str, tuple[str, ...]]]:
    return ((time_us, kind.event, kind.values) for _, time_us, kind in attempt.others if kind.event in _KNOWN)
