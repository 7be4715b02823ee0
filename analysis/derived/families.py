"""Several verdicts read one by one: the p-values of a family are adjusted together, and a word may fall with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analysis import stats
from analysis.derived.finding import ADJUSTED_BY, ALPHA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.derived.finding import Finding

_METHODS = {"primary": stats.holm, "secondary": stats.benjamini_hochberg}


def adjust(findings: Sequence[Finding], alpha: float = ALPHA) -> list[Finding]:
    """Adjust the p-values of the declared families; a word that does not survive becomes INCONCLUSIVE.

    The primary family is adjusted by Holm, the secondary one by Benjamini & Hochberg. Supports and refutations are
    adjusted apart, and each keeps its own error rate: after Holm the chance of any false support stays at 5 %, and that
    of any false refutation at 5 % (of either, in the whole family: up to 10 %); after Benjamini & Hochberg 5 % of the
    supports are false on average at most, and 5 % of the refutations. Where several looks were taken, ``alpha`` is the
    level of this one, and the 5 % are those of all of them.
    """
    adjusted: dict[str, float] = {}
    for name in _METHODS:
        family = [one for one in findings if one.hypothesis.family == name and not one.exploratory]
        for word in ("SUPPORTED", "REFUTED"):
            adjusted |= _of_word([one for one in family if one.word == word], len(family), name)
    return [_with(one, adjusted.get(one.hypothesis.id), alpha) for one in findings]


def _of_word(said: Sequence[Finding], members: int, family: str) -> dict[str, float]:
    """Return the adjusted p-values of those with one word; whoever did not get it has the largest p there is."""
    if not said:
        return {}
    raised = _METHODS[family]([*(one.pvalue for one in said), *[1.0] * (members - len(said))])
    return {one.hypothesis.id: float(pvalue) for one, pvalue in zip(said, raised, strict=False)}


def _with(finding: Finding, adjusted: float | None, alpha: float) -> Finding:
    if adjusted is None:
        return replace(finding, adjusted=finding.pvalue)
    if adjusted <= alpha:
        return replace(finding, adjusted=adjusted)
    by = f"{ADJUSTED_BY[finding.hypothesis.family]}'s adjustment"
    label = f"not after {by}" if adjusted > ALPHA else f"not yet: looks at fewer blocks came before, p {adjusted:.2g}"
    return replace(finding, adjusted=adjusted, word="INCONCLUSIVE", label=label)
