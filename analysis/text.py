"""Values as people read them: sizes, times, counts, and how a pair ran."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ACCEL_TEXT = {"tcg": "emulation (TCG)", "kvm": "KVM"}
"""How a pair ran, in the words of every table and figure."""

MISSING = "\N{EN DASH}"

_WHOLE_FROM_MS, _TENTHS_FROM_MS = 100, 10


def accel_text(accels: Sequence[str]) -> str:
    """Return ``emulation (TCG)``, ``KVM``, or both."""
    return " and ".join(ACCEL_TEXT[accel] for accel in accels)


def size_text(size_bytes: int) -> str:
    """Return a size as ``512 MiB`` or ``4 GiB``, exact: the largest binary unit that divides it."""
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size_bytes and size_bytes % (1 << shift) == 0:
            return f"{size_bytes >> shift} {unit}"
    return f"{size_bytes} B"


def ms_text(milliseconds: float) -> str:
    """Return milliseconds with about three digits: ``7.20``, ``46.1``, ``1,204``; a dash for a missing value."""
    if math.isnan(milliseconds):
        return MISSING
    if milliseconds >= _WHOLE_FROM_MS:
        return f"{milliseconds:,.0f}"
    return f"{milliseconds:.1f}" if milliseconds >= _TENTHS_FROM_MS else f"{milliseconds:.2f}"


def count_text(number: float) -> str:
    """Return a count with thousands separated; a dash for a missing one."""
    return MISSING if math.isnan(number) else f"{number:,.0f}"


def percent_text(share: float) -> str:
    """Return a share from 0 to 1 as ``66 %``, with a space that does not break."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def plural(number: int, noun: str) -> str:
    """Return ``1 run``, ``2 runs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
