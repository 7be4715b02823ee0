from __future__ import annotations

from pathlib import Path

import pytest
from fake_traces import DATA, T0_US, changed, line, parse, real_primary, sent
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import StoreError
from bench.format.phases import Kind
from bench.measure.trace import (
    LONGEST_LINE,
    Line,
    Trace,
    Unusable,
    parse_line,
    parse_trace,
    read_kind,
    read_trace,
)

WANTED = ("colo_send_message", "colo_vm_state_change", "migration_bitmap_sync_start", "other_event")
REQUEST = "2026-11-23T08:07:20.882999Z colo_send_message Send 'checkpoint-request' message"
REQUEST_US = 1_795_421_240_882_999


def events(trace: Trace) -> list[tuple[int, Kind]]:
    return list(trace)


def problems(trace: Trace) -> dict[str, int]:
    return {problem.what: problem.count for problem in trace.problems}


def test_the_newer_format_is_read_to_the_microsecond() -> None:
    expected = Line(
        REQUEST_US, None, fraction=True, event="colo_send_message", rest=" Send 'checkpoint-request' message"
    )
    assert expected == parse_line(REQUEST)


def test_the_older_format_is_read_to_the_microsecond() -> None:
    parsed = parse_line("1234@1795414439.465454:colo_send_message Send 'vmstate-size' message")
    assert parsed is not None
    assert (parsed.time_us, parsed.pid) == (1_795_414_439_465_454, 1234)


def test_a_stamp_on_the_whole_second_has_no_fraction() -> None:
    text = "2026-11-23T08:07:20Z colo_send_message Send 'vmstate-size' message"
    parsed = parse_line(text)
    assert parsed is not None
    assert parsed.time_us == T0_US
    assert text == parsed.render()
    assert [(T0_US, Kind("colo_send_message", ("vmstate-size",)))] == events(parse([text]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "colo_send_message Send 'checkpoint-request' message",
        "2026-13-23T08:07:20.882999Z colo_send_message x",
        "2026-11-23T08:07:60.882999Z colo_send_message x",
        "2026-11-23T08:07:20.88299Z colo_send_message x",
        "2026-11-23T08:07:20.882999 colo_send_message x",
        "1969-12-31T23:59:59.999999Z colo_send_message x",
        "0123@1795414439.465454:colo_send_message x",
        "123@1795414439.46545:colo_send_message x",
        " 2026-11-23T08:07:20.882999Z colo_send_message x",
        "2026-11-23T08:07:20.882999Z qemu-system-x86_64: warning: x",
        "2026-11-23T08:07:20.882999Z event\ttab",
    ],
)
def test_anything_else_is_no_trace_line(text: str) -> None:
    assert parse_line(text) is None


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
RESTS = st.one_of(
    st.just(""), st.text(st.characters(codec="latin-1", exclude_characters="\n")).map(lambda text: f" {text}")
)


@given(st.integers(0, 253_402_300_799_999_999), NAMES, RESTS, st.booleans())
def test_every_rendered_line_is_read_back_as_it_was(time_us: int, event: str, rest: str, fraction: bool) -> None:  # noqa: FBT001
    one = Line(time_us, None, fraction=fraction or time_us % 1_000_000 != 0, event=event, rest=rest)
    assert one == parse_line(one.render())


@given(st.integers(1_000_000, 99_999_999_999_999_999), st.integers(1, 9_999_999_999), NAMES, RESTS)
def test_every_rendered_line_of_the_older_format_is_read_back(time_us: int, pid: int, event: str, rest: str) -> None:
    one = Line(time_us, pid, fraction=True, event=event, rest=rest)
    assert one == parse_line(one.render())


def test_each_real_line_renders_back_to_itself() -> None:
    for name in ("primary", "secondary"):
        for text in (DATA / f"{name}.trace.log").read_text().splitlines():
            parsed = parse_line(text)
            assert parsed is not None
            assert text == parsed.render()


def test_a_real_log_gives_its_events_and_no_problem() -> None:
    trace = real_primary()
    assert trace.lines == 394
    assert trace.problems == ()
    assert (REQUEST_US, Kind("colo_send_message", ("checkpoint-request",))) in events(trace)
    assert len(trace) == 10 + 9 + 7 + 3 + 3 + 7  # the last: changes of the run state


def test_only_wanted_events_are_kept() -> None:
    trace = parse([sent(T0_US, "vmstate-size"), changed(T0_US, "run", "stop")], frozenset({"colo_vm_state_change"}))
    assert [(T0_US, Kind("colo_vm_state_change", ("run", "stop")))] == events(trace)


def test_both_formats_and_messages_of_qemu_may_be_mixed() -> None:
    trace = parse(
        [
            sent(T0_US, "vmstate-send"),
            "2026-11-23T08:07:20.5Z strange",
            "2026-11-23T08:07:20.000001Z qemu-system-x86_64: warning: TCG doesn't support requested feature",
            "qemu-system-x86_64: Unable to connect character device red0",
            line(T0_US + 2, "colo_send_message", " Send 'vmstate-size' message", pid=77),
        ]
    )
    assert trace.times_us.tolist() == [T0_US, T0_US + 2]
    assert problems(trace) == {Unusable.MESSAGE: 2, Unusable.FORMAT: 1}


