from __future__ import annotations

import json
from typing import Any

import pytest
from fake_traces import T0_US, line, parse, primary_checkpoint, primary_start, real_primary, real_secondary

from bench.measure.beats import Seen
from bench.measure.checkpoints import Assembly, Checkpoint, assemble
from bench.measure.quality import Quality, assess
from bench.measure.stops import StopResume, qmp_pauses_us, read_stops
from bench.measure.trace import Problem

# The QMP events of the real pair whose traces are in tests/data, as its QEMU sent them.
REAL = (
    ("STOP", 1795421240, 884070),
    ("RESUME", 1795421240, 971013),
    ("STOP", 1795421241, 74461),
    ("RESUME", 1795421241, 162984),
    ("STOP", 1795421241, 266048),
    ("RESUME", 1795421241, 310944),
)


def event(name: str, seconds: int, microseconds: int, side: str = "primary") -> dict[str, Any]:
    stamp = {"seconds": seconds, "microseconds": microseconds}
    return {"t": seconds + 1.0, "side": side, "event": name, "timestamp": stamp, "data": {}}


def pair(count: int) -> Assembly:
    lines = primary_start()
    for n in range(count):
        lines += primary_checkpoint(T0_US + 1_000_000 * (n + 1), (1_000, 1_000, 0, 10_000, 0, 0, 0))
    return assemble(parse(lines), None)


def judged(differences_us: list[int | None], count: int | None = None, warmup: int = 0) -> Quality:
    assembly = pair(len(differences_us))
    pauses = [None if one is None else 10_000 + one for one in differences_us]
    return assess(assembly, pauses, count=len(pauses) if count is None else count, warmup=warmup)


def test_real_qmp_events_agree_with_the_real_trace() -> None:
    assembly = assemble(real_primary(), real_secondary())
    pauses = qmp_pauses_us(assembly.checkpoints, read_stops([event(*one) for one in REAL]))
    assert pauses == (86_943, 88_523, 44_896)
    quality = assess(assembly, pauses, count=3, warmup=0)
    # To the state's becoming `running` again by trace: 87,092, 88,665 and 45,020 from its ceasing to be so, and less by
    # 680, 658 and 641 from run => stop. QMP's pause begins in between.
    assert (quality.qmp_median_difference_s, quality.qmp_max_difference_s) == (0.0, 0.0)
    assert quality.ok


def test_vcpus_that_take_long_to_stop_are_no_contradiction_of_trace_and_qmp() -> None:
    # Eight vCPUs on two CPUs: 2.8 ms from runstate_set to STOP, 1.4 ms on to run => stop; all seen so (findings 24).
    times = tuple(T0_US + at for at in (0, 2_000, 2_100, 6_400, 12_000, 13_000, 55_000, 58_000))
    slow = Checkpoint(0, times, halted_us=T0_US + 6_300, resumed_us=T0_US + 55_100)
    told = [assess(Assembly((slow,), (), None, ()), [qmp_us], count=1, warmup=0) for qmp_us in (50_200, 48_000, 46_000)]
    assert [one.qmp_max_difference_s for one in told] == [0.0, 0.0008, 0.0028]
    assert [one.ok for one in told] == [True, True, False]
    beyond = assess(Assembly((slow,), (), None, ()), [53_000 + 2_001], count=1, warmup=0)
    assert not beyond.ok


def test_only_the_primary_s_stop_and_resume_are_read() -> None:
    entries = [
        event("STOP", 1, 2, side="secondary"),
        {"t": 1.0, "side": "primary", "command": "cont"},
        event("STOP", 3, 4),
    ]
    assert read_stops(entries) == (StopResume(3_000_004, "STOP"),)


def around(*events: tuple[str, int]) -> tuple[int | None, ...]:
    return qmp_pauses_us(pair(1).checkpoints, [StopResume(T0_US + 1_000_000 + at, name) for name, at in events])


def test_a_pause_needs_exactly_one_stop_and_then_one_resume() -> None:
    assert around(("STOP", 1_500), ("RESUME", 12_100)) == (10_600,)
    assert around(("STOP", 1_500)) == (None,)
    assert around(("RESUME", 1_500), ("STOP", 12_100)) == (None,)
    assert around(("STOP", 1_500), ("RESUME", 1_600), ("STOP", 1_700), ("RESUME", 12_100)) == (None,)


def test_events_are_looked_for_from_5_ms_before_to_5_ms_after() -> None:
    assert around(("STOP", -5_000), ("RESUME", 17_000)) == (22_000,)
    assert around(("STOP", -5_001), ("RESUME", 17_000)) == (None,)
    assert around(("STOP", -5_000), ("RESUME", 17_001)) == (None,)


def test_a_median_difference_of_2_ms_passes_and_more_fails() -> None:
    assert judged([0, 2_000, -9_000]).ok
    failed = judged([0, 2_001, -9_000])
    assert (failed.ok, failed.qmp_median_difference_s, failed.qmp_max_difference_s) == (False, 0.002001, 0.009)
    assert failed.summary() == "trace and QMP differ by 2.001 ms in the median, 2 ms are allowed"


