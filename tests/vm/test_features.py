"""What a binary says of itself, read from replies of both old and new QEMU."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from qemu.qmp import ExecuteError, Message
from qemu.qmp.models import ErrorResponse

from bench.config.procedure import Trace
from bench.errors import HostError, LaunchError, QmpError
from bench.format.phases import NEEDED
from bench.vm.features import (
    MODERN,
    Features,
    _has_type,
    _sandbox,
    common_machine,
    known_events,
    missing_parts,
    reconnect_option,
    sandbox_option,
)
from bench.vm.scratch import probe_folder

SOCKET = {"name": "42", "meta-type": "object", "members": [{"name": "path", "type": "str"}, {"type": "alternate"}]}
OBJECTS = ("colo-compare", "filter-mirror", "filter-redirector", "filter-rewriter")
DRIVERS = [{"meta-type": "enum", "values": ["qcow2", "replication", "quorum", "nbd"]}]
FEATURES = Features("", (), smp_cache=False, trace_events=frozenset({*NEEDED, "another_event"}))


def test_reconnect_is_spelled_as_the_schema_spells_it() -> None:
    new = {"meta-type": "object", "members": [{"name": "reconnect-ms", "type": "int"}]}
    old = {"meta-type": "object", "members": [{"name": "reconnect", "type": "int"}]}
    assert reconnect_option([SOCKET, new, old]) == "reconnect-ms=1000"
    assert reconnect_option([SOCKET, old]) == "reconnect=1"


def test_a_complete_binary_misses_nothing() -> None:
    assert missing_parts(DRIVERS, OBJECTS, ["x-colo"]) == ()


def test_everything_a_binary_lacks_is_named() -> None:
    assert missing_parts([], OBJECTS[1:], []) == (
        "block driver replication",
        "block driver quorum",
        "block driver nbd",
        "object colo-compare",
        "migration capability x-colo",
    )


def test_globs_become_the_events_that_the_binary_has() -> None:
    events, missing = known_events(Trace(events=("another_*",), optional=("gone_*",)), FEATURES)
    assert "another_event" in events
    assert missing == ("gone_*",)


def test_the_events_that_bound_the_phases_are_always_on() -> None:
    events, _ = known_events(Trace(events=("another_*",)), FEATURES)
    assert set(NEEDED) < set(events)


def test_an_unknown_event_is_refused_with_the_close_ones() -> None:
    with pytest.raises(HostError, match="colo_send_mesage") as caught:
        known_events(Trace(events=("colo_send_mesage",)), FEATURES)
    assert "colo_send_message" in caught.value.hint


def test_the_sandbox_is_as_strict_as_the_binary_knows_how_to_be() -> None:
    parts = ["enable", "obsolete", "elevateprivileges", "spawn", "resourcecontrol"]
    assert sandbox_option(parts) == MODERN.sandbox
    assert sandbox_option(["enable", "obsolete"]) == "on,obsolete=deny"
    assert sandbox_option([]) == ""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [([{"option": "sandbox", "parameters": [{"name": "enable"}, {"name": "spawn"}]}], "on,spawn=deny"), (None, "")],
)
def test_a_binary_is_asked_for_its_sandbox_and_may_have_none(answer: Any, expected: str) -> None:
    async def execute(command: str, arguments: dict[str, str]) -> Any:
        assert (command, arguments) == ("query-command-line-options", {"option": "sandbox"})
        if answer is None:
            raise QmpError("invalid option name: sandbox", cause="qmp-refused")
        return answer

    assert asyncio.run(_sandbox(execute)) == expected


def test_a_binary_that_does_not_answer_is_not_one_without_a_sandbox() -> None:
    async def execute(*_: Any) -> Any:
        raise QmpError("silence", cause="qmp-timeout")

    with pytest.raises(QmpError, match="silence"):
        asyncio.run(_sandbox(execute))


def test_a_kind_of_object_is_there_unless_the_binary_knows_no_such_device() -> None:
    """The refusals are those of QEMU 5.2 and 11.1."""

    async def execute(command: str, arguments: dict[str, Any]) -> Any:
        assert command == "device-list-properties"  # the one question that loads no other module and makes no object
        known = arguments["typename"] == "colo-compare"
        refused = {"error": {"class": "GenericError" if known else "DeviceNotFound", "desc": "said"}}
        cause = ExecuteError(ErrorResponse(refused), Message(), Message(refused))
        raise QmpError("said", cause="qmp-refused") from cause

    assert asyncio.run(_has_type(execute, "colo-compare"))
    assert not asyncio.run(_has_type(execute, "filter-mirror"))


def test_the_log_of_a_failed_probe_is_kept_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path / "cache"))

    def fail() -> None:
        with probe_folder("colo") as folder:
            (folder / "stderr.log").write_text("Assertion failed\n")
            raise LaunchError("it died", logs=(folder / "stderr.log", tmp_path / "elsewhere.log"))

    with pytest.raises(LaunchError) as caught:
        fail()
    kept = tmp_path / "cache/failed-probe/colo/stderr.log"
    assert caught.value.logs == (kept, tmp_path / "elsewhere.log")
    assert kept.read_text() == "Assertion failed\n"


@pytest.mark.parametrize(
    ("first", "second", "machine"),
    [
        (("pc-11.1", "pc-10.0", "pc-7.2"), ("pc-10.0", "pc-7.2", "pc-5.2"), "pc-10.0"),
        (("pc-7.2", "pc-5.2"), ("pc-11.1", "pc-10.0", "pc-7.2"), "pc-7.2"),
        (("pc-7.2",), ("pc-7.2",), "pc-7.2"),
    ],
)
def test_two_binaries_run_the_machine_that_both_know(
    first: tuple[str, ...], second: tuple[str, ...], machine: str
) -> None:
    assert common_machine(replace(MODERN, machines=first), replace(MODERN, machines=second)) == machine


def test_binaries_too_far_apart_have_no_machine_in_common() -> None:
    far = replace(MODERN, machines=("pc-11.1", "pc-10.0")), replace(MODERN, machines=("pc-5.2",))
    with pytest.raises(HostError, match=r"pc-11\.1 and pc-5\.2") as caught:
        common_machine(*far)
    assert caught.value.cause == "machine-missing"
