"""Has a checkpoint become more expensive: from one campaign to another, or from one level of a factor to another?

Cells are matched by their factors, whatever their QEMU is called, and judged by :mod:`analysis.compare.judging`, with
the threshold as the smallest effect of interest. The answer is that over all cells; each has a word of its own beside.

Worse is more, of a pause as of latency and pages; of a rate it is less, and failed runs rank there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.compare.sides import (
    NotComparableError,
    Side,
    SideCell,
    conditions,
    levels_of,
    runs_with,
    side_cells,
    side_of,
)
from analysis.errors import NothingMeasuredError
from analysis.format.factors import flatten
from analysis.format.outcomes import NO_RATIO, OUTCOMES
from analysis.runs.outcomes import tail_note
from analysis.stored.factors import factor_text, level_text
from analysis.text import plural
from analysis.verdicts.finding import no_ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analysis.compare.ratios import CellComparison, Ratio
    from analysis.compare.sides import Key
    from analysis.format.factors import Level
    from analysis.stored.campaign import Campaign, Run

    Stratum = tuple[Level, ...]

from analysis.compare.judging import (
    EXIT_CODES,
    INCONCLUSIVE,
    NOT_REGRESSED,
    Rule,
    is_usable,
    judge_all,
    judge_cells,
    overall_passes_at,
    word_by_cell,
)


@dataclass(frozen=True)
class Comparison:
    """The answer: one ratio over all cells with its verdict, and each cell's.

    Attributes:
        compared: how many cells ``overall`` is of: those measured on both sides that have a ratio.
        passes_at: the smallest threshold that 80 % of comparisons of equals with this noise pass; NaN where it cannot
            be told.
        by_cell: verdict and label that all cells together give, each by itself.
        each_cell: whether the exit status is that of ``by_cell``.
        missing: cells of the base of which a side has no run that counts.
        within: the factor whose levels are compared within blocks; None for two campaigns; ``levels``: base and new.
    """

    outcome: str
    threshold: float
    overall: Ratio
    passes_at: float
    base: Side
    new: Side
    cells: tuple[CellComparison, ...]
    by_cell: tuple[str, str]
    each_cell: bool
    missing: tuple[str, ...]
    only_in_base: tuple[str, ...]
    only_in_new: tuple[str, ...]
    notes: tuple[str, ...]
    seconds_per_run: float
    within: str | None
    compared: int
    levels: tuple[str, str] | None = None

    @property
    def verdict(self) -> str:
        """The word that the exit status tells."""
        return self.by_cell[0] if self.each_cell else self.overall.verdict

    @property
    def label(self) -> str:
        """Which case of it."""
        return self.by_cell[1] if self.each_cell else self.overall.label

    @property
    def exit_code(self) -> int:
        """Return 0, 5 or 6."""
        return EXIT_CODES[self.verdict]


def compare(
    base: Campaign, new: Campaign, *, threshold: float = 0.05, outcome: str = "pause", each_cell: bool = False
) -> Comparison:
    """Return the verdict on two campaigns over all cells that both have, and on every cell.

    Args:
        base: what ``new`` is compared with.
        new: the campaign in question.
        threshold: the smallest growth that matters, 0.05 for 5 %.
        outcome: one of :data:`analysis.format.outcomes.OUTCOMES`.
        each_cell: whether the verdict is that of the cells, each by itself.

    Raises:
        NotComparableError: one side ran under emulation and the other under KVM, or a side holds several cells that
            differ in their QEMU only.
        NothingMeasuredError: no cell in common has this outcome on either side.
    """
    return _compare(base, new, None, threshold, outcome, each_cell=each_cell)


def compare_levels(
    campaign: Campaign, by: str, *, threshold: float = 0.05, outcome: str = "pause", each_cell: bool = False
) -> Comparison:
    """Return the verdict on the second level of a factor against its first, in the order of the plan, within blocks.

    Args:
        campaign: with both levels in every block.
        by: the factor's dotted path, such as ``qemu``.
        threshold: as in :func:`compare`.
        outcome: as there.
        each_cell: as there.

    Raises:
        NotComparableError: as :func:`compare`, or the factor does not have two levels.
        NothingMeasuredError: as :func:`compare`.
    """
    base, new = levels_of(campaign, by)
    found = _compare(base, new, by, threshold, outcome, each_cell=each_cell)
    old, other = (_level_of(runs_with(side, outcome)[0], by) for side in (base, new))
    return replace(found, levels=(old, other))


def _level_of(run: Run, by: str) -> str:
    return level_text(by, flatten(run.record.cell).get(by))


def _compare(
    base: Campaign, new: Campaign, by: str | None, threshold: float, outcome: str, *, each_cell: bool
) -> Comparison:
    sides = side_of(base, outcome), side_of(new, outcome)
    old, now = runs_with(base, outcome), runs_with(new, outcome)
    runs = (*old, *now)
    _refuse_other_accelerator(*sides)
    # Levels are of one campaign: stalls over TCP are counted from what the same cell takes without, as in its report.
    every = side_cells(base, outcome, by, now if by else ()), side_cells(new, outcome, by, old if by else ())
    blank = {key for side in every for key in side if not any(_known(one.get(key)) for one in every)}
    before, after = ({key: cell for key, cell in side.items() if key not in blank} for side in every)
    common = [key for key in before if key in after]
    pairs = [(before[key], after[key]) for key in common]
    if not any(one.values and other.values for one, other in pairs):
        raise _nothing(*every, outcome)
    rule = Rule(threshold, by is not None, OUTCOMES[outcome].less_is_worse)
    cells = judge_cells(pairs, rule)
    missing = (
        *(before[key].label for key in before if key not in after or not after[key].values),
        *(after[key].label for key in after if key in before and not before[key].values and after[key].values),
    )
    overall = judge_all(pairs, rule)
    zeros = sum(bool(no_ratio([*before.values, *after.values])) for before, after in pairs)
    if zeros and overall.verdict == NOT_REGRESSED:
        label = f"{plural(zeros, 'cell')} with a run of 0 or less, {NO_RATIO}"
        overall = replace(overall, verdict=INCONCLUSIVE, label=label)
    if missing and overall.verdict == NOT_REGRESSED:
        counted = f"{plural(len(missing), 'cell')} of {len(before)}"
        overall = replace(overall, verdict=INCONCLUSIVE, label=f"{counted} of which a side has no run that counts")
    return Comparison(
        outcome=outcome,
        threshold=threshold,
        overall=overall,
        compared=sum(map(is_usable, pairs)),
        passes_at=overall_passes_at(pairs, rule),
        base=sides[0],
        new=sides[1],
        cells=tuple(cells),
        by_cell=word_by_cell(cells, missing, rule),
        each_cell=each_cell,
        missing=missing,
        only_in_base=tuple(before[key].label for key in before if key not in after),
        only_in_new=tuple(after[key].label for key in after if key not in before),
        notes=tuple(
            filter(
                None,
                (
                    tail_note(runs, outcome),
                    f"{plural(len(blank), 'cell')} without {OUTCOMES[outcome].words} on either side: left out"
                    * bool(blank),
                    *_notes(base, new, sides, cells, by, outcome),
                ),
            )
        ),
        seconds_per_run=float(np.mean([run.record.finished_at - run.record.started_at for run in runs])),
        within=by,
    )


def _known(cell: SideCell | None) -> bool:
    """Return whether a side measured a cell, failed to, or has yet to; one that takes no checkpoints has no pause."""
    return cell is not None and bool(cell.values or cell.lost or cell.unmeasured)


def _refuse_other_accelerator(base: Side, new: Side) -> None:
    if base.accel and new.accel and not set(base.accel) & set(new.accel):
        raise NotComparableError(
            f"{base.campaign} ran under {base.under} and {new.campaign} under {new.under}: "
            "an emulated pair's pauses say nothing of a pair under KVM; measure both the same way"
        )


def _notes(
    base: Campaign,
    new: Campaign,
    sides: tuple[Side, Side],
    cells: Sequence[CellComparison],
    by: str | None,
    outcome: str,
) -> Iterable[str]:
    if sides[0].qemu == sides[1].qemu and by in {None, "qemu"}:
        yield "both sides ran the same QEMU: this compares two measurements of one binary"
    for name, side in zip(("BASE", "NEW"), sides, strict=True):
        if len(side.qemu) > 1:
            yield f"{name} ran {len(side.qemu)} different QEMUs"
        if side.excluded:
            own = "its own check" if side.excluded == 1 else "their own check"
            yield (
                f"{name}: {plural(side.excluded, 'run')} that did not pass {own} left out of ratios and intervals; a "
                "word has to hold with such runs ranked worst, too"
            )
    for what, differing in conditions(base, new, outcome, by):
        yield f"{what} differs too: {differing}"
    failed = [sum(getattr(cell, f"failed_{name}") for cell in cells) for name in ("base", "new")]
    if any(failed):
        yield f"failed runs in these cells: {failed[0]} in BASE, {failed[1]} in NEW"
    if by is None:
        yield "two campaigns share no block: what else differed between their times, or hosts, counts as a difference"


def _nothing(before: Mapping[Key, SideCell], after: Mapping[Key, SideCell], outcome: str) -> NothingMeasuredError:
    if common := before.keys() & after.keys():
        without = any(all(side[key].under and not side[key].lost for side in (before, after)) for key in common)
        return NothingMeasuredError(
            f"no cell in common has {outcome} measured on both sides in a run that counts",
            fix="compare another --outcome, one that runs of both sides have" if without else "",
        )
    differing = []
    sides = [[cell.factors for cell in side.values()] for side in (before, after)]
    for path in dict.fromkeys(path for side in sides for factors in side for path in factors):
        old, new = (sorted({level_text(path, f[path]) for f in side if path in f}) for side in sides)
        if not set(old) & set(new):
            differing.append(f"{factor_text(path)}: {', '.join(old) or 'none'} against {', '.join(new) or 'none'}")
    return NothingMeasuredError(
        "no cell in common: " + ("; ".join(differing) or "each factor has levels in common, no combination has"),
        fix="compare campaigns that measure the same machine, or the levels of one with --by FACTOR",
    )
