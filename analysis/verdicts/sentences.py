"""The answer to a hypothesis in one sentence, figures and verdict included."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from analysis.format.outcomes import OUTCOMES
from analysis.stored.factors import as_planned, factor_text, level_text, unit
from analysis.text import change_text, figures_text, plural, short_text
from analysis.verdicts.amounts import amount, figures_of, value_text
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.shape import NO_LINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.format.factors import Level
    from analysis.stored.records import Hypothesis
    from analysis.verdicts.claims import Effect
    from analysis.verdicts.finding import Finding


TRIVIAL, TRIVIAL_FALL = "trivially positive", "trivially negative"
"""Cases of REFUTED in which what was claimed is there, and too small to matter."""

_MANY = ("the acknowledged writes ", "the bytes ", "the CPUs ", "the packets ", "the requests ")
"""How outcomes begin that are in the plural."""


def percent_change(effect: Effect, sesoi: float = 0.0) -> str:
    """Return a relative effect with its interval, as in ``+0.4 % [-1.1, +2.0]``; no end is read as what matters."""
    middle, low, high = (change_text(100 * end, 100 * sesoi) for end in (effect.estimate, effect.low, effect.high))
    if math.isnan(effect.low) or math.isnan(effect.high):
        return f"{middle} % (no interval)"
    return f"{middle} % [{low}, {high}]"


def where_text(where: Mapping[str, Sequence[Level]]) -> str:
    """Return under which levels of other factors a hypothesis was asked."""
    return ", ".join(_levels(path, levels) for path, levels in where.items())


def _levels(path: str, levels: Sequence[Level]) -> str:
    said = " or ".join(level_text(path, level) for level in levels)
    return said if path == "smp" else f"{factor_text(path)} {said}"


def level_words(paths: Sequence[str], levels: Level | tuple[Level, ...]) -> str:
    """Return one combination of levels in words."""
    values = levels if isinstance(levels, tuple) else (levels,)
    names = Counter(path.rpartition(".")[2] for path in paths)
    said = [
        _one(path, value, whole=names[path.rpartition(".")[2]] > 1)
        for path, value in zip(paths, values, strict=True)
        if value is not None
    ]
    return ", ".join(said) or "none"


def _one(path: str, level: Level, *, whole: bool) -> str:
    text = level_text(path, as_planned(level))
    if path == "workload.scaling":
        return f"{factor_text(path)} {text}"
    if path in {"mem", "smp", "link.transport", "accel"}:
        return text
    last = path.rpartition(".")[2]
    return f"{path if whole or last == 'kind' else last}={text}"


def finding_sentence(finding: Finding) -> str:
    """Return the answer in one sentence."""
    hypothesis = finding.hypothesis
    where = where_text(finding.hypothesis.where)
    scope = f" ({where})" if where else ""
    end = f"{word_text(finding)}."
    if not finding.runs:
        claim = hypothesis.claim.strip()
        stop = "" if claim.endswith((".", "!", "?")) else "."
        return f"{claim}{stop} What was measured cannot tell{scope}: {end}"
    what = OUTCOMES[hypothesis.outcome].words
    if hypothesis.kind == "value":
        claimed = range_text(hypothesis, finding.effect)
        are = "are" if what.startswith(_MANY) else "is"
        return f"{_capital(what)} {are} {_value(finding)}, the claim is {claimed}{scope}: {end}"
    change = percent_change(finding.effect, finding.sesoi)
    end += shape_text(finding) + _below_what_matters(finding)
    if hypothesis.kind == "trend":
        return f"Doubling {_doubled(finding)} changes {what} by {change}{_absolute(finding)}{scope}: {end}"
    base, new = (level_text(str(hypothesis.factor), level) for level in hypothesis.levels)
    named = "" if hypothesis.factor == "smp" else f"{_capital(factor_text(str(hypothesis.factor)))} "
    return f"{named}{new} instead of {base} changes {what} by {change}{_absolute(finding)}{scope}: {end}"


def _below_what_matters(finding: Finding) -> str:
    """Return that the declared milliseconds are more than there is, so that hardly any change could matter."""
    if finding.sesoi_rests_on != "sesoi_ms" or finding.sesoi <= 1:
        return ""
    return f" In the median run all of it is less than the {short_text(finding.hypothesis.sesoi_ms)} ms that matter."


def smallest_text(finding: Finding) -> str:
    """Return the smallest effect of interest, and what equal cells differ by where there are any; empty for a value."""
    if not finding.sesoi_rests_on:
        return ""
    per = " per doubling" if finding.hypothesis.kind == "trend" else ""
    of = f": the declared {short_text(finding.hypothesis.sesoi_ms)} ms" if finding.sesoi_rests_on == "sesoi_ms" else ""
    equals = f"; equal cells differ by up to {size_of(finding.floor)}{per}" if finding.floor else ""
    return f"smallest effect of interest {size_of(finding.sesoi)}{per}{of}{equals}"


def why_exploratory(finding: Finding) -> str:
    """Return why a verdict is exploratory, empty where it is not."""
    if finding.too_short:
        what = "requests" if OUTCOMES[finding.hypothesis.outcome].table == "client" else "checkpoints"
        return f"its runs have too few {what} beyond the quantile that it is about"
    # One that a file repeats word for word was declared; that it is this one that is asked came after.
    return "not chosen in this form before the data" if finding.exploratory else ""


def shape_text(finding: Finding) -> str:
    """Return the steps between sizes, where they are on no line; empty where a line is enough."""
    shape = finding.shape
    if shape is None or (finding.adjusted_claims.bends > ALPHA and finding.label != NO_LINE):
        return ""
    factor = str(finding.hypothesis.factor)
    steps: list[str] = []
    reached = math.nan
    for step in shape.steps:
        begin = "then" if step.from_size == reached else f"from {_size(factor, step.from_size)}"
        steps.append(f"{begin} to {_size(factor, step.to_size)} {change_text(100 * step.change)} %")
        reached = step.to_size
    straight = " (in GiB a line fits)" if shape.pvalue_per_unit > ALPHA and unit(factor)[1] == "GiB" else ""
    return f" It is no straight line in doublings{straight}: {', '.join(steps)}."


def _size(factor: str, size: float) -> str:
    level = size * unit(factor)[0]
    whole = round(level)  # through its logarithm a size loses its last bits
    return level_text(factor, whole if math.isclose(whole, level, rel_tol=1e-9) else level)


def size_of(effect: float) -> str:
    """Return the size of a relative effect: ``12.8 %``, ``5 %``, and ``0.03 %``, which is not 0."""
    shown = f"{100 * effect:.1f}".removesuffix(".0")
    return f"{short_text(100 * effect, 1) if shown == '0' else shown} %"


def range_text(hypothesis: Hypothesis, effect: Effect) -> str:
    """Return the range that a value is claimed to lie in; a share has no need of bounds that none can pass."""
    low, high = hypothesis.low or 0.0, hypothesis.high or 0.0
    ends = [amount(end, hypothesis.outcome, figures_of(hypothesis, effect)) for end in (low, high)]
    if hypothesis.outcome.endswith("_share") and low <= 0:
        return f"at most {ends[1]}"
    if hypothesis.outcome.endswith("_share") and high >= 1:
        return f"at least {ends[0]}"
    return " to ".join(ends)


def _doubled(finding: Finding) -> str:
    name = factor_text(str(finding.hypothesis.factor))
    return "the number of vCPUs" if name == "vCPUs" else name


def _absolute(finding: Finding) -> str:
    effect = finding.absolute
    if math.isnan(effect.estimate) or math.isnan(effect.low):
        return ""
    low, middle, high = (figures_text(end, signed=True) for end in (effect.low, effect.estimate, effect.high))
    return f", {middle} {finding.absolute_unit} [{low}, {high}]"


def _value(finding: Finding) -> str:
    told = 0 if math.isnan(finding.effect.low) else sum(bool(level.runs) for level in finding.levels)
    over = f" over {plural(told, 'cell')}" if told else ""
    return value_text(finding.hypothesis, finding.effect) + over


def badge(word: str, label: str) -> str:
    """Return the word of a verdict, with the case where the word alone would mislead."""
    return f"{word} as material" if label in {TRIVIAL, TRIVIAL_FALL} else word


def word_text(finding: Finding) -> str:
    """Return the word of a finding with its case, and whether it is exploratory."""
    return f"{'exploratory, ' * finding.exploratory}{finding.word} ({finding.label})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
