"""What a time line draws of one run: requests, pauses with their phases, pages and rates as rows of one table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.format.table import PAUSE_PHASES
from analysis.plots.data import evenly
from analysis.plots.words import MS
from analysis.runs.standing import pause_spans

if TYPE_CHECKING:
    from analysis.stats.checks import FloatArray
    from analysis.stored.campaign import Run

REQUEST, PAUSE, PHASE, PAGES, RATE = "request", "pause", "phase", "dirty pages", "throughput"
"""What a row of the data is ``of``."""

ANSWERED, FAILED = "answered", "failed"
MOST_REQUESTS = 4000
"""About how many requests are drawn; of more, the slowest and every n-th of the others."""

_SLOWEST = 400
_BINS, _FEWEST_IN_BIN = 60, 5

COLUMNS = ("of", "part", "from_s", "to_s", "value", "unit", "index", "warmup")


def frame(run: Run) -> pd.DataFrame:
    """Return what is drawn, in seconds from the run's first request or checkpoint.

    Rows are ``of`` a :data:`REQUEST` (from when it was due to its answer, ``value``: latency in ms, ``part``:
    :data:`ANSWERED` or :data:`FAILED`), a :data:`PAUSE` (``value``: its length in ms, ``part``: its trigger), each
    :data:`PHASE` inside it, the :data:`PAGES` that it carried over, and the :data:`RATE` of answers in equal pieces of
    time. ``index`` is that of the checkpoint, -1 for what belongs to none; ``warmup`` is of its checkpoint, too.
    """
    rows, requests = run.checkpoints, run.requests
    begins = [*rows["t_request"].to_numpy()[:1], *requests.sent.min(initial=math.inf, keepdims=True)]
    zero = min((one for one in begins if math.isfinite(one)), default=0.0)
    parts = [_pauses(rows, zero), _phases(rows, zero), _pages(rows, zero)]
    if len(requests):
        sent, ended, latency_ms = requests.sent - zero, requests.ended - zero, requests.latency_s * MS
        kinds = np.where(requests.answered, ANSWERED, FAILED)
        shown = _shown(requests.latency_s, requests.answered)
        parts.append(_rows(REQUEST, kinds[shown], sent[shown], ended[shown], latency_ms[shown], "ms"))
        parts.append(_rates(ended[requests.answered]))
    return pd.concat([part for part in parts if len(part)] or [_empty()], ignore_index=True)


def _empty() -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in COLUMNS})


def _rows(of: str, part: Any, begin: Any, end: Any, value: Any, unit: str, where: Any = (-1, False)) -> pd.DataFrame:
    said = {"of": of, "part": part, "from_s": begin, "to_s": end, "value": value, "unit": unit}
    return pd.DataFrame(said | dict(zip(("index", "warmup"), where, strict=True)), columns=list(COLUMNS))


def _of_checkpoints(rows: pd.DataFrame) -> tuple[Any, Any]:
    return rows["index"].to_numpy(), rows["warmup"].to_numpy()


def _pauses(rows: pd.DataFrame, zero: float) -> pd.DataFrame:
    begin, end = pause_spans(rows)
    lengths = rows["pause_s"].to_numpy() * MS
    return _rows(PAUSE, rows["trigger"].to_numpy(), begin - zero, end - zero, lengths, "ms", _of_checkpoints(rows))


def _phases(rows: pd.DataFrame, zero: float) -> pd.DataFrame:
    if not len(rows):
        return _empty()
    at, found = pause_spans(rows)[0] - zero, []
    for name in PAUSE_PHASES:
        length = rows[name].to_numpy()
        said = (at, at + length, length * MS, "ms", _of_checkpoints(rows))
        found.append(_rows(PHASE, name.removesuffix("_s"), *said))
        at = at + length
    return pd.concat(found, ignore_index=True)


def _pages(rows: pd.DataFrame, zero: float) -> pd.DataFrame:
    known = rows[rows["dirty_pages"].notna()]
    begin, end = pause_spans(known)
    pages = known["dirty_pages"].to_numpy(dtype=np.float64)
    return _rows(PAGES, "", begin - zero, end - zero, pages, "pages", _of_checkpoints(known))


def _shown(latency_s: FloatArray, answered: np.ndarray[Any, np.dtype[np.bool_]]) -> np.ndarray[Any, Any]:
    """Return which requests are drawn, in order: all of a few; of many the slowest, what failed, and every n-th."""
    count = len(latency_s)
    if count <= MOST_REQUESTS:
        return np.arange(count)
    slowest = np.argsort(latency_s, kind="stable")[-_SLOWEST:]
    return np.union1d(np.union1d(slowest, np.flatnonzero(~answered)), evenly(count, MOST_REQUESTS - _SLOWEST))


def _rates(answered_at: FloatArray) -> pd.DataFrame:
    """Return how many requests were answered per second, in pieces of time that are round and hold a few each."""
    if len(answered_at) < _FEWEST_IN_BIN:
        return _empty()
    begin, end = 0.0, float(answered_at.max())
    piece = _round_up(max(end / _BINS, _FEWEST_IN_BIN * end / len(answered_at)))
    pieces = max(math.floor(end / piece), 1)  # the last one, cut off by the run's end, would look like a fall
    edges = begin + piece * np.arange(pieces + 1)
    counts, _ = np.histogram(answered_at, edges)
    return _rows(RATE, "", edges[:-1], edges[1:], counts / piece, "1/s")


def _round_up(seconds: float) -> float:
    power = 10.0 ** math.floor(math.log10(seconds))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= seconds * (1 - 1e-9))
