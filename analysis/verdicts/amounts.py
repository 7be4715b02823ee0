"""Outcomes as people are told of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.format.outcomes import NANOSECONDS, OUTCOMES
from analysis.text import percent_number, short_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analysis.stored.records import Hypothesis
    from analysis.verdicts.claims import Effect

_MOST_FIGURES = 7
_COUNTED = frozenset(("pages", "bytes", "writes", "CPUs"))
"""Units of which one is in the singular."""


def amount(value: float, outcome: str, figures: int = 3) -> str:
    """Return an outcome's value with its unit, as people say it."""
    unit = OUTCOMES[outcome].unit
    if math.isnan(value):
        return "\N{EN DASH}"
    if outcome in NANOSECONDS:
        return f"{short_text(1e9 * value, figures)} ns"
    if unit == "s":
        return f"{short_text(value, figures)} s" if abs(value) >= 1 else f"{short_text(1e3 * value, figures)} ms"
    if unit == "share":
        return f"{percent_number(value, figures - 2)} %"
    shown = f"{value:,.{figures - 3}f}" if unit in {"pages", "bytes"} else short_text(value, figures)
    return f"{shown} {unit.removesuffix('s') if shown == '1' and unit in _COUNTED else unit}"


def figures_apart(values: Iterable[float], bounds: Iterable[float], outcome: str) -> int:
    """Return how many figures it takes for no value to be printed as a bound that it does not lie on."""
    pairs = [(value, bound) for value in values for bound in bounds if value != bound and not math.isnan(value)]

    def alike(value: float, bound: float, figures: int) -> bool:
        # 999.6 ms and 1 s are other texts, and 1,000 ms and 1 s say the same.
        same = OUTCOMES[outcome].unit == "s" and f"{value:.{figures}g}" == f"{bound:.{figures}g}"
        return same or amount(value, outcome, figures) == amount(bound, outcome, figures)

    for figures in range(3, _MOST_FIGURES):
        if not any(alike(value, bound, figures) for value, bound in pairs):
            return figures
    return _MOST_FIGURES


def figures_of(hypothesis: Hypothesis, effect: Effect) -> int:
    """Return how many figures a value and its range are printed with, so that neither is taken for the other."""
    bounds = [bound for bound in (hypothesis.low, hypothesis.high) if bound is not None]
    return figures_apart((effect.estimate, effect.low, effect.high), bounds, hypothesis.outcome)


def value_text(hypothesis: Hypothesis, effect: Effect) -> str:
    """Return the value that a range is claimed of, with its interval."""
    figures = figures_of(hypothesis, effect)
    ends = (effect.estimate, effect.low, effect.high)
    middle, low, high = (amount(end, hypothesis.outcome, figures) for end in ends)
    return f"{middle} (no interval)" if math.isnan(effect.low) else f"{middle} [{low}, {high}]"


def shown_in(outcome: str) -> tuple[float, str]:
    """Return by what an outcome is multiplied where it is shown, and the unit that this gives."""
    unit = "ns" if outcome in NANOSECONDS else OUTCOMES[outcome].unit
    return {"ns": (1e9, "ns"), "s": (1e3, "ms"), "share": (100.0, "%")}.get(unit, (1.0, unit))
