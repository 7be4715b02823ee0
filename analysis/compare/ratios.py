"""What is known of two sides: one ratio with its word, and the same of a cell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.format.factors import Level


@dataclass(frozen=True)
class Ratio:
    """New over base with its 90 % interval (NaN where there is none), and the word that follows.

    Attributes:
        pvalue: one-sided, of a change for the worse; ``pvalue_threshold``: of one by the threshold being ruled out;
            both with the runs that have no value ranked worst where that is larger: those that failed, and those that
            did not pass their own check.
        ranked_passes_at: the smallest threshold that is ruled out with these ranked worst; NaN where there are none.
    """

    ratio: float
    low: float
    high: float
    pvalue: float
    pvalue_threshold: float
    verdict: str
    label: str
    ranked_passes_at: float = math.nan


@dataclass(frozen=True)
class CellComparison:
    """One cell of both sides.

    Attributes:
        cell: its label in the base.
        factors: what it has in common on both sides.
        base: median over runs of the outcome; ``new``: the same of the other side; NaN where no run counts.
        ratio: new over base; ``low``, ``high``: at 90 %, NaN where there is no interval.
        pvalue: as in :class:`Ratio`; ``adjusted``: after Holm over the cells.
        needed_runs: runs per side that decide it, planned with the upper 80 % bound of the spread; None when it is
            decided, when nothing can be said, when it hangs on runs without a value or a side lost many, and when
            as many are there.
        ranked_passes_at: as in :class:`Ratio`.
    """

    cell: str
    accel: str
    factors: Mapping[str, Level]
    base: float
    new: float
    ratio: float
    low: float
    high: float
    runs_base: int
    runs_new: int
    failed_base: int
    failed_new: int
    pvalue: float
    adjusted: float
    pvalue_threshold: float
    verdict: str
    label: str
    needed_runs: int | None = None
    ranked_passes_at: float = math.nan
