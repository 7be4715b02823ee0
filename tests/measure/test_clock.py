"""The watch on the wall clock, with clocks of the tests' own."""

from __future__ import annotations

import pytest

from bench.errors import MeasureError
from bench.measure.clock import LARGEST_STEP_S, ClockWatch, clock_offset_s


class Clocks:
    """A wall clock and a monotonic clock; every reading takes a microsecond."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.set_by_s = 1_700_000_000.0

    def monotonic(self) -> float:
        self.now_s += 1e-6
        return self.now_s

    def wall(self) -> float:
        return self.monotonic() + self.set_by_s


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def watch(clocks: Clocks) -> ClockWatch:
    return ClockWatch(clocks.wall, clocks.monotonic)


def test_time_that_passes_is_no_step(clocks: Clocks, watch: ClockWatch) -> None:
    clocks.now_s += 86400
    watch.look()
    watch.require_steady()
    assert watch.drift() == []


@pytest.mark.parametrize(("step_s", "words"), [(3.0, "forward by 3.000 s"), (-0.7, "back by 0.700 s")])
def test_a_clock_that_was_set_fails_the_run_and_says_by_how_much(
    clocks: Clocks, watch: ClockWatch, step_s: float, words: str
) -> None:
    clocks.set_by_s += step_s
    watch.look()
    with pytest.raises(MeasureError, match=words) as caught:
        watch.require_steady()
    assert (caught.value.cause, caught.value.transient) == ("clock-stepped", True)


def test_a_step_that_is_taken_back_counts_all_the_same(clocks: Clocks, watch: ClockWatch) -> None:
    clocks.set_by_s += 5
    watch.look()
    clocks.set_by_s -= 5
    watch.look()
    with pytest.raises(MeasureError):
        watch.require_steady()


def test_a_small_step_is_said_and_fails_nothing(clocks: Clocks, watch: ClockWatch) -> None:
    clocks.set_by_s -= LARGEST_STEP_S - 0.1
    watch.look()
    watch.require_steady()
    assert watch.drift() == ["the wall clock was set back by 0.400 s"]


def test_a_reading_that_was_held_up_is_not_taken_for_a_step() -> None:
    readings = iter((0.0, 1.0, 1.0, 1.0, 1.0, 1.0))  # the first pair is a second apart, the others are not
    walls = iter((10.0, 11.0, 11.0))
    assert clock_offset_s(lambda: next(walls), lambda: next(readings)) == 10.0


def test_this_machine_s_clocks_keep_together() -> None:
    watch = ClockWatch()
    for _ in range(50):
        watch.look()
    assert watch.drift() == []
