"""The pair that is only formed, without a pair."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_session import make_cell

from bench.config.procedure import Checkpoint
from bench.errors import StoreError
from bench.measure.driver import CheckpointCounter
from bench.scenario import formed
from bench.scenario.base import Notes
from bench.scenario.colo import watched


def test_a_full_disk_of_any_host_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formed, "LAST_WORDS_S", 0)

    def full() -> None:
        raise StoreError("the disk on the secondary's host is full", cause="disk-full")

    pair = SimpleNamespace(folder=tmp_path, processes={}, require_room=full)
    cell = make_cell(scenario="formed", checkpoint=Checkpoint(count=1, warmup=0, interval=0.001))
    run: Any = SimpleNamespace(pair=pair, cell=cell, notes=Notes(), on_event=lambda _: None)
    with pytest.raises(StoreError, match="the secondary's host is full"):
        asyncio.run(watched(run, CheckpointCounter(), None, formed._wait))
