from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.plots.ticks import log_ticks


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (1, 1000, 5, [1, 10, 100, 1000]),
        (4, 110, 6, [5, 10, 20, 50, 100]),
        (5.5, 16, 6, [7, 10, 15]),
        (42, 98, 6, [50, 60, 70, 80, 90]),
        (6.3, 9.1, 10, [6.5, 7, 7.5, 8, 8.5, 9]),
        (23.138, 390.512, 2, [30, 300]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, most: int, ticks: list[float]) -> None:
    assert log_ticks(low, high, most) == ticks


@given(low=st.floats(1e-3, 1e5), ratio=st.floats(1.001, 1e6), most=st.integers(2, 12))
def test_ticks_lie_in_the_range_in_order_and_are_few(low: float, ratio: float, most: int) -> None:
    ticks = log_ticks(low, low * ratio, most)
    assert 2 <= len(ticks) <= most
    assert ticks == sorted(set(ticks))
    assert low <= ticks[0] <= ticks[-1] <= low * ratio


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (2, 2), (3, 2)])
def test_an_axis_that_cannot_be_is_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="no logarithmic axis"):
        log_ticks(low, high, 5)
