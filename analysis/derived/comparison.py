"""Has a checkpoint become more expensive from one campaign to the other?

Cells are matched by their factors, whatever their QEMU is called. Per cell the runs of the two campaigns are two
independent samples; the ratio of their medians has the exact interval of the Mann-Whitney test. A two-sided 90 %
interval makes each word a one-sided test at 5 %:

- *regressed*: the low end is above 1 and the high end reaches the threshold;
- *not regressed*: the high end is below the threshold;
- *inconclusive*: neither, or too few runs for an interval, or runs that measured 0, or a word that hangs on leaving
  failed runs out.

Over all cells: regressed when a cell is, after Holm's adjustment over the cells. Not regressed when every cell is not:
that claim needs no adjustment, because each of its parts has to hold (intersection-union test).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.derived.finding import zeros_text
from analysis.derived.sides import NotComparableError, Side, SideCell, conditions, side_cells, side_of
from analysis.errors import NothingMeasuredError
from analysis.stored.factors import factor_text, level_text
from analysis.text import accel_text, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.derived.sides import Key
    from analysis.stored.factors import Level
    from analysis.stored.load import Campaign

REGRESSED, NOT_REGRESSED, INCONCLUSIVE = "regressed", "not regressed", "inconclusive"
EXIT_CODES = {NOT_REGRESSED: 0, REGRESSED: 5, INCONCLUSIVE: 6}
CONFIDENCE, ALPHA = 0.90, 0.05
HANGS_ON_FAILURES = "depends on the failed runs"

_WORDS = {
    stats.Word.SUPPORTED: REGRESSED,
    stats.Word.REFUTED: NOT_REGRESSED,
    stats.Word.INCONCLUSIVE: INCONCLUSIVE,
}
_LABELS = {
    "material": "by the threshold or more",
    "direction certain, size uncertain": "slower for certain, by how much is not",
    "trivially positive": "slower, by less than the threshold",
    "equivalent to none": "no difference that matters",
    "opposite sign": "faster",
    "no material growth": "not slower by the threshold",
    "undecided": "between no change and the threshold",
}
_MOST_RUNS = 1_000


@dataclass(frozen=True)
class CellComparison:
    """One cell of both campaigns.

    Attributes:
        cell: its label in the base.
        factors: what it has in common on both sides.
        base: median over runs of the outcome; ``new``: the same of the other side; NaN when never measured.
        ratio: Hodges-Lehmann ratio of new to base; ``low``, ``high``: at 90 %, NaN where there is no interval.
        pvalue: one-sided, of growth; ``adjusted``: after Holm over the cells; ``pvalue_threshold``: one-sided, of
            growth by the threshold being ruled out.
        needed_runs: runs per side that decide it, planned with the upper 80 % bound of the spread; None when it is
            decided or nothing can be said.
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


@dataclass(frozen=True)
class Comparison:
    """The answer: a verdict on all cells, and each of them."""

    outcome: str
    threshold: float
    verdict: str
    label: str
    base: Side
    new: Side
    cells: tuple[CellComparison, ...]
    only_in_base: tuple[str, ...]
    only_in_new: tuple[str, ...]
    notes: tuple[str, ...]
    seconds_per_run: float

    @property
    def exit_code(self) -> int:
        """Return 0, 5 or 6."""
        return EXIT_CODES[self.verdict]


def compare(base: Campaign, new: Campaign, *, threshold: float = 0.05, outcome: str = "pause") -> Comparison:
    """Return the verdict on every cell that both campaigns have, and on all of them.

    Args:
        base: what ``new`` is compared with.
        new: the campaign in question.
        threshold: the smallest growth that matters, 0.05 for 5 %.
        outcome: one of ``analysis.derived.outcomes.OUTCOMES``.

    Raises:
        NotComparableError: one side ran under emulation and the other under KVM, or a side holds several cells that
            differ in their QEMU only.
        NothingMeasuredError: no cell in common has this outcome on either side.
    """
    sides = side_of(base), side_of(new)
    _refuse_other_accelerator(*sides)
    before, after = side_cells(base, outcome), side_cells(new, outcome)
    common = [key for key in before if key in after]
    judged = [judge(before[key], after[key], threshold) for key in common]
    if not any(cell.runs_base and cell.runs_new for cell in judged):
        raise NothingMeasuredError(_nothing(before, after, common, outcome))
    judged = _holm(judged, threshold, [(before[key], after[key]) for key in common])
    verdict, label = _overall(judged)
    return Comparison(
        outcome=outcome,
        threshold=threshold,
        verdict=verdict,
        label=label,
        base=sides[0],
        new=sides[1],
        cells=tuple(judged),
        only_in_base=tuple(before[key].label for key in before if key not in after),
        only_in_new=tuple(after[key].label for key in after if key not in before),
        notes=tuple(_notes(base, new, sides, judged)),
        seconds_per_run=float(np.mean([run.record.finished_at - run.record.started_at for run in new.runs])),
    )


