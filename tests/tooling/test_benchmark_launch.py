"""The benchmark of our own overhead: that it compares like with like."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tools.benchmarks import launch, setting


def test_who_goes_first_changes_every_round_and_each_is_first_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def fake(name: str, seconds: float) -> Any:
        def run(*_: object) -> float:
            order.append(name)
            return seconds

        return run

    monkeypatch.setattr(launch, "ours", fake("ours", 7.5))
    monkeypatch.setattr(launch, "bare", fake("bare", 7.0))
    figures = launch.benchmark(None, ("256M",))  # type: ignore[arg-type]
    assert order == ["ours", "bare", "bare", "ours"] * 2
    assert figures == {"256M": {"rounds": 4, "ours_s": 7.5, "bare_s": 7.0, "overhead_s": 0.5}}


def test_the_measurement_itself_is_no_overhead(monkeypatch: pytest.MonkeyPatch) -> None:
    async def measure(_run: object, _cell: object, _assets: object, folder: Any, _on_event: object) -> None:
        (folder / "run.json").write_text(json.dumps({"timings": {"measure_s": 100.0}}))

    monkeypatch.setattr(setting, "measure_run", measure)
    made = setting.Setting(None, None, None)  # type: ignore[arg-type]
    assert -100 <= launch.ours(made, setting.idle_cell("256M")) < -90


@pytest.mark.pair
def test_both_reach_colo_with_a_real_pair_and_take_about_as_long() -> None:
    real = setting.provisioned()
    cell = launch._cell("256M")
    ours_s, bare_s = launch.ours(real, cell), launch.bare(real, cell)
    assert 0 < ours_s < 3 * bare_s
