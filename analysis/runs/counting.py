"""Which runs count for an outcome, which are left out by their own check, and which failed at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.format.factors import flatten
from analysis.format.outcomes import OUTCOMES, PAUSES_IN_DOUBT
from analysis.format.scenarios import checkpoints_asked, redundancy_asked
from analysis.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from analysis.stored.campaign import Run


def unanswered(run: Run) -> bool:
    """Tell whether a run has a client of which no request was answered, by the requests or by its own totals."""
    told = run.record.client
    return told is not None and not len(run.latencies) and not told.get("requests_per_s")


_OF_CLIENTS = frozenset(
    one.name for one in OUTCOMES.values() if one.table == "client" or one.column.startswith("client.")
)
"""Outcomes that a client has to be answered for: without an answer, that is what a failure looks like to them."""

_SEEN_OF_FAILOVERS = frozenset(("client_gap",))
"""Outcomes that a client, where there is one, has to be answered for by the survivor."""

OF_JOINING = frozenset(("redundancy",))
"""Outcomes that a new secondary, where one was asked for, has to join the survivor for."""

_OF_FAILOVERS = frozenset(
    one.name
    for one in OUTCOMES.values()
    if one.column.startswith("failover.") and not one.column.startswith("failover.client.")
).difference(OF_JOINING)
"""Outcomes that a survivor has to take over for."""


def pauses_told(run: Run) -> bool:
    """Tell whether nothing speaks against a run's pauses alone, where its record is sound without them."""
    return not any(note.startswith(PAUSES_IN_DOUBT) for note in run.record.quality.notes)


def _sound_by(outcome: str) -> tuple[str, ...]:
    """Return what of :data:`STANDING` a run counts for an outcome by: its own check, and its pauses where those are."""
    return ("quality_ok", "pauses_ok") if OUTCOMES[outcome].table == "checkpoints" else ("quality_ok",)


QUALITY = ("ok", "pauses in doubt", "failed")
"""What a run's own check may say, of its record and of its pauses alone, in the words of tables."""


def counts(run: Run) -> bool:
    """Tell whether a run counts for its pauses."""
    return all(STANDING[name](run) for name in _sound_by("pause"))


def counting(runs: pd.DataFrame, outcome: str = "pause") -> NDArray[np.bool_]:
    """Tell of each row of :func:`run_table`, or of some columns of it, whether the run counts for an outcome."""
    told = [runs[name].to_numpy(dtype=bool) for name in _sound_by(outcome) if name in runs]
    sound: NDArray[np.bool_] = np.logical_and.reduce(told)
    return sound


def quality_words(runs: pd.DataFrame) -> list[str]:
    """Return what the own check of each row of :func:`run_table` says: one of :data:`QUALITY`."""
    sound, doubted, bad = QUALITY
    told = zip(runs["quality_ok"], runs["pauses_ok"], strict=True)
    return [bad if not ok else sound if pauses else doubted for ok, pauses in told]


def doubted_text(runs: pd.DataFrame, outcome: str = "pause") -> str:
    """Return how many rows of :func:`run_table` do not count for an outcome, and why; empty where all do."""
    doubted = ~counting(runs, outcome)
    if not doubted.any():
        return ""
    alone = ", or whose pauses alone are in doubt" if (doubted & runs["quality_ok"].to_numpy(dtype=bool)).any() else ""
    return f"{plural(int(doubted.sum()), 'run')} whose own check failed{alone}"


def left_out_text(count: int, *, alone: bool) -> str:
    """Return by what so many runs are left out; ``alone``: of some of them perhaps the pauses alone are in doubt."""
    their = "its" if count == 1 else "their"
    doubt = f", or as {their} pauses alone are in doubt" if alone else ""
    return f"left out by {their} quality check{doubt}"


def failing(runs: pd.DataFrame, outcome: str) -> NDArray[np.bool_]:
    """Tell of each row whether the run failed at an outcome, which is other than to be left out.

    It has too few checkpoints that can be used, its client was never answered, nobody took over, or the one who did
    got no new secondary.

    Args:
        runs: :func:`run_table`, or of it the outcome and the columns of :data:`STANDING`.
        outcome: one of :data:`OUTCOMES`.
    """

    def told(column: str) -> NDArray[np.bool_]:
        return runs[column].to_numpy(dtype=bool) if column in runs else np.zeros(len(runs), dtype=bool)

    sound, unknown = counting(runs, outcome), runs[outcome].isna().to_numpy(dtype=bool)
    failed: NDArray[np.bool_] = ~sound & told("short")
    if outcome in _OF_CLIENTS:
        failed |= unknown & told("unanswered")
    if outcome in _OF_FAILOVERS:
        # Nobody took over: an outage without end.
        failed |= sound & unknown & told("with_failover")
    if outcome in OF_JOINING:
        failed |= sound & unknown & told("joining")
    if outcome in _SEEN_OF_FAILOVERS:
        failed |= sound & unknown & told("failover_seen")
    return failed


def too_short(run: Run) -> bool:
    """Tell whether a run has fewer checkpoints that can be used than it was asked for: then it failed."""
    if not run.record.takes_checkpoints:
        return False
    count = checkpoints_asked(flatten(run.record.cell))
    return isinstance(count, int) and len(run.column("pause_s")) < count


STANDING: dict[str, Callable[[Run], bool]] = {
    "short": too_short,
    "unanswered": unanswered,
    "with_failover": lambda run: run.record.failover is not None,
    "failover_seen": lambda run: run.record.failover is not None and "client" in run.record.failover,
    "joining": lambda run: run.record.failover is not None and redundancy_asked(flatten(run.record.cell)),
    "pauses_ok": pauses_told,
    "quality_ok": lambda run: run.record.quality.ok,
}
"""What of a run tells whether it counts, and whether it failed: columns of :func:`run_table`."""
