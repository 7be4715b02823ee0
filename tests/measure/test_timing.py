"""Achieved against requested interval, and who stood still, on traces made of lines as QEMU writes them."""

from __future__ import annotations

from fake_traces import T0_US, parse, primary_checkpoint, primary_start

from bench.config.procedure import Checkpoint
from bench.measure.checkpoints import Assembly, assemble
from bench.measure.pulse import Gap
from bench.measure.quality import assess
from bench.measure.stops import StopResume
from bench.measure.timing import Timing, judge_timing

TOOK_US = 280


def run_of(*intervals_s: float, late_first_s: float = 1.0) -> Assembly:
    """Return checkpoints that began these times after the end of the one before."""
    lines, at_us = primary_start(), T0_US + round(late_first_s * 1e6)
    lines += primary_checkpoint(at_us)
    for interval_s in intervals_s:
        at_us += TOOK_US + round(interval_s * 1e6)
        lines += primary_checkpoint(at_us)
    return assemble(parse(lines), None)


def judged(
    *intervals_s: float, interval: float = 1.0, trigger: str = "demand", warmup: int = 0, gaps: tuple[Gap, ...] = ()
) -> Timing:
    asked = Checkpoint(count=9, warmup=warmup, interval=interval, trigger=trigger)
    return judge_timing(run_of(*intervals_s), asked, gaps, (), warmup=warmup)


def test_checkpoints_in_time_are_not_marked_and_their_interval_is_told() -> None:
    timing = judged(1.003, 1.004, 1.057)
    assert (timing.marks, timing.failures, timing.notes) == ((), (), ())
    assert timing.to_json() == {"interval": {"asked_s": 1.0, "median_s": 1.004, "largest_s": 1.057}, "marked": []}


def test_a_checkpoint_much_too_late_is_marked_and_fails_the_run() -> None:
    timing = judged(1.0, 20.8, 1.0)
    assert [mark.index for mark in timing.marks] == [2]
    assert timing.failures == ("checkpoint 2: it began 19.800 s later than the 1 s that were asked for",)


def test_a_single_checkpoint_a_little_late_is_marked_and_noted() -> None:
    timing = judged(1.0, 1.2, 1.0)
    assert [mark.index for mark in timing.marks] == [2]
    assert timing.failures == ()
    assert timing.notes == ("checkpoint 2: it began 0.200 s later than the 1 s that were asked for",)


def test_many_a_little_late_fail_the_run() -> None:
    (failure,) = judged(1.2, 1.2, 1.0, 1.0).failures
    assert failure.startswith("2 of 5 checkpoints are not as asked for; checkpoint 1: it began 0.200 s later")


def test_a_long_interval_has_a_tenth_of_itself() -> None:
    assert judged(21.9, interval=20.0).marks == ()
    assert judged(22.1, interval=20.0).failures == (
        "checkpoint 1: it began 2.100 s later than the 20 s that were asked for",
    )


def test_the_timer_counts_from_request_to_request() -> None:
    assert judged(1.0, 1.0, trigger="timer").marks == ()
    assert judged(1.5, trigger="timer").marks[0].index == 1
    # A checkpoint longer than the period is followed at once.
    slow = primary_checkpoint(T0_US + 1_000_000, (0, 0, 0, 3_000_000, 0, 0, 0))
    lines = primary_start() + slow + primary_checkpoint(T0_US + 4_000_100)
    asked = Checkpoint(count=2, warmup=0, interval=1.0, trigger="timer")
    assert judge_timing(assemble(parse(lines), None), asked, (), (), warmup=0).marks == ()


def test_one_that_output_asked_for_early_is_not_late() -> None:
    assert judged(0.1, 0.9, 1.0).marks == ()


def test_the_warm_up_is_marked_and_fails_nothing() -> None:
    timing = judged(20.0, 1.0, 1.0, warmup=2)
    assert [mark.index for mark in timing.marks] == [1]
    assert (timing.failures, timing.notes) == ((), ())
    assert timing.largest_s == 1.0


def at(index: int, seconds: float, who: str = "primary", *, length_s: float) -> Gap:
    begin = run_of(1.0, 1.0, 1.0).checkpoints[index].request_us / 1e6 + seconds
    return Gap(who, begin, begin + length_s)


def test_a_side_that_did_not_run_before_or_during_a_checkpoint_spoils_it() -> None:
    for gap in (at(2, -0.5, length_s=0.1), at(2, 0.0001, length_s=0.0001)):
        timing = judged(1.0, 1.0, 1.0, gaps=(gap,))
        assert [mark.index for mark in timing.marks] == [2]
        assert timing.failures == (f"checkpoint 2: the primary did not run for {gap.seconds:.3f} s before it ended",)


def test_a_gap_over_several_checkpoints_marks_each() -> None:
    assert [mark.index for mark in judged(1.0, 1.0, 1.0, gaps=(at(1, -0.5, length_s=1.2),)).marks] == [1, 2]


def test_a_long_gap_of_the_harness_spoils_a_checkpoint_and_a_short_one_does_not() -> None:
    assert judged(1.0, 1.0, 1.0, gaps=(at(2, -0.5, "harness", length_s=0.1),)).marks == ()
    (failure,) = judged(1.0, 1.0, 1.0, trigger="timer", gaps=(at(2, -2.0, "harness", length_s=1.5),)).failures
    assert "the harness did not run for 1.500 s" in failure


def test_a_gap_before_colo_began_spoils_no_checkpoint_and_one_since_then_spoils_the_first() -> None:
    began_s = T0_US / 1e6
    assert judged(1.0, gaps=(Gap("harness", began_s - 30, began_s - 20),)).marks == ()
    assert [mark.index for mark in judged(1.0, gaps=(Gap("harness", began_s - 1, began_s + 0.5),)).marks] == [0]


def test_a_guest_that_something_else_stopped_spoils_the_next_checkpoint() -> None:
    assembly = run_of(1.0, 1.0)
    second = assembly.checkpoints[1]
    inside = StopResume(second.request_us + 30, "STOP")
    between = StopResume(second.request_us - 500_000, "STOP")
    asked = Checkpoint(count=3, warmup=0, interval=1.0)
    assert judge_timing(assembly, asked, (), (inside,), warmup=0).marks == ()
    assert judge_timing(assembly, asked, (), (between, inside), warmup=0).failures == (
        "checkpoint 1: the primary's guest was stopped before it, by no checkpoint",
    )


def test_the_run_s_verdict_and_record_hold_it() -> None:
    assembly = run_of(1.0, 20.8)
    pauses = [one.pause_us for one in assembly.checkpoints]
    quality = assess(assembly, pauses, count=3, warmup=0, timing=judged(1.0, 20.8))
    assert not quality.ok
    assert quality.to_json()["marked"][0]["index"] == 2
    assert quality.to_json()["interval"]["asked_s"] == 1.0
