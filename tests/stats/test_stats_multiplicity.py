from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.stats import benjamini_hochberg, holm

# Benjamini & Hochberg (1995), section 3.2.
PVALUES = [
    0.0001,
    0.0004,
    0.0019,
    0.0095,
    0.0201,
    0.0278,
    0.0298,
    0.0344,
    0.0459,
    0.3240,
    0.4262,
    0.5719,
    0.6528,
    0.7590,
    1,
]


def test_holm_rejects_three_of_fifteen() -> None:
    assert holm(PVALUES)[:4] == pytest.approx([0.0015, 0.0056, 0.0247, 0.114])
    assert int((holm(PVALUES) <= 0.05).sum()) == 3


def test_benjamini_and_hochberg_reject_four_of_fifteen() -> None:
    assert benjamini_hochberg(PVALUES)[:5] == pytest.approx([0.0015, 0.003, 0.0095, 0.035625, 0.0603])
    assert int((benjamini_hochberg(PVALUES) <= 0.05).sum()) == 4


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.randoms())
def test_adjusted_values_follow_their_hypotheses_and_keep_the_order(pvalues: list[float], random: object) -> None:
    order = list(range(len(pvalues)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = np.array(pvalues)[order]
    for adjust in (holm, benjamini_hochberg):
        assert adjust(shuffled) == pytest.approx(adjust(pvalues)[order])
    assert (holm(pvalues) >= benjamini_hochberg(pvalues) - 1e-12).all()
    assert (benjamini_hochberg(pvalues) >= np.array(pvalues) - 1e-12).all()


def test_what_is_no_p_value_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.2, 1.2])
    with pytest.raises(ValueError, match="needs at least 1"):
        benjamini_hochberg([])
