from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest

from bench.record.ledger import Entry, Ledger, parse_entry


def make_ledger(folder: Path) -> Ledger:
    ticks = count(1000)
    return Ledger(folder / "ledger.jsonl", clock=lambda: float(next(ticks)))


def test_a_line_holds_what_happened_and_nothing_else() -> None:
    assert json.loads(Entry(1.5, "r", 0, "started").line()) == {
        "schema_version": 1,
        "t": 1.5,
        "run_id": "r",
        "attempt": 0,
        "state": "started",
    }


def test_an_entry_survives_being_written_and_read() -> None:
    entry = Entry(1.5, "r", 2, "failed", "guest", "guest-not-ready", "no ready line · in 180 s")
    assert entry == parse_entry(entry.line())


def test_a_new_process_reads_what_the_old_one_wrote(tmp_path: Path) -> None:
    first = make_ledger(tmp_path)
    first.plan(["a", "b"])
    first.append("a", "started")
    first.append("a", "measured")
    first.append("b", "started")
    again = make_ledger(tmp_path)
    assert again.done("a")
    assert not again.done("b")
    assert not again.done("c")
    assert (again.attempts("a"), again.attempts("b"), again.attempts("c")) == (1, 1, 0)
    assert again.unreadable == 0


def test_planning_again_adds_only_what_is_new(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.plan(["a"])
    ledger.plan(["a", "b"])
    assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == 2


def test_a_failed_run_is_not_done_until_it_is_measured(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.append("a", "started", 0)
    ledger.append("a", "failed", 0, "guest", "guest-not-ready", "no")
    assert not ledger.done("a")
    ledger.append("a", "started", 1)
    ledger.append("a", "measured", 1)
    assert ledger.done("a")
    assert ledger.attempts("a") == 2


def test_a_torn_last_line_is_counted_and_the_next_entry_stands_on_its_own_line(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.append("a", "measured")
    whole = (tmp_path / "ledger.jsonl").read_bytes()
    (tmp_path / "ledger.jsonl").write_bytes(whole + whole[: len(whole) // 2])
    torn = make_ledger(tmp_path)
    assert torn.unreadable == 1
    assert torn.done("a")
    torn.append("b", "measured")
    healed = make_ledger(tmp_path)
    assert healed.unreadable == 1
    assert healed.done("b")


def test_a_line_cut_inside_a_character_is_counted(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.append("a", "failed", message="·")
    content = (tmp_path / "ledger.jsonl").read_bytes()
    (tmp_path / "ledger.jsonl").write_bytes(content[: content.index("·".encode()) + 1])
    assert make_ledger(tmp_path).unreadable == 1


def test_a_key_that_a_later_version_added_is_left_alone() -> None:
    line = '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": 0, "state": "measured", "more": 1}'
    assert parse_entry(line) == Entry(1, "a", 0, "measured")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1",
        "{}",
        '{"schema_version": 2, "t": 1, "run_id": "a", "attempt": 0, "state": "measured"}',
        '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": 0, "state": "done"}',
        '{"schema_version": 1, "t": 1, "run_id": 7, "attempt": 0, "state": "measured"}',
        '{"schema_version": 1, "t": 1, "run_id": "a", "state": "measured"}',
    ],
)
def test_a_line_that_is_no_entry_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_entry(line)


def test_runs_are_planned_at_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    ledger = make_ledger(tmp_path)
    monkeypatch.setattr("os.fsync", synced.append)
    ledger.plan(f"{number:012}" for number in range(1000))
    assert len(synced) == 2  # the file, and the folder that it is new in
    assert len((tmp_path / "ledger.jsonl").read_bytes().split(b"\n")) == 1001
    ledger.plan(f"{number:012}" for number in range(1000))
    assert len(synced) == 2