def _refuse_other_accelerator(base: Side, new: Side) -> None:
    if base.accel and new.accel and not set(base.accel) & set(new.accel):
        raise NotComparableError(
            f"{base.campaign} ran under {accel_text(base.accel)} and {new.campaign} under {accel_text(new.accel)}: "
            "an emulated pair's pauses say nothing of a pair under KVM; measure both the same way"
        )


def judge(before: SideCell, after: SideCell, threshold: float) -> CellComparison:
    """Return the word on one cell, from the runs of both sides."""
    base, new = np.array(before.values), np.array(after.values)
    blank = CellComparison(
        cell=before.label,
        accel=str(before.factors["accel"]),
        factors=before.factors,
        base=_median(base),
        new=_median(new),
        ratio=math.nan,
        low=math.nan,
        high=math.nan,
        runs_base=len(base),
        runs_new=len(new),
        failed_base=before.failed,
        failed_new=after.failed,
        pvalue=1.0,
        adjusted=1.0,
        pvalue_threshold=1.0,
        verdict=INCONCLUSIVE,
        label="",
    )
    if not len(base) or not len(new):
        return replace(blank, label=f"never measured in {' and '.join(_unmeasured(before, after))}")
    if zeros := before.values.count(0) + after.values.count(0):
        return replace(blank, label=zeros_text(zeros, len(base) + len(new)))
    edge = math.log1p(threshold)
    found = stats.ratio_of_medians(new, base, confidence=CONFIDENCE)
    pvalue, pvalue_threshold = _pvalues(np.log(base), np.log(new), edge)
    judged = replace(blank, ratio=found.estimate, pvalue=pvalue, adjusted=pvalue, pvalue_threshold=pvalue_threshold)
    if found.low is None or found.high is None:
        return replace(judged, label=found.note)
    said = stats.verdict(math.log(found.low), math.log(found.high), edge)
    word, label = _WORDS[said.word], _LABELS[said.label]
    judged = replace(judged, low=found.low, high=found.high, verdict=word, label=label)
    if word != INCONCLUSIVE and _of_word(word, pvalue, pvalue_threshold) > ALPHA:
        return replace(judged, verdict=INCONCLUSIVE, label="too many tied runs for an exact test")
    return _with_failures(judged, base, new, edge)


def _unmeasured(before: SideCell, after: SideCell) -> list[str]:
    return [
        f"{name} ({plural(cell.failed, 'run')} failed)"
        for name, cell in (("BASE", before), ("NEW", after))
        if not cell.values
    ]


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _pvalues(base: NDArray[np.float64], new: NDArray[np.float64], edge: float) -> tuple[float, float]:
    """Return the exact one-sided p-values of growth, and of growth by less than ``edge``, from logs."""
    growth = stats.jonckheere([base, new], alternative="increasing", allow_infinite=True)
    less = stats.jonckheere([base + edge, new], alternative="decreasing", allow_infinite=True)
    return growth.pvalue, less.pvalue


def _of_word(word: str, growth: float, less: float) -> float:
    return growth if word == REGRESSED else less


def _with_failures(
    judged: CellComparison, base: NDArray[np.float64], new: NDArray[np.float64], edge: float
) -> CellComparison:
    """Judge again with failed runs ranked worst; a word that hangs on leaving them out is no word."""
    if judged.verdict == INCONCLUSIVE or not judged.failed_base + judged.failed_new:
        return judged
    before, after = (
        np.concatenate([np.log(values), np.full(failed, np.inf)])
        for values, failed in ((base, judged.failed_base), (new, judged.failed_new))
    )
    if _of_word(judged.verdict, *_pvalues(before, after, edge)) <= ALPHA:
        return judged
    return replace(judged, verdict=INCONCLUSIVE, label=HANGS_ON_FAILURES)


