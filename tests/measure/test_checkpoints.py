from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from fake_traces import (
    T0_US,
    changed,
    line,
    parse,
    primary_checkpoint,
    primary_start,
    real_primary,
    real_secondary,
    received,
    secondary_checkpoint,
    secondary_start,
    sent,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.format.phases import PARTS
from bench.measure.checkpoints import Assembly, Checkpoint, assemble
from bench.measure.sequence import CUT, INCOMPLETE
from bench.measure.trace import parse_line

STEP_US = 137_003
PHASES = (10, 20, 30, 40, 50, 60, 70)


def primary(count: int) -> list[str]:
    return primary_start() + [
        text for n in range(count) for text in primary_checkpoint(T0_US + 1000 + n * STEP_US + n * n, PHASES)
    ]


def secondary(count: int, clock_us: int = 0) -> list[str]:
    return secondary_start(T0_US + clock_us) + [
        text
        for n in range(count)
        for text in secondary_checkpoint(T0_US + 1000 + n * STEP_US + n * n + clock_us, pages=70 + n)
    ]


def assembled(ours: list[str], theirs: list[str] | None = None) -> Assembly:
    return assemble(parse(ours), parse(theirs) if theirs is not None else None)


def saved(one: Checkpoint) -> tuple[int | None, ...]:
    return tuple(one.parts_us[name] for name in ("device_save", "bitmap_sync", "ram_send"))


def loaded(one: Checkpoint) -> tuple[int | None, ...]:
    parts = ("ram_receive", "cache_flush", "device_load", "restart")
    return (one.dirty_pages, *(one.parts_us[name] for name in parts))


def problems(assembly: Assembly) -> dict[str, int]:
    return {problem.what: problem.count for problem in assembly.problems}


def numbers(assembly: Assembly) -> list[int]:
    return [one.number for one in assembly.checkpoints]


def test_the_first_real_checkpoint_has_the_phases_reckoned_by_hand() -> None:
    one = assemble(real_primary(), real_secondary()).checkpoints[0]
    # request .882999 reply .883959 state .883968 (disks drained .884648) send .884685 size .886865 received .928451
    # loaded .970956 run .971666
    assert one.phases_us == (960, 9, 717, 2_180, 41_586, 42_505, 710)
    assert one.pause_us == 87_698
    assert (one.halted_us, one.resumed_us) == (1_795_421_240_884_648, 1_795_421_240_971_060)
    # send .884685, sync .886422 to .886556, size .886865
    assert saved(one) == (1_737, 134, 309)
    # send .884675 size .927073; flush .932990 to .933119 of 106 pages; running .941110; loaded .941166
    assert loaded(one) == (106, 42_398, 129, 7_991, 56)


def test_all_real_checkpoints_are_used_and_nothing_is_wrong_with_them() -> None:
    assembly = assemble(real_primary(), real_secondary())
    assert [one.pause_us for one in assembly.checkpoints] == [87_698, 88_724, 45_600]
    assert [one.dirty_pages for one in assembly.checkpoints] == [106, 122, 117]
    assert assembly.problems == ()
    assert assembly.running_us == 1_795_421_240_857_096


@given(st.lists(st.integers(0, 10**9), min_size=7, max_size=7))
def test_phases_add_up_to_the_checkpoint_and_the_pause(phases: list[int]) -> None:
    one = assembled(primary_start() + primary_checkpoint(T0_US + 1000, tuple(phases))).checkpoints[0]
    assert one.phases_us == tuple(phases)
    assert sum(one.phases_us) == one.running_us - one.request_us
    assert sum(one.phases_us[2:]) == one.pause_us


@pytest.mark.parametrize("lost", range(8))
def test_a_checkpoint_that_misses_any_event_is_not_used(lost: int) -> None:
    lines = primary(3)
    del lines[2 + 8 + lost]
    assembly = assembled(lines)
    assert numbers(assembly) == [0, 2]
    assert sum(problems(assembly).values()) == 1
    assert assembly.problems[0].what.startswith("primary: missing ")


@pytest.mark.parametrize("twice", range(8))
def test_a_checkpoint_with_any_event_twice_is_not_used(twice: int) -> None:
    lines = primary(3)
    lines.insert(2 + 8 + twice, lines[2 + 8 + twice])
    assembly = assembled(lines)
    assert numbers(assembly) == [0, 2]
    assert assembly.problems[0].what.startswith("primary: duplicate ")


@pytest.mark.parametrize("first", range(8))
def test_a_checkpoint_with_events_out_of_order_is_not_used(first: int) -> None:
    lines = primary(4)
    at = 2 + 8 + first
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    assert set(numbers(assembled(lines))) <= {0, 2, 3}
    assert 3 in numbers(assembled(lines))


def test_a_clock_set_back_within_a_checkpoint_is_seen() -> None:
    lines = [*primary(1), *primary_checkpoint(T0_US + 500_000)[:4], *primary_checkpoint(T0_US + 400_000)[4:]]
    assert problems(assembled(lines)) == {"primary: time steps back at send vmstate-size": 1}


def test_the_last_checkpoint_may_be_incomplete() -> None:
    assembly = assembled(primary(2)[:-3])
    assert numbers(assembly) == [0]
    assert problems(assembly) == {f"primary: {INCOMPLETE}": 1}


def test_a_trace_that_begins_inside_a_checkpoint_says_so() -> None:
    assembly = assembled(primary(3)[5:])
    assert numbers(assembly) == [1, 2]
    assert problems(assembly) == {f"primary: {CUT}": 1}


def test_an_empty_trace_has_no_checkpoint_and_no_problem() -> None:
    assert assembled([], []) == Assembly((), (), None, ())


def test_what_precedes_colo_is_not_counted() -> None:
    lines = [line(T0_US - 50, "migration_bitmap_sync_start", " "), changed(T0_US - 40, "stop", "run"), *primary(1)]
    assert (numbers(assembled(lines)), problems(assembled(lines))) == ([0], {})


def test_a_damaged_line_inside_a_checkpoint_makes_it_unusable() -> None:
    lines = primary(3)
    lines.insert(2 + 8 + 3, "\0\0\0\0")
    assembly = assembled(lines)
    assert numbers(assembly) == [0, 2]
    assert problems(assembly) == {"primary: damaged line inside": 1}


def test_a_hole_from_one_checkpoint_into_the_next_does_not_join_them() -> None:
    lines = primary(3)
    lines[3:11] = ["\0\0"]
    assert numbers(assembled(lines)) == [1]


def test_several_bitmap_syncs_still_add_up_to_the_save_phase() -> None:
    lines = primary_start() + primary_checkpoint(T0_US + 1000)
    at = T0_US + 1000 + 60
    for offset in (30, 20):
        lines.insert(6, line(at + offset + 5, "migration_bitmap_sync_end", " dirty_pages 3"))
        lines.insert(6, line(at + offset, "migration_bitmap_sync_start", " "))
    one = assembled(lines).checkpoints[0]
    assert saved(one) == (20, 10, 10)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_bitmap_sync_without_its_other_end_leaves_the_split_empty(lost: int) -> None:
    lines = primary_start() + primary_checkpoint(T0_US + 1000)
    sync = [
        line(T0_US + 1065, "migration_bitmap_sync_start", " "),
        line(T0_US + 1070, "migration_bitmap_sync_end", " dirty_pages 3"),
    ]
    lines.insert(6, sync[lost])
    assembly = assembled(lines)
    assert saved(assembly.checkpoints[0]) == (None, None, None)
    assert problems(assembly) == {"primary: unpaired bitmap sync": 1}


def test_the_secondary_is_read_when_it_flushes_after_it_received() -> None:
    assembly = assembled(primary(2), secondary(2))
    assert [loaded(one) for one in assembly.checkpoints] == [(70, 30, 25, 66, 7), (71, 30, 25, 66, 7)]
    assert assembly.problems == ()


def test_the_secondary_is_read_when_it_flushes_before_it_received_as_before_qemu_5_1() -> None:
    theirs = secondary_start() + secondary_checkpoint(T0_US + 1000, flush_first=True)
    assert loaded(assembled(primary(1), theirs).checkpoints[0]) == (70, 30, 25, 93, 7)


def test_two_flushes_in_one_checkpoint_are_not_understood() -> None:
    theirs = secondary(1)
    at = next(n for n, text in enumerate(theirs) if "flush_ram_cache_end" in text)
    theirs[at + 1 : at + 1] = theirs[at - 1 : at + 1]
    assembly = assembled(primary(1), theirs)
    assert loaded(assembly.checkpoints[0]) == (None, 30, None, None, 7)
    assert problems(assembly) == {"secondary: not one cache flush": 1}


def test_what_was_not_traced_is_empty_and_no_problem() -> None:
    theirs = [text for text in secondary(1) if "flush" not in text and "runstate" not in text]
    assembly = assembled(primary(1), theirs)
    assert loaded(assembly.checkpoints[0]) == (None, 30, None, None, None)
    assert assembly.problems == ()


@given(st.integers(-(10**14), 10**14))
def test_the_sides_are_matched_whatever_the_secondary_s_clock_says(clock_us: int) -> None:
    assembly = assembled(primary(3), secondary(3, clock_us))
    assert [one.dirty_pages for one in assembly.checkpoints] == [70, 71, 72]


def test_sides_that_differ_in_count_are_not_matched() -> None:
    theirs = secondary(3)
    length = len(secondary_checkpoint(T0_US))
    del theirs[2 + length : 2 + 2 * length]
    assembly = assembled(primary(3), theirs)
    assert [loaded(one) for one in assembly.checkpoints] == [(None,) * 5] * 3
    assert problems(assembly) == {"sides not matched: they differ in the number of checkpoints": 1}


def test_a_last_checkpoint_that_only_the_primary_began_hinders_no_match() -> None:
    assembly = assembled(primary(3)[:-6], secondary(2))
    assert [one.dirty_pages for one in assembly.checkpoints] == [70, 71]


def test_a_last_checkpoint_incomplete_on_the_secondary_is_left_empty() -> None:
    assembly = assembled(primary(3), secondary(3)[:-1])
    assert [one.dirty_pages for one in assembly.checkpoints] == [70, 71, None]
    assert problems(assembly) == {f"secondary: {INCOMPLETE}": 1}


def test_a_hole_that_an_incomplete_last_checkpoint_hides_from_the_count_is_seen_by_time() -> None:
    theirs = secondary(4)
    length = len(secondary_checkpoint(T0_US))
    del theirs[2 + length : 2 + 2 * length]
    assembly = assembled(primary(3), theirs)
    assert [one.dirty_pages for one in assembly.checkpoints] == [70, None, None]
    assert problems(assembly) == {"sides not matched: they fall out of step": 1}


def test_sides_are_not_matched_when_a_trace_lacks_the_start_of_colo() -> None:
    assembly = assembled(primary(2), secondary(2)[2:])
    assert [loaded(one) for one in assembly.checkpoints] == [(None,) * 5] * 2
    assert "sides not matched: the start of COLO is not in both traces" in problems(assembly)


def test_spans_of_unused_checkpoints_reach_from_their_neighbour_to_the_next() -> None:
    lines = primary(3)
    del lines[2 + 8 + 2]
    used = assembled(primary(3)).spans_us()
    assert assembled(lines).spans_us() == (used[0], (used[0][1], used[2][0]), used[2])


TRUE = assembled(primary(5), secondary(5))
TRUE_TIMES = {one.times_us: one for one in TRUE.checkpoints}


def damage(lines: list[str], wounds: list[tuple[str, int, int]]) -> list[str]:
    lines = list(lines)
    for kind, first, second in wounds:
        at, other = first % len(lines), second % len(lines)
        if kind == "drop":
            # What a tear left is no line to be lost: nothing would be left of nine, a whole checkpoint's.
            del lines[at : at + ("\0" not in lines[at])]
        elif kind == "twice":
            lines.insert(other, lines[at])
        elif kind == "swap":
            # A log only grows: threads may overtake each other by a few lines, not by a checkpoint.
            other = min(at + 1 + second % 3, len(lines) - 1)
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "tear":
            text = "".join(lines[at : at + 9])
            lines[at : at + 9] = [text[: second % 90] + "\0" * 9 + text[len(text) - second % 70 :]]
        elif kind == "join":
            lines[at : at + 2] = [lines[at][: second % 90] + "".join(lines[at + 1 : at + 2])]
        elif kind == "foreign":
            lines.insert(at, ["\0" * 9, "qemu: x", received(T0_US, "vmstate-size"), sent(T0_US, "y"), "0"][second % 5])
    return lines


Wounds = list[tuple[str, int, int]]
WOUNDS = st.lists(
    st.tuples(
        st.sampled_from(["drop", "twice", "swap", "tear", "join", "foreign"]),
        st.integers(0, 10**4),
        st.integers(0, 10**4),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300)
@given(WOUNDS, WOUNDS)
def test_no_damage_raises_or_yields_a_wrong_number(ours: Wounds, theirs: Wounds) -> None:
    assembly = assembled(damage(primary(5), ours), damage(secondary(5), theirs))
    for one in assembly.checkpoints:
        true = TRUE_TIMES[one.times_us]
        assert one.dirty_pages in {None, true.dirty_pages}
        assert all(one.parts_us[part.name] in {None, true.parts_us[part.name]} for part in PARTS)
    assert all(before.times_us < after.times_us for before, after in pairwise(assembly.checkpoints))


def test_a_message_that_is_logged_late_does_not_part_the_sides() -> None:
    theirs = secondary(3)
    ends = [index for index, text in enumerate(theirs) if "vmstate-loaded" in text]
    late = parse_line(theirs[ends[1]])
    assert late is not None
    theirs[ends[1]] = replace(late, time_us=late.time_us + 60_000).render()
    assembly = assembled(primary(3), theirs)
    assert [one.dirty_pages for one in assembly.checkpoints] == [70, 71, 72]
