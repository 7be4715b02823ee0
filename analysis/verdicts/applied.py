"""Whether what a hypothesis varies was there: a manipulation check, by what the guests really wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.format.outcomes import OUTCOMES
from analysis.text import plural

if TYPE_CHECKING:
    import pandas as pd

    from analysis.stored.records import Hypothesis

_OF_SETS = frozenset(("workload.scaling", "workload.working_set"))
WHOLE = 0.5
"""The share of a run's checkpoints before which its working set was written whole, below which the run lacks it."""

_MOST_WITHOUT = 0.1
"""The share of runs without their working set above which nothing is said."""


def applied(hypothesis: Hypothesis, runs: pd.DataFrame) -> tuple[bool, tuple[str, ...]]:
    """Return whether the runs had the working sets that a hypothesis tells apart, and what a reader should know.

    Whoever asks about a dirty working set, at the same one, or at one that grows with RAM, rests on guests that write
    it whole between checkpoints. One that is too slow for it has the same few dirty pages at every size, and no size
    would show.

    Args:
        hypothesis: one of what checkpoints make that is about working sets, or asked where they are of one size or of
            one arm; or any other, of which nothing is demanded: the way into COLO rests on no set.
        runs: those that it is judged from, of :func:`analysis.runs.outcomes.run_table`.
    """
    of_run = OUTCOMES[hypothesis.outcome].table == "run"
    about_sets = not _OF_SETS.isdisjoint((str(hypothesis.factor), *hypothesis.where))
    if of_run or not about_sets or "set_written" not in runs:
        return True, ()
    known = runs["set_written"].dropna()
    without = int((known < WHOLE).sum())
    if not without:
        return True, ()
    said = (
        f"in {without} of {plural(len(known), 'run')} the guest did not write its working set whole between checkpoints"
    )
    fix = "a smaller workload.working_set or a longer checkpoint.interval lets it"
    return without <= _MOST_WITHOUT * len(known), (f"{said}: {fix}",)
