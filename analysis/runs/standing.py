"""When a run's primary stood still, and how much of that fell into a request: on one clock, request by request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from analysis.stored.campaign import Run
    from analysis.stored.columns import Columns


def pause_spans(checkpoints: pd.DataFrame | Columns) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return when each checkpoint's pause began and ended, in Unix seconds by the primary's clock, in order."""
    begin = sum(
        (np.asarray(checkpoints[name]) for name in ("request_s", "stop_s")), np.asarray(checkpoints["t_request"])
    )
    return begin, begin + np.asarray(checkpoints["pause_s"])


def stood_still_s(run: Run) -> NDArray[np.float64]:
    """Return for each request how many seconds of its life lay in pauses; the warm-up's pauses count as any other."""
    begin, end = pause_spans(run.rows)
    return overlap_s(run.requests.sent, run.requests.ended, begin, end)


def overlap_s(
    sent: NDArray[np.float64], ended: NDArray[np.float64], begin: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how much of each time from ``sent`` to ``ended`` lies in the spans from ``begin`` to ``end``.

    Args:
        sent: n beginnings.
        ended: n ends.
        begin: m beginnings of spans; what two of them share, as after a clock was set back, counts once.
        end: m ends of them.
    """
    if not len(begin) or not len(sent):
        return np.zeros(len(sent))
    order = np.argsort(begin, kind="stable")
    end = np.maximum.accumulate(end[order])
    begin = np.maximum(begin[order], np.concatenate(([-np.inf], end[:-1])))
    # The time in spans up to a moment is linear between their ends; what lies in between is a difference of two.
    knots = np.column_stack((begin, end)).ravel()
    passed = np.column_stack((np.zeros(len(begin)), end - begin)).ravel().cumsum()
    overlap: NDArray[np.float64] = np.interp(ended, knots, passed) - np.interp(sent, knots, passed)
    return np.maximum(overlap, 0.0)
