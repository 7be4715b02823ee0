"""The words on two sides: over all cells, and on each; by the exact tests that judge a hypothesis of growth.

- *regressed*: worse than none at all for certain, and not by less than the threshold for certain;
- *not regressed*: worse by less than the threshold for certain;
- *inconclusive*: neither.

Two campaigns are judged by their blocks: what happened to the host in the time of a block is in all of its runs, so
that a block is one witness, by the median over its cells of how far each is from its own mean. Two levels within one
campaign are judged block by block and cell by cell. The word of each cell is adjusted by Holm over the cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.compare.ratios import CellComparison, Ratio
from analysis.text import plural
from analysis.verdicts.claims import ALPHA, REFUTED, SUPPORTED, Claims, Stage, adjusted_over, decide
from analysis.verdicts.claims import INCONCLUSIVE as UNSAID
from analysis.verdicts.finding import no_ratio
from analysis.verdicts.settling import hangs_on_lost, passed_from, runs_to_settle
from analysis.verdicts.trend import HANGING, TOO_FEW, Edges, Sample, hangs_on, stages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.compare.sides import SideCell
    from analysis.format.factors import Level

    Stratum = tuple[Level, ...]

REGRESSED, NOT_REGRESSED, INCONCLUSIVE = "regressed", "not regressed", "inconclusive"
EXIT_CODES = {NOT_REGRESSED: 0, REGRESSED: 5, INCONCLUSIVE: 6}
CONFIDENCE, FEWEST = 0.90, 3
_BETWEEN = "the interval holds both no change and the threshold"
_NO_WORD_AFTER = "not after Holm's adjustment over {}"

_WORDS = {SUPPORTED: REGRESSED, REFUTED: NOT_REGRESSED, UNSAID: INCONCLUSIVE}
_LABELS = {
    "material": "by the threshold or more",
    "direction certain, size uncertain": "worse for certain, by how much is not",
    "trivially positive": "worse, by less than the threshold",
    "equivalent to none": "no difference that matters",
    "opposite sign": "better",
    "no material growth": "not worse by the threshold",
    "trivially negative": "worse, by less than the threshold",
    "no material decline": "not worse by the threshold",
}
PASSING = 0.80
"""The share of comparisons of equals that is to pass a threshold."""

_EQUALS, _SEED = 200, 1


@dataclass(frozen=True)
class Rule:
    """By what two sides are judged.

    Attributes:
        threshold: the smallest change for the worse that matters, 0.05 for 5 %.
        within: one campaign, block by block; else two.
        less_is_worse: as the outcome has it.
        floor: what equals are known to differ by, relative; it makes *regressed* harder, and *not regressed* too.
    """

    threshold: float
    within: bool = False
    less_is_worse: bool = False
    floor: float = 0.0

    @property
    def edges(self) -> Edges:
        """What a change is held against."""
        return Edges(self.threshold, "sesoi", self.floor)

    @property
    def direction(self) -> str:
        """Which change is for the worse."""
        return "decreasing" if self.less_is_worse else "increasing"


def judge_all(pairs: Sequence[tuple[SideCell, SideCell]], rule: Rule) -> Ratio:
    """Return the answer over all cells, base and new of each."""
    sample, why = _overall_sample(pairs, rule)
    lost = not rule.within and any(cell.lost for pair in pairs for cell in pair)
    ranked = _overall_sample(pairs, rule, lost=True)[0] if lost and sample is not None else None
    return _ratio(sample, why, rule, ranked)


def judge_cells(pairs: Sequence[tuple[SideCell, SideCell]], rule: Rule) -> list[CellComparison]:
    """Return each cell with its word; what may be said of one is adjusted by Holm over all."""
    samples = [_cell_sample(*pair, rule) for pair in pairs]
    ratios = [_ratio(sample, why, rule) for sample, why in samples]
    found = [_stages(sample, rule, ratio.low) for (sample, _), ratio in zip(samples, ratios, strict=True)]
    raised = adjusted_over((one[-1].claims for one in found), stats.holm)
    cells = []
    for place, (ratio, pair) in enumerate(zip(ratios, pairs, strict=True)):
        # That every cell is not regressed needs no adjustment: each of its parts has to hold (intersection-union test).
        adjusted = replace(raised[place], refutes=found[place][-1].claims.refutes)
        lost = _NO_WORD_AFTER.format(plural(len(pairs), "cell"))
        verdict, label = ratio.verdict, ratio.label
        if samples[place][0] is not None:
            verdict, label = _said([*found[place], Stage(adjusted, lost)], rule)
        cells.append(_cell(pair, ratio, verdict, label, adjusted.supports))
        # No number of runs like these makes up for those that were lost.
        many = label in HANGING or any(hangs_on_lost(len(side.lost), len(side.values)) for side in pair)
        if verdict == INCONCLUSIVE and not many:
            among = len(pairs) if label == lost else 1
            needed = runs_to_settle(
                pair[0].values, pair[1].values, rule.threshold, among, within=rule.within, falls=rule.less_is_worse
            )
            if needed is not None and needed > min(cells[-1].runs_base, cells[-1].runs_new):
                cells[-1] = replace(cells[-1], needed_runs=needed)
    return cells


def _cell(pair: tuple[SideCell, SideCell], ratio: Ratio, verdict: str, label: str, adjusted: float) -> CellComparison:
    before, after = pair
    return CellComparison(
        cell=before.label,
        accel=str(before.factors["accel"]),
        factors=before.factors,
        base=_median(before.values),
        new=_median(after.values),
        ratio=ratio.ratio,
        low=ratio.low,
        high=ratio.high,
        runs_base=len(before.values),
        runs_new=len(after.values),
        failed_base=len(before.failed),
        failed_new=len(after.failed),
        pvalue=ratio.pvalue,
        adjusted=adjusted,
        pvalue_threshold=ratio.pvalue_threshold,
        verdict=verdict,
        label=label,
        ranked_passes_at=ratio.ranked_passes_at,
    )


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.nan


def _cell_sample(before: SideCell, after: SideCell, rule: Rule) -> tuple[Sample | None, str]:
    """Return the runs of one cell, base and new; None and why not where nothing can be compared."""
    if unmeasured := [
        f"{name} ({_without_value(cell)})" for name, cell in (("BASE", before), ("NEW", after)) if not cell.values
    ]:
        return None, f"no run counts in {' and '.join(unmeasured)}"
    if why := no_ratio([*before.values, *after.values]):
        return None, why
    if min(len(before.values), len(after.values)) < FEWEST:
        return None, f"three runs a side are the least, and there are {len(before.values)} and {len(after.values)}"
    points: list[tuple[int, float, Stratum]] = []
    for side, cell in enumerate((before, after)):
        strata = [(block if rule.within else 0,) for block in cell.blocks]
        points += [(side, math.log(value), stratum) for value, stratum in zip(cell.values, strata, strict=True)]
    failed, left_out = (
        [(side, (block if rule.within else 0,)) for side, blocks in enumerate(of) for block in blocks]
        for of in ((before.failed, after.failed), (before.left_out, after.left_out))
    )
    return _sample(points, [*failed, *left_out], rule, hangs_on(len(failed), len(left_out)))


def _without_value(cell: SideCell) -> str:
    if not cell.lost:
        return "its runs do not have this outcome" if cell.under else "none was measured"
    failed = f"{plural(len(cell.failed), 'run')} failed"
    return f"{failed}, {len(cell.left_out)} did not pass their own check" if cell.left_out else failed


def is_usable(pair: tuple[SideCell, SideCell]) -> bool:
    """Tell whether a cell was measured on both sides, and has a ratio."""
    both = [*pair[0].values, *pair[1].values]
    return bool(pair[0].values and pair[1].values) and not no_ratio(both)


def _overall_sample(
    pairs: Sequence[tuple[SideCell, SideCell]], rule: Rule, *, lost: bool = False
) -> tuple[Sample | None, str]:
    """Return what is judged over all cells: blocks of two campaigns, or each cell in each block of one.

    Args:
        pairs: base and new of each cell.
        rule: how.
        lost: whether the middle of a block of two campaigns is that with its runs without a value ranked worst.
    """
    usable = [pair for pair in pairs if is_usable(pair)]
    if not usable:
        return None, "no cell can be compared"
    blocks = [len({block for pair in usable for block in (*pair[side].blocks, *pair[side].lost)}) for side in (0, 1)]
    if min(blocks) < FEWEST:
        return None, f"three blocks a side are the least, and there are {blocks[0]} and {blocks[1]}"
    points: list[tuple[int, float, Stratum]] = []
    without: list[tuple[int, Stratum]] = []
    by_block: dict[tuple[int, int], list[float]] = {}
    worst: dict[tuple[int, int], list[float]] = {}
    for place, pair in enumerate(usable):
        # Means weighted by blocks tell no side from the other, and a change moves all cells alike: ranks stay exact.
        middle = float(np.average([np.log(cell.values).mean() for cell in pair], weights=blocks))
        for side, cell in enumerate(pair):
            rest = np.log(cell.values) - middle
            for block, value in zip(cell.blocks, rest.tolist(), strict=True):
                points.append((side, value, (block, place)))
                by_block.setdefault((side, block), []).append(value)
            for block in cell.lost:
                without.append((side, (block, place)))
                worst.setdefault((side, block), []).append(-math.inf if rule.less_is_worse else math.inf)
    if not rule.within:
        blank = {key: values for key, values in worst.items() if lost or key not in by_block}
        keys = dict.fromkeys((*by_block, *worst))
        middles = {key: float(np.median([*by_block.get(key, ()), *blank.get(key, ())])) for key in keys}
        points = [(side, value, (0,)) for (side, _), value in middles.items() if math.isfinite(value)]
        without = [(side, (0,)) for (side, _), value in middles.items() if not math.isfinite(value)]
    cells = [cell for pair in usable for cell in pair]
    hangs = hangs_on(sum(len(cell.failed) for cell in cells), sum(len(cell.left_out) for cell in cells))
    return _sample(points, without, rule, hangs, ranked=lost)


def _sample(
    points: Sequence[tuple[int, float, Stratum]],
    lost: Sequence[tuple[int, Stratum]],
    rule: Rule,
    hangs: str,
    *,
    ranked: bool = False,
) -> tuple[Sample | None, str]:
    x = np.array([float(side) for side, _, _ in points])
    sample = Sample(
        x=x,
        raw=x,
        y=np.exp([value for _, value, _ in points]),
        strata=tuple(stratum for _, _, stratum in points),
        lost_x=np.array([float(side) for side, _ in lost]),
        lost_strata=tuple(stratum for _, stratum in lost),
        hangs=hangs,
        more_is_worse=not rule.less_is_worse,
    )
    return (sample, "") if ranked or sample.compares else (None, "nothing was measured in the same block on both sides")


def _stages(sample: Sample | None, rule: Rule, low: float, ranked: Sample | None = None) -> list[Stage]:
    """Return what can be said of a sample; ``low``: the lower end of its interval, NaN where there is none."""
    if sample is None:
        return [Stage(Claims(), "")]
    undecided = TOO_FEW if math.isnan(low) else _BETWEEN
    return stages(sample, rule.edges, rule.direction, undecided, ranked=ranked)


def _said(found: Sequence[Stage], rule: Rule) -> tuple[str, str]:
    word, label = decide(found, rule.direction, ALPHA)
    return _WORDS[word], _LABELS.get(label, label)


def _ratio(sample: Sample | None, why: str, rule: Rule, ranked: Sample | None = None) -> Ratio:
    if sample is None:
        return Ratio(math.nan, math.nan, math.nan, 1.0, 1.0, INCONCLUSIVE, why)
    slope = stats.stratified_theil_sen(sample.x, sample.logs, sample.strata, CONFIDENCE)
    found = _stages(sample, rule, slope.low, ranked)
    middle, low, high = (math.exp(end) for end in (slope.estimate, slope.low, slope.high))
    return Ratio(
        middle,
        low,
        high,
        found[-1].claims.supports,
        found[-1].claims.refutes,
        *_said(found, rule),
        _ranked_passes_at(sample, rule, ranked),
    )


def _ranked_passes_at(sample: Sample, rule: Rule, ranked: Sample | None) -> float:
    if ranked is None and not len(sample.lost_x):
        return math.nan

    def ruled_out(threshold: float) -> float:
        own = replace(rule, threshold=threshold)
        return stages(sample, own.edges, own.direction, ranked=ranked)[-1].claims.refutes

    return passed_from(ruled_out, falls=rule.less_is_worse)


def overall_passes_at(pairs: Sequence[tuple[SideCell, SideCell]], rule: Rule) -> float:
    """Return the threshold that 80 % of comparisons of equals pass: this noise, its sides dealt anew within strata."""
    sample = _overall_sample(pairs, rule)[0]
    if sample is None:
        return math.nan
    slope = stats.stratified_theil_sen(sample.x, sample.logs, sample.strata, CONFIDENCE)
    if math.isnan(slope.high):
        return math.nan
    rest, rng = sample.logs - slope.estimate * sample.x, np.random.default_rng(_SEED)
    codes = np.unique([repr(one) for one in sample.strata], return_inverse=True)[1]
    df = len(rest) - len(set(codes.tolist()))  # one of these the estimate has taken from the spread of what is left
    rest *= math.sqrt(df / (df - 1))
    places, highs = np.argsort(codes, kind="stable"), []
    for _ in range(_EQUALS):
        dealt = np.empty_like(rest)
        dealt[places] = rest[np.lexsort((rng.random(len(rest)), codes))]
        slope = stats.stratified_theil_sen(sample.x, dealt, sample.strata, CONFIDENCE)
        highs.append(-slope.low if rule.less_is_worse else slope.high)
    level = float(np.quantile(highs, PASSING))
    return max(-math.expm1(-level) if rule.less_is_worse else math.expm1(level), 0.0)


def word_by_cell(cells: Sequence[CellComparison], missing: Sequence[str], rule: Rule) -> tuple[str, str]:
    """Return word and label that all cells give, each by itself; ``missing`` lack runs that count on a side."""
    by_word = {word: [cell for cell in cells if cell.verdict == word] for word in EXIT_CODES}
    counted = plural(len(cells), "cell")
    if by_word[REGRESSED]:
        worst = max(by_word[REGRESSED], key=lambda cell: -cell.high if rule.less_is_worse else cell.low)
        return REGRESSED, f"{len(by_word[REGRESSED])} of {counted}, most of all {worst.cell}"
    if by_word[INCONCLUSIVE]:
        return INCONCLUSIVE, f"{len(by_word[INCONCLUSIVE])} of {counted} could not be decided"
    if missing:
        return INCONCLUSIVE, f"{plural(len(missing), 'cell')} of which a side has no run that counts"
    return NOT_REGRESSED, f"none of {counted}"
