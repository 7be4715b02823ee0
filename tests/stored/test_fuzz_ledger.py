"""``ledger.jsonl`` with arbitrary damage: states as they were written, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from fuzzing import ANY, QUICK, SHOWN, damaged, json_values, trial
from hypothesis import given
from hypothesis import strategies as st

from analysis.stored.load import _read_ledger
from bench.errors import StoreError
from bench.record.ledger import Entry, Ledger, State, parse_entry, read_entries
from bench.system.documents import lines_of

RUNS = st.sampled_from(["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"])
WORDS = st.none() | st.text(max_size=20) | st.sampled_from(["\N{LINE SEPARATOR}\x85\x1c\x0b", "a\nb", "\udc80", "\0"])
ENTRIES = st.builds(
    Entry,
    st.floats(0, 1e11).map(lambda t: round(t, 6)),
    RUNS,
    st.integers(0, 99),
    st.sampled_from(get_args(State)),
    WORDS,
    WORDS,
    WORDS,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledger") / "ledger.jsonl"


@given(st.lists(ENTRIES, max_size=6))
def test_every_entry_is_read_back_whatever_its_message_holds(path: Path, entries: list[Entry]) -> None:
    path.unlink(missing_ok=True)
    ledger = Ledger(path, clock=iter([entry.t for entry in entries]).__next__)
    with trial("ledger.jsonl") as one:
        for entry in entries:
            ledger.append(entry.run_id, entry.state, entry.attempt, entry.phase, entry.cause, entry.message)
        one.accepted = True
        assert read_entries(path) == (entries, 0)
        if path.exists():
            lines, notes = _read_ledger(path)
            assert [(line.t, line.run_id, line.state, line.attempt) for line in lines] == [
                (entry.t, entry.run_id, entry.state, entry.attempt) for entry in entries
            ]
            assert notes == ()
            "".join(line.message or "" for line in lines).encode()  # a page can be written of it


@st.composite
def broken_ledgers(draw: st.DrawFn, kinds: tuple[Any, ...]) -> tuple[bytes, list[Entry]]:
    entries = draw(st.lists(ENTRIES, min_size=1, max_size=6))
    content = "".join(entry.line() + "\n" for entry in entries).encode(errors="backslashreplace")
    return draw(damaged(content, kinds)), entries


@given(broken_ledgers(SHOWN))
def test_damage_that_shows_leaves_entries_as_they_were_or_none(path: Path, broken: tuple[bytes, list[Entry]]) -> None:
    content, entries = broken
    path.write_bytes(content)
    with trial("ledger.jsonl") as one:
        found, unreadable = read_entries(path)
        one.accepted = bool(found)
        assert all(entry in entries for entry in found)
        assert len(found) + unreadable == len(lines_of(content))


def _sound(line: bytes) -> bool:
    try:
        parse_entry(line)
    except ValueError:
        return False
    return True


@given(broken_ledgers(ANY))
def test_a_damaged_ledger_is_refused_or_goes_on_and_agrees_with_the_report(
    path: Path, broken: tuple[bytes, list[Entry]]
) -> None:
    content, _ = broken
    path.write_bytes(content)
    with trial("ledger.jsonl") as one:
        whole = lines_of(content) if content.endswith(b"\n") else lines_of(content)[:-1]
        if any(not _sound(line) for line in whole):
            # Another line than a last one without its end is damaged: what was done is not known for certain.
            with pytest.raises(StoreError, match="damaged") as caught:
                Ledger(path)
            assert caught.value.cause == "ledger-unreadable"
            assert path.read_bytes() == content
            return
        ledger = Ledger(path, clock=lambda: 5.0)
        one.accepted = bool(ledger._last)
        ledger.append("dddddddddddd", "measured")
        found, unreadable = read_entries(path)
        assert found[-1] == Entry(5.0, "dddddddddddd", 0, "measured")
        assert unreadable == 0
        assert all(parse_entry(entry.line()) == parse_entry(parse_entry(entry.line()).line()) for entry in found)
        lines, notes = _read_ledger(path)
        assert lines[-1].state == "measured"
        assert len(lines) <= len(found)
        assert bool(notes) == (len(lines) < len(found))  # what the report leaves out it says


@QUICK
@given(
    st.dictionaries(
        st.sampled_from(["schema_version", "t", "run_id", "attempt", "state", "phase", "cause", "message", "more"]),
        json_values(4) | RUNS | st.sampled_from(get_args(State)) | st.integers(0, 2),
        max_size=3,
    )
)
def test_json_that_is_no_entry_is_refused(tree: dict[str, Any]) -> None:
    import json

    with trial("ledger line") as one:
        whole = {"schema_version": 1, "t": 1.5, "run_id": "aaaaaaaaaaaa", "attempt": 0, "state": "failed", "cause": "x"}
        entry = one.attempt(parse_entry, json.dumps(whole | tree), refusals=ValueError)
        if entry is not None:
            assert parse_entry(entry.line()).line() == entry.line()
            assert entry.attempt + 1 > 0


@pytest.mark.parametrize("message", ["cut\N{LINE SEPARATOR}here", "\x85", "\x1c\x1d\x1e\x0b\x0c", "caf\udce9"])
def test_no_character_of_a_message_ends_its_line(path: Path, message: str) -> None:
    path.unlink(missing_ok=True)
    Ledger(path).append("a", "failed", message=message)
    assert (Ledger(path).torn, Ledger(path).last("a")) == ("", read_entries(path)[0][0])
    assert read_entries(path)[0][0].message == message


@pytest.mark.parametrize(
    "line",
    [
        '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": "0", "state": "started"}',
        '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": -1, "state": "started"}',
        '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": true, "state": "started"}',
        '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": 0.5, "state": "started"}',
        '{"schema_version": 1, "t": NaN, "run_id": "a", "attempt": 0, "state": "started"}',
        '{"schema_version": 1, "t": 1e999, "run_id": "a", "attempt": 0, "state": "started"}',
        '{"schema_version": 1, "t": null, "run_id": "a", "attempt": 0, "state": "started"}',
        '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": 0, "state": ["started"]}',
        '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": 0, "state": "failed", "message": 7}',
        '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": 0, "state": "failed", "more": ' + "[" * 100_000,
    ],
)
def test_an_entry_with_a_field_of_another_kind_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_entry(line)


def test_a_ledger_that_cannot_be_read_is_a_failure_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"ledger\.jsonl cannot be read") as caught:
        Ledger(tmp_path / "ledger.jsonl")
    assert caught.value.cause == "ledger-unreadable"


@pytest.mark.parametrize("odd", ['"`ttempt": 0', '"attempt": "0"', '"attempt": true', '"attempt": -1'])
def test_the_report_goes_by_the_lines_that_the_campaign_goes_by(path: Path, odd: str) -> None:
    path.write_text('{"schema_version": 1, "t": 1.0, "run_id": "aaaaaaaaaaaa", ' + odd + ', "state": "measured"}\n')
    assert read_entries(path) == ([], 1)
    assert _read_ledger(path)[0] == []
