from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bench.errors import StoreError
from bench.format.version import SCHEMA_VERSION
from bench.record.ledger import Entry, Ledger, parse_entry


def make_ledger(folder: Path) -> Ledger:
    ticks = count(1000)
    return Ledger(folder / "ledger.jsonl", clock=lambda: float(next(ticks)))


def test_a_line_holds_what_happened_and_nothing_else() -> None:
    assert json.loads(Entry(1.5, "r", 0, "started").line()) == {
        "schema_version": SCHEMA_VERSION,
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
    assert again.torn == ""


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


def test_a_torn_last_line_is_cut_off_and_said_and_the_next_entry_stands_on_its_own_line(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.append("a", "measured")
    whole = (tmp_path / "ledger.jsonl").read_bytes()
    for end in range(1, len(whole) - 1):
        (tmp_path / "ledger.jsonl").write_bytes(whole + whole[:end])
        torn = make_ledger(tmp_path)
        assert torn.torn == whole[:end].decode()
        assert torn.done("a")
        assert (tmp_path / "ledger.jsonl").read_bytes() == whole
    torn.append("b", "measured")
    healed = make_ledger(tmp_path)
    assert healed.torn == ""
    assert healed.done("b")


def test_a_line_cut_inside_a_character_is_torn(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.append("a", "failed", message="·")
    content = (tmp_path / "ledger.jsonl").read_bytes()
    (tmp_path / "ledger.jsonl").write_bytes(content[: content.index("·".encode()) + 1])
    assert make_ledger(tmp_path).torn.endswith("\\xc2")


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b"\0\0\0", b"[" * 100_000, b'{"schema_version": 999}'])
def test_any_other_damage_is_refused_with_the_number_of_the_line(tmp_path: Path, damage: bytes) -> None:
    ledger = make_ledger(tmp_path)
    ledger.plan("abc")
    path = tmp_path / "ledger.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[1] = damage
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(StoreError, match="line 2 of 3 is damaged") as caught:
        make_ledger(tmp_path)
    assert caught.value.cause == "ledger-unreadable"
    assert path.read_bytes() == b"\n".join(lines)


def test_a_ledger_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").mkdir()
    with pytest.raises(StoreError, match="cannot be read") as caught:
        make_ledger(tmp_path)
    assert caught.value.cause == "ledger-unreadable"


def test_all_that_is_known_of_a_failure_survives(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    logs = ("failed/a-0/primary/stderr.log",)
    written = ledger.append(
        "a", "failed", 1, "measure", "qemu-hung", "hangs", hint="look", evidence=("said \udcff", "more"), logs=logs
    )
    assert written.evidence == ("said \udcff", "more")
    read = make_ledger(tmp_path).last("a")
    assert read is not None
    assert (read.hint, read.evidence, read.logs) == ("look", ("said \udcff", "more"), logs)


def test_a_key_that_a_later_version_added_is_left_alone() -> None:
    line = '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": 0, "state": "measured", "more": 1}'
    assert parse_entry(line) == Entry(1, "a", 0, "measured")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1",
        "{}",
        f'{{"schema_version": {SCHEMA_VERSION + 1}, "t": 1, "run_id": "a", "attempt": 0, "state": "measured"}}',
        '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": 0, "state": "done"}',
        '{"schema_version": 1, "t": 1, "run_id": 7, "attempt": 0, "state": "measured"}',
        '{"schema_version": 1, "t": 1, "run_id": "a", "state": "measured"}',
        '{"schema_version": 1, "t": "1", "run_id": "a", "attempt": 0, "state": "measured"}',
        '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": true, "state": "measured"}',
        '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": 0, "state": "failed", "message": 3}',
        '{"schema_version": 1, "t": 1, "run_id": "a", "attempt": 0, "state": "failed", "logs": "x"}',
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


@pytest.mark.parametrize("state", ["planned", "started", "measured"])
def test_a_plain_line_is_read_as_any_other(state: Any) -> None:
    entry = Entry(1795929064.323767, "0a1b2c3d4e5f", 3, state)
    line = entry.line()
    other = line.replace('"t"', ' "t"')  # JSON all the same, and not as we write it
    assert parse_entry(line.encode()) == parse_entry(line) == parse_entry(other.encode()) == entry
