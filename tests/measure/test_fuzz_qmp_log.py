"""``qmp.jsonl`` with arbitrary damage: entries as they were written, or none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_traces import T0_US, parse, primary_checkpoint, primary_start
from fuzzing import ANY, SHOWN, damaged, json_values, trial
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.checkpoints import assemble
from bench.measure.log_lines import is_qmp_entry
from bench.measure.stops import qmp_pauses_us, read_stops
from bench.measure.triggers import label_triggers, read_pacing
from bench.scenario.answers import read_json_lines
from bench.system.documents import lines_of, parse_json
from bench.vm.qmp import QmpLog

ASSEMBLY = assemble(parse([*primary_start(), *primary_checkpoint(T0_US + 300), *primary_checkpoint(T0_US + 900)]), None)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("qmp") / "qmp.jsonl"


TIMES = st.integers(T0_US - 10**6, T0_US + 10**8)
SIDES = st.sampled_from(["primary", "secondary"])


def command(time_us: int, side: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"t": time_us / 1e6, "side": side, "command": name, "arguments": arguments, "reply": {}, "seconds": 0.001}


def event(time_us: int, side: str, name: str) -> dict[str, Any]:
    seconds, microseconds = divmod(time_us, 1_000_000)
    stamp = {"seconds": seconds, "microseconds": microseconds}
    return {"t": time_us / 1e6 + 0.001, "side": side, "event": name, "timestamp": stamp, "data": {}}


ENTRIES = st.one_of(
    st.builds(event, TIMES, SIDES, st.sampled_from(["STOP", "RESUME", "MIGRATION", "COLO_EXIT"])),
    st.builds(command, TIMES, SIDES, st.just("migrate"), st.just({"uri": "tcp:127.0.0.1:9998"})),
    st.builds(
        command,
        TIMES,
        SIDES,
        st.just("migrate-set-parameters"),
        st.fixed_dictionaries({"x-checkpoint-delay": st.integers(0, 1 << 31)}),
    ),
)


def use(entries: list[dict[str, Any]]) -> None:
    """Do with the entries what a run does."""
    pauses = qmp_pauses_us(ASSEMBLY.checkpoints, read_stops(entries))
    assert all(pause is None or pause >= 0 for pause in pauses)
    assert len(label_triggers(ASSEMBLY, read_pacing(entries))) == len(ASSEMBLY.checkpoints)


@st.composite
def broken_logs(draw: st.DrawFn, kinds: tuple[Any, ...]) -> tuple[bytes, list[dict[str, Any]]]:
    entries = draw(st.lists(ENTRIES, min_size=1, max_size=6))
    content = "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in entries).encode()
    return draw(damaged(content, kinds)), entries


@given(broken_logs(SHOWN))
def test_damage_that_shows_leaves_entries_as_they_were_or_none(
    path: Path, broken: tuple[bytes, list[dict[str, Any]]]
) -> None:
    content, entries = broken
    path.write_bytes(content)
    with trial("qmp.jsonl") as one:
        found, problems = read_json_lines(path, is_qmp_entry)
        one.accepted = bool(found)
        assert all(each in entries for each in found)
        assert len(found) + sum(problem.count for problem in problems) == len(lines_of(content))
        use(found)


@given(broken_logs(ANY))
def test_any_damage_is_counted_and_what_is_left_can_be_used(
    path: Path, broken: tuple[bytes, list[dict[str, Any]]]
) -> None:
    content, _ = broken
    path.write_bytes(content)
    with trial("qmp.jsonl") as one:
        found, problems = read_json_lines(path, is_qmp_entry)
        one.accepted = bool(found)
        assert len(found) + sum(problem.count for problem in problems) == len(lines_of(content))
        assert all(parse_json(json.dumps(each)) == each for each in found)
        use(found)


@given(
    st.dictionaries(
        st.sampled_from(["t", "side", "command", "arguments", "event", "timestamp", "seconds", "error", "data"]),
        json_values(6)
        | SIDES
        | st.sampled_from(["STOP", "migrate", "migrate-set-parameters"])
        | st.dictionaries(st.sampled_from(["seconds", "microseconds", "x-checkpoint-delay"]), json_values(2)),
    )
)
def test_json_that_is_no_entry_is_no_number(path: Path, entry: dict[str, Any]) -> None:
    path.write_text(json.dumps(entry), encoding="utf-8")
    with trial("qmp.jsonl") as one:
        found, problems = read_json_lines(path, is_qmp_entry)
        one.accepted = bool(found)
        assert len(found) + len(problems) == 1
        use(found)


def is_json(value: Any) -> bool:
    try:
        return bool(json.dumps(value, allow_nan=False))
    except ValueError:
        return False


@given(st.dictionaries(st.text(max_size=8), json_values(), max_size=5))
def test_what_is_logged_is_read_back(path: Path, entry: dict[str, Any]) -> None:
    path.unlink(missing_ok=True)
    with trial("qmp.jsonl") as one:
        with QmpLog(path) as log:
            log.write(entry)
        found, _ = read_json_lines(path)
        one.accepted = bool(found)
        assert found in ([], [entry])
        assert bool(found) == is_json(entry)


@pytest.mark.parametrize(
    "line",
    [
        '{"t":1,"side":"primary","event":"STOP","timestamp":{"seconds":1}}',
        '{"t":1,"side":"primary","event":"STOP","timestamp":{"seconds":-1,"microseconds":-1}}',
        '{"t":1,"side":"primary","event":"STOP","timestamp":null}',
        '{"t":"1","side":"primary","command":"migrate-set-parameters","arguments":{"x-checkpoint-delay":9}}',
        '{"t":1e999,"side":"primary","command":"migrate-set-parameters","arguments":{"x-checkpoint-delay":9}}',
        '{"t":1,"side":"primary","command":"migrate-set-parameters","arguments":{"x-checkpoint-delay":"9"}}',
        '{"t":1,"side":"primary","command":"migrate-set-parameters"}',
        '{"t":1,"side":"primary","event":"STOP","timestamp":{"seconds":1,"microseconds":1},"command":"migrate-set-parameters"}',
        "[" * 100_000,
        '{"t":NaN,"side":"primary","command":"migrate","arguments":{}}',
    ],
)
def test_a_line_that_only_looks_like_an_entry_is_counted(path: Path, line: str) -> None:
    path.write_text(line + "\n", encoding="utf-8")
    found, problems = read_json_lines(path, is_qmp_entry)
    assert (found, [problem.count for problem in problems]) == ([], [1])
