from __future__ import annotations

from typing import Any

import pytest
from fake_traces import T0_US, line, parse, primary_checkpoint, primary_start
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.checkpoints import Assembly, assemble
from bench.measure.triggers import (
    DEFAULT_DELAY_US,
    EARLY_US,
    LATE_US,
    NETWORK_EVENTS,
    Pacing,
    Poke,
    count_causes,
    label_triggers,
    read_mismatches,
    read_pacing,
    uncertain_triggers,
)

DELAY_US = 1_000_000
RUNNING_US = T0_US + 100
PHASES = (1_000, 1_000, 1_000, 10_000, 20_000, 40_000, 1_000)
TO_RESET_US = sum(PHASES[:5])
TOTAL_US = sum(PHASES)


def pair(*requests_us: int) -> Assembly:
    lines = primary_start()
    for request_us in requests_us:
        lines += primary_checkpoint(RUNNING_US + request_us, PHASES)
    return assemble(parse(lines), None)


def poke(at_us: int, took_us: int = 1_000, delay_us: int = DELAY_US) -> Poke:
    return Poke(RUNNING_US + at_us, RUNNING_US + at_us + took_us, delay_us)


def labels(requests_us: tuple[int, ...], *pokes: Poke, mismatches_us: tuple[int, ...] = ()) -> tuple[str, ...]:
    return label_triggers(pair(*requests_us), Pacing(DELAY_US, pokes), [RUNNING_US + at for at in mismatches_us])


def test_a_request_right_after_a_poke_is_demand() -> None:
    assert labels((500_500, 900_500), poke(500_000), poke(900_000)) == ("demand", "demand")


def test_the_first_checkpoint_by_the_timer_comes_the_delay_after_the_first_run() -> None:
    assert labels((DELAY_US,)) == ("timer",)


def test_the_timer_runs_from_request_to_request() -> None:
    assert labels((DELAY_US, 2 * DELAY_US + 300, 3 * DELAY_US + 4_000)) == ("timer",) * 3


def test_a_poke_re_arms_the_timer() -> None:
    assert labels((500_000, 1_500_000), poke(499_500)) == ("demand", "timer")
    assert labels((500_000, 1_000_000), poke(499_500)) == ("demand", "mismatch")


def test_a_poke_sets_the_delay_of_what_follows() -> None:
    assert labels((500_000, 800_000), poke(499_500, delay_us=300_000)) == ("demand", "timer")


def test_what_neither_poke_nor_timer_explains_is_a_mismatch() -> None:
    assert labels((300_000, 700_000)) == ("mismatch", "mismatch")


def test_the_timer_is_re_armed_by_a_mismatch() -> None:
    assert labels((300_000, 1_300_000)) == ("mismatch", "timer")


@pytest.mark.parametrize(("late_us", "expected"), [(-1, "mismatch"), (0, "demand"), (10 * LATE_US, "demand")])
def test_a_poke_starts_what_follows_it_however_late(late_us: int, expected: str) -> None:
    assert labels((500_000 + late_us,), poke(500_000)) == (expected,)
    assert labels((10_000, 500_000 + late_us), poke(500_000)) == ("mismatch", expected)


@pytest.mark.parametrize(
    ("late_us", "expected"),
    [(-EARLY_US - 1, "mismatch"), (-EARLY_US, "timer"), (LATE_US, "timer"), (3 * DELAY_US, "timer")],
)
def test_what_comes_after_the_timer_fired_was_begun_by_it_however_late(late_us: int, expected: str) -> None:
    assert labels((DELAY_US + late_us,)) == (expected,)
    assert labels((100_000, 100_000 + DELAY_US + late_us)) == ("mismatch", expected)


@pytest.mark.parametrize(("late_us", "expected"), [(LATE_US, "demand"), (LATE_US + 1, "mismatch")])
def test_what_was_perhaps_swallowed_explains_what_follows_at_once_alone(late_us: int, expected: str) -> None:
    across = poke(500_000 + TO_RESET_US - 500, took_us=1_000)
    assert labels((500_000, 500_000 + TOTAL_US + late_us), poke(499_500), across) == ("demand", expected)
    before = poke(-500, took_us=1_000)
    assert labels((500 + late_us,), before) == (expected,)


