"""Replies over QMP that are JSON and not what QEMU documents: refused in words, or the pair is the one asked for."""

from __future__ import annotations

import asyncio
import copy
from types import SimpleNamespace
from typing import Any

import pytest
from fuzzing import json_values, trial
from hypothesis import given
from hypothesis import strategies as st

from bench.config.model import Cell
from bench.errors import BenchError
from bench.vm.features import Features, _ask
from bench.vm.qmp import well_formed
from bench.vm.readback import read_colo, read_machines
from bench.vm.spec import planned_spec
from bench.workload.idle import Idle

SPEC = planned_spec(Cell(mem="1G", smp=2, accel="tcg", workload=Idle()), None, None)
SANDBOX = ("enable", "obsolete", "elevateprivileges", "spawn", "resourcecontrol")
BINARY: dict[str, Any] = {
    "query-qmp-schema": [
        {"name": "1", "meta-type": "enum", "values": ["replication", "quorum", "nbd"]},
        {"name": "2", "meta-type": "object", "members": [{"name": "reconnect-ms", "type": "int"}]},
    ],
    "device-list-properties": [{"name": "id", "type": "str"}],
    "query-migrate-capabilities": [{"capability": "x-colo", "state": False}],
    "query-machines": [{"name": "pc-i440fx-11.1", "alias": "pc"}],
    "trace-event-get-state": [{"name": "colo_send_message", "state": "disabled"}],
    "migrate-set-capabilities": {},
    "qom-list-properties": [{"name": "smp-cache", "type": "SmpCachePropertiesWrapper"}],
    "query-command-line-options": [{"option": "sandbox", "parameters": [{"name": name} for name in SANDBOX]}],
}
MACHINE: dict[str, Any] = {
    "query-memdev": [{"id": "pc.ram", "size": 1 << 30, "policy": "default", "prealloc": False, "share": False}],
    "query-cpus-fast": [{"thread-id": n, "qom-type": "qemu64-x86_64-cpu", "qom-path": "/cpu"} for n in range(2)],
    "query-kvm": {"enabled": False, "present": True},
    "query-version": {"qemu": {"major": 11, "minor": 1, "micro": 0}, "package": ""},
    "query-block": [{"device": "colo-disk0", "qdev": "/disk"}],
    "qom-list": [{"name": "device[0]", "type": "child<usb-tablet>"}, {"name": "device[1]", "type": "child<VGA>"}],
    "qom-get": None,
}
COLO: dict[str, Any] = {
    "query-colo-status": {"mode": "primary", "last-mode": "none", "reason": "none"},
    "query-migrate-capabilities": [{"capability": name, "state": True} for name in ("x-colo", "return-path")],
    "query-migrate-parameters": {"x-checkpoint-delay": 1000},
    "query-named-block-nodes": [{"node-name": name, "drv": name} for name in ("quorum", "replication")],
}


@st.composite
def spoiled(draw: Any, replies: dict[str, Any]) -> dict[str, Any]:
    """Replies of which one part, somewhere, is gone or any JSON."""
    tree: Any = copy.deepcopy(replies)
    parent, key = tree, draw(st.sampled_from(sorted(tree)))
    while isinstance(parent[key], (dict, list)) and parent[key] and draw(st.booleans()):
        parent = parent[key]
        key = draw(st.sampled_from(sorted(parent) if isinstance(parent, dict) else range(len(parent))))
    if parent is not tree and draw(st.booleans()):
        del parent[key]
    else:
        parent[key] = draw(json_values(4))
    return dict(tree)


def answering(replies: dict[str, Any]) -> Any:
    async def execute(command: str, _arguments: dict[str, Any] | None = None) -> Any:
        return replies[command]

    return execute


def fake_pair(replies: dict[str, Any]) -> Any:
    """A FAKE pair: nothing runs, its monitors give these replies."""
    process = SimpleNamespace(maps=lambda: "", cpus=lambda: {0}, sandboxed=lambda: True)
    return SimpleNamespace(
        spec=SPEC,
        monitor=lambda side: SimpleNamespace(execute=answering(replies | replies.get(side, {}))),
        processes={"primary": process, "secondary": process},
    )


@given(spoiled(BINARY))
def test_a_binary_that_says_something_else_of_itself_is_refused_in_words(replies: dict[str, Any]) -> None:
    def parse() -> Features:
        with well_formed("what it says"):
            return asyncio.run(_ask(answering(replies)))

    with trial("QMP replies, binary") as one:
        features = one.attempt(parse)
        assert features is None or all(isinstance(name, str) for name in (features.reconnect, features.sandbox))


@given(spoiled(MACHINE))
def test_an_accepted_machine_is_the_one_that_was_asked_for(replies: dict[str, Any]) -> None:
    with trial("QMP replies, machine") as one:
        seen = one.attempt(lambda: asyncio.run(read_machines(fake_pair(replies))))
        assert seen is None or all(side["ram_bytes"] == 1 << 30 and side["vcpus"] == 2 for side in seen.values())


@given(spoiled(COLO))
def test_an_accepted_colo_state_is_the_one_that_was_asked_for(replies: dict[str, Any]) -> None:
    secondary = {"secondary": {"query-colo-status": {"mode": "secondary"}}}
    with trial("QMP replies, COLO state") as one:
        seen = one.attempt(lambda: asyncio.run(read_colo(fake_pair(replies | secondary), 1000)))
        assert seen is None or seen["primary"]["parameters"]["x-checkpoint-delay"] == 1000


def test_the_right_replies_pass() -> None:
    features = asyncio.run(_ask(answering(BINARY)))
    assert features.smp_cache
    assert features.sandbox.startswith("on,")
    assert asyncio.run(read_machines(fake_pair(MACHINE)))["primary"]["accel"] == "tcg"
    secondary = {"secondary": {"query-colo-status": {"mode": "secondary"}}}
    assert asyncio.run(read_colo(fake_pair(COLO | secondary), 1000))["primary"]["capabilities"]


def test_the_refusal_says_whose_reply_and_what_is_missing() -> None:
    replies = MACHINE | {"query-kvm": {"present": True}}
    with pytest.raises(BenchError, match=r"what a side says of its machine over QMP .* KeyError: 'enabled'") as caught:
        asyncio.run(read_machines(fake_pair(replies)))
    assert caught.value.cause == "qmp-garbled"
