"""The benchmark of the explorer: what is printed and held against its aims; `make benchmark` takes the figures."""

from __future__ import annotations

from typing import Any

from fixtures.browser import in_browser

from analysis.report.explore import MOST_RUNS
from tools.benchmarks.__main__ import ALONE
from tools.benchmarks.explore import aims, benchmark


@in_browser
def test_each_factor_is_filtered_by_clicks_that_are_timed() -> None:
    figures = benchmark(20)
    assert figures["runs"] == 20
    assert {"cell", "transport"} < set(figures["filter_ms_by_factor"])
    assert figures["filter_cpu_ms"] > 0
    assert 0 < max(figures["filter_ms_by_factor"].values()) == figures["filter_ms"] <= figures["slowest_click_ms"]
    assert figures["page_bytes"] > 50_000
    assert figures["aims"] == []


def test_what_was_promised_of_ten_thousand_runs_is_held_against_what_was_measured() -> None:
    figures: dict[str, Any] = {"runs": MOST_RUNS, "page_bytes": 2_500_000, "filter_ms": 120.0}
    assert [(one["what"], one["met"]) for one in aims(figures)] == [("page_bytes", True), ("filter_ms", False)]
    assert [one["what"] for one in aims({"runs": MOST_RUNS, "page_bytes": 1})] == ["page_bytes"]  # without a browser
    assert "explore" in ALONE
