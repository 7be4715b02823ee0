"""A claim that an outcome lies within a range: of every cell, each judged over its blocks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom

from analysis import stats
from analysis.format.outcomes import OUTCOMES
from analysis.runs.outcomes import YES_OR_NO
from analysis.text import plural
from analysis.verdicts.claims import ALPHA, INCONCLUSIVE, VALUE, Claims, Effect, Stage, word_of
from analysis.verdicts.finding import Finding, LevelFinding
from analysis.verdicts.question import measured_rows, others_of
from analysis.verdicts.sentences import level_words
from analysis.verdicts.trend import UNDECIDED, hangs_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from analysis.format.factors import Level
    from analysis.stored.records import Hypothesis
    from analysis.verdicts.question import Question

_NAN = float("nan")
NOT_EVERYWHERE = "no run of some cell has the outcome and counts"
NOWHERE = "no run has the outcome and counts"
_OF_EVERY_RUN = frozenset(("writes_lost",))
"""Outcomes of which a range is a promise that one run breaks: half of the failovers may lose, and the median is 0."""

NOT_EVERY_RUN = "not every run lies within the range"
UNSURE = "outside the range, but not surely"
"""Where the interval of a cell lies beyond the range, and the test of both ends, over all cells, does not show it."""


def judge_value(asked: Question, measured: pd.DataFrame, blank: Finding, alpha: float = ALPHA) -> Finding:
    """Hold every cell against the range: supported where each one's median run lies inside, refuted where one does not.

    Runs of one block share what happened to the host, so that cells are no witnesses for one another: each is judged
    by the sign test over its own blocks. All have to lie inside (an intersection-union test, which needs no
    adjustment); that some cell does not is adjusted over the cells by Holm. Of a range with two ends either may be
    passed, so that the p-value of lying outside is twice that of the nearer side. Runs without a value lie beyond
    either end.

    Of what is yes or no in a run the median would say yes of one half and one run more: the share of runs is held
    against the range, by the exact binomial test.
    """
    if not len(measured):
        return replace(blank, label=NOWHERE)
    low, high = _range(asked.hypothesis)
    cells = _cells(asked, measured)
    levels = _adjusted([_level(asked, level, *runs) for level, runs in cells.items()], alpha)
    ends = [one.effect for one in levels if one.runs]
    without = [one.level for one in levels if not one.runs]
    known = all(np.isfinite([end.low, end.high]).all() for end in ends)
    effect = Effect(
        float(np.median([end.estimate for end in ends])),
        min(end.low for end in ends) if known else _NAN,
        max(end.high for end in ends) if known else _NAN,
    )
    bare = _over([_claims(asked.hypothesis, values, 0) for values, _ in cells.values()])
    outside = any(end.high < low or end.low > high for end in ends)
    beyond = _broken(asked.hypothesis, np.concatenate([values for values, _ in cells.values()]))
    reaches = UNSURE if outside else NOT_EVERY_RUN if beyond else "reaches beyond the range"
    lost = NOT_EVERYWHERE if without else reaches if known else "too few blocks for an interval"
    fewest = min(one.runs for one in levels if one.runs)
    short = f"5 runs of a cell give an interval of 90 %, and one has {fewest}"
    notes = blank.notes if known else (*blank.notes, short)
    notes = (*notes, f"{NOWHERE} of: {'; '.join(without)}") if without else notes
    notes = (
        (*notes, f"{beyond} of {plural(len(measured), 'run')} {'lies' if beyond == 1 else 'lie'} outside")
        if beyond
        else notes
    )
    found = [Stage(bare, lost)]
    if asked.lost:
        hangs = hangs_on(len(asked.failed), len(asked.left_out))
        found.append(Stage(_over([one.claims for one in levels]), hangs))
    runs = sum(len(values) for values, _ in cells.values())
    return replace(
        blank, effect=effect, runs=runs, stages=tuple(found), notes=notes, levels=levels if len(levels) > 1 else ()
    )


def _cells(asked: Question, measured: pd.DataFrame) -> dict[tuple[Level, ...], tuple[NDArray[np.float64], int]]:
    """Return the values of each cell, and how many of its runs have none."""
    values = measured[asked.hypothesis.outcome].to_numpy(dtype=np.float64)
    levels = [others_of(asked, row) for row in measured_rows(asked, measured)]
    lost = [others_of(asked, row) for row in asked.lost]
    never = [others_of(asked, row) for row in asked.never]
    return {
        level: (values[[one == level for one in levels]], lost.count(level))
        for level in dict.fromkeys([*levels, *lost, *never])
    }


def _range(hypothesis: Hypothesis) -> tuple[float, float]:
    return float(hypothesis.low or 0.0), float(hypothesis.high or 0.0)


def _broken(hypothesis: Hypothesis, values: NDArray[np.float64]) -> int:
    """Return how many runs break what is promised of every one of them."""
    low, high = _range(hypothesis)
    return int(((values < low) | (values > high)).sum()) if hypothesis.outcome in _OF_EVERY_RUN else 0


def _level(asked: Question, level: tuple[Level, ...], values: NDArray[np.float64], failed: int) -> LevelFinding:
    claims = _claims(asked.hypothesis, values, failed)
    effect = Effect(_NAN, _NAN, _NAN)
    if asked.hypothesis.outcome in YES_OR_NO and len(values):
        share = stats.clopper_pearson(int(values.sum()), len(values), confidence=0.90)
        effect = Effect(share.estimate, share.low, share.high)
    elif len(values):
        interval = stats.median_interval(values, confidence=0.90)
        effect = Effect(interval.estimate, interval.low, interval.high)
    return LevelFinding(level_words(asked.others, level), effect, INCONCLUSIVE, UNDECIDED, len(values), claims)


def _adjusted(levels: Sequence[LevelFinding], alpha: float) -> tuple[LevelFinding, ...]:
    """Return the cells with their words; that one lies outside is adjusted over all of them by Holm."""
    found = []
    raised = stats.holm([one.claims.refutes for one in levels])
    for one, refutes in zip(levels, raised, strict=True):
        word, label = word_of(replace(one.claims, refutes=float(refutes)), VALUE, alpha)
        found.append(replace(one, word=word, label=label or UNDECIDED))
    return tuple(found)


def _claims(hypothesis: Hypothesis, values: NDArray[np.float64], failed: int) -> Claims:
    """Return the p-values of lying inside the range, and outside; failed runs count against either."""
    if not len(values) + failed:
        return Claims()
    tested = _of_shares if hypothesis.outcome in YES_OR_NO else _of_medians
    inside, outside = tested(*_range(hypothesis), values, failed)
    # No share lies above 1, and nothing that is measured below 0: such an end is none to be passed.
    low, high = _range(hypothesis)
    below = low > 0 or bool((values < 0).any())
    above = high < 1 or OUTCOMES[hypothesis.outcome].unit != "share"
    beyond = [pvalue for pvalue, can in zip(outside, (below, above), strict=True) if can]
    supports = 1.0 if _broken(hypothesis, values) else max(inside)
    return Claims(supports=supports, refutes=min(1.0, len(beyond) * min(beyond)) if beyond else 1.0)


_Two = tuple[float, float]


def _of_medians(low: float, high: float, values: NDArray[np.float64], failed: int) -> tuple[_Two, _Two]:
    """Return for each end the p-value of the median run on this side of it, and those of one beyond."""
    runs = len(values) + failed
    inside, outside = ((values >= low).sum(), (values <= high).sum()), ((values < low).sum(), (values > high).sum())
    return (_sign(inside[0], runs), _sign(inside[1], runs)), (_sign(outside[0], runs), _sign(outside[1], runs))


def _of_shares(low: float, high: float, values: NDArray[np.float64], failed: int) -> tuple[_Two, _Two]:
    """Return the same of the share of runs that are a yes; a failed run may have been either."""
    runs, yes = len(values) + failed, int(values.sum())
    low, high = min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)
    at_least, at_most = float(binom.sf(yes - 1, runs, low)), float(binom.cdf(yes + failed, runs, high))
    beyond = float(binom.cdf(yes + failed, runs, low)), float(binom.sf(yes - 1, runs, high))
    return (at_least if low > 0 else 0.0, at_most if high < 1 else 0.0), beyond


def _sign(there: np.int64, runs: int) -> float:
    """Return the chance of so many runs on one side of a bound, were the median run on the other."""
    return float(binom.sf(int(there) - 1, runs, 0.5))


def _over(cells: list[Claims]) -> Claims:
    some = stats.holm([one.refutes for one in cells]).min()
    return Claims(supports=max(one.supports for one in cells), refutes=float(some))
