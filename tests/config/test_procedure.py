"""The procedure is a value: these tests hold its order and its words."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from bench.config.factors import identity
from bench.config.links import Link, Migration
from bench.config.model import Cell
from bench.config.procedure import Checkpoint
from bench.vm.features import MODERN, Features
from bench.vm.procedure import NO_TIMER_MS, checkpoint_delay_ms, colo_steps, poke, steps, trace_steps
from bench.vm.spec import planned_spec
from bench.workload.idle import Idle


def cell(**changes: object) -> Cell:
    return Cell(**({"mem": "1G", "smp": 1, "workload": Idle()} | changes))  # type: ignore[arg-type]


def test_the_secondary_is_prepared_before_the_primary_migrates() -> None:
    order = [(step.side, step.command) for step in colo_steps(planned_spec(cell(), None, None))]
    assert order == [
        ("secondary", "migrate-set-capabilities"),
        ("secondary", "migrate-incoming"),
        ("secondary", "nbd-server-start"),
        ("secondary", "nbd-server-add"),
        ("primary", "human-monitor-command"),
        ("primary", "x-blockdev-change"),
        ("primary", "migrate-set-capabilities"),
        ("primary", "migrate-set-parameters"),
        ("primary", "migrate"),
    ]


@pytest.mark.parametrize("off", ["off", False, 0, None])
def test_pages_go_over_connections_of_their_own_where_that_is_asked(off: object) -> None:
    assert Migration(multifd=off) == Migration()  # type: ignore[arg-type]
    spec = planned_spec(cell(migration=Migration(multifd=4)), None, None)
    assert spec.capabilities == (*planned_spec(cell(), None, None).capabilities, "multifd")
    sets = [s for s in colo_steps(spec) if s.command == "migrate-set-parameters"]
    assert [(s.side, dict(s.arguments)["multifd-channels"]) for s in sets] == [("secondary", 4), ("primary", 4)]
    for wrong in (True, -1, 256, "x"):
        with pytest.raises(ValidationError):
            Migration(multifd=wrong)  # type: ignore[arg-type]


def test_without_it_a_cell_is_what_it_was_before_there_was_any() -> None:
    assert "migration" not in identity(cell())
    assert identity(cell(migration=Migration(multifd=2)))["migration"] == {"multifd": 2}


def test_both_sides_get_the_capabilities_that_the_binary_wants() -> None:
    old = Features("reconnect=1", ("x-colo",), smp_cache=False, trace_events=frozenset())
    for features, names in ((MODERN, ["x-colo", "return-path"]), (old, ["x-colo"])):
        sets = [s for s in colo_steps(planned_spec(cell(), None, None, features)) if s.command.endswith("capabilities")]
        assert [s.side for s in sets] == ["secondary", "primary"]
        for step in sets:
            assert [entry["capability"] for entry in dict(step.arguments)["capabilities"]] == names


def test_the_timer_is_out_of_the_way_on_demand_and_exact_otherwise() -> None:
    timer = cell(checkpoint=Checkpoint(trigger="timer", interval=20))
    assert checkpoint_delay_ms(planned_spec(timer, None, None)) == 20_000
    assert checkpoint_delay_ms(planned_spec(cell(), None, None)) == NO_TIMER_MS


def test_a_poke_sets_the_delay_that_is_already_set() -> None:
    assert dict(poke().arguments) == {"x-checkpoint-delay": NO_TIMER_MS}


def test_a_unix_link_migrates_over_a_socket_in_the_folder_of_sockets() -> None:
    spec = planned_spec(cell(link=Link(transport="unix")), None, None)
    uris = [dict(s.arguments)["uri"] for s in colo_steps(spec) if "uri" in dict(s.arguments)]
    assert uris == ["unix:<sockets>/migration.sock"] * 2


def test_each_side_logs_to_its_own_file_before_events_are_on() -> None:
    entries = trace_steps(("colo_send_message",))
    assert [(s.side, s.command) for s in entries] == [
        ("secondary", "human-monitor-command"),
        ("secondary", "trace-event-set-state"),
        ("primary", "human-monitor-command"),
        ("primary", "trace-event-set-state"),
    ]


def test_a_plan_reads_every_step_as_a_line_with_json_arguments() -> None:
    for step in steps(planned_spec(cell(), None, None)):
        side, command, *rest = step.text().split(None, 2)
        assert (side, command) == (step.side, step.command)
        assert (json.loads(rest[0]) if rest else {}) == dict(step.arguments)
