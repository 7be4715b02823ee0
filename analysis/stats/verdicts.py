"""From an interval and the smallest effect that matters to one of three words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import isnan

from analysis.stats.checks import as_positive


class Word(Enum):
    """The three answers to a hypothesis of growth."""

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A word, and what it means here.

    Attributes:
        word: the verdict.
        label: which case of it, in words.
        low: the interval that was judged; ``high``: its upper end.
        sesoi: the smallest effect of interest it was judged by.
    """

    word: Word
    label: str
    low: float
    high: float
    sesoi: float


def verdict(low: float, high: float, sesoi: float) -> Verdict:
    """Judge the hypothesis "grows by at least ``sesoi``" by a two-sided 90 % interval.

    With such an interval "supported" (low end above 0) and "refuted" (high end below ``sesoi``) each are a one-sided
    test at 5 %.

    Args:
        low: lower end, in the unit of ``sesoi``; may be infinite.
        high: upper end; may be infinite.
        sesoi: smallest effect of interest, above 0.

    Raises:
        ValueError: NaN, ends in the wrong order, or ``sesoi`` not positive.
    """
    as_positive(sesoi, "sesoi")
    if isnan(low) or isnan(high) or low > high:
        raise ValueError(f"an interval needs two ends in order, not {low} and {high}")
    word, label = _judge(low, high, sesoi)
    return Verdict(word, label, low, high, sesoi)


def _judge(low: float, high: float, sesoi: float) -> tuple[Word, str]:
    if low >= sesoi:
        return Word.SUPPORTED, "material"
    if high >= sesoi:
        return (Word.SUPPORTED, "direction certain, size uncertain") if low > 0 else (Word.INCONCLUSIVE, "undecided")
    if low > 0:
        return Word.REFUTED, "trivially positive"
    if high < 0:
        return Word.REFUTED, "opposite sign"
    return Word.REFUTED, "equivalent to none" if low > -sesoi else "no material growth"
