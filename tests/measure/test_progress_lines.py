from __future__ import annotations

from bench.measure.progress_lines import progress_figures


def told(*totals: float) -> list[dict[str, object]]:
    return [{"workload": "cpu", "total": total, "unit": "rounds"} for total in totals]


def test_the_rate_is_by_when_the_totals_arrived() -> None:
    figures = progress_figures(told(100, 200, 500), [10.0, 11.0, 14.0])
    assert (figures["per_second"], figures["done"], figures["seconds"]) == (100.0, 400.0, 4.0)
    assert (figures["unit"], figures["reports"], figures["longest_gap_s"]) == ("rounds", 3, 3.0)


def test_of_one_total_or_of_totals_that_fall_there_is_no_rate() -> None:
    assert progress_figures([], []) == {}
    assert progress_figures(told(5), [1.0]) == {}
    assert progress_figures(told(5, 4), [1.0, 2.0]) == {}
    assert progress_figures(told(5, 9), [1.0, 1.1]) == {}


def test_reports_without_a_total_are_passed_over() -> None:
    reports = [{"seconds": 1.0, "bytes": 7}, *told(1, 3), {"total": "many", "unit": "rounds"}]
    assert progress_figures(reports, [0.0, 1.0, 2.0, 3.0])["per_second"] == 2.0
