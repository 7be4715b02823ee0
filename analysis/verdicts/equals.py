"""Cells that are the same machine: what differs between them is noise, and how far that can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.runs.counting import counting

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray


def equals(runs: pd.DataFrame) -> list[tuple[int, int]]:
    """Return pairs of cells that are the same machine, none in two of them: A/A controls, by their places."""
    first: dict[str, list[int]] = {}
    for place, text in runs.groupby("cell")["effective"].first().items():
        first.setdefault(text, []).append(int(str(place)))
    return [pair for group in first.values() for pair in zip(group[::2], group[1::2], strict=False)]


def noise_floor(runs: pd.DataFrame, outcome: str = "pause") -> float:
    """Return what equals were compared and found to differ by at most, relative; 0 without equal cells.

    It is the far end of the 95 % interval (Hodges-Lehmann, over blocks and pairs) of the difference between equals: the
    same comparison, of as many blocks, cannot tell less from nothing. The spread of single runs would be no measure of
    it: it does not shrink with more blocks, so that no number of them could show an effect smaller than that spread
    (``tests/verdicts/test_analysis_noise.py`` simulates both). Which of two equals comes first is arbitrary, so that
    pairs that differ the opposite way must not cancel: it is never below the middle difference of a pair whose own
    interval holds no 0. Where :data:`FEWEST` comparisons are not there it is the largest difference of any.
    """
    every = [np.array(aa_logs(runs, pair, outcome)) for pair in equals(runs)]
    return floor_of([logs for logs in every if len(logs)])


FEWEST = 6
"""Comparisons of equals from which on their difference has a 95 % interval."""


def floor_of(pairs: Sequence[NDArray[np.float64]]) -> float:
    """Return the noise floor from the log ratios of each pair of equals, one per block; 0 without any."""
    if not pairs:
        return 0.0
    logs = np.concatenate(pairs)
    shift = _shift(logs)
    ends = (shift.low, shift.high) if shift.rank else (float(np.abs(logs).max()),)
    apart = [shift.estimate for shift in map(_shift, pairs) if shift.low * shift.high > 0]
    return float(np.expm1(max(abs(end) for end in (*ends, *apart))))


def _shift(logs: NDArray[np.float64]) -> stats.ShiftInterval:
    return stats.hodges_lehmann(logs, np.zeros(len(logs)))


def aa_logs(runs: pd.DataFrame, pair: tuple[int, int], outcome: str = "pause") -> list[float]:
    """Return the log ratio of two equal cells in every block that has both, each having passed its quality check."""
    runs = runs[counting(runs, outcome)]
    cells, blocks, values = (runs[name].to_numpy() for name in ("cell", "block", outcome))
    mine = [cells == place for place in pair]
    one, other = (dict(zip(blocks[own].tolist(), values[own].astype(float), strict=True)) for own in mine)
    # Neither what was not measured (NaN) nor 0 has a ratio.
    both = [block for block in one if one[block] > 0 and other.get(block, 0.0) > 0]
    ratios = np.log([other[block] for block in both]) - np.log([one[block] for block in both])
    return [float(ratio) for ratio in ratios]