def test_fewer_checkpoints_than_asked_for_fail_and_the_warm_up_does_not_count() -> None:
    assert judged([0, 0, 0], count=2, warmup=1).ok
    failed = judged([0, 0, 0], count=3, warmup=1)
    assert failed.summary() == "2 usable checkpoints after the warm-up, 3 were asked for"


def test_a_run_that_could_not_be_checked_does_not_pass() -> None:
    failed = judged([None, None])
    assert (failed.ok, failed.qmp_median_difference_s) == (False, None)
    assert failed.summary() == "no pause could be checked against QMP's STOP and RESUME"


def test_checkpoints_without_a_second_source_are_noted() -> None:
    assert judged([0, None, 0]).notes == ("1 of 3 checkpoints have no single STOP and RESUME to check against",)


def test_the_record_holds_counts_problems_and_notes() -> None:
    lines = primary_start() + primary_checkpoint(T0_US + 1_000_000)
    assembly = assemble(parse(lines[:-1]), None)
    quality = assess(assembly, (), count=1, warmup=0, problems=[Problem("torn line", 2, "x")], notes=["n"])
    record = json.loads(json.dumps(quality.to_json()))
    assert record == {
        "ok": False,
        "failures": ["0 usable checkpoints after the warm-up, 1 were asked for"],
        "checkpoints": 1,
        "used": 0,
        "problems": [
            {"what": "torn line", "count": 2, "example": "x"},
            {
                "what": "primary: incomplete last checkpoint",
                "count": 1,
                "example": "checkpoint 0, its first event at 1795421241.000000",
            },
        ],
        "qmp_median_difference_s": None,
        "qmp_max_difference_s": None,
        "notes": ["n"],
    }


def slow_to_resume(resume_us: int) -> Assembly:
    """Five checkpoints as under KVM: once the run state is `running` it takes a while until the vCPUs run."""
    lines = primary_start()
    for n in range(5):
        begin_us = T0_US + 1_000_000 * (n + 1)
        changes = primary_checkpoint(begin_us, (1_000, 600, 0, 10_000, 0, 0, 100 + resume_us))
        states = [
            line(begin_us + 1_010, "runstate_set", " current_run_state 9 (running) new_state 15 (colo)"),
            line(begin_us + 11_700, "runstate_set", " current_run_state 15 (colo) new_state 9 (running)"),
        ]
        lines += [*changes[:2], states[0], *changes[2:7], states[1], *changes[7:]]
    return assemble(parse(lines), None)


def stops(assembly: Assembly, *, late_us: int = 0) -> list[StopResume]:
    return [
        StopResume(one.request_us + at_us, name)
        for one in assembly.checkpoints
        for at_us, name in ((1_100, "STOP"), (11_690 + late_us, "RESUME"))
    ]


@pytest.mark.parametrize("resume_us", [30, 6_000])
def test_qmp_is_compared_with_the_moments_that_it_tells_of(resume_us: int) -> None:
    assembly = slow_to_resume(resume_us)
    assert [one.pause_us for one in assembly.checkpoints] == [10_690 + resume_us] * 5
    pauses = qmp_pauses_us(assembly.checkpoints, stops(assembly))
    quality = assess(assembly, pauses, count=5, warmup=0)
    assert quality.qmp_median_difference_s == 0
    assert quality.ok


def test_a_resume_that_qmp_tells_of_at_another_time_fails_the_check() -> None:
    assembly = slow_to_resume(6_000)
    pauses = qmp_pauses_us(assembly.checkpoints, stops(assembly, late_us=3_000))
    assert "trace and QMP differ by 2.900 ms" in assess(assembly, pauses, count=5, warmup=0).summary()


LETS_GO_US = 6_000
"""How long after RESUME QEMU says run: somewhere between the two the guest runs."""


@pytest.mark.parametrize(
    ("off_us", "fails"),
    [
        (-1_900 - LETS_GO_US, False),
        (-LETS_GO_US // 2, False),
        (1_900, False),
        (-2_100 - LETS_GO_US, True),
        (2_100, True),
    ],
)
def test_the_guest_s_own_clock_is_the_judge_of_the_pause(*, off_us: int, fails: bool) -> None:
    assembly = slow_to_resume(LETS_GO_US)
    pauses = qmp_pauses_us(assembly.checkpoints, stops(assembly))
    seen = [Seen(standstill_us=one.pause_us + off_us) for one in assembly.checkpoints]
    quality = assess(assembly, pauses, count=5, warmup=0, seen=seen)
    assert ("what the guest itself saw of it differ by 2.100 ms" in quality.summary()) == fails
    assert quality.ok != fails


def test_a_set_that_was_not_rewritten_whole_is_a_note() -> None:
    assembly = slow_to_resume(30)
    pauses = qmp_pauses_us(assembly.checkpoints, stops(assembly))
    seen = [Seen(rewritten=one) for one in (None, True, False, False, None)]
    quality = assess(assembly, pauses, count=5, warmup=0, seen=seen)
    assert quality.ok
    assert quality.notes == ("the working set was not rewritten whole before 2 of 5 checkpoints",)
