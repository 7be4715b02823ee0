"""Verdicts in words for somebody who has not read the rules: badge, what its case means, what its p-value is of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.format.outcomes import NOT_WRITTEN
from analysis.runs.outcomes import YES_OR_NO
from analysis.text import MISSING
from analysis.verdicts.amounts import value_text
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.finding import ADJUSTED_BY
from analysis.verdicts.hypotheses import DISAGREE, MEAN_OPEN
from analysis.verdicts.sentences import TRIVIAL, TRIVIAL_FALL, percent_change, size_of, word_text
from analysis.verdicts.shape import A_STEP, NO_LINE
from analysis.verdicts.trend import UNDECIDED, WITHIN_EQUALS
from analysis.verdicts.values import NOT_EVERY_RUN, UNSURE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.stored.records import Hypothesis
    from analysis.verdicts.claims import Effect
    from analysis.verdicts.finding import Finding

_MOST_FIGURES = 6
"""Of a p-value, where fewer would be read as the level."""

_OPPOSITE = "opposite sign"
_MEANINGS = {
    "material": "an effect of the smallest size of interest or more is shown, in the direction claimed",
    "direction certain, size uncertain": (
        "there is an effect in the direction claimed, and whether it is large enough to matter is open"
    ),
    TRIVIAL: "there is an effect in the direction claimed, and one that is large enough to matter is ruled out",
    TRIVIAL_FALL: "there is a decline, as claimed, and one that is large enough to matter is ruled out",
    "equivalent to none": "an effect that is large enough to matter is ruled out, either way",
    _OPPOSITE: "there is an effect, and it goes against the direction claimed",
    "no material growth": (
        "growth that is large enough to matter is ruled out, and no more is said: of a decline, or of a step between "
        "two sizes"
    ),
    "no material decline": (
        "a decline that is large enough to matter is ruled out, and no more is said: of growth, or of a step between "
        "two sizes"
    ),
    "equivalent": "a difference that is large enough to matter is ruled out, either way",
    "a material difference": "a difference that is large enough to matter is shown",
    "within the range": (
        "the median run (of a yes or no: the share of runs) lies within the declared range, in every cell"
    ),
    "outside the range": (
        "the median run (of a yes or no: the share of runs) lies beyond the declared range, in some cell at least"
    ),
    UNSURE: (
        "the 90 % interval of a cell lies beyond the declared range, which is no proof yet: a run may lie beyond "
        "either end, and in any cell"
    ),
    NOT_EVERY_RUN: "the median run lies within the range, and what is claimed is a promise that one run breaks",
    DISAGREE: (
        "the effect seems to differ between levels of another factor by more than the smallest effect of interest, and "
        "the word does not hold at every level"
    ),
    MEAN_OPEN: (
        "ranks would rule out an effect that is large enough to matter, and they follow those levels of other factors "
        "that tell most; the mean over all levels, each counting alike, does not rule it out"
    ),
    NO_LINE: (
        "the sizes lie on no line, and a step between two of them may be larger than what matters: one number for all "
        "of them would hide it"
    ),
    A_STEP: (
        "a step between two sizes may be larger than what matters, though the sizes may lie on a line: one number for "
        "all of them would hide it"
    ),
    NOT_WRITTEN: (
        "the guests were too slow to write their working sets whole between checkpoints, so that dirty pages were not "
        "what the hypothesis is about"
    ),
    WITHIN_EQUALS: "cells that are the same machine differ by so much here that this effect, or none, cannot be told",
    UNDECIDED: "neither an effect that matters nor its absence is shown",
}
_BRIEF = {
    TRIVIAL: "it {grows}, but by less than matters",
    TRIVIAL_FALL: "it {grows}, but by less than matters",
    "equivalent to none": "no effect that matters, either way",
    _OPPOSITE: "it goes the other way",
    "no material growth": "no effect that matters in this direction",
    "no material decline": "no effect that matters in this direction",
    "material": "by enough to matter",
    "direction certain, size uncertain": "whether by enough to matter is open",
    "equivalent": "no difference that matters",
    "a material difference": "they differ by enough to matter",
    UNDECIDED: "neither an effect that matters nor its absence is shown",
}


def brief(finding: Finding) -> str:
    """Return in a few words what the case of a verdict means."""
    falls = finding.hypothesis.direction == "decreasing"
    contrast = finding.hypothesis.kind == "contrast"
    grows = ("is less" if falls else "is more") if contrast else ("falls" if falls else "grows")
    if finding.label == UNDECIDED and finding.hypothesis.direction == "none":
        return "the interval leaves open whether they differ by enough to matter"
    return _BRIEF.get(finding.label, finding.label).format(grows=grows)


def named_case(finding: Finding) -> str:
    """Return the name of a verdict's case, empty where it says no more than the badge and what stands beside it."""
    return "" if finding.label in {UNDECIDED, brief(finding)} else finding.label


