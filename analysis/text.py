"""Values as people read them: sizes, times, counts, and how a pair ran."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from analysis.format.hosts import ACCEL_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


MISSING = "\N{EN DASH}"

EXPLORATORY = "\N{DAGGER}"
"""The mark of what was not chosen before the data, or of a quantile of too short a run, on the page and in tables."""

_WHOLE_FROM_MS, _TENTHS_FROM_MS, _HUNDREDTH_MS = 100, 10, 0.005
_LEAST_MS = 1e-6
"""A nanosecond, which no clock here tells: below lies what adding floats leaves."""
_MINUTES_FROM_S, _HOURS_FROM_S = 120, 7200
_THOUSANDS_FROM, _WHOLE_FROM_PERCENT = 999.5, 100
_EXPONENT_BELOW = 1e-4
"""What is smaller would be printed with an exponent."""

_LEAST_PERCENT, _TENTH = 0.005, 0.05
"""Percents that one decimal would round to 0, and two do not."""

_PERCENT_DECIMALS = 9
"""What a share is computed to: below lies what adding floats leaves."""

_SPACE, _MINUS = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"
_UNIT = re.compile(r"(?<=[\d\]]) (?=(?:%|ms|s|µs|h|min|days?|B|[KMGT]iB|MB/s|vCPUs?|GHz|MHz)(?![\w-]))", re.ASCII)
_PERCENT = re.compile(r"(?<=\d)%")
_ZERO = re.compile(rf"(?<![\w.])[-+{_MINUS}](0\.0+)(?![\d])", re.ASCII)
_INTERVAL = re.compile(rf"\[[-+{_MINUS}\d.,\N{{INFINITY}}]+, [-+{_MINUS}\d.,\N{{INFINITY}}]+\]")
_DOT = " \N{MIDDLE DOT} "
_LETTER = re.compile(r"\b([pRN]) ([=<]) (?=\d)")
_UNIT_THRICE = re.compile(r"(\S) (%|ms|s|pages|bytes) \[(\S+) \2, (\S+) \2\]")


def accel_text(accels: Sequence[str]) -> str:
    """Return ``emulation (TCG)``, ``KVM``, or both."""
    return " and ".join(ACCEL_TEXT[accel] for accel in accels)


def ms_text(milliseconds: float) -> str:
    """Return milliseconds with about three digits: ``7.20``, ``46.1``, ``1,204``; a dash for a missing value."""
    if math.isnan(milliseconds):
        return MISSING
    if _LEAST_MS <= milliseconds < _HUNDREDTH_MS:
        return f"{milliseconds:.{1 - math.floor(math.log10(milliseconds))}f}"  # which is not 0
    if milliseconds >= _WHOLE_FROM_MS:
        return f"{milliseconds:,.0f}"
    return f"{milliseconds:.1f}" if milliseconds >= _TENTHS_FROM_MS else f"{milliseconds:.2f}"


def ms_interval(low_s: float, high_s: float) -> str:
    """Return the ends of an interval of seconds in milliseconds, as what follows a value; empty without an interval."""
    return "" if math.isnan(low_s) else f" [{ms_text(1e3 * low_s)}, {ms_text(1e3 * high_s)}]"


def duration_text(seconds: float) -> str:
    """Return a duration: minutes below two hours, seconds below two minutes."""
    if seconds < _MINUTES_FROM_S:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < _HOURS_FROM_S else f"{seconds / 3600:.1f} h"


def count_text(number: float) -> str:
    """Return a count with thousands separated; a dash for a missing one."""
    return MISSING if math.isnan(number) else f"{number:,.0f}"


def figures_text(number: float, *, signed: bool = False) -> str:
    """Return a number with three significant figures, trailing zeros too: ``2.40``, ``-31.6``, ``1,204``."""
    number = number or 0.0  # of which -0.0 is one
    sign = "+" if signed and number else ""
    if abs(number) >= _THOUSANDS_FROM:
        shown = f"{number:{sign},.0f}"
    elif 0 < abs(number) < _EXPONENT_BELOW:
        shown = f"{number:{sign}.{_decimals(number, 3)}f}"
    else:
        shown = f"{number:{sign}#.3g}".removesuffix(".")
    return shown.replace("-", _MINUS)


def ratio_text(ratio: float, edges: Sequence[float] = (0.0, 1.0), decimals: int = 3) -> str:
    """Return a ratio with so many decimals, and more where it would be read as an edge; a dash for a missing one."""
    apart = (d for d in range(decimals, 7) if all(round(ratio, d) != round(edge, d) for edge in edges))
    return MISSING if math.isnan(ratio) else f"{ratio:.{next(apart, decimals)}f}"


def short_text(number: float, figures: int = 3) -> str:
    """Return a number with up to so many significant figures and no exponent: ``5``, ``0.809``, ``1,204``."""
    if abs(number) >= _THOUSANDS_FROM:
        return f"{number:,.{max(figures - 3, 0)}f}"
    text = f"{number:.{_decimals(number, figures)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimals(number: float, figures: int) -> int:
    """Return the decimals that give a number so many significant figures."""
    return max(figures - 1 - math.floor(math.log10(abs(number))), 0) if number and math.isfinite(number) else 0


def change_text(percent: float, bound: float = 0.0) -> str:
    """Return a change in percent, without the sign of it: ``+43.6``, ``+120``, and ``-0.02``, which is not 0.

    And ``-99.97``, which leaves something; and ``+4.98`` where what matters begins at a ``bound`` of 5.
    """
    if math.isinf(percent):
        return ("+" if percent > 0 else _MINUS) + "\N{INFINITY}"
    left = round(100 + percent, _PERCENT_DECIMALS)
    if _LEAST_PERCENT <= abs(percent) < _TENTH:
        text = f"{percent:+.1g}"
    elif 0 < left <= _TENTH:
        text = f"{percent:+.{_decimals(left, 1)}f}"
    else:
        text = f"{percent:+,.{0 if abs(percent) >= _WHOLE_FROM_PERCENT else decimals_apart(percent, bound)}f}"
    # What rounds to nothing has no sign.
    return text.replace("-", _MINUS) if float(text.replace(",", "")) else text[1:]


def decimals_apart(percent: float, bound: float) -> int:
    """Return the decimals of a change: more than one where it would be read as a bound that is itself written so."""
    told = round(bound, 1)
    if not bound or not math.isclose(told, bound):
        return 1
    return next((decimals for decimals in range(1, 5) if round(abs(percent), decimals) != told), 1)


def percent_number(share: float, decimals: int) -> str:
    """Return a share in percent with so many decimals; with more where it is neither none nor all and would read so."""
    percent = round(100 * share, _PERCENT_DECIMALS)
    short = min(percent, 100 - percent)
    if 0 < short <= 0.5 * 10**-decimals:
        decimals = _decimals(short, 1)
    return f"{percent:z.{decimals}f}"


def percent_text(share: float) -> str:
    """Return a share from 0 to 1 as ``66 %``, with a space that does not break; what rounds to nothing has no sign.

    ``99.6 %`` and ``0.4 %``: what is short of all is not 100 %, and what is more than none is not 0 %.
    """
    return f"{percent_number(share, 0)}\N{NO-BREAK SPACE}%".replace("-", _MINUS)


def short_percent(share: float, figures: int = 3) -> str:
    """Return a share as ``66.7 %`` or ``0.0123 %``, with up to so many figures; what is short of all is not 100 %."""
    short = short_text(100 * share, figures)
    return f"{percent_number(share, 0) if short == '100' else short} %"


def tenths_text(share: float) -> str:
    """Return a share as ``66.0 %``, and ``99.98 %``, which is not all; a dash for a missing one."""
    return MISSING if math.isnan(share) else f"{percent_number(share, 1)} %"


def plural(number: int, noun: str) -> str:
    """Return ``1 run``, ``2 runs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def span(numbers: Iterable[float]) -> str:
    """Return ``6``, or ``2 to 6`` where they differ."""
    values = list(numbers)
    low, high = count_text(min(values)), count_text(max(values))
    return low if low == high else f"{low} to {high}"


