"""What a guest may send over its serial line: anything. It is not believed more than it says."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest
from fuzzing import NASTY, QUICK, SHOWN, damaged, json_values, trial
from hypothesis import given
from hypothesis import strategies as st

from bench.guest.protocol import MARK
from bench.scenario.client import workload_figures
from bench.vm.console import Console, parse_line

WORDS = st.from_regex(r"[a-z]{1,10}", fullmatch=True)
FIELDS = st.dictionaries(st.text(max_size=8), json_values(), max_size=4)


def said(word: str, fields: dict[str, Any]) -> str:
    return f"{MARK}{word} {json.dumps(fields)}" if fields else f"{MARK}{word}"


@QUICK
@given(WORDS, FIELDS, st.sampled_from(["", "[    1.2] ", "\x1b[0m", "\0"]))
def test_a_line_of_ours_is_read_back_unless_json_cannot_say_it(word: str, fields: dict[str, Any], before: str) -> None:
    with trial("serial line") as one:
        found = one.attempt(parse_line, before + said(word, fields))
        assert found in (None, (word, fields))
        if found is not None:
            assert parse_line(said(*found)) == found


@QUICK
@given(
    st.one_of(
        damaged(st.builds(lambda word, fields: said(word, fields).encode(), WORDS, FIELDS)),
        NASTY.map(lambda tail: MARK.encode() + b"report " + tail),
        st.binary(max_size=60),
    )
)
def test_an_accepted_line_renders_back_to_what_was_accepted(raw: bytes) -> None:
    with trial("serial line") as one:
        found = one.attempt(parse_line, raw.decode(errors="replace"))
        if found is not None:
            word, fields = found
            assert parse_line(said(word, fields)) == (word, fields)


def heard(chunks: list[bytes]) -> Console:
    """A console after it has read all that a guest sent."""

    async def listen() -> Console:
        reader = asyncio.StreamReader(limit=1 << 12)
        console = Console(reader, None)  # type: ignore[arg-type]
        reading = asyncio.create_task(console.read())
        for chunk in chunks:
            reader.feed_data(chunk)
            await asyncio.sleep(0)
        reader.feed_eof()
        await reading
        console.died()
        if console._failure.done():
            console._failure.result()
        return console

    return asyncio.run(listen())


REPORTS = st.fixed_dictionaries(
    {"seconds": st.floats(0.001, 10), "bytes": st.integers(0, 1 << 40)}, optional={"workload": st.just("dirty")}
)


@given(st.lists(REPORTS, min_size=1, max_size=5), st.data())
def test_a_damaged_console_loses_reports_and_invents_none(reports: list[dict[str, Any]], data: st.DataObject) -> None:
    content = b"".join(said("report", one).encode() + b"\r\n" for one in reports)
    torn = data.draw(damaged(content, SHOWN))
    with trial("serial console") as one:
        found = heard([torn]).reports
        one.accepted = bool(found)
        assert all(each in (*reports, {}) for each in found)  # nothing of a report is left but its word


@given(
    st.lists(
        st.one_of(damaged(b'colo-bench: report {"seconds":1.0,"bytes":5}\r\n'), NASTY, st.just(b"x" * 5000)), max_size=8
    )
)
def test_whatever_a_guest_sends_the_console_reads_on(chunks: list[bytes]) -> None:
    with trial("serial console") as one:
        console = heard([*chunks, b"\n", said("report", {"seconds": 2.0, "bytes": 7}).encode() + b"\n"])
        one.accepted = True
        assert console.reports[-1] == {"seconds": 2.0, "bytes": 7}
        check(workload_figures(console.reports))


def check(figures: dict[str, Any]) -> None:
    assert not figures or (figures["guest_seconds"] > 0 and math.isfinite(figures["achieved_mb_s"]))
    assert not figures or figures["achieved_mb_s"] >= 0


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["seconds", "bytes", "workload"]), json_values(4) | st.floats(0, 9), max_size=3
        ),
        max_size=4,
    )
)
def test_a_report_without_sound_numbers_is_counted_not_added(reports: list[dict[str, Any]]) -> None:
    with trial("workload report") as one:
        figures = workload_figures(reports)
        one.accepted = bool(figures)
        check(figures)
        if figures:
            assert figures["reports"] + figures.get("unreadable_reports", 0) == len(reports)


@pytest.mark.parametrize("fields", ["[" * 100_000, '{"a":' * 50_000, '{"seconds":NaN}', "1" * 5000])
def test_fields_that_no_parser_should_see_are_no_line_of_ours(fields: str) -> None:
    assert parse_line(f"{MARK}report {fields}") is None


def test_a_line_longer_than_the_reader_holds_is_passed_over() -> None:
    console = heard([b"x" * 100_000, b"\n", said("report", {"seconds": 1.0}).encode() + b"\n"])
    assert console.reports == [{"seconds": 1.0}]


@pytest.mark.parametrize(
    "odd", [{"seconds": "1", "bytes": 5}, {"seconds": 1.0}, {"seconds": -1.0, "bytes": 5}, {"bytes": []}]
)
def test_a_damaged_report_is_counted(odd: dict[str, Any]) -> None:
    figures = workload_figures([odd, {"seconds": 2.0, "bytes": 4_000_000}])
    assert figures == {"reports": 1, "unreadable_reports": 1, "guest_seconds": 2.0, "achieved_mb_s": 2.0}
