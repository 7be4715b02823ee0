"""How a run's pauses behaved over time: whether they were steady, what lay far off, how neighbours hang together."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import stats
from analysis.runs.outcomes import used_pauses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from analysis.stats.checks import FloatArray
    from analysis.stored.campaign import Run
    from analysis.workers import Begin

FEWEST_FOR_MSER, _FEWEST_FOR_SHAPE = 20, 10
_MOST_AT_ONCE = 200_000
"""Checkpoints whose steadiness is told at once: the more the faster, and the more memory it takes."""


def behaviour_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return how the pauses of each run behaved over time, a row per run; no verdict looks at it.

    Columns: ``steadiness``, ``steady_from``, ``outliers`` (severe by Tukey), ``mild_outliers``, ``modified_z``,
    ``lag1``, ``modes``, ``mser``.
    """
    return pd.DataFrame([row for some in _some_at_a_time(runs) for row in _behaviours(_pauses(some))])


def behaviours_begun(runs: Sequence[Run], begin: Begin) -> Callable[[], pd.DataFrame]:
    """Begin to tell how the pauses of each run behaved, and return what gives :func:`behaviour_table`."""
    parts = [begin(_behaviours, _pauses(some)) for some in _some_at_a_time(runs)]
    return lambda: pd.DataFrame(list(chain.from_iterable(part() for part in parts)))


def _pauses(runs: Sequence[Run]) -> list[tuple[FloatArray, FloatArray]]:
    return [(run.column("pause_s", warmup=True), used_pauses(run)) for run in runs]


def _behaviours(pauses: Sequence[tuple[FloatArray, FloatArray]]) -> list[dict[str, Any]]:
    """Return a row for the pauses of each run, with its warm-up and without."""
    classes = steadiness_classes([kept for _, kept in pauses])
    return [
        {**behaviour(every, kept), "steadiness": kind, "steady_from": steady_from}
        for (every, kept), (kind, steady_from) in zip(pauses, classes, strict=True)
    ]


def _some_at_a_time(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Yield the runs in groups of so many checkpoints that what is computed for all of them at once is bounded."""
    some: list[Run] = []
    count = 0
    for run in runs:
        some.append(run)
        count += len(run.column("pause_s", warmup=True))
        if count >= _MOST_AT_ONCE:
            yield some
            some, count = [], 0
    if some:
        yield some


def steadiness_classes(pauses: Sequence[FloatArray]) -> list[tuple[str, int | None]]:
    """Return each run's class and from where it is steady; runs below ten checkpoints are ``too-short`` to have one."""
    known = iter(stats.steadiness_of([one for one in pauses if len(one) >= _FEWEST_FOR_SHAPE]))
    found = [next(known) if len(one) >= _FEWEST_FOR_SHAPE else None for one in pauses]
    return [("too-short", None) if one is None else (one.kind, one.steady_from) for one in found]


def behaviour(every: FloatArray, kept: FloatArray) -> dict[str, Any]:
    """Return how a run's pauses behaved over time: ``every`` with the warm-up, ``kept`` without."""
    odd = stats.outliers(kept)
    has_modes = _varies(kept) and len(kept) >= _FEWEST_FOR_SHAPE and float(kept.min()) > 0  # they are those of logs
    return {
        "outliers": odd.severe,
        "mild_outliers": odd.mild,
        "modified_z": odd.modified_z,
        "lag1": _lag1(kept) if _varies(kept) else np.nan,
        "modes": len(stats.modes(kept)) if has_modes else 1,
        "mser": stats.mser5(every) if len(every) >= FEWEST_FOR_MSER else np.nan,
    }


def _varies(values: FloatArray) -> bool:
    return len(values) > 3 and float(np.ptp(values)) > 0  # noqa: PLR2004 - a lag needs a few values


def _lag1(values: FloatArray) -> float:
    (first,) = stats.autocorrelation(values, lags=1)
    return first
