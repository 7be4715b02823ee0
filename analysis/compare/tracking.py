"""Many campaigns of one kind in a row: per cell, where the cost of a checkpoint changed, and by how much.

A campaign is one QEMU build, one night or one host. Each is set against the stretch before it, the campaigns since the
last change, by the exact test of :mod:`analysis.compare.judging`; where the word is *regressed* or *improved* a new
stretch begins. Words of one campaign are adjusted over its cells (Holm).

A host is not the same every night, and that is in all runs of a campaign. From the ninth campaign on a change has to
clear three times what neighbours in the series mostly differ by: the median of their differences, which a change here
and there does not move.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.compare.judging import INCONCLUSIVE, NOT_REGRESSED, REGRESSED, Rule, judge_cells
from analysis.compare.sides import NotComparableError, SideCell, runs_with, side_cells, side_of
from analysis.errors import AnalysisError, NothingMeasuredError
from analysis.format.outcomes import OUTCOMES
from analysis.runs.outcomes import tail_note
from analysis.verdicts.claims import ALPHA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.compare.ratios import CellComparison
    from analysis.compare.sides import Key, Side
    from analysis.stored.campaign import Campaign

IMPROVED, UNMEASURED, FIRST = "improved", "no run counts", "first"

_FEWEST, _NIGHTS, _TIMES = 2, 8, 3.0


class TooFewError(AnalysisError):
    """A series takes two campaigns."""

    fix = "give two campaigns or more, in the order of the series"


@dataclass(frozen=True)
class Point:
    """A cell in one campaign.

    Attributes:
        median: over its runs that count; NaN where none does.
        values: one per run.
        word: against the stretch before it: regressed, improved, not regressed, inconclusive, first or no run counts.
        ratio: to that stretch, with its 90 % interval ``low`` and ``high``; NaN where there is none.
        change: whether a new stretch begins here.
    """

    median: float
    values: tuple[float, ...]
    word: str
    ratio: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    change: bool = False


@dataclass(frozen=True)
class Series:
    """One cell over all campaigns; ``under``: what its pairs ran under, in words, which KVM too."""

    cell: str
    accel: str
    under: str
    points: tuple[Point, ...]

    @property
    def word(self) -> str:
        """Return the word on the last campaign, against the stretch before it."""
        return self.points[-1].word


@dataclass(frozen=True)
class Track:
    """All cells over all campaigns, in the order given; and what a reader should know of them."""

    outcome: str
    threshold: float
    campaigns: tuple[Side, ...]
    names: tuple[str, ...]
    cells: tuple[Series, ...]
    note: str = ""

    @property
    def word(self) -> str:
        """Return the word on the last campaign: the worst of its cells; inconclusive where it lacks one."""
        last = [series.word for series in self.cells]
        if REGRESSED in last:
            return REGRESSED
        return INCONCLUSIVE if {INCONCLUSIVE, UNMEASURED} & set(last) else NOT_REGRESSED


def track(campaigns: Sequence[Campaign], names: Sequence[str], *, threshold: float, outcome: str) -> Track:
    """Return the series of each cell that a campaign before the last has measured.

    Args:
        campaigns: in the order of the series.
        names: of each, for people.
        threshold: the smallest change that matters, 0.05 for 5 %.
        outcome: one of :data:`analysis.format.outcomes.OUTCOMES`.

    Raises:
        TooFewError: fewer than two campaigns.
        NotComparableError: some ran under emulation and others under KVM.
        NothingMeasuredError: no cell has the outcome in two campaigns, in runs that count.
    """
    if len(campaigns) < _FEWEST:
        raise TooFewError("a series takes two campaigns or more")
    sides = [side_of(campaign, outcome) for campaign in campaigns]
    for one, other in pairwise(sides):
        if not set(one.accel) & set(other.accel):
            raise NotComparableError(
                f"{one.campaign} ran under {one.under} and {other.campaign} under {other.under}: they are no series"
            )
    measured = [side_cells(campaign, outcome) for campaign in campaigns]
    times = Counter(key for cells in measured for key, cell in cells.items() if cell.values)
    if not any(count >= _FEWEST for count in times.values()):
        raise NothingMeasuredError(
            f"no cell has {outcome} measured in two of these campaigns in a run that counts",
            fix="give campaigns that measure the same cells, and an --outcome that their runs have",
        )
    # One that the last campaign is the first to have is no series yet; one that it has lost is.
    earlier = {key for cells in measured[:-1] for key, cell in cells.items() if cell.values}
    keys = [key for key in times if key in earlier]
    cells = _walk(keys, measured, Rule(threshold, less_is_worse=OUTCOMES[outcome].less_is_worse))
    note = tail_note((run for campaign in campaigns for run in runs_with(campaign, outcome)), outcome)
    return Track(outcome, threshold, tuple(sides), tuple(names), tuple(cells), note)


def _walk(keys: Sequence[Key], measured: Sequence[dict[Key, SideCell]], rule: Rule) -> list[Series]:
    points: dict[Key, list[Point]] = {key: [] for key in keys}
    stretch: dict[Key, SideCell] = {}
    middles: dict[Key, list[float]] = {}
    for cells in measured:
        now = {key: cells[key] for key in keys if key in cells and cells[key].values}
        pairs = {key: (stretch[key], cell) for key, cell in now.items() if key in stretch}
        judged = _words(pairs, {key: replace(rule, floor=_floor(middles[key])) for key in pairs})
        for key in keys:
            points[key].append(_point(now.get(key), judged.get(key)))
            if key in now:
                starts = key not in stretch or points[key][-1].change
                stretch[key] = now[key] if starts else _joined(stretch[key], now[key])
                middles.setdefault(key, []).append(float(np.median(now[key].values)))
    labels = {key: cell for cells in reversed(measured) for key, cell in cells.items()}
    return [
        Series(labels[key].label, str(labels[key].factors["accel"]), _under(key, measured), tuple(points[key]))
        for key in keys
    ]


def _under(key: Key, measured: Sequence[dict[Key, SideCell]]) -> str:
    return " and ".join(sorted({words for cells in measured if key in cells for words in cells[key].under}))


def _floor(middles: Sequence[float]) -> float:
    """Return what a campaign may differ by from the ones before it, relative; 0 where too few tell."""
    if len(middles) < _NIGHTS or min(middles) <= 0:
        return 0.0
    return float(np.expm1(_TIMES * np.median(np.abs(np.diff(np.log(middles))))))


def _point(cell: SideCell | None, judged: tuple[str, CellComparison] | None) -> Point:
    if cell is None:
        return Point(float("nan"), (), UNMEASURED)
    median, values = float(np.median(cell.values)), tuple(cell.values)
    if judged is None:
        return Point(median, values, FIRST)
    word, found = judged
    return Point(median, values, word, found.ratio, found.low, found.high, change=word in {REGRESSED, IMPROVED})


def _joined(one: SideCell, other: SideCell) -> SideCell:
    return replace(
        one,
        values=[*one.values, *other.values],
        blocks=[*one.blocks, *other.blocks],
        failed=[*one.failed, *other.failed],
        left_out=[*one.left_out, *other.left_out],
    )


def _words(
    pairs: dict[Key, tuple[SideCell, SideCell]], rules: dict[Key, Rule]
) -> dict[Key, tuple[str, CellComparison]]:
    """Return the word on each cell of one campaign, after Holm's adjustment over both directions and all cells."""
    worse = {key: judge_cells([(before, now)], rules[key])[0] for key, (before, now) in pairs.items()}
    better = {key: judge_cells([(now, before)], rules[key])[0] for key, (before, now) in pairs.items()}
    tests = [one.pvalue for side in (worse, better) for one in side.values()]
    held = [pvalue <= ALPHA for pvalue in stats.holm(tests)] if tests else []
    is_worse, is_better = held[: len(pairs)], held[len(pairs) :]
    found = {}
    for key, up, down in zip(pairs, is_worse, is_better, strict=True):
        word = worse[key].verdict
        if word == REGRESSED and not up:
            word = INCONCLUSIVE
        elif down and better[key].verdict == REGRESSED:
            word = IMPROVED
        found[key] = word, worse[key]
    return found
