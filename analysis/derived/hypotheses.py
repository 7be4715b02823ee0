"""From hypotheses declared before the data to verdicts: SUPPORTED, REFUTED or INCONCLUSIVE, each in one sentence.

The rules are those of ``docs/hypotheses.md``. Effects are estimated on the log of each run's outcome, within strata of
block and all other factors, so that neither a drifting host nor another factor can pass for an effect.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from analysis import stats
from analysis.derived.declared import checked, declared
from analysis.derived.families import adjust
from analysis.derived.finding import ALPHA, Effect, Finding, LevelFinding, zeros_text
from analysis.derived.looks import cost_of, level_of, looked_at
from analysis.derived.needed import with_needed_blocks
from analysis.derived.sentences import finding_sentence, level_words
from analysis.derived.trend import Sample, estimate, judged, smallest_effect, tests
from analysis.stored.factors import Level, flatten
from analysis.text import plural

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.stored.load import Campaign
    from analysis.stored.records import Hypothesis

_NOT_FACTORS = {"replica", "checkpoint.count", "checkpoint.warmup"}
_NO = Effect(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Question:
    """A hypothesis and the runs that can answer it.

    Attributes:
        excluded: how many were left out for their own quality check.
        failed: block and factors of the runs that were never measured.
        others: factors that vary beside that of the hypothesis.
        floor: the noise floor, relative.
        notes: what is known before anything is judged.
    """

    hypothesis: Hypothesis
    runs: pd.DataFrame
    excluded: int
    failed: pd.DataFrame
    others: tuple[str, ...]
    floor: float
    notes: tuple[str, ...] = ()


def judge_all(campaign: Campaign, runs: pd.DataFrame, asked: Sequence[Hypothesis] | None = None) -> tuple[Finding, ...]:
    """Return the verdict on every hypothesis of the plan, or on those asked for, which are exploratory.

    Args:
        campaign: as it was read.
        runs: :func:`analysis.derived.outcomes.run_table` of it.
        asked: hypotheses chosen after the data, those of the plan among them included; None: all of the plan.

    Raises:
        BadHypothesesError: one of them cannot be answered.
    """
    hypotheses = declared(campaign) if asked is None else checked(asked, campaign)
    # Some of the declared ones, picked when the data are known, would be a smaller family to adjust for.
    exploratory = asked is not None or not declared_before(campaign)
    campaign, runs = looked_at(campaign, runs)
    questions = [question(campaign, runs, one) for one in hypotheses]
    found = [
        replace(with_needed_blocks(judge(own), own, cost_of(campaign.plan)), exploratory=exploratory)
        for own in questions
    ]
    return tuple(replace(one, sentence=finding_sentence(one)) for one in adjust(found, level_of(campaign.plan)))


def declared_before(campaign: Campaign) -> bool:
    """Return whether plan and runs agree on the hypotheses: their hash is that of the text and of every run."""
    text = json.dumps(list(campaign.plan.hypotheses), sort_keys=True, separators=(",", ":"), allow_nan=False)
    own = hashlib.sha256(text.encode()).hexdigest()
    hashes = {run.record.hypotheses_sha256 for run in campaign.runs} | {campaign.plan.hypotheses_sha256}
    return hashes == {own}


def question(campaign: Campaign, runs: pd.DataFrame, hypothesis: Hypothesis) -> Question:
    """Return the runs that a hypothesis is about, and those that failed or are left out for their own quality check."""
    meant = matching(runs, hypothesis)
    cells = {cell.cell_id: flatten(cell.cell) for cell in campaign.plan.cells}
    lost = [
        {"block": failure.planned.block, **cells[failure.planned.cell_id]}
        for failure in campaign.failures
        if failure.planned.cell_id in cells and _fits(cells[failure.planned.cell_id], hypothesis)
    ]
    failed = pd.DataFrame(lost)
    return Question(
        hypothesis,
        meant[meant["quality_ok"]],
        int((~meant["quality_ok"]).sum()),
        failed,
        _others(meant, hypothesis, {path: None for cell in cells.values() for path in cell}),
        noise_floor(runs, hypothesis.outcome),
        tuple(_untested(meant, failed, str(hypothesis.factor))),
    )


def _untested(meant: pd.DataFrame, failed: pd.DataFrame, factor: str) -> Iterator[str]:
    """Say at which levels of the factor more than half of the runs failed: a median there would be one of failures."""
    measured, lost = (Counter(table.get(factor, ())) for table in (meant, failed))
    for level, count in lost.items():
        if count > measured[level]:
            runs = plural(count + measured[level], "run")
            yield f"{count} of {runs} with {level_words((factor,), level)} failed: outside the tested range"


def _others(meant: pd.DataFrame, hypothesis: Hypothesis, paths: Iterable[str]) -> tuple[str, ...]:
    """Return the other factors that vary; a workload's parameter does when it varies within that workload."""
    known = [path for path in dict.fromkeys((*paths, "accel")) if path in meant]
    varying = []
    for path in known:
        groups = meant.groupby("workload.name")[path] if path.startswith("workload.") else [("", meant[path])]
        own = path == "workload.name"
        counts = [len(meant[path].unique())] if own else [len(values.unique()) for _, values in groups]
        if max(counts, default=0) > 1 and path not in _NOT_FACTORS | {hypothesis.factor}:
            varying.append(path)
    return tuple(varying)


