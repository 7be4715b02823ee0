"""The checkpoint counter, fed with events as QEMU sends them."""

from __future__ import annotations

import asyncio

import pytest

from bench.errors import ColoError, MeasureError
from bench.measure.driver import CheckpointCounter
from bench.pair.qmp import Event


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
