from __future__ import annotations

from typing import Any

import pytest

from bench.measure.log_lines import is_answer, is_qmp_entry

COMMAND: dict[str, Any] = {"t": 1.5, "side": "primary", "command": "migrate", "arguments": {}, "seconds": 0.1}
EVENT: dict[str, Any] = {"t": 1.5, "side": "primary", "event": "STOP", "timestamp": {"seconds": 1, "microseconds": 5}}
ANSWER: dict[str, Any] = {"t_send": 1.5, "latency_s": 0.1, "status": 200, "error": None, "bytes": 5}


def test_what_a_run_writes_is_sound() -> None:
    assert is_qmp_entry(COMMAND)
    assert is_qmp_entry(EVENT)
    assert is_answer(ANSWER)
    assert is_answer(ANSWER | {"service_s": 0.05, "connection": 3})
    assert is_answer(ANSWER | {"service_s": None, "connection": None})


@pytest.mark.parametrize(
    "change",
    [
        {"t": "1"},
        {"t": -1},
        {"side": 1},
        {"command": None},
        {"arguments": []},
        {"arguments": {"x-checkpoint-delay": 0.5}},
        {"seconds": float("nan")},
    ],
)
def test_a_command_of_another_kind_is_not(change: dict[str, Any]) -> None:
    assert not is_qmp_entry(COMMAND | change)


@pytest.mark.parametrize(
    "stamp", [None, {}, {"seconds": 1}, {"seconds": 1, "microseconds": 1_000_000}, {"seconds": 1.5, "microseconds": 0}]
)
def test_an_event_without_its_time_is_not(stamp: Any) -> None:
    assert not is_qmp_entry(EVENT | {"timestamp": stamp})


@pytest.mark.parametrize(
    "change",
    [
        *({"t_send": True}, {"latency_s": -1}, {"status": 1000}, {"error": 3}, {"bytes": -1}, {"more": 1}),
        *({"service_s": -1}, {"service_s": "1"}, {"connection": 1.5}, {"connection": True}),
    ],
)
def test_an_answer_of_another_kind_is_not(change: dict[str, Any]) -> None:
    assert not is_answer(ANSWER | change)