def matching(runs: pd.DataFrame, hypothesis: Hypothesis) -> pd.DataFrame:
    """Return the runs whose cell is where the hypothesis asks, at the levels that it compares."""
    keep = np.ones(len(runs), dtype=bool)
    for path, levels in _wanted(hypothesis).items():
        keep &= runs[path].isin(list(levels)).to_numpy() if path in runs else False
    if hypothesis.kind == "trend":
        keep &= runs[hypothesis.factor].notna().to_numpy() if hypothesis.factor in runs else False
    return runs[keep]


def _wanted(hypothesis: Hypothesis) -> dict[str, tuple[Level, ...]]:
    compared = {str(hypothesis.factor): hypothesis.levels} if hypothesis.kind == "contrast" else {}
    return {**hypothesis.where, **compared}


def _fits(factors: Mapping[str, Level], hypothesis: Hypothesis) -> bool:
    if hypothesis.kind == "trend" and factors.get(str(hypothesis.factor)) is None:
        return False
    return all(factors.get(path) in levels for path, levels in _wanted(hypothesis).items())


def equals(runs: pd.DataFrame) -> list[tuple[int, int]]:
    """Return the pairs of cells that are the same machine: A/A controls, by their places."""
    first: dict[str, list[int]] = {}
    for place, text in runs.groupby("cell")["effective"].first().items():
        first.setdefault(text, []).append(int(str(place)))
    return [(group[0], other) for group in first.values() for other in group[1:]]


def noise_floor(runs: pd.DataFrame, outcome: str = "pause") -> float:
    """Return what equals were compared and found to differ by at most, relative; 0 without equal cells.

    It is the far end of the 95 % interval (Hodges-Lehmann, over blocks and pairs) of the difference between equals: the
    same comparison, of as many blocks, cannot tell less from nothing. The spread of single runs would be no measure of
    it: it does not shrink with more blocks, so that no number of them could show an effect smaller than that spread
    (``tests/test_analysis_noise.py`` simulates both).
    """
    logs = np.array([ratio for pair in equals(runs) for ratio in aa_logs(runs, pair, outcome)])
    if not len(logs):
        return 0.0
    shift = stats.hodges_lehmann(logs, np.zeros(len(logs)))
    ends = [end for end in (shift.low, shift.high) if end is not None]
    return float(np.expm1(max(abs(end) for end in ends) if ends else np.abs(logs).max()))


def aa_logs(runs: pd.DataFrame, pair: tuple[int, int], outcome: str = "pause") -> list[float]:
    """Return the log ratio of two equal cells in every block that has both, each having passed its quality check."""
    runs = runs[runs["quality_ok"]]
    cells, blocks, values = (runs[name].to_numpy() for name in ("cell", "block", outcome))
    mine = [cells == place for place in pair]
    one, other = (dict(zip(blocks[own].tolist(), values[own].astype(float), strict=True)) for own in mine)
    # Neither what was not measured (NaN) nor 0 has a ratio.
    both = [block for block in one if one[block] > 0 and other.get(block, 0.0) > 0]
    ratios = np.log([other[block] for block in both]) - np.log([one[block] for block in both])
    return [float(ratio) for ratio in ratios]


