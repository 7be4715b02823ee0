"""The table of phases is what is switched on, read, stored and told; nothing beside it has a list of its own."""

from __future__ import annotations

from pathlib import Path

from bench.config.procedure import Trace
from bench.format import phases
from bench.format.phases import (
    MARKERS,
    ORDER,
    PARTS,
    PHASES,
    PRIMARY,
    RESUMING,
    STOP,
    STOPPING,
    P,
    Part,
    S,
    SideName,
    phase_of,
)
from bench.format.table import CHECKPOINTS
from bench.measure.parts import EVENTS
from bench.vm.features import MODERN, known_events

DATA = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
BOUNDS = {kind.event for marker in MARKERS for kind in marker.kinds}


def test_every_event_that_bounds_something_has_its_arguments_in_the_table() -> None:
    assert {event.name for event in phases.EVENTS} >= EVENTS[phases.PRIMARY] | EVENTS[phases.SECONDARY]
    assert {event.name for event in phases.EVENTS if event.needed} == {
        kind.event for side in SideName for kind in ORDER[side]
    }


def test_every_event_of_an_order_has_its_name_and_a_phase_lies_between_two_of_the_primary_s() -> None:
    assert [len(names) for names in (P, S)] == [len(ORDER[side]) for side in SideName]
    assert [ORDER[phases.PRIMARY][P.STOPPED], ORDER[phases.SECONDARY][S.STOPPED]] == [STOP, STOP]
    assert len(PHASES) == len(P) - 1


def test_a_part_on_the_primary_is_one_of_the_phase_that_it_begins_in() -> None:
    begins: dict[int | phases.Kind, str] = {P.LOADED: "resume", RESUMING.kinds[0]: "resume", STOPPING.kinds[0]: "stop"}
    assert [phase_of(Part("new", PRIMARY, (one,), (P.RUNNING,), "")) for one in begins] == list(begins.values())
    assert phase_of(PARTS[0]) == "save"


def test_every_phase_and_part_is_stored_and_told() -> None:
    columns = [f"{name}_s" for name in (*PHASES, *(part.name for part in PARTS))]
    assert [name for name in CHECKPOINTS.names if name in columns] == columns
    assert [name for name in columns if f"| `{name}` |" not in DATA] == []


def test_where_one_part_is_asked_for_the_events_of_all_are_switched_on() -> None:
    there = MODERN.__class__(**{**vars(MODERN), "trace_events": frozenset(event.name for event in phases.EVENTS)})
    assert set(known_events(Trace(), there)[0]) & BOUNDS == set()
    assert set(known_events(Trace(optional=("migration_bitmap_sync_start",)), there)[0]) >= BOUNDS


def test_an_event_of_a_part_that_the_binary_lacks_is_told_and_does_without() -> None:
    events = frozenset(event.name for event in phases.EVENTS if event.name != phases.FLUSH_ENDS)
    there = MODERN.__class__(**{**vars(MODERN), "trace_events": events})
    found, missing = known_events(Trace(optional=(phases.SYNC_BEGINS,)), there)
    assert phases.FLUSH_ENDS not in found
    assert missing == (phases.FLUSH_ENDS,)
