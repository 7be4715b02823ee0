from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.stats import Word, verdict


@pytest.mark.parametrize(
    ("low", "high", "word", "label"),
    [
        (0.06, 0.09, Word.SUPPORTED, "material"),
        (0.05, 0.09, Word.SUPPORTED, "material"),
        (0.01, 0.09, Word.SUPPORTED, "direction certain, size uncertain"),
        (0.01, 0.04, Word.REFUTED, "trivially positive"),
        (-0.02, 0.04, Word.REFUTED, "equivalent to none"),
        (-0.09, 0.04, Word.REFUTED, "no material growth"),
        (-0.09, -0.01, Word.REFUTED, "opposite sign"),
        (-0.01, 0.06, Word.INCONCLUSIVE, "undecided"),
        (0.0, float("inf"), Word.INCONCLUSIVE, "undecided"),
    ],
)
def test_the_table_of_verdicts(low: float, high: float, word: Word, label: str) -> None:
    result = verdict(low, high, 0.05)
    assert (result.word, result.label, result.sesoi) == (word, label, 0.05)


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0.001, 0.5))
def test_supported_refuted_and_inconclusive_exclude_each_other(low: float, width: float, sesoi: float) -> None:
    high = low + width
    word = verdict(low, high, sesoi).word
    assert (word is Word.REFUTED) == (high < sesoi)
    assert (word is Word.SUPPORTED) == (high >= sesoi and low > 0)


def test_an_interval_needs_two_ends_in_order() -> None:
    with pytest.raises(ValueError, match="two ends in order"):
        verdict(2, 1, 0.05)
    with pytest.raises(ValueError, match="two ends in order"):
        verdict(float("nan"), 1, 0.05)
    with pytest.raises(ValueError, match="sesoi must be a positive"):
        verdict(0, 1, 0)