def judge(asked: Question) -> Finding:
    """Return the verdict on one hypothesis, not yet adjusted for the others."""
    hypothesis, outcome = asked.hypothesis, asked.hypothesis.outcome
    values = asked.runs[outcome].to_numpy(dtype=np.float64) if len(asked.runs) else np.empty(0)
    measured = asked.runs[np.isfinite(values)]
    if hypothesis.kind == "value":
        return _value(asked, measured[outcome].to_numpy(dtype=np.float64))
    if zeros := int((measured[outcome] == 0).sum()):
        return _nothing(asked, zeros_text(zeros, len(measured)))
    sample = make_sample(measured, hypothesis, asked.others) if len(measured) else None
    if sample is None:
        return _nothing(asked, "nothing to compare")
    sesoi = smallest_effect(hypothesis, sample, asked.floor)
    effect, word, label, pvalue = judged(sample, hypothesis.direction, sesoi.judged_by)
    finding = Finding(
        hypothesis=hypothesis,
        word=word,
        label=label,
        sentence="",
        effect=effect,
        confidence=0.90,
        absolute=estimate(sample.absolute()),
        absolute_unit=sample.absolute_unit,
        sesoi=sesoi.judged_by,
        sesoi_declared=sesoi.declared,
        sesoi_rests_on=sesoi.rests_on,
        span=float(np.ptp(sample.x)),
        pvalue=pvalue,
        adjusted=pvalue,
        runs=len(measured),
        excluded=asked.excluded,
        failed=len(asked.failed),
        strata=len(set(sample.strata)),
        levels=_levels(measured, asked, sesoi.judged_by),
        interaction_pvalue=_interaction(measured, asked),
        notes=asked.notes,
    )
    return _with_failures(_split(finding), asked, sample)


def make_sample(runs: pd.DataFrame, hypothesis: Hypothesis, others: Sequence[str]) -> Sample | None:
    """Return the sample that a trend or contrast is estimated from; None where no stratum compares anything."""
    levels = runs[str(hypothesis.factor)]
    if hypothesis.kind == "contrast":
        raw = np.array([float(level == hypothesis.levels[1]) for level in levels])
        x = raw
    else:
        raw = levels.to_numpy(dtype=np.float64)
        x = np.log2(raw)
    strata = _strata(runs, others)
    if not _compares(x, strata):
        return None
    return Sample.of(hypothesis, x, raw, runs[hypothesis.outcome].to_numpy(dtype=np.float64), strata)


def _compares(x: NDArray[np.float64], strata: Sequence[Hashable]) -> bool:
    first = dict(zip(reversed(strata), reversed(x.tolist()), strict=True))
    return any(first[of] != value for value, of in zip(x.tolist(), strata, strict=True))


def _strata(runs: pd.DataFrame, others: Sequence[str]) -> list[Hashable]:
    return list(zip(*(runs[path].astype(str) for path in ("block", *others)), strict=True))


def _levels(measured: pd.DataFrame, asked: Question, sesoi: float) -> tuple[LevelFinding, ...]:
    if not asked.others:
        return ()
    found = []
    for level, rows in measured.groupby(list(asked.others), dropna=False, sort=True):
        sample = make_sample(rows, asked.hypothesis, ())
        if sample is not None:
            effect, word, label, _ = judged(sample, asked.hypothesis.direction, sesoi)
            found.append(LevelFinding(level_words(asked.others, level), effect, word, label, len(rows)))
    return tuple(found) if len(found) > 1 else ()


def _interaction(measured: pd.DataFrame, asked: Question) -> float:
    sample = make_sample(measured, asked.hypothesis, ())
    if not asked.others or sample is None:
        return float("nan")
    level = ["|".join(map(str, row)) for row in measured[list(asked.others)].itertuples(index=False)]
    try:
        return stats.interaction(sample.x, np.log(sample.y), level, measured["block"].tolist()).pvalue
    except ValueError:
        return float("nan")


