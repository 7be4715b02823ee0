"""How long the primary stands still on entering COLO, from its trace and QMP's events."""

from __future__ import annotations

from fake_traces import T0_US, changed, line, parse, primary_checkpoint, primary_start, real_primary

from bench.measure.entry import Entry, read_entry
from bench.measure.stops import StopResume

BEGAN_US = T0_US - 3_000_000


def runstate(time_us: int, old: str, new: str) -> str:
    return line(time_us, "runstate_set", f" current_run_state 1 ({old}) new_state 2 ({new})")


ENTERED = [
    runstate(BEGAN_US, "running", "finish-migrate"),
    runstate(T0_US + 50, "finish-migrate", "running"),
    *primary_start(),
]


def test_it_is_from_the_end_of_the_live_copy_until_the_guest_runs_again() -> None:
    trace = parse([*ENTERED, *primary_checkpoint(T0_US + 500_000)])
    stops = [StopResume(BEGAN_US + 300, "STOP"), StopResume(T0_US + 40, "RESUME"), StopResume(T0_US + 500_100, "STOP")]
    assert read_entry(trace, stops) == Entry(3_000_100, 2_999_740)
    assert read_entry(trace, stops[1:]) == Entry(3_000_100, None)
    entry = read_entry(trace, stops)
    assert entry is not None
    assert entry.to_json() == {"standstill_s": 3.0001, "qmp_s": 2.99974}


def test_a_trace_that_does_not_show_both_ends_before_the_first_request_tells_none() -> None:
    checkpoint = primary_checkpoint(T0_US + 500_000)
    assert read_entry(parse([*primary_start(), *checkpoint]), ()) is None  # the run state was not traced
    stopped = runstate(T0_US + 499_000, "running", "colo")
    assert read_entry(parse([stopped, *checkpoint, changed(T0_US + 600_000, "stop", "run")]), ()) is None
    assert read_entry(real_primary(), ()) is None  # cut off before the live copy's end
