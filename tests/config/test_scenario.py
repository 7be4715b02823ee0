"""What a scenario says of itself, without a machine: its command lines, its steps, and what makes its record sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from fake_session import GIB, FakeBinary, FakeGuest, make_cell, make_settings

from bench.config.factors import factor_levels, identity
from bench.config.model import Cell
from bench.config.procedure import Checkpoint
from bench.format.phases import BEAT, COMPARED, DROPPED, OLD_PACKET
from bench.format.scenarios import checkpoints_asked
from bench.plan.estimate import estimate, secondary_bytes
from bench.run.dryrun import Installed, render
from bench.scenario.evidence import gather_undisturbed
from bench.scenario.registry import SCENARIOS, scenario_of
from bench.vm.procedure import NO_TIMER_MS, checkpoint_delay_ms
from bench.vm.spec import planned_spec
from bench.workload.http import Http

NATIVE = make_cell("1G", 2, scenario="native", workload=Http())
FORMED = make_cell("1G", 2, scenario="formed", workload=Http())


def words(cell: Any, side: str) -> str:
    return " ".join(scenario_of(cell).sides[side].argv(planned_spec(cell, None, None)))


def then(cell: Any) -> tuple[str, ...]:
    return scenario_of(cell).then(planned_spec(cell, None, None))


def test_a_plan_ends_with_what_the_scenario_itself_says_that_it_does(tmp_path: Path) -> None:
    there: dict[str, Any] = {"binaries": {"provisioned": FakeBinary()}, "guest": FakeGuest()}
    installed = Installed(**there, available_bytes=20 * GIB, free_bytes=50 * GIB)
    for name in SCENARIOS:
        cell = make_cell(scenario=name)
        said = "\n".join(f"  {line}" for line in then(cell))
        assert render(make_settings(tmp_path), [cell], "c", installed).endswith(f"\n{said}")


def test_the_scenario_of_before_is_in_no_id() -> None:
    assert "scenario" not in identity(make_cell())
    assert identity(NATIVE)["scenario"] == "native"
    assert identity(FORMED)["scenario"] == "formed"


def test_every_word_for_a_scenario_has_one() -> None:
    assert set(SCENARIOS) == set(get_args(Cell.model_fields["scenario"].annotation))


def test_what_a_run_takes_is_what_the_analysis_asks_of_it() -> None:
    for name in SCENARIOS:
        cell = make_cell(scenario=name, checkpoint={"count": 9, "warmup": 2})
        assert cell.taken.count == checkpoints_asked(factor_levels(cell))
        assert cell.taken == cell.checkpoint.model_copy(update={"count": cell.taken.count})
    assert make_cell(checkpoint={"count": 9}).taken.count == 9
    assert make_cell(scenario="failover", failover={"after": 4}).taken.count == 4


def test_what_a_cell_says_of_its_scenario_is_what_the_scenario_says() -> None:
    for name, scenario in SCENARIOS.items():
        assert make_cell(scenario=name).paired == (len(scenario.sides) > 1)


def test_whether_packets_were_compared_is_traced_wherever_a_client_is_served() -> None:
    told = {COMPARED, DROPPED, OLD_PACKET}
    assert told <= set(make_cell(workload=Http()).traced.optional)
    assert told.isdisjoint(make_cell().traced.optional)
    assert set(make_cell(guest="bare").traced.optional) == {BEAT.name}


def test_the_native_machine_is_the_primary_s_without_what_joins_it() -> None:
    alone, joined = words(NATIVE, "primary"), words(make_cell("1G", 2, workload=Http()), "primary")
    assert list(scenario_of(NATIVE).sides) == ["primary"]
    for same in ("-m 1024M", "-smp 2", "-device rtl8139,id=e0,netdev=hn0", "hostfwd=tcp:127.0.0.1"):
        assert same in alone
        assert same in joined
    for word in ("colo-compare", "filter-", "quorum", "replication"):
        assert word not in alone


def test_a_native_run_is_started_and_nothing_else() -> None:
    steps = scenario_of(NATIVE).steps(planned_spec(NATIVE, None, None))
    assert {step.side for step in steps} == {"primary"}
    assert "migrate" not in {step.command for step in steps}


def test_a_native_run_needs_no_second_machine() -> None:
    assert secondary_bytes(NATIVE) == 0
    assert estimate(NATIVE).seconds < estimate(make_cell("1G", 2, workload=Http())).seconds


def entry(**fields: Any) -> str:
    return json.dumps({"t": 1.0, "side": "primary"} | fields) + "\n"


@pytest.mark.parametrize(("event", "ok"), [("RESUME", True), ("STOP", False)])
def test_a_native_record_is_sound_when_its_vm_never_stood_still(tmp_path: Path, event: str, ok: bool) -> None:  # noqa: FBT001
    stamp = {"seconds": 1_795_421_240, "microseconds": 5}
    (tmp_path / "qmp.jsonl").write_text(entry(event=event, timestamp=stamp, data={}))
    evidence = gather_undisturbed(tmp_path, "abc")
    assert evidence.quality.ok == ok
    assert evidence.measured == 0
    evidence.write_tables(tmp_path)


def test_a_formed_pair_is_that_of_colo_and_its_timer_is_far_away() -> None:
    timed = {"checkpoint": Checkpoint(trigger="timer", interval=2.0, count=4, warmup=1), "workload": Http()}
    formed, colo = make_cell("1G", 2, scenario="formed", **timed), make_cell("1G", 2, **timed)
    for side in ("primary", "secondary"):
        assert words(formed, side) == words(colo, side)
    delays = [
        dict(step.arguments)["x-checkpoint-delay"]
        for cell in (formed, colo)
        for step in scenario_of(cell).steps(planned_spec(cell, None, None))
        if "x-checkpoint-delay" in dict(step.arguments)
    ]
    assert delays == [NO_TIMER_MS, 2000]


@pytest.mark.parametrize(("count", "hours"), [(4, 1), (120, 4), (1_000_000, (2**32 - 1) / 3_600_000)])
def test_the_timer_of_a_formed_pair_lies_beyond_its_run_as_far_as_qemu_can_be_told(count: int, hours: float) -> None:
    asked = Checkpoint(interval=60, count=count, warmup=0)
    spec = planned_spec(make_cell(scenario="formed", checkpoint=asked), None, None)
    assert checkpoint_delay_ms(spec) == pytest.approx(hours * 3_600_000, abs=1)


def test_a_formed_run_takes_the_way_into_colo_and_as_long_as_native() -> None:
    colo = make_cell("1G", 2, workload=Http())
    assert secondary_bytes(FORMED) == secondary_bytes(colo) > 0
    assert estimate(NATIVE).seconds < estimate(FORMED).seconds < estimate(colo).seconds


def test_no_checkpoint_is_planned_for_a_formed_pair() -> None:
    (formed,), (native,) = then(FORMED), then(NATIVE)
    assert formed.endswith("s of its workload, and no checkpoint, but those that differing output makes")
    assert native.endswith("s of its workload, and no checkpoint")
