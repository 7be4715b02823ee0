"""The benchmark of the report: stages and aims; the figures themselves are taken by ``make benchmark``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tools.benchmarks.report import ROWS, RUNS, Stopwatch, aims

if TYPE_CHECKING:
    from collections.abc import Iterator


def _drawn() -> Iterator[str]:
    yield from ("one", "two")


def _written() -> str:
    return "written"


def test_figures_are_one_stage_however_many_there_are() -> None:
    for function in (_drawn, _written):
        function.__module__ = "analysis.made_up"
    module: Any = SimpleNamespace(figures=_drawn, write=_written)
    watch = Stopwatch()
    with watch.on(module):
        assert list(module.figures()) == ["one", "two"]
        assert module.write() == "written"
    assert set(watch.spent) == {"_drawn (in parallel)", "_written"}
    assert module.figures is _drawn


@pytest.mark.parametrize(("seconds", "met"), [(59.0, [True, True, True]), (61.0, [False, True, True])])
def test_aims_are_those_of_a_million_rows(seconds: float, met: list[bool]) -> None:
    report, compare = {"seconds": seconds, "peak_rss_bytes": 1 << 30}, {"seconds": 8.0}
    found = {"runs": RUNS, "checkpoints_per_run": ROWS, "report": report, "compare": compare}
    assert [aim["met"] for aim in aims(found)] == met
    assert aims(found | {"runs": 10}) == []
