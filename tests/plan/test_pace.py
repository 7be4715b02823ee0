from __future__ import annotations

from bench.plan.pace import Pace


def test_the_time_to_go_follows_how_the_estimates_turned_out() -> None:
    pace = Pace([10.0, 10.0, 10.0, 10.0])
    assert pace.left_s == 40
    pace.over(10.0, 15.0)
    pace.over(10.0, 25.0)
    assert pace.left_s == 40


def test_a_run_that_failed_is_no_longer_ahead_and_tells_nothing_of_the_others() -> None:
    pace = Pace([10.0, 20.0])
    pace.over(10.0, None)
    assert pace.left_s == 20


def test_nothing_is_left_at_the_end_whatever_the_sums_round_to() -> None:
    pace = Pace([0.1] * 3)
    for _ in range(3):
        pace.over(0.1, 0.3)
    assert 0 <= pace.left_s < 1e-9
