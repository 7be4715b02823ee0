"""From what may be said to the word: by itself, and after the adjustment over its family."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analysis import stats
from analysis.verdicts.claims import ALPHA, INCONCLUSIVE, VALUE, Stage, adjusted_over, decide
from analysis.verdicts.finding import ADJUSTED_BY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.verdicts.claims import Claims
    from analysis.verdicts.finding import Finding

_METHODS = {"primary": stats.holm, "secondary": stats.benjamini_hochberg}
SAME_WITH_FAILURES = "the same with failed runs ranked worst"
SAME_WITH_LOST = "the same with the runs that failed, or that their own check left out, ranked worst"


def not_after(family: str) -> str:
    """Return what is said where the adjustment over a family takes a word away."""
    return f"not after {ADJUSTED_BY[family]}'s adjustment"


def decided(finding: Finding, alpha: float) -> Finding:
    """Return a finding with the word that its own claims leave it, not adjusted for others."""
    return _with(finding, finding.claims, finding.stages, alpha)


def adjust(findings: Sequence[Finding], alpha: float = ALPHA) -> list[Finding]:
    """Return the findings with the words that are left after the adjustment over their families.

    The primary family is adjusted by Holm, the secondary one by Benjamini & Hochberg. Each thing that may be said (to
    support, to refute, that an effect is material, that it goes the other way, ...) is adjusted over all members of the
    family and keeps its own error rate: after Holm the chance of any false support stays at ``alpha``, and that of any
    false refutation; after Benjamini & Hochberg that share of the supports is false on average at most, and of the
    refutations. Exploratory hypotheses take no part.

    Args:
        findings: of one campaign.
        alpha: the level.
    """
    words = {id(one): decided(one, alpha) for one in findings if one.stages}
    for name, method in _METHODS.items():
        family = [one for one in findings if one.hypothesis.family == name and not one.exploratory]
        for one, claims in zip(family, adjusted_over((one.claims for one in family), method), strict=True):
            if one.stages:
                stages = (*one.stages, Stage(claims, not_after(name)))
                words[id(one)] = _with(one, claims, stages, alpha)
    return [words.get(id(one), one) for one in findings]


def _with(finding: Finding, adjusted: Claims, stages: Sequence[Stage], alpha: float) -> Finding:
    if not stages:
        return finding
    hypothesis = finding.hypothesis
    word, label = decide(stages, VALUE if hypothesis.kind == VALUE else hypothesis.direction, alpha)
    told = bool(finding.failed or finding.excluded) and word != INCONCLUSIVE
    same = SAME_WITH_LOST if finding.excluded else SAME_WITH_FAILURES
    notes = tuple(note for note in finding.notes if note not in {SAME_WITH_FAILURES, SAME_WITH_LOST})
    return replace(
        finding,
        word=word,
        label=label,
        adjusted_claims=adjusted,
        notes=(*notes, same) if told else notes,
    )
