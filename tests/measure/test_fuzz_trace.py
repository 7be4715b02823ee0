"""Trace logs with arbitrary damage: what is read is what was written, or nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from fake_traces import (
    DATA,
    T0_US,
    line,
    primary_checkpoint,
    primary_start,
    secondary_checkpoint,
    secondary_start,
)
from fuzzing import ANY, NASTY, QUICK, SLOW, STAMPED, damaged, trial
from hypothesis import given
from hypothesis import strategies as st

from bench.format.phases import PARTS, PRIMARY, SECONDARY, Kind
from bench.format.table import PAUSE_PHASES, PHASES
from bench.measure import sequence
from bench.measure.checkpoints import Assembly, Checkpoint, assemble
from bench.measure.parts import EVENTS
from bench.measure.trace import Line, Trace, Unusable, parse_line, parse_trace, read_kind
from bench.measure.triggers import NETWORK_EVENTS, Pacing, label_triggers, read_mismatches, uncertain_triggers
from bench.record.table import checkpoint_columns, read_checkpoints, write_checkpoints

if TYPE_CHECKING:
    import pytest

WANTED = EVENTS[PRIMARY] | NETWORK_EVENTS
PHASES_US = st.tuples(*[st.integers(0, 90_000)] * 7)


def older(text: str) -> str:
    """The line as QEMU before 9 wrote it."""
    parsed = parse_line(text)
    assert parsed is not None
    return replace(parsed, pid=4711, fraction=True).render()


def content_of(lines: list[str], *, old: bool) -> bytes:
    return "".join(f"{older(one) if old else one}\n" for one in lines).encode("latin-1")


def save_events(time_us: int, phases_us: tuple[int, ...]) -> list[str]:
    """A checkpoint's lines with the bitmap sync in the middle of its save phase."""
    lines = primary_checkpoint(time_us, phases_us)
    begin_us, save_us = time_us + sum(phases_us[:3]), phases_us[3]
    begin = line(begin_us + save_us // 4, "migration_bitmap_sync_start", "")
    end = line(begin_us + save_us // 2, "migration_bitmap_sync_end", " dirty_pages 7")
    return [*lines[:4], begin, end, *lines[4:]]


@st.composite
def primaries(draw: st.DrawFn) -> tuple[bytes, dict[int, Checkpoint]]:
    """Return a primary's log, and its checkpoints by the time of their request."""
    lines, now_us = primary_start(), T0_US + draw(st.integers(200, 2_000_000))
    for phases_us in draw(st.lists(PHASES_US, min_size=1, max_size=4)):
        lines += save_events(now_us, phases_us)
        now_us += sum(phases_us) + draw(st.integers(1, 3_000_000))
    content = content_of(lines, old=draw(st.booleans()))
    whole = assemble(parse_trace([content], WANTED), None)
    assert whole.problems == ()
    return content, {one.request_us: one for one in whole.checkpoints}


@st.composite
def broken_primaries(draw: st.DrawFn, kinds: tuple[Any, ...]) -> tuple[bytes, dict[int, Checkpoint]]:
    content, whole = draw(primaries())
    return draw(damaged(content, kinds)), whole


def lines_in(content: bytes) -> set[tuple[int, Kind]]:
    """What each whole line of a log says, read one by one."""
    found = set()
    for raw in content.split(b"\n")[:-1]:
        parsed = parse_line(raw.decode("latin-1")) if b"\0" not in raw else None
        kind = read_kind(parsed.event, parsed.rest) if parsed else None
        if parsed and kind:
            found.add((parsed.time_us, kind))
    return found


def check_sums(assembly: Assembly) -> None:
    for one in assembly.checkpoints:
        assert sum(one.phases_us) == one.running_us - one.request_us
        assert sum(one.phases_us[2:]) == one.pause_us
        assert all(phase >= 0 for phase in one.phases_us)
        known = [part for part in (*one.parts_us.values(), one.dirty_pages) if part is not None]
        assert all(part >= 0 for part in known)
        save = [one.parts_us[part.name] for part in PARTS if part.side == PRIMARY]
        if None not in save:
            assert sum(part or 0 for part in save) == one.phases_us[3]


STAMPS = st.one_of(
    st.sampled_from(
        [
            "2026-11-23T08:07:20.882999Z ",
            "2026-11-23T08:07:20Z ",
            "1234@1795414439.465454:",
            "0001-01-01T00:00:00.000000Z ",
            "9999-12-31T23:59:59.999999Z ",
            "2026-02-30T08:07:20.882999Z ",
            "9999999999@99999999999.999999:",
            "1@1.000000:",
            "\N{FULLWIDTH DIGIT TWO}026-11-23T08:07:20.882999Z ",
        ]
    ),
    st.text("0123456789@.:TZ- \N{ARABIC-INDIC DIGIT FOUR}", max_size=32),
)
TAILS = st.one_of(
    st.sampled_from(
        [
            "colo_send_message Send 'vmstate-size' message",
            "colo_flush_ram_cache_begin dirty_pages 999999999999999999",
            "colo_vm_state_change Change 'run' => 'stop'",
            "colo_flush_ram_cache_end ",
        ]
    ),
    st.text(st.characters(codec="latin-1"), max_size=40),
)


@QUICK
@given(STAMPS, TAILS)
def test_an_accepted_line_renders_back_to_itself(stamp: str, tail: str) -> None:
    with trial("trace line") as one:
        parsed = one.attempt(parse_line, stamp + tail)
        if parsed is not None:
            assert parsed.render() == stamp + tail
            assert 0 <= parsed.time_us < 1 << 62


@QUICK
@given(st.sampled_from(["primary", "secondary"]), st.data())
def test_an_accepted_line_of_a_real_log_renders_back_to_itself(side: str, data: st.DataObject) -> None:
    lines = (DATA / f"{side}.trace.log").read_bytes().split(b"\n")
    content = data.draw(damaged(data.draw(st.sampled_from(lines))))
    for raw in content.split(b"\n"):
        with trial("trace line") as one:
            parsed = one.attempt(parse_line, raw.decode("latin-1"))
            if parsed is not None:
                assert parsed.render().encode("latin-1") == raw


@given(broken_primaries(ANY), st.integers(1, 4096))
def test_every_event_of_a_checkpoint_stands_whole_in_the_damaged_log(
    broken: tuple[bytes, dict[int, Checkpoint]], chunk: int
) -> None:
    content, _ = broken
    with trial("trace log, damaged anyhow") as one:
        trace = parse_trace((content[at : at + chunk] for at in range(0, len(content), chunk)), WANTED)
        assembly = assemble(trace, None)
        one.accepted = bool(assembly.checkpoints)
        there = lines_in(content)
        for found in assembly.checkpoints:
            assert set(zip(found.times_us, sequence.PRIMARY.order, strict=True)) <= there
        check_sums(assembly)
        check_account(content, trace)


def check_account(content: bytes, trace: Trace) -> None:
    """Every line is kept, unwanted, or counted under one heading."""
    raw = content.split(b"\n")
    lines = len(raw) - (not raw[-1])
    parsed = [parse_line(one.decode("latin-1")) for one in raw[:-1] if b"\0" not in one]
    unwanted = sum(one is not None and one.event not in WANTED for one in parsed)
    lost = sum(problem.count for problem in trace.problems if problem.what != Unusable.DISORDER)
    torn_but_parsed = lines - len(trace) - unwanted - lost
    assert trace.lines == lines
    # A line with another's stamp inside is torn, also where its beginning alone would be an unwanted event.
    assert -unwanted <= torn_but_parsed <= 0


@given(broken_primaries(STAMPED))
def test_damage_that_shows_leaves_checkpoints_as_they_were_or_none(
    broken: tuple[bytes, dict[int, Checkpoint]],
) -> None:
    content, whole = broken
    with trial("trace log, torn or zeroed") as one:
        assembly = assemble(parse_trace([content], WANTED), None)
        one.accepted = bool(assembly.checkpoints)
        for found in assembly.checkpoints:
            assert found.times_us == whole[found.request_us].times_us
        check_sums(assembly)


@st.composite
def broken_pairs(draw: st.DrawFn, kinds: tuple[Any, ...]) -> tuple[bytes, bytes, dict[int, int]]:
    """Return both sides' logs, damaged, and the dirty pages of each checkpoint by the time of its request."""
    ours, theirs, pages = primary_start(), secondary_start(), {}
    now_us = T0_US
    for number in range(draw(st.integers(1, 5))):
        now_us += draw(st.integers(400_000, 3_000_000))
        ours += primary_checkpoint(now_us)
        theirs += secondary_checkpoint(now_us, 1000 + number, flush_first=draw(st.booleans()))
        pages[now_us] = 1000 + number
    old = draw(st.booleans())
    primary, secondary = content_of(ours, old=old), content_of(theirs, old=old)
    return draw(damaged(primary, kinds, most=2)), draw(damaged(secondary, kinds, most=3)), pages


@given(broken_pairs(STAMPED))
def test_a_checkpoint_never_gets_the_dirty_pages_of_another(broken: tuple[bytes, bytes, dict[int, int]]) -> None:
    ours, theirs, pages = broken
    with trial("traces of both sides, torn or zeroed") as one:
        assembly = assemble(parse_trace([ours], WANTED), parse_trace([theirs], EVENTS[SECONDARY]))
        one.accepted = bool(assembly.checkpoints)
        for found in assembly.checkpoints:
            assert found.dirty_pages in (None, pages[found.request_us])
        check_sums(assembly)


@given(broken_pairs(ANY), st.lists(st.integers(0, 1 << 40), max_size=3))
def test_any_two_logs_become_a_table_whose_phases_add_up(
    tmp_path_factory: pytest.TempPathFactory, broken: tuple[bytes, bytes, dict[int, int]], mismatches: list[int]
) -> None:
    ours, theirs, _ = broken
    with trial("traces of both sides, damaged anyhow") as one:
        primary = parse_trace([ours], WANTED)
        assembly = assemble(primary, parse_trace([theirs], EVENTS[SECONDARY]))
        one.accepted = bool(assembly.checkpoints)
        check_sums(assembly)
        uncertain_triggers(assembly, Pacing())
        triggers = label_triggers(assembly, Pacing(), (*read_mismatches(primary), *mismatches))
        columns = checkpoint_columns("r", assembly.checkpoints, triggers, warmup=1)
        path = tmp_path_factory.getbasetemp() / "fuzzed.parquet"
        write_checkpoints(path, columns)
        table = read_checkpoints(path)
        for whole, parts in (("pause_s", PAUSE_PHASES), ("total_s", PHASES)):
            sums = sum((table[name].to_numpy() for name in parts[1:]), start=table[parts[0]].to_numpy())
            assert np.abs(sums - table[whole].to_numpy()).max(initial=0) < 1e-9
        assert all(before < after for before, after in pairwise(columns["index"]))


@given(st.lists(NASTY | st.just(b"\n"), max_size=30))
def test_no_bytes_are_taken_for_events(parts: list[bytes]) -> None:
    with trial("trace log of nothing but rubbish") as one:
        trace = parse_trace(parts, WANTED)
        one.accepted = len(trace) > 0
        assert len(trace) == 0
        assert assemble(trace, trace).checkpoints == ()


@SLOW
@given(st.data())
def test_a_damaged_real_log_gives_only_its_own_checkpoints(data: st.DataObject) -> None:
    content = (DATA / "primary.trace.log").read_bytes()
    whole = {one.request_us: one for one in assemble(parse_trace([content], WANTED), None).checkpoints}
    broken = data.draw(damaged(content, STAMPED, most=8))
    with trial("trace log, torn or zeroed") as one:
        found = assemble(parse_trace([broken], WANTED), None)
        one.accepted = bool(found.checkpoints)
        assert all(each.times_us == whole[each.request_us].times_us for each in found.checkpoints)


def test_the_oldest_and_the_newest_time_are_read() -> None:
    for text in ("1970-01-01T00:00:00Z a", "9999-12-31T23:59:59.999999Z a", "1@1.000000:a"):
        parsed = parse_line(text)
        assert parsed is not None
        assert parsed.render() == text
    assert Line(0, None, fraction=False, event="a", rest="").render() == "1970-01-01T00:00:00Z a"
