"""The pair that is only formed, without a pair."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_session import make_cell

from bench.config.procedure import Checkpoint
from bench.errors import StoreError
from bench.measure.driver import CheckpointCounter
from bench.scenario import colo, formed
from bench.scenario.base import Notes
from bench.scenario.colo import watched
from bench.vm.qmp import Event


def test_a_full_disk_of_any_host_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formed, "LAST_WORDS_S", 0)

    def full() -> None:
        raise StoreError("the disk on the secondary's host is full", cause="disk-full")

    pair = SimpleNamespace(folder=tmp_path, processes={}, require_room=full)
    cell = make_cell(scenario="formed", checkpoint=Checkpoint(count=1, warmup=0, interval=0.001))
    run: Any = SimpleNamespace(pair=pair, cell=cell, notes=Notes(), on_event=lambda _: None)
    with pytest.raises(StoreError, match="the secondary's host is full"):
        asyncio.run(watched(run, CheckpointCounter(), None, formed._wait))


def test_a_checkpoint_that_comes_before_colo_is_known_to_be_there_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    async def reach_colo(_deadline_s: float) -> None:
        for name, t in (("STOP", 1.0), ("RESUME", 1.5), ("STOP", 1.51), ("RESUME", 1.52)):
            for one in told:
                one(Event(name, t, {}))

    async def nothing(*_: object) -> dict[str, Any]:
        return {}

    monkeypatch.setattr(colo, "known_events", lambda *_: ((), ()))
    monkeypatch.setattr(colo, "checkpoint_delay_ms", lambda _: 1000)
    monkeypatch.setattr(colo, "read_colo", nothing)
    monitor = SimpleNamespace(subscribe=told.append)
    pair = SimpleNamespace(spec=None, carry_out=nothing, reach_colo=reach_colo, monitor=lambda _: monitor)
    stages, assets = SimpleNamespace(stage=lambda _: nullcontext()), SimpleNamespace(side_features=None)
    run: Any = SimpleNamespace(pair=pair, cell=make_cell(), notes=Notes(), stages=stages, assets=assets)
    counter = CheckpointCounter()
    asyncio.run(colo.form(run, counter))
    assert counter.done == 1