def test_two_lines_torn_into_one_are_counted_and_neither_is_used() -> None:
    torn = sent(T0_US, "vmstate-send")[:50] + sent(T0_US + 5, "vmstate-size")
    trace = parse([torn, line(T0_US, "unwanted", " x") + sent(T0_US + 5, "vmstate-size")])
    assert len(trace) == 0
    assert problems(trace) == {Unusable.TORN: 2}
    assert torn == trace.problems[0].example


def test_a_last_line_without_its_newline_is_not_used() -> None:
    trace = parse_trace([sent(T0_US, "vmstate-send").encode()], WANTED)
    assert (len(trace), problems(trace)) == (0, {Unusable.TORN: 1})


def test_nul_bytes_are_counted() -> None:
    content = b"\0\0\0" + sent(T0_US, "vmstate-send").encode() + b"\n" + sent(T0_US, "vmstate-size").encode() + b"\n"
    trace = parse_trace([content], WANTED)
    assert (len(trace), problems(trace)) == (1, {Unusable.NUL: 1})


def test_an_overlong_line_is_counted_and_costs_no_memory() -> None:
    chunks = [b"x" * LONGEST_LINE] * 40 + [b"\n" + sent(T0_US, "vmstate-send").encode() + b"\n"]
    trace = parse_trace(chunks, WANTED)
    assert (len(trace), problems(trace), trace.lines) == (1, {Unusable.LONG: 1}, 2)


def test_a_wanted_event_with_strange_arguments_is_counted_not_guessed() -> None:
    trace = parse(
        [line(T0_US, "colo_flush_ram_cache_begin", f" dirty_pages {pages}") for pages in ("1a", "-1", "", "7")]
    )
    assert [Kind("colo_flush_ram_cache_begin", ("7",))] == list(trace.kinds)
    assert problems(trace) == {Unusable.ARGUMENTS: 3}


def test_time_that_steps_back_is_counted_and_the_line_kept() -> None:
    trace = parse([sent(T0_US, "vmstate-send"), sent(T0_US - 1, "vmstate-size"), sent(T0_US + 9, "vmstate-send")])
    assert (len(trace), problems(trace)) == (3, {Unusable.DISORDER: 1})


def test_an_event_without_known_arguments_keeps_them() -> None:
    assert Kind("other_event", ("a 1",)) == read_kind("other_event", " a 1")
    assert Kind("other_event") == read_kind("other_event", "")


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                REQUEST,
                sent(T0_US, "vmstate-size"),
                changed(T0_US + 7, "run", "stop"),
                line(T0_US + 7, "other_event", " mail me@here, A-Z or Z "),
                line(T0_US + 8, "unwanted", " x"),
                line(T0_US + 9, "colo_send_message", " Send 'vmstate-size' message", pid=5),
                "2026-11-23T08:07:20.5Z strange",
                "2026-02-30T08:07:20.500000Z unwanted",
                "qemu: terminating on signal 15",
                "",
                "\0\0",
            ]
        ),
        st.text(st.characters(codec="latin-1", exclude_characters="\n"), max_size=30),
    ),
    max_size=60,
)


@given(LINES, st.integers(1, 200))
def test_how_the_file_is_cut_into_chunks_changes_nothing(lines: list[str], size: int) -> None:
    content = "\n".join(lines).encode("latin-1")
    whole = parse_trace([content], WANTED)
    parts = parse_trace([content[at : at + size] for at in range(0, len(content), size)], WANTED)
    assert (events(whole), whole.problems, whole.lines) == (events(parts), parts.problems, parts.lines)


@given(LINES)
def test_the_fast_way_reads_what_the_line_parser_reads(lines: list[str]) -> None:
    expected = []
    for text in lines:
        parsed = parse_line(text)
        if parsed and parsed.event in WANTED and (kind := read_kind(parsed.event, parsed.rest)):
            expected.append((parsed.time_us, kind))
    found = events(parse(lines, frozenset(WANTED)))
    assert expected == found


@given(LINES)
def test_every_line_is_used_unwanted_or_counted(lines: list[str]) -> None:
    trace = parse(lines, frozenset(WANTED))
    unwanted = sum(1 for text in lines if (one := parse_line(text)) and one.event not in WANTED)
    lost = sum(count for what, count in problems(trace).items() if what != Unusable.DISORDER)
    assert len(lines) == trace.lines
    assert trace.lines == len(trace) + unwanted + lost


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_no_bytes_make_it_raise(chunks: list[bytes]) -> None:
    parse_trace(chunks, WANTED)


def test_what_it_returns_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        real_primary().times_us[0] = 0


def test_a_missing_file_is_a_failure_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="trace-missing"):
        read_trace(tmp_path / "trace-missing.log", WANTED)