def test_behind_a_checkpoint_that_is_not_complete_a_poke_starts_the_next_however_late() -> None:
    lines = primary_start() + primary_checkpoint(RUNNING_US + 300_000, PHASES)
    del lines[-2]
    lines += primary_checkpoint(RUNNING_US + 700_000, PHASES)
    assert label_triggers(assemble(parse(lines), None), Pacing(DELAY_US, (poke(450_000),))) == ("demand",)
    assert label_triggers(assemble(parse(lines), None), Pacing(DELAY_US, (poke(310_000),))) == ("mismatch",)


def test_a_poke_that_the_checkpoint_swallowed_starts_none_and_re_arms_the_timer() -> None:
    swallowed = poke(500_000 + TO_RESET_US - 2_000)
    at_us = 500_000 + TO_RESET_US - 2_000
    assert labels((500_000, at_us + DELAY_US), poke(499_500), swallowed) == ("demand", "timer")
    assert labels((500_000, 500_000 + TOTAL_US + 100), poke(499_500), swallowed) == ("demand", "mismatch")


def test_a_poke_between_reset_and_end_starts_the_next_as_soon_as_this_one_ends() -> None:
    late = poke(500_000 + TO_RESET_US + 1_000)
    assert labels((500_000, 500_000 + TOTAL_US + 100), poke(499_500), late) == ("demand", "demand")


def test_a_poke_answered_after_the_reset_may_be_the_cause() -> None:
    across = poke(500_000 + TO_RESET_US - 500, took_us=1_000)
    assert labels((500_000, 500_000 + TOTAL_US + 100), poke(499_500), across) == ("demand", "demand")


def test_many_pokes_during_one_checkpoint_merge_into_one() -> None:
    many = [poke(500_000 + TO_RESET_US + at, took_us=100) for at in range(1_000, 9_000, 1_000)]
    requests = (500_000, 500_000 + TOTAL_US + 100, 1_200_000)
    assert labels(requests, poke(499_500), *many) == ("demand", "demand", "mismatch")


def test_a_timer_shorter_than_a_checkpoint_fires_as_soon_as_it_ends() -> None:
    requests = tuple(30_000 + n * (TOTAL_US + 50) for n in range(4))
    assert label_triggers(pair(*requests), Pacing(30_000)) == ("timer",) * 4


def test_traced_evidence_of_colo_compare_wins_over_a_timer_it_re_armed() -> None:
    assert labels((DELAY_US,), mismatches_us=(DELAY_US - 500,)) == ("mismatch",)


def test_of_a_poke_and_a_mismatch_the_earlier_is_the_cause() -> None:
    assert labels((500_900,), poke(500_000), mismatches_us=(500_500,)) == ("demand",)
    assert labels((500_900,), poke(500_500), mismatches_us=(500_000,)) == ("mismatch",)


def test_evidence_swallowed_by_a_checkpoint_explains_nothing() -> None:
    assert labels((0, DELAY_US), mismatches_us=(TO_RESET_US - 10,)) == ("mismatch", "timer")


def test_after_an_unusable_checkpoint_its_request_still_re_arms_the_timer() -> None:
    lines = primary_start() + primary_checkpoint(RUNNING_US + 300_000, PHASES)
    del lines[-2]
    lines += primary_checkpoint(RUNNING_US + 300_000 + DELAY_US, PHASES)
    assert label_triggers(assemble(parse(lines), None), Pacing(DELAY_US)) == ("timer",)


def test_a_trace_without_the_start_of_colo_leaves_the_first_to_nobody_s_timer() -> None:
    lines = primary_checkpoint(RUNNING_US, PHASES) + primary_checkpoint(RUNNING_US + DELAY_US, PHASES)
    assembly = assemble(parse(lines), None)
    assert label_triggers(assembly, Pacing(DELAY_US)) == ("mismatch", "timer")
    [problem] = uncertain_triggers(assembly, Pacing(DELAY_US))
    assert (problem.what, problem.count) == ("trigger not certain", 1)
    assert problem.example.startswith("checkpoint 0: ")


def test_a_trace_from_the_start_of_colo_leaves_no_trigger_uncertain() -> None:
    assert uncertain_triggers(pair(300_000, 700_000), Pacing(DELAY_US)) == ()


def entry(command: str, at_s: float, side: str = "primary", **more: Any) -> dict[str, Any]:
    arguments = {"x-checkpoint-delay": 20_000} if command == "migrate-set-parameters" else {}
    return {"t": at_s, "side": side, "command": command, "arguments": arguments, "reply": {}, "seconds": 0.002} | more


