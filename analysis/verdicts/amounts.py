"""Outcomes as people are told of them."""

from __future__ import annotations

import math

from analysis.format.outcomes import OUTCOMES
from analysis.text import short_text


def amount(value: float, outcome: str) -> str:
    """Return an outcome's value with its unit, as people say it."""
    unit = OUTCOMES[outcome].unit
    if math.isnan(value):
        return "\N{EN DASH}"
    if unit == "s":
        return f"{short_text(value)} s" if abs(value) >= 1 else f"{short_text(1e3 * value)} ms"
    if unit == "share":
        return f"{100 * value:.1f} %"
    return f"{value:,.0f} {unit}" if unit in {"pages", "bytes"} else f"{short_text(value)} {unit}"


def shown_in(outcome: str) -> tuple[float, str]:
    """Return by what an outcome is multiplied where it is shown, and the unit that this gives."""
    unit = OUTCOMES[outcome].unit
    return {"s": (1e3, "ms"), "share": (100.0, "%")}.get(unit, (1.0, unit))