def spans(numbers: Iterable[float], noun: str) -> str:
    """Return ``1 run``, ``6 runs``, or ``2 to 6 runs`` where they differ."""
    said = span(numbers)
    return f"{said} {noun}{'' if said == '1' else 's'}"


def strata_text(number: int) -> str:
    """Return ``1 stratum``, ``2 strata``."""
    return f"{number:,} {'stratum' if number == 1 else 'strata'}"


def listed(parts: Sequence[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


@lru_cache(maxsize=10_000)
def typeset(text: str) -> str:
    """Return text whose numbers stay with their units and intervals in one piece on a line, as a page shows it.

    No line begins with a dot between parts. A unit that is repeated within an interval is said once
    (``20 s [20 s, 20 s]``), a zero has no sign, and a percent sign stands apart from its number.
    """
    if " " not in text and "%" not in text:  # most of a large table
        return _ZERO.sub(r"\1", text)
    once = _UNIT_THRICE.sub(r"\1 \2 [\3, \4]", _PERCENT.sub(" %", text))
    whole = _INTERVAL.sub(lambda found: found[0].replace(" ", _SPACE), _ZERO.sub(r"\1", once))
    joined = _UNIT.sub(_SPACE, whole).replace(_DOT, f"{_SPACE}{_DOT[1:]}")
    return _LETTER.sub(rf"\1{_SPACE}\2{_SPACE}", joined)
