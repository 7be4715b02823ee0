"""Tick marks for a logarithmic axis of milliseconds: round numbers, at least two, few enough not to touch."""

from __future__ import annotations

import math
from itertools import pairwise

_STEPS = (
    (1.0, 10.0, 100.0),
    (1.0, 3.0),
    (1.0, 2.0, 5.0),
    (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
    (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0),
    tuple(n / 10 for n in range(10, 20)) + tuple(n / 2 for n in range(4, 20)),
    tuple(n / 100 for n in range(100, 1000, 5)),
)
_FEWEST = 2


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most ``most`` round numbers within ``[low, high]``: of a few usual series that with the smallest gap.

    Where each has too many, they are the ends of the first one; where none has two, those of the range.

    Raises:
        ValueError: the range is empty or not positive.
    """
    if not 0 < low < high:
        raise ValueError(f"no logarithmic axis goes from {low} to {high}")
    series = [_within(low, high, steps) for steps in _STEPS]
    fitting = [ticks for ticks in series if _FEWEST <= len(ticks) <= most]
    if fitting:
        return min(fitting, key=lambda ticks: _largest_ratio([low, *ticks, high]))
    crowded = next((ticks for ticks in series if len(ticks) >= _FEWEST), [low, high])
    return [crowded[0], crowded[-1]]


def _largest_ratio(marks: list[float]) -> float:
    return max(right / left for left, right in pairwise(marks))


def _within(low: float, high: float, steps: tuple[float, ...]) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    candidates = sorted({float(f"{step * 10.0**decade:.6g}") for decade in decades for step in steps})
    return [tick for tick in candidates if low <= tick <= high]