def test_pacing_is_read_from_the_qmp_log() -> None:
    entries = [
        entry("migrate-set-parameters", 1.0, arguments={"x-checkpoint-delay": 700}),
        entry("migrate", 2.0),
        {"t": 3.0, "side": "primary", "event": "STOP", "timestamp": {"seconds": 3, "microseconds": 0}, "data": {}},
        entry("migrate-set-parameters", 4.0, side="secondary"),
        entry("migrate-set-parameters", 5.0, error="no"),
        entry("migrate-set-parameters", 6.0, arguments={"max-bandwidth": 1}),
        entry("migrate-set-parameters", 7.0),
    ]
    assert read_pacing(entries) == Pacing(700_000, (Poke(7_000_000, 7_002_000, 20_000_000),))


def test_without_any_setting_the_delay_is_that_of_qemu() -> None:
    assert read_pacing([]) == Pacing(DEFAULT_DELAY_US, ())


def test_colo_compare_s_evidence_is_read_from_the_trace() -> None:
    trace = parse(
        [
            line(T0_US, "colo_compare_main", " : packet same and release packet"),
            line(T0_US + 1, "colo_compare_main", " : packet different"),
            line(T0_US + 2, "colo_old_packet_check_found", " 1795421240000"),
        ],
        NETWORK_EVENTS,
    )
    assert read_mismatches(trace) == (T0_US + 1, T0_US + 2)


@given(
    st.lists(st.integers(TOTAL_US, 3 * DELAY_US), max_size=8),
    st.lists(st.tuples(st.integers(-DELAY_US, 9 * DELAY_US), st.integers(0, 10**5), st.integers(0, 10**6)), max_size=9),
    st.lists(st.integers(0, 9 * DELAY_US), max_size=5),
)
def test_every_checkpoint_has_exactly_one_of_three_labels(
    gaps_us: list[int], pokes: list[tuple[int, int, int]], mismatches_us: list[int]
) -> None:
    requests_us = tuple(sum(gaps_us[: n + 1]) for n in range(len(gaps_us)))
    found = labels(requests_us, *(poke(*one) for one in sorted(pokes)), mismatches_us=tuple(sorted(mismatches_us)))
    assert len(found) == len(requests_us)
    assert set(found) <= {"demand", "timer", "mismatch"}


def causes(
    requests_us: tuple[int, ...],
    *pokes: Poke,
    old_us: tuple[int, ...] = (),
    unlike_us: tuple[int, ...] = (),
    early: int = 0,
) -> dict[str, Any]:
    assembly, pacing = pair(*requests_us), Pacing(DELAY_US, pokes)
    evidence = {"old_packet": [RUNNING_US + at for at in old_us], "different": [RUNNING_US + at for at in unlike_us]}
    triggers = label_triggers(assembly, pacing)
    return count_causes(assembly, pacing, triggers, evidence, early=early, seconds=10.0).to_json()


def test_checkpoints_are_counted_by_cause_and_mismatches_by_what_was_seen() -> None:
    requests = (300_000, 600_000, 900_000, 900_000 + DELAY_US)
    found = causes(requests, old_us=(299_000,), unlike_us=(599_500, 2_500_000))
    assert found == {
        "seconds": 10.0,
        "demand": 0,
        "timer": 1,
        "mismatch": 3,
        "old_packet": 1,
        "different": 1,
        "unseen": 1,
    }


def test_what_came_before_the_measurement_is_not_counted() -> None:
    assert causes((300_000, 600_000), old_us=(299_000,), early=1)["old_packet"] == 0
    assert causes((300_000, 600_000), early=1)["mismatch"] == 1


def test_evidence_that_a_checkpoint_swallowed_explains_none_behind_it() -> None:
    inside = 300_000 + TO_RESET_US - 1_000
    assert causes((300_000, 600_000), unlike_us=(inside,))["unseen"] == 2


def test_without_packets_on_record_mismatches_are_unseen() -> None:
    assembly, pacing = pair(300_000), Pacing(DELAY_US)
    told = count_causes(assembly, pacing, label_triggers(assembly, pacing), {}).to_json()
    assert told == {"seconds": None, "demand": 0, "timer": 0, "mismatch": 1, "unseen": 1}
