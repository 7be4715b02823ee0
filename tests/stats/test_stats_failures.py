from __future__ import annotations

import pytest

from analysis.stats import clopper_pearson


def test_no_failure_in_six_still_allows_for_nearly_half() -> None:
    result = clopper_pearson(0, 6)
    assert (result.estimate, result.low) == (0, 0)
    assert result.high == pytest.approx(1 - 0.025 ** (1 / 6))


def test_shares_need_attempts() -> None:
    for failures, attempts in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="is not a share"):
            clopper_pearson(failures, attempts)
    with pytest.raises(ValueError, match="confidence"):
        clopper_pearson(1, 2, confidence=1)
