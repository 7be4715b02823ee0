"""A campaign of many runs with FAKE pairs: what a run costs the harness does not grow with the runs before it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.record import index, pauses, run
from tools.benchmarks.long_campaign import LEFT, simulate

if TYPE_CHECKING:
    import pytest


def test_each_record_is_read_a_few_times_and_the_last_runs_cost_what_the_first_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = {"record": 0, "table": 0}

    def counted(what: str, function: object) -> object:
        def count(*given: object) -> object:
            reads[what] += 1
            return function(*given)  # type: ignore[operator]

        return count

    monkeypatch.setattr(index, "read_document", counted("record", index.read_document))
    monkeypatch.setattr(run, "read_record", counted("record", run.read_record))
    monkeypatch.setattr(pauses, "read_checkpoints", counted("table", pauses.read_checkpoints))
    runs = 240
    figures = simulate(tmp_path, runs, cells=4, group=60)
    # In both commands together: once for the index under way, once for the final one and what is shown with it.
    assert reads["record"] <= 2 * 3 * runs
    assert reads["table"] <= 2 * 2 * runs
    assert figures["cpu_ratio_last_to_first"] < 2
    assert figures["files_left_open"] == 0
    rows = (tmp_path / "long" / "index.csv").read_text().splitlines()[1:]
    assert len(rows) == runs
    assert all(",measured," in row for row in rows)
    before = (tmp_path / "index-before.csv").read_text().splitlines()[1:]
    assert [",failed," in row for row in before] == [False] * (runs - LEFT) + [True] * LEFT
