"""From hypotheses declared before the data to verdicts: SUPPORTED, REFUTED or INCONCLUSIVE, each in one sentence.

The rules are those of ``docs/hypotheses.md``. Effects are estimated on the log of each run's outcome, within strata of
block and all other factors, so that neither a drifting host nor another factor can pass for an effect. Every word, and
every case of a word, is a test of its own whose p-value is adjusted over its family.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.format.outcomes import NANOSECONDS, NOT_WRITTEN, OUTCOMES
from analysis.runs.outcomes import YES_OR_NO
from analysis.stats.kendall import tie_counts
from analysis.stats.slopes import fewest_blocks
from analysis.text import plural
from analysis.verdicts.applied import applied
from analysis.verdicts.claims import ALPHA, INCONCLUSIVE, Stage, adjusted_over, weakest, word_of
from analysis.verdicts.declared import checked, declared
from analysis.verdicts.families import adjust, decided
from analysis.verdicts.finding import YES_OR_NO_TEXT, Finding, LevelFinding, no_ratio, nothing
from analysis.verdicts.looks import cost_of, level_of, looked_at
from analysis.verdicts.needed import with_needed_blocks
from analysis.verdicts.question import Question, make_sample, measured_rows, others_of, question
from analysis.verdicts.sentences import finding_sentence, level_words
from analysis.verdicts.shape import shape_of
from analysis.verdicts.trend import TOO_FEW, UNDECIDED, Edges, absolute, estimate, hangs_on, ruled_out, stages
from analysis.verdicts.values import judge_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from analysis.format.factors import Level
    from analysis.stored.campaign import Campaign
    from analysis.stored.records import Hypothesis
    from analysis.verdicts.shape import Shape
    from analysis.verdicts.trend import Sample

    Others = tuple[Level, ...]

DISAGREE = "levels differ, and no word holds at every one"
MEAN_OPEN = "the mean over the levels of other factors leaves it open"
NOTHING_TO_COMPARE = "nothing to compare"


def judge_all(campaign: Campaign, runs: pd.DataFrame, asked: Sequence[Hypothesis] | None = None) -> tuple[Finding, ...]:
    """Return the verdict on every hypothesis of the plan, or on those asked for, which are exploratory.

    Args:
        campaign: as it was read.
        runs: :func:`analysis.runs.outcomes.run_table` of it.
        asked: hypotheses chosen after the data, those of the plan among them included; None: all of the plan.

    Raises:
        BadHypothesesError: one of them cannot be answered.
    """
    hypotheses = declared(campaign) if asked is None else checked(asked, campaign)
    # Some of the declared ones, picked when the data are known, would be a smaller family to adjust for.
    exploratory = asked is not None or not declared_before(campaign)
    campaign, runs = looked_at(campaign, runs)
    questions = [question(campaign, runs, one) for one in hypotheses]
    level = level_of(campaign.plan)
    judged = [_marked(judge(own, level), own, late=exploratory) for own in questions]
    found = adjust(judged, level)
    cost = cost_of(campaign.plan)
    # By Holm the last one left in doubt is judged by itself; that the others have a word by then is not foreseen.
    open_ = Counter(one.hypothesis.family for one in found if one.word == INCONCLUSIVE and not one.exploratory)
    noted = [
        with_needed_blocks(one, own, cost, max(open_[one.hypothesis.family], 1))
        for one, own in zip(found, questions, strict=True)
    ]
    return tuple(replace(one, sentence=finding_sentence(one)) for one in noted)


def declared_before(campaign: Campaign) -> bool:
    """Return whether plan and runs agree on the hypotheses: their hash is that of the text and of every run.

    Those that take no checkpoints are among these: a hypothesis on the scenario compares them with the others.
    """
    text = json.dumps(list(campaign.plan.hypotheses), sort_keys=True, separators=(",", ":"), allow_nan=False)
    own = hashlib.sha256(text.encode()).hexdigest()
    hashes = {run.record.hypotheses_sha256 for run in (*campaign.runs, *campaign.without)} | {
        campaign.plan.hypotheses_sha256
    }
    return hashes == {own}


def _marked(finding: Finding, asked: Question, *, late: bool) -> Finding:
    """Return a finding with why it is exploratory: asked late, or of a tail that its runs are too short for."""
    enough, told = f"{asked.hypothesis.outcome}_enough", asked.runs[asked.runs[asked.hypothesis.outcome].notna()]
    short = enough in told and not told[enough].all()
    return replace(finding, exploratory=late or short, too_short=short and not late)


def judge(asked: Question, alpha: float = ALPHA) -> Finding:
    """Return the verdict on one hypothesis by itself, not adjusted for the others of its family.

    Args:
        asked: the hypothesis and its runs.
        alpha: the level of the words of each level; below :data:`ALPHA` where looks at fewer blocks came before.
    """
    hypothesis, outcome = asked.hypothesis, asked.hypothesis.outcome
    values = asked.runs[outcome].to_numpy(dtype=np.float64) if len(asked.runs) else np.empty(0)
    measured = asked.runs[np.isfinite(values)]
    there, notes = applied(hypothesis, measured)
    blank = nothing(hypothesis, len(asked.left_out), len(asked.failed), (*asked.notes, *notes))
    unwritten = replace(blank, label=NOT_WRITTEN, more_blocks=math.inf)
    if hypothesis.kind == "value":
        return decided(judge_value(asked, measured, blank, alpha), ALPHA) if there else unwritten
    if why := YES_OR_NO_TEXT if outcome in YES_OR_NO else no_ratio(measured[outcome].tolist()):
        return replace(unwritten, label=why)
    if not there:
        return unwritten
    sample = make_sample(asked, measured) if len(measured) else None
    if sample is None:
        return replace(blank, label=NOTHING_TO_COMPARE)
    return decided(_judged(asked, measured, sample, blank, alpha), ALPHA)


def _judged(asked: Question, measured: pd.DataFrame, sample: Sample, blank: Finding, alpha: float) -> Finding:
    hypothesis = asked.hypothesis
    by_level = _by_level(asked, sample)
    edges, largest = _strictest(asked, sample, by_level)
    effect, runs, strata = estimate(sample)
    levels = _levels(asked, by_level, alpha)
    shape = shape_of(sample, hypothesis)
    between, mean = _over_levels(asked, measured, sample)
    finding = replace(
        blank,
        effect=effect,
        absolute=absolute(sample),
        absolute_unit=sample.unit,
        sesoi=edges.sesoi,
        sesoi_rests_on=edges.rests_on,
        floor=edges.floor,
        span=sample.span,
        runs=runs,
        strata=strata,
        levels=levels,
        interaction_pvalue=between.pvalue if between else math.nan,
        shape=shape,
    )
    finding = replace(finding, notes=(*finding.notes, *_silent(asked, sample), *_alone(asked, measured, sample)))
    without = np.isnan(effect.low)
    if without:
        finding = replace(finding, notes=(*finding.notes, _blocks_for_interval(sample)))
    found = stages(sample, edges, hypothesis.direction, TOO_FEW if without else UNDECIDED)
    if largest > edges.sesoi:
        found = _large_everywhere(
            found, stages(sample, replace(edges, sesoi=largest), hypothesis.direction), hypothesis
        )
    return replace(finding, stages=tuple(_held(finding, found, shape, mean)))


def _held(finding: Finding, found: list[Stage], shape: Shape | None, mean: stats.MeanSlope | None) -> list[Stage]:
    """Return the stages with the demands that other levels and the shape make, and what is said of both."""
    bends, differs = shape.pvalue if shape else np.nan, finding.interaction_pvalue
    beside = replace(
        found[-1].claims,
        bends=1.0 if np.isnan(bends) else bends,
        differs=1.0 if np.isnan(differs) else differs,
    )
    found = [*found, Stage(beside, UNDECIDED)]
    if finding.levels_differ:
        everywhere = weakest([beside, *(level.claims for level in finding.levels)])
        # The shape and the difference are of all levels together: a level by itself says nothing of either.
        found.append(Stage(replace(everywhere, bends=beside.bends, differs=beside.differs), DISAGREE))
    if mean is not None:
        found.append(Stage(ruled_out(found[-1].claims, mean, finding.hypothesis.direction, finding.sesoi), MEAN_OPEN))
    if shape is not None:
        held = shape.withheld(found[-1].claims, finding.hypothesis.direction, finding.sesoi)
        found.append(Stage(held, shape.why))
    return found


def _silent(asked: Question, sample: Sample) -> Iterator[str]:
    """Say at which combinations of the other factors nothing is compared for want of runs: no answer is about these."""
    compared = {stratum[1:] for stratum in sample.spans}
    blank = measured_rows(asked, asked.runs[asked.runs[asked.hypothesis.outcome].isna()])
    lacking = {
        "failed": Counter(others_of(asked, row) for row in asked.failed),
        "did not pass their own check": Counter(others_of(asked, row) for row in asked.left_out),
        "did not have it": Counter(others_of(asked, row) for row in blank),
    }
    for why, counts in lacking.items():
        for level, count in counts.items():
            if level not in compared:
                runs = f"{plural(count, 'run')} with {level_words(asked.others, level)}"
                yield f"{runs} {why}, and what is left compares nothing: nothing is said of it"


def _alone(asked: Question, measured: pd.DataFrame, sample: Sample) -> Iterator[str]:
    """Say which sizes are compared with no other one, as in whose blocks no other was measured."""
    factor = str(asked.hypothesis.factor)
    levels = [row[factor] for row in measured_rows(asked, measured)]
    compared = {level for level, own in zip(levels, sample.compared, strict=True) if own}
    for level, count in Counter(levels).items():
        if level not in compared:
            runs = f"{plural(count, 'run')} with {level_words((factor,), level)}"
            yield f"{runs}: nothing is said of it, as no run of another size is there to compare with in the same block"


def _blocks_for_interval(sample: Sample) -> str:
    """Say how many blocks like those there are would give an interval."""
    strata: dict[tuple[Level, ...], list[float]] = {}
    for x, stratum in zip(sample.x.tolist(), sample.strata, strict=True):
        strata.setdefault(stratum, []).append(x)
    sizes = [tie_counts(np.array(x)) for x in strata.values() if len(set(x)) > 1]
    # Of a block that was lost whole nothing is in the sample, and as many of further ones may be lost.
    blocks = len({stratum[0] for stratum in (*strata, *sample.lost_strata)})
    return f"{plural(fewest_blocks(sizes, blocks), 'block')} like these give an interval of 90 %"


def _by_level(asked: Question, sample: Sample) -> dict[Others, Sample]:
    """Return the runs of each combination of the other factors that compares anything."""
    of_runs, of_lost = ([stratum[1:] for stratum in each] for each in (sample.strata, sample.lost_strata))
    found = {}
    for level in dict.fromkeys(of_runs if asked.others else ()):
        own = sample.where(*(np.array([one == level for one in each], dtype=bool) for each in (of_runs, of_lost)))
        failed, left_out = (sum(others_of(asked, row) == level for row in of) for of in (asked.failed, asked.left_out))
        found[level] = replace(own, hangs=hangs_on(failed, left_out))
    return {level: own for level, own in found.items() if own.compares}


def edges_of(asked: Question, sample: Sample) -> Edges:
    """Return what the effect in a sample of a question is held against."""
    outcome = asked.hypothesis.outcome
    # What takes nanoseconds never differs by milliseconds, and all of it would be refuted by them.
    in_ms = OUTCOMES[outcome].unit == "s" and outcome not in NANOSECONDS
    return Edges.of(asked.hypothesis, sample, asked.floor, in_ms=in_ms)


def _large_everywhere(found: list[Stage], hard: list[Stage], hypothesis: Hypothesis) -> list[Stage]:
    """Return the stages with "material", or a difference that refutes none, said only of what is large everywhere."""
    both = zip(found, hard, strict=True)
    if hypothesis.direction == "none":
        pairs = [(one, {"refutes": max(one.claims.refutes, other.claims.refutes)}) for one, other in both]
    else:
        pairs = [(one, {"material": max(one.claims.material, other.claims.material)}) for one, other in both]
    return [replace(one, claims=replace(one.claims, **changed)) for one, changed in pairs]


def _strictest(asked: Question, sample: Sample, by_level: Mapping[Others, Sample]) -> tuple[Edges, float]:
    """Return what the pooled effect is held against: milliseconds that matter are another share at every level.

    The smallest share is taken, so that what matters at any level is not pooled away; the largest one beside it,
    which an effect has to clear to be called material.
    """
    pooled = edges_of(asked, sample)
    every = sorted((pooled, *(edges_of(asked, own) for own in by_level.values())), key=lambda one: one.sesoi)
    return replace(every[0], floor=pooled.floor), every[-1].sesoi


def _levels(asked: Question, by_level: Mapping[Others, Sample], alpha: float) -> tuple[LevelFinding, ...]:
    """Return the same question at each combination of the other factors that compares anything, Holm over them."""
    found, bare, direction = [], [], asked.hypothesis.direction
    for level, own in by_level.items():
        effect, runs, _ = estimate(own)
        edges, shape = edges_of(asked, own), shape_of(own, asked.hypothesis)
        claims = stages(own, edges, direction)[-1].claims
        # One number stands for the steps of a level no better than for those of all.
        held = claims if shape is None else shape.withheld(claims, direction, edges.sesoi)
        lost = UNDECIDED if shape is None else shape.why
        bare.append(claims)
        name = level_words(asked.others, level)
        found.append(LevelFinding(name, effect, INCONCLUSIVE, lost, runs, held, edges.sesoi))
    if len(found) <= 1:
        return ()
    said = []
    adjusted = zip(*(adjusted_over(each, stats.holm) for each in ([one.claims for one in found], bare)), strict=True)
    for one, (own_claims, without_shape) in zip(found, adjusted, strict=True):
        word, case = word_of(own_claims, direction, alpha)
        by_shape = word == INCONCLUSIVE and word_of(without_shape, direction, alpha)[0] != INCONCLUSIVE
        said.append(replace(one, word=word, label=case or (one.label if by_shape else UNDECIDED)))
    return tuple(sorted(said, key=lambda one: one.level))


def _over_levels(
    asked: Question, measured: pd.DataFrame, sample: Sample
) -> tuple[stats.FTest | None, stats.MeanSlope | None]:
    """Return whether the levels of the other factors share one effect, and its mean over them; None where untold."""
    keep = sample.compared
    rows = [row for row, own in zip(measured_rows(asked, measured), keep, strict=True) if own]
    kept, blocks = [others_of(asked, row) for row in rows], [row["block"] for row in rows]
    test = mean = None
    with suppress(ValueError):  # one level, sizes that hardly differ, or no degrees of freedom are left
        mean = stats.mean_slope(sample.x[keep], sample.logs[keep], kept, blocks)
        test = stats.interaction(sample.x[keep], sample.logs[keep], kept, blocks)
    return test, mean
