"""The checkpoint counter, fed with events as QEMU sends them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from fake_session import make_cell

from bench.config.links import Link
from bench.config.procedure import Checkpoint, Deadlines
from bench.errors import ColoError, MeasureError
from bench.measure.driver import CheckpointCounter, drive
from bench.vm.qmp import Event
from bench.vm.spec import planned_spec


def counter(*events: Event) -> CheckpointCounter:
    counted = CheckpointCounter()
    for event in events:
        counted.observe(event)
    return counted


def test_a_stop_and_a_resume_are_one_checkpoint_with_its_pause() -> None:
    counted = counter(Event("STOP", 10.0, {}), Event("RESUME", 10.25, {}), Event("STOP", 11.0, {}))
    assert counted.done == 1
    assert counted.last_pause_s == 0.25


def test_a_resume_without_a_stop_is_not_a_checkpoint() -> None:
    assert counter(Event("RESUME", 10.0, {})).done == 0


def test_the_standstill_on_entering_colo_is_no_checkpoint_and_those_right_behind_it_are() -> None:
    entry = (Event("STOP", 1.0, {}), Event("RESUME", 1.5, {}))
    counted = counter(*entry, Event("STOP", 1.51, {}), Event("RESUME", 1.52, {}))
    counted.entered()
    assert counted.done == 1
    late = counter(*entry[:1])  # its end is told only after COLO was found to be there
    late.entered()
    late.observe(entry[1])
    assert (late.done, late.under_way) == (0, False)


def test_reaching_waits_for_events_that_come_later() -> None:
    async def scenario() -> int:
        counted = CheckpointCounter()
        loop = asyncio.get_running_loop()
        loop.call_later(0.02, counted.observe, Event("STOP", 1.0, {}))
        loop.call_later(0.04, counted.observe, Event("RESUME", 1.1, {}))
        await counted.reach(1, 5)
        return counted.done

    assert asyncio.run(scenario()) == 1


@pytest.mark.parametrize(
    ("events", "words"), [((), "no checkpoint began"), ((Event("STOP", 1.0, {}),), "began and did not end")]
)
def test_a_checkpoint_that_never_ends_is_told_from_one_that_never_began(events: tuple[Event, ...], words: str) -> None:
    async def scenario() -> None:
        await counter(*events).reach(1, 0.05)

    with pytest.raises(MeasureError, match=words):
        asyncio.run(scenario())


def test_the_end_of_colo_is_an_error_that_names_the_reason() -> None:
    async def scenario() -> None:
        await counter(Event("COLO_EXIT", 1.0, {"mode": "primary", "reason": "error"})).reach(1, 5)

    with pytest.raises(ColoError, match="reason error"):
        asyncio.run(scenario())


class FakePair:
    """A pair whose pokes start a checkpoint at once; notes whether one was under way, and for how long it rests."""

    def __init__(self, counted: CheckpointCounter, cell: Any) -> None:
        self.counted = counted
        self.spec = planned_spec(cell, None, None)
        self.poked_under_way: list[bool] = []
        self.rests_s: list[float] = []
        self.relayed = False
        self.poked_at: list[float] = []

    async def rest(self, seconds: float) -> float:
        self.rests_s.append(seconds)
        return seconds if self.relayed else 0.0

    async def carry_out(self, _steps: object) -> None:
        self.poked_at.append(time.monotonic())
        self.poked_under_way.append(self.counted.under_way)
        self.counted.observe(Event("STOP", 5.0, {}))
        asyncio.get_running_loop().call_later(0.01, self.counted.observe, Event("RESUME", 5.5, {}))


def on_demand(deadline_s: float = 5, count: int = 1, interval: float = 0.001, **more: Any) -> Any:
    checkpoint = Checkpoint(count=count, warmup=0, interval=interval)
    deadlines = Deadlines(checkpoint=deadline_s)
    return make_cell(link=Link(transport="unix"), checkpoint=checkpoint, deadlines=deadlines, **more)


def test_a_checkpoint_that_something_else_began_is_waited_for_before_the_poke() -> None:
    counted = counter(Event("STOP", 1.0, {}))
    pair = FakePair(counted, on_demand())
    told: list[float] = []

    async def scenario() -> None:
        asyncio.get_running_loop().call_later(0.05, counted.observe, Event("RESUME", 1.1, {}))
        await drive(pair, on_demand(), counted, lambda _done, _total, pause_s: told.append(pause_s))  # type: ignore[arg-type]

    asyncio.run(scenario())
    assert pair.poked_under_way == [False]
    assert told == [0.5]


def test_the_hosts_rest_for_a_little_longer_than_the_last_pause_was() -> None:
    counted = counter()
    pair = FakePair(counted, on_demand(count=3))
    asyncio.run(drive(pair, on_demand(count=3), counted, lambda *_: None))  # type: ignore[arg-type]
    assert pair.rests_s == pytest.approx([0.55, 0.55])  # before the first, nothing is known
    assert len(pair.poked_under_way) == 3


def test_the_interval_runs_from_the_end_of_a_checkpoint_also_where_that_was_heard_late() -> None:
    cell = on_demand(count=3, interval=0.5)
    counted = counter(Event("STOP", 1.0, {}), Event("RESUME", 1.9, {}))
    pair = FakePair(counted, cell)
    pair.relayed = True
    asyncio.run(drive(pair, cell, counted, lambda *_: None))  # type: ignore[arg-type]
    assert pair.rests_s == pytest.approx([0.99, 0.55, 0.55])
    first, second, third = pair.poked_at
    assert second - first < 0.4  # it rested for 0.49 s after that checkpoint's end
    assert third - second > 0.4


def test_a_checkpoint_that_never_ends_is_not_poked_and_not_waited_for_without_end() -> None:
    counted = counter(Event("STOP", 1.0, {}))
    cell = on_demand(0.05)
    pair = FakePair(counted, cell)
    with pytest.raises(MeasureError, match=r"began and did not end within 0\.05 s"):
        asyncio.run(drive(pair, cell, counted, lambda *_: None))  # type: ignore[arg-type]
    assert pair.poked_under_way == []


def test_a_scenario_with_a_number_of_checkpoints_of_its_own_is_driven_through_so_many() -> None:
    cell, counted = on_demand(scenario="failover", failover={"after": 2}), counter()
    pair: Any = FakePair(counted, cell)
    told: list[tuple[int, int]] = []
    asyncio.run(drive(pair, cell, counted, lambda done, of, _pause_s: told.append((done, of))))
    assert told == [(1, 2), (2, 2)]
