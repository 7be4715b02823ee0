"""A claim that an outcome lies within a range: of every cell, each judged over its blocks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom

from analysis import stats
from analysis.verdicts.claims import ALPHA, INCONCLUSIVE, VALUE, Claims, Stage, weakest, word_of
from analysis.verdicts.finding import Effect, Finding, LevelFinding
from analysis.verdicts.question import measured_rows, others_of
from analysis.verdicts.sentences import level_words
from analysis.verdicts.trend import HANGS_ON_FAILURES, UNDECIDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from analysis.format.factors import Level
    from analysis.verdicts.question import Question

_NAN = float("nan")
NOT_EVERYWHERE = "not measured in every cell"


def judge_value(asked: Question, measured: pd.DataFrame, blank: Finding, alpha: float = ALPHA) -> Finding:
    """Hold every cell against the range: supported where each one's median run lies inside, refuted where one does not.

    Runs of one block share what happened to the host, so that cells are no witnesses for one another: each is judged
    by the sign test over its own blocks. All have to lie inside (an intersection-union test, which needs no
    adjustment); that some cell does not is adjusted over the cells by Holm. Failed runs lie beyond either end.
    """
    if not len(measured):
        return replace(blank, label="never measured")
    low, high = float(asked.hypothesis.low or 0.0), float(asked.hypothesis.high or 0.0)
    cells = _cells(asked, measured)
    levels = _adjusted([_level(asked, level, values, low, high) for level, (values, _) in cells.items()], alpha)
    worst = [_claims(values, failed, low, high) for values, failed in cells.values()]
    ends = [one.effect for one in levels if one.runs]
    never = [one.level for one in levels if not one.runs]
    known = all(np.isfinite([end.low, end.high]).all() for end in ends)
    effect = Effect(
        float(np.median([end.estimate for end in ends])),
        min(end.low for end in ends) if known else _NAN,
        max(end.high for end in ends) if known else _NAN,
    )
    bare = _over([one.claims for one in levels])
    lost = "reaches beyond the range" if known else "too few blocks for an interval"
    lost = NOT_EVERYWHERE if never else lost
    fewest = min(one.runs for one in levels if one.runs)
    short = f"5 runs of a cell give an interval of 90 %, and one has {fewest}"
    notes = blank.notes if known else (*blank.notes, short)
    notes = (*notes, f"never measured: {'; '.join(never)}") if never else notes
    found = [Stage(bare, lost)]
    if asked.failed:
        found.append(Stage(weakest([bare, _over(worst)]), HANGS_ON_FAILURES))
    runs = sum(len(values) for values, _ in cells.values())
    return replace(
        blank, effect=effect, runs=runs, stages=tuple(found), notes=notes, levels=levels if len(levels) > 1 else ()
    )


def _cells(asked: Question, measured: pd.DataFrame) -> dict[tuple[Level, ...], tuple[NDArray[np.float64], int]]:
    """Return the values of each cell, and how many of its runs failed."""
    values = measured[asked.hypothesis.outcome].to_numpy(dtype=np.float64)
    levels = [others_of(asked, row) for row in measured_rows(asked, measured)]
    lost = [others_of(asked, row) for row in asked.failed]
    return {
        level: (values[[one == level for one in levels]], lost.count(level))
        for level in dict.fromkeys([*levels, *lost])
    }


def _level(
    asked: Question, level: tuple[Level, ...], values: NDArray[np.float64], low: float, high: float
) -> LevelFinding:
    claims = _claims(values, 0, low, high)
    interval = stats.median_interval(values, confidence=0.90) if len(values) else None
    effect = Effect(_NAN, _NAN, _NAN)
    if interval is not None:
        low, high = (_NAN if end is None else end for end in (interval.low, interval.high))
        effect = Effect(interval.estimate, low, high)
    return LevelFinding(level_words(asked.others, level), effect, INCONCLUSIVE, UNDECIDED, len(values), claims)


def _adjusted(levels: Sequence[LevelFinding], alpha: float) -> tuple[LevelFinding, ...]:
    """Return the cells with their words; that one lies outside is adjusted over all of them by Holm."""
    found = []
    raised = stats.holm([one.claims.refutes for one in levels])
    for one, refutes in zip(levels, raised, strict=True):
        word, label = word_of(replace(one.claims, refutes=float(refutes)), VALUE, alpha)
        found.append(replace(one, word=word, label=label or UNDECIDED))
    return tuple(found)


def _claims(values: NDArray[np.float64], failed: int, low: float, high: float) -> Claims:
    """Return the p-values of the median run lying inside, and outside; failed runs count against either."""
    runs = len(values) + failed
    if not runs:
        return Claims()
    above, below = int((values >= low).sum()), int((values <= high).sum())
    beyond = max(int((values < low).sum()), int((values > high).sum()))
    return Claims(supports=max(_sign(above, runs), _sign(below, runs)), refutes=_sign(beyond, runs))


def _sign(there: int, runs: int) -> float:
    """Return the chance of so many runs on one side of a bound, were the median run on the other."""
    return float(binom.sf(there - 1, runs, 0.5))


def _over(cells: list[Claims]) -> Claims:
    some = stats.holm([one.refutes for one in cells]).min()
    return Claims(supports=max(one.supports for one in cells), refutes=float(some))