def _holm(
    judged: Sequence[CellComparison], threshold: float, cells: Sequence[tuple[SideCell, SideCell]]
) -> list[CellComparison]:
    adjusted = stats.holm([cell.pvalue for cell in judged])
    found = []
    for cell, pvalue, (before, after) in zip(judged, adjusted, cells, strict=True):
        lost = cell.verdict == REGRESSED and pvalue > ALPHA
        changed = replace(cell, adjusted=float(pvalue))
        if lost:
            changed = replace(
                changed, verdict=INCONCLUSIVE, label=f"not after Holm's adjustment over {len(judged)} cells"
            )
        if changed.verdict == INCONCLUSIVE:
            among = len(judged) if lost else 1
            changed = replace(changed, needed_runs=_needed(before.values, after.values, threshold, among))
        found.append(changed)
    return found


def _needed(before: Sequence[float], after: Sequence[float], threshold: float, among: int) -> int | None:
    """Return runs per side whose interval is narrower than the threshold, so that it cannot hold both 1 and that.

    The spread is the upper 80 % bound of the pooled deviation of logs, widened by the efficiency of a rank test; an
    exact test among ``among`` cells also needs enough runs to reach its level at all. None where no number decides.
    """
    if 0 in (*before, *after):
        return None
    sides = [np.log(values) for values in (before, after) if len(values) > 1]
    df = sum(len(side) - 1 for side in sides)
    fewest = next(runs for runs in range(1, _MOST_RUNS) if math.comb(2 * runs, runs) * ALPHA >= among)
    variance = sum(float(((side - side.mean()) ** 2).sum()) for side in sides) / df if df else math.nan
    if not variance > 0:
        return fewest if variance == 0 else None
    planned = stats.needed_blocks(
        math.sqrt(variance * math.pi / 3),
        df,
        math.log1p(threshold) / 2,
        x=(0.0, 1.0),
        confidence=1 - 2 * ALPHA / among,
        most=_MOST_RUNS,
    )
    return None if planned.blocks is None else max(planned.blocks, fewest)


def _overall(cells: Sequence[CellComparison]) -> tuple[str, str]:
    by_word = {word: [cell for cell in cells if cell.verdict == word] for word in EXIT_CODES}
    counted = plural(len(cells), "cell")
    if by_word[REGRESSED]:
        worst = max(by_word[REGRESSED], key=lambda cell: cell.low)
        return REGRESSED, f"{len(by_word[REGRESSED])} of {counted}, most of all {worst.cell}"
    if not by_word[INCONCLUSIVE]:
        return NOT_REGRESSED, f"none of {counted}"
    return INCONCLUSIVE, f"{len(by_word[INCONCLUSIVE])} of {counted} could not be decided"


def _notes(base: Campaign, new: Campaign, sides: tuple[Side, Side], cells: Sequence[CellComparison]) -> Iterable[str]:
    if sides[0].qemu == sides[1].qemu:
        yield "both campaigns ran the same QEMU: this compares two measurements of one binary"
    for name, side in zip(("BASE", "NEW"), sides, strict=True):
        if len(side.qemu) > 1:
            yield f"{name} ran {len(side.qemu)} different QEMUs"
        if side.excluded:
            yield f"{name}: {plural(side.excluded, 'run')} left out, their own quality check failed"
    for what, differing in conditions(base, new):
        yield f"{what} differs too: {differing}"
    failed = [sum(getattr(cell, f"failed_{name}") for cell in cells) for name in ("base", "new")]
    if any(failed):
        yield f"failed runs in these cells: {failed[0]} in BASE, {failed[1]} in NEW"
    yield "the two campaigns were measured one after the other: what else changed on the host counts as a difference"


def _nothing(before: Mapping[Key, SideCell], after: Mapping[Key, SideCell], common: Sequence[Key], outcome: str) -> str:
    if common:
        return f"no cell in common has {outcome} measured on both sides"
    differing = []
    sides = [[cell.factors for cell in side.values()] for side in (before, after)]
    for path in dict.fromkeys(path for side in sides for factors in side for path in factors):
        old, new = (sorted({level_text(path, f[path]) for f in side if path in f}) for side in sides)
        if not set(old) & set(new):
            differing.append(f"{factor_text(path)}: {', '.join(old) or 'none'} against {', '.join(new) or 'none'}")
    return "no cell in common: " + ("; ".join(differing) or "each factor has levels in common, no combination has")