def case(word: str, label: str) -> str:
    """Return word and case for a table: ``SUPPORTED (material)``; an open one needs no second word."""
    return word if label == UNDECIDED else f"{word} ({label})"


def legend(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Return what each case means that the findings or their levels name, in a fixed order."""
    named = {label for one in findings for label in (one.label, *(level.label for level in one.levels))}
    return [(label, meaning) for label, meaning in _MEANINGS.items() if label in named and label != UNDECIDED]


def all_declared(findings: Sequence[Finding]) -> bool:
    """Tell whether these hypotheses stood, in this form, before the data: one of too short runs did so too."""
    return not any(one.exploratory and not one.too_short for one in findings)


def answer_sentence(finding: Finding) -> str:
    """Return the sentence of a finding without its word, which the badge has said."""
    return finding.sentence.replace(f": {word_text(finding)}.", ".", 1)


def effect_text(hypothesis: Hypothesis, effect: Effect, sesoi: float = 0.0) -> str:
    """Return an effect with its interval in its own unit: percent, or for a value that of the outcome."""
    if math.isnan(effect.estimate):
        return MISSING
    return value_text(hypothesis, effect) if hypothesis.kind == "value" else percent_change(effect, sesoi)


def pvalue_text(finding: Finding) -> str:
    """Return the p-value with what it speaks against; empty where there is none."""
    if math.isnan(finding.pvalue):
        return ""
    by = ADJUSTED_BY[finding.hypothesis.family]
    adjusted = f", after {by} p {equals(finding.adjusted)}" if finding.adjusted != finding.pvalue else ""
    return f"p {equals(finding.pvalue)}{adjusted}, {_against(finding)}"


def _against(finding: Finding) -> str:
    hypothesis, size = finding.hypothesis, size_of(finding.sesoi)
    undecided, supported = finding.word == "INCONCLUSIVE", finding.word == "SUPPORTED"
    if hypothesis.kind == "value":
        what = "share" if hypothesis.outcome in YES_OR_NO else "median run"
        ends, of = ("outside", "inside"), f"a {what} {{}} of the range"
    elif hypothesis.direction == "none":
        # What refutes it has to be more than matters at any level, and than equal cells differ by.
        most = max(finding.sesoi, finding.floor, *(level.sesoi for level in finding.levels))
        ends, of = (f"at least {size}", f"at most {size_of(most)}"), "a difference of {} either way"
    else:
        none = "what equal cells differ by" if finding.floor else "no effect"
        ends, of = (none, f"an effect of at least {size} in the direction claimed"), "{}"
    of_what = ", the largest of those of every level and of all together" if finding.levels_differ else ""
    if undecided and (finding.failed or finding.excluded):
        # Of a word that stands a note says so.
        of_what += ", with runs that failed or were left out ranked worst where that is larger"
    possible = [end for end, claim in zip(ends, _either(finding), strict=True) if claim < 1.0]
    if undecided and len(possible) > 1:
        both = f"against {of.format(ends[0])} and against {of.format(ends[1])}"
        return f"the smaller one of the tests {both}{of_what}"
    if undecided:
        return f"against {of.format((*possible, ends[0])[0])}{of_what}"
    return f"against {of.format(ends[0] if supported else ends[1])}{of_what}"


def _either(finding: Finding) -> tuple[float, float]:
    """Return the p-values of both words: 1 for one that cannot be had, as where equal cells differ by what matters."""
    return finding.claims.supports, finding.claims.refutes


def equals(value: float) -> str:
    """Return a p-value after ``p``: ``= 0.11``, ``< 0.0001``."""
    shown = p_text(value)
    return shown if shown.startswith("<") else f"= {shown}"


def p_text(value: float) -> str:
    """Return a p-value: ``0.11``, ``< 0.0001``, a dash where there is none; ``0.0502`` is not the level itself."""
    if math.isnan(value):
        return MISSING
    if value < 1e-4:  # noqa: PLR2004 - nobody needs more zeros
        return "< 0.0001"
    shown = (f"{value:.{figures}g}" for figures in range(2, _MOST_FIGURES))
    return next((text for text in shown if float(text) != ALPHA), f"{ALPHA:g}")
