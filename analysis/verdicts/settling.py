"""How many runs a comparison of two sides takes, and which threshold those at hand pass."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.trend import in_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_RUNS = 1_000
_MOST_CHANGE, _MOST_FALL, _HALVINGS = 10.0, 0.999, 16

_MOST_LOST, _BY_CHANCE = 0.1, 1
"""Share of the runs at a level, or of a side, that may be lost and ranked worst before these decide what more runs do:
of a fifth, blocks that settle it in 8 of 10 campaigns did so in half of them. One run is no share yet."""


def hangs_on_lost(lost: int, measured: int) -> bool:
    """Tell whether so many runs of a level, or of a side, were lost that no number of further ones is told."""
    return lost > max(_BY_CHANCE, _MOST_LOST * (lost + measured))


def passed_from(ruled_out: Callable[[float], float], *, falls: bool) -> float:
    """Return the smallest threshold at which a change by it is ruled out, infinite beyond reason.

    Args:
        ruled_out: the p-value of that at a threshold; it does not rise with it.
        falls: whether what matters is a fall, which leaves something.
    """
    low, high = 0.0, _MOST_FALL if falls else _MOST_CHANGE
    if ruled_out(high) > ALPHA:
        return math.inf
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if ruled_out(middle) <= ALPHA else (middle, high)
    return high


def runs_to_settle(
    before: Sequence[float], after: Sequence[float], threshold: float, among: int, *, within: bool, falls: bool
) -> int | None:
    """Return runs per side whose interval is narrower than the threshold, so that it cannot hold both 1 and that.

    The spread is the upper 80 % bound of the pooled deviation of logs, widened by the efficiency of a rank test; an
    exact test among ``among`` cells also needs enough runs to reach its level at all. None where no number decides.

    Args:
        before: the runs of one side.
        after: of the other.
        threshold: relative, such as 0.05.
        among: cells over which the word is adjusted.
        within: whether sides are compared block by block (sign test), or run against run (rank sum).
        falls: whether what matters is a fall by the threshold, as of a rate, and not a rise.
    """
    if any(value <= 0 for value in (*before, *after)):
        return None
    sides = [np.log(values) for values in (before, after) if len(values) > 1]
    df = sum(len(side) - 1 for side in sides)
    orders = (lambda runs: 2**runs) if within else (lambda runs: math.comb(2 * runs, runs))
    fewest = next(runs for runs in range(1, _MOST_RUNS) if orders(runs) * ALPHA >= among)
    variance = sum(float(((side - side.mean()) ** 2).sum()) for side in sides) / df if df else math.nan
    if not variance > 0:
        return fewest if variance == 0 else None
    planned = stats.needed_blocks(
        math.sqrt(variance * math.pi / (2 if within else 3)),
        df,
        in_logs(threshold, falls=falls) / 2,
        x=(0.0, 1.0),
        confidence=1 - 2 * ALPHA / among,
        most=_MOST_RUNS,
    )
    return None if planned is None else max(planned, fewest)
