"""What a pause is made of: dirty pages, device state, waiting for the transport; and which of it a size makes grow.

By the phases of both sides: what the secondary says that it did is taken from the time that the primary waited for it,
and what is left is the transport's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.format import phases
from analysis.stored.factors import as_planned, level_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

PARTS = (phases.DIRTY_PAGES, phases.DEVICE_STATE, "the transport")
_REST = "the rest"


@dataclass(frozen=True)
class Parts:
    """A mean pause, or its growth from one level to another, part by part.

    Attributes:
        whole_s: the mean over cells and blocks, in seconds.
        parts: name and seconds, in the order of :data:`PARTS`, the rest last; they add up.
    """

    whole_s: float
    parts: tuple[tuple[str, float], ...]

    def share(self, name: str) -> float:
        """Return the share of a part, from 0 to 1."""
        return dict(self.parts)[name] / self.whole_s


def pause_parts(runs: pd.DataFrame) -> Parts | None:
    """Return what the mean pause of these runs is made of, a cell counting once; None where finer phases are missing.

    Args:
        runs: :func:`analysis.runs.outcomes.run_table`, or rows of it.
    """
    table = _per_run(runs)
    if table is None:
        return None
    cells = runs["cell"].to_numpy()
    means = np.array([table[cells == cell].mean(axis=0) for cell in np.unique(cells)]).mean(axis=0)
    return _parts(means)


def growth(runs: pd.DataFrame, factor: str, others: Sequence[str]) -> tuple[str, Parts] | None:
    """Return by what the mean pause differs between the smallest and the largest level of a factor, and from where.

    Only runs of one block and of equal other factors are compared. None where there are none, or no finer phases.

    Args:
        runs: rows of :func:`analysis.runs.outcomes.run_table`.
        factor: dotted path of a size.
        others: the other factors that vary.
    """
    table = _per_run(runs)
    levels = sorted(set(runs[factor].dropna().tolist()))
    if table is None or len(levels) == 1:
        return None
    rises = []
    # A factor that some runs do not have is a level like any other.
    for _, own in runs.reset_index(drop=True).groupby(["block", *others], sort=True, dropna=False):
        low, high = (table[own.index[own[factor] == level]] for level in (levels[0], levels[-1]))
        if len(low) and len(high):
            rises.append(high.mean(axis=0) - low.mean(axis=0))
    if not rises:
        return None
    ends = [level_text(factor, as_planned(level)) for level in (levels[0], levels[-1])]
    return " to ".join(ends), _parts(np.mean(rises, axis=0))


def _per_run(runs: pd.DataFrame) -> np.ndarray[tuple[int, int], np.dtype[np.float64]] | None:
    """Return the parts of every run and its mean pause, shape (runs, parts + 1); None where one is not known."""
    if not len(runs):
        return None
    here, there = (
        [_column(runs, *_names(side, what)) for what in (phases.DIRTY_PAGES, phases.DEVICE_STATE)]
        for side in phases.SideName
    )
    waited = _column(runs, "deliver", "load") - there[0] - there[1]
    pages, state = (own + other for own, other in zip(here, there, strict=True))
    table = np.column_stack([pages, state, waited, _column(runs, "pause_mean")])
    return table if np.isfinite(table).all() else None


def _names(side: phases.SideName, what: str) -> list[str]:
    return [part.name for part in phases.PARTS if (part.side, part.of_pause) == (side, what)]


def _column(runs: pd.DataFrame, *names: str) -> NDArray[np.float64]:
    """Return the sum of some columns."""
    total: NDArray[np.float64] = np.zeros(len(runs))
    for name in names:
        total += runs[name].to_numpy(dtype=np.float64)
    return total


def _parts(means: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Parts:
    whole = float(means[-1])
    own = [float(part) for part in means[:-1]]
    return Parts(whole, (*zip(PARTS, own, strict=True), (_REST, whole - sum(own))))
