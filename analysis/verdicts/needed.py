"""What would settle an open question: how many more blocks, planned as ``python -m analysis power`` plans."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.errors import NothingMeasuredError
from analysis.text import plural
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.designs import MANY_BLOCKS, blocks_to_decide, contrast_design, deviation, trend_design
from analysis.verdicts.effects import levels_of
from analysis.verdicts.question import measured_rows, others_of
from analysis.verdicts.sentences import level_words
from analysis.verdicts.settling import hangs_on_lost
from analysis.verdicts.trend import UNDECIDED, WITHIN_EQUALS

if TYPE_CHECKING:
    import pandas as pd

    from analysis.verdicts.designs import Design
    from analysis.verdicts.finding import Finding
    from analysis.verdicts.question import Question

LEVELS_DIFFER, BENT = "the effect differs between levels of another factor", "the sizes lie on no line"
_NOTHING_TELLS = "so nothing tells how many more blocks would settle it"


def with_needed_blocks(finding: Finding, asked: Question, cost: float = 1.0, family: int = 1) -> Finding:
    """Return an undecided trend or contrast with a note on the blocks that would settle it; any other as it is.

    Args:
        finding: of ``asked``.
        asked: the hypothesis and its runs, whose deviation within cell and block the blocks are planned with.
        cost: how many times the blocks of a single look this one takes.
        family: how many hypotheses its word is adjusted over.
    """
    if finding.label not in {UNDECIDED, WITHIN_EQUALS} or not finding.sesoi:
        return finding
    if why := no_matter_of_number(finding) or _lost(asked):
        return _noted(finding, f"{why}, {_NOTHING_TELLS}")
    runs = _compared(asked)
    try:
        shown = deviation(np.log(runs[asked.hypothesis.outcome]), runs["cell"].tolist(), runs["block"].tolist())
    except NothingMeasuredError:
        return _noted(finding, f"no cell has two runs that count, {_NOTHING_TELLS}")
    if shown.sd == 0:
        return finding
    blocks = runs["block"].nunique()
    falls = asked.hypothesis.direction == "decreasing"
    needed = blocks_to_decide(_design(runs, asked), shown, finding.sesoi, family, falls=falls)
    if needed is not None and finding.floor > finding.sesoi:
        # What equals differ by shrinks with the root of their number.
        ratio = float(np.log1p(finding.floor) / np.log1p(finding.sesoi))
        needed = max(needed, int(np.ceil(blocks * ratio**2)))
    needed = None if needed is None else math.ceil(needed * cost)
    more = math.inf if needed is None else needed - blocks if needed > blocks else None
    return replace(_noted(finding, _text(finding, needed, blocks)), more_blocks=more)


def no_matter_of_number(finding: Finding) -> str:
    """Return why the interval is as wide as it is, where it is not for the noise of runs that blocks are planned by."""
    if finding.levels_differ:
        return LEVELS_DIFFER
    bent = finding.shape is not None and finding.shape.pvalue <= ALPHA
    return BENT if bent else ""


def _lost(asked: Question) -> str:
    """Return that so many runs of a level were lost that those of further blocks will be, too: they are ranked worst.

    In a stratum of which nothing is left they are ranked among themselves, which takes nothing from any word.
    """
    factor = str(asked.hypothesis.factor)
    rows = measured_rows(asked, asked.runs[asked.runs[asked.hypothesis.outcome].notna()])
    strata = {(row["block"], others_of(asked, row)) for row in rows}
    there = Counter(row[factor] for row in rows)
    lost = Counter(row.get(factor) for row in asked.lost if (row["block"], others_of(asked, row)) in strata)
    for level, count in lost.most_common():
        if hangs_on_lost(count, there[level]):
            runs = f"{count} of {plural(count + there[level], 'run')} with {level_words((factor,), level)}"
            return f"{runs} failed or were left out and are ranked worst, as those of further blocks may be"
    return ""


def _noted(finding: Finding, note: str) -> Finding:
    return replace(finding, notes=(*finding.notes, note))


def _compared(asked: Question) -> pd.DataFrame:
    """Return the runs that a finding is judged from, in blocks and at combinations of other factors that compare."""
    outcome = asked.runs[asked.hypothesis.outcome].astype(float)
    runs = asked.runs[np.isfinite(outcome) & (outcome > 0)]
    in_block = runs.groupby([runs["block"], levels_of(runs, asked.others)])
    return runs[in_block[str(asked.hypothesis.factor)].transform("nunique") > 1]


def _design(runs: pd.DataFrame, asked: Question) -> Design:
    levels = runs.groupby(levels_of(runs, asked.others))[str(asked.hypothesis.factor)].unique().tolist()
    if asked.hypothesis.kind == "contrast":
        return contrast_design(asked.hypothesis.id, len(levels))
    most: list[float] = max(levels, key=len)
    return trend_design(asked.hypothesis.id, most, len(levels))


def _text(finding: Finding, needed: int | None, blocks: int) -> str:
    if needed is None:
        return f"more than {MANY_BLOCKS:,} blocks would be needed to settle it"
    close = ", unless the difference lies close to what matters" * (finding.hypothesis.direction == "none")
    if needed <= blocks:
        return f"by how runs differ {plural(needed, 'block')} should settle it{close}, and there are {blocks}"
    more = f"about {plural(needed - blocks, 'more block')} ({needed:,} in all) would settle it{close}"
    return f"{more}: the interval would be narrower than the smallest effect of interest"
