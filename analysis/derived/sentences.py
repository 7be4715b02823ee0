"""The answer to a hypothesis in one sentence, figures and verdict included."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.stored.factors import factor_text, level_text
from analysis.text import change_text, figures_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.derived.finding import Effect, Finding
    from analysis.stored.factors import Level
    from analysis.stored.records import Hypothesis

_OUTCOMES = {
    "pause": "the pause",
    "pause_mean": "the mean pause",
    "pause_p95": "the p95 of the pause",
    "pause_p99": "the p99 of the pause",
    "dirty_pages": "the number of dirty pages",
    "period": "the time between checkpoints",
    "paused_share": "the share of time paused",
    "slow_share": "the share of stalled checkpoints",
    "mismatch_share": "the share of checkpoints that a mismatch caused",
    "joined_share": "the share of checkpoints that the secondary took part in",
    "colo_start": "the way into COLO",
}
_SECONDS_FROM = 1.0


def outcome_text(outcome: str) -> str:
    """Return an outcome for people: ``the pause``, or ``the load phase``."""
    return _OUTCOMES.get(outcome, f"the {outcome.replace('_', ' ')} phase")


def percent_change(effect: Effect) -> str:
    """Return a relative effect with its interval, as in ``+0.4 % [-1.1, +2.0]``."""
    middle = f"{change_text(100 * effect.estimate)} %"
    if math.isnan(effect.low) or math.isnan(effect.high):
        return f"{middle} (no interval)"
    return f"{middle} [{change_text(100 * effect.low)}, {change_text(100 * effect.high)}]"


def amount(value: float, outcome: str) -> str:
    """Return an outcome's value with its unit."""
    if math.isnan(value):
        return "\N{EN DASH}"
    if outcome.endswith("_share"):
        return f"{100 * value:.1f} %"
    if outcome in {"dirty_pages", "bytes_sent"}:
        return f"{value:,.0f} {'pages' if outcome == 'dirty_pages' else 'bytes'}"
    return f"{value:.3g} s" if abs(value) >= _SECONDS_FROM else f"{1e3 * value:.3g} ms"


def where_text(finding: Finding) -> str:
    """Return under which levels of other factors a hypothesis was asked."""
    return ", ".join(_levels(path, levels) for path, levels in finding.hypothesis.where.items())


def _levels(path: str, levels: Sequence[Level]) -> str:
    said = " or ".join(level_text(path, level) for level in levels)
    return said if path == "smp" else f"{factor_text(path)} {said}"


def level_words(paths: Sequence[str], levels: Level | tuple[Level, ...]) -> str:
    """Return one combination of levels in words."""
    values = levels if isinstance(levels, tuple) else (levels,)
    return ", ".join(_one(path, value) for path, value in zip(paths, values, strict=True))


def _one(path: str, level: Level) -> str:
    if isinstance(level, float) and level.is_integer():
        level = int(level)
    text = level_text(path, level)
    if path == "workload.scaling":
        return f"{factor_text(path)} {text}"
    return text if path in {"mem", "smp", "link.transport", "accel"} else f"{path.rpartition('.')[2]}={text}"


def finding_sentence(finding: Finding) -> str:
    """Return the answer in one sentence."""
    hypothesis = finding.hypothesis
    where = where_text(finding)
    scope = f" ({where})" if where else ""
    end = f"{_word(finding)}."
    if not finding.runs:
        return f"{hypothesis.claim} What was measured cannot tell{scope}: {end}"
    what = outcome_text(hypothesis.outcome)
    if hypothesis.kind == "value":
        return f"{_capital(what)} is {_value(finding)}, the claim is {range_text(hypothesis)}{scope}: {end}"
    change = percent_change(finding.effect)
    end += _raised(finding)
    if hypothesis.kind == "trend":
        return f"Doubling {_doubled(finding)} changes {what} by {change}{_absolute(finding)}{scope}: {end}"
    base, new = (level_text(str(hypothesis.factor), level) for level in hypothesis.levels)
    named = "" if hypothesis.factor == "smp" else f"{_capital(factor_text(str(hypothesis.factor)))} "
    return f"{named}{new} instead of {base} changes {what} by {change}{_absolute(finding)}{scope}: {end}"


def smallest_text(finding: Finding) -> str:
    """Return the smallest effect of interest that was judged by and where it comes from; empty for a value."""
    per = " per doubling" if finding.hypothesis.kind == "trend" else ""
    said = f"smallest effect of interest {_percent(finding.sesoi)}{per}"
    if finding.sesoi_rests_on == "noise_floor":
        return f"{said}: declared {_percent(finding.sesoi_declared)}, raised to what equal cells differ by"
    if finding.sesoi_rests_on == "sesoi_ms":
        return f"{said}: the declared {finding.hypothesis.sesoi_ms:.3g} ms"
    return said if finding.sesoi_rests_on else ""


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _raised(finding: Finding) -> str:
    """What was declared and is not what was judged by belongs to the answer: a refutation is of the larger one."""
    return f" {_capital(smallest_text(finding))}." if finding.sesoi_rests_on == "noise_floor" else ""


def range_text(hypothesis: Hypothesis) -> str:
    """Return the range that a value is claimed to lie in; a share has no need of bounds that none can pass."""
    low, high = hypothesis.low or 0.0, hypothesis.high or 0.0
    ends = [amount(end, hypothesis.outcome) for end in (low, high)]
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
    if math.isnan(effect.estimate):
        return ""
    low, middle, high = (figures_text(end, signed=True) for end in (effect.low, effect.estimate, effect.high))
    return f", {middle} {finding.absolute_unit} [{low}, {high}]"


def _value(finding: Finding) -> str:
    outcome, effect = finding.hypothesis.outcome, finding.effect
    if math.isnan(effect.low):
        return f"{amount(effect.estimate, outcome)} (no interval)"
    return f"{amount(effect.estimate, outcome)} [{amount(effect.low, outcome)}, {amount(effect.high, outcome)}]"


def _word(finding: Finding) -> str:
    mark = "exploratory, " if finding.exploratory else ""
    return f"{mark}{finding.word} ({finding.label})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