def _split(finding: Finding) -> Finding:
    """Withhold the pooled word where the effect differs between levels by more than what was declared to matter."""
    if not finding.levels_differ:
        return finding
    words = {level.word for level in finding.levels}
    if len(words) == 1:
        return replace(finding, word=words.pop(), label="at every level, by different amounts")
    return replace(finding, word="INCONCLUSIVE", label="differs between levels, no pooled verdict")


def _with_failures(finding: Finding, asked: Question, sample: Sample) -> Finding:
    """Judge again with failed runs ranked worst; a word that hangs on leaving them out is no word."""
    if not len(asked.failed) or finding.word == "INCONCLUSIVE":
        return finding
    factor = asked.failed[str(asked.hypothesis.factor)]
    x = (
        np.array([float(level == asked.hypothesis.levels[1]) for level in factor])
        if asked.hypothesis.kind == "contrast"
        else np.log2(factor.to_numpy(dtype=np.float64))
    )
    worst = tests(
        sample.with_failures(x, _strata(asked.failed, asked.others)), asked.hypothesis.direction, finding.sesoi
    )
    return _after_failures(finding, holds=(worst.supports if finding.word == "SUPPORTED" else worst.refutes) <= ALPHA)


def _after_failures(finding: Finding, *, holds: bool) -> Finding:
    if holds:
        return replace(finding, notes=(*finding.notes, "the same with failed runs ranked worst"))
    return replace(finding, word="INCONCLUSIVE", label="depends on the failed runs")


def _value(asked: Question, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Finding:
    """Hold the values against their range, and again with failed runs beyond its ends: either may be the worst."""
    if not len(values):
        return _nothing(asked, "never measured")
    low, high = float(asked.hypothesis.low or 0.0), float(asked.hypothesis.high or 0.0)
    finding, failed = _in_range(asked, values, low, high), len(asked.failed)
    if not failed or finding.word == "INCONCLUSIVE":
        return finding
    beyond = (min(low, values.min()) - 1, max(high, values.max()) + 1)
    again = {_in_range(asked, np.append(values, [worst] * failed), low, high).word for worst in beyond}
    return _after_failures(finding, holds=again == {finding.word})


def _in_range(
    asked: Question, values: np.ndarray[tuple[int], np.dtype[np.float64]], low: float, high: float
) -> Finding:
    interval = stats.median_interval(values, confidence=0.90)
    blank = replace(_nothing(asked, "too few runs for an interval"), runs=len(values), confidence=0.90)
    if interval.low is None or interval.high is None:
        return replace(blank, effect=Effect(interval.estimate, float("nan"), float("nan")))
    effect = Effect(interval.estimate, interval.low, interval.high)
    if low <= effect.low and effect.high <= high:
        p = max(_sign_test(values >= low), _sign_test(values <= high))
        return replace(blank, word="SUPPORTED", label="within the range", effect=effect, pvalue=p, adjusted=p)
    if effect.high < low or effect.low > high:
        side, beyond = ("below", values < low) if effect.high < low else ("above", values > high)
        p = _sign_test(beyond)
        return replace(blank, word="REFUTED", label=f"{side} the range", effect=effect, pvalue=p, adjusted=p)
    return replace(blank, label="reaches beyond the range", effect=effect)


def _sign_test(there: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    """Return the chance of so many runs on one side of a bound, were the median run on the other."""
    return float(binomtest(int(there.sum()), len(there), alternative="greater").pvalue)


def _nothing(asked: Question, label: str) -> Finding:
    return Finding(
        hypothesis=asked.hypothesis,
        word="INCONCLUSIVE",
        label=label,
        sentence="",
        effect=_NO,
        confidence=0.90,
        absolute=_NO,
        absolute_unit="",
        sesoi=0.0,
        pvalue=float("nan"),
        adjusted=float("nan"),
        runs=0,
        excluded=asked.excluded,
        failed=len(asked.failed),
        strata=0,
        notes=asked.notes,
    )
