"""Merging SIMULATED parts: what a run costs does not grow with the campaign that it is of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.record import ledger
from tools.benchmarks.cluster import simulate

if TYPE_CHECKING:
    import pytest


def test_each_line_of_a_part_is_read_once_however_many_parts_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.run import merge

    read = 0
    parse = ledger.parse_entry

    def counted(line: str | bytes) -> ledger.Entry:
        nonlocal read
        read += 1
        return parse(line)

    monkeypatch.setattr(merge, "parse_entry", counted)
    costs = []
    for runs in (400, 2000):
        read = 0
        home = tmp_path / str(runs)
        home.mkdir()
        simulate(runs, 20, home)
        costs.append(read / runs)
    assert costs == [2.0, 2.0]  # started and measured


def test_the_time_of_a_run_does_not_grow_with_the_campaign(tmp_path: Path) -> None:
    costs = []
    for runs in (1000, 8000):
        home = tmp_path / str(runs)
        home.mkdir()
        costs.append(simulate(runs, 20, home)["merge_cpu_s"] / runs)
    assert costs[1] < 3 * costs[0]
