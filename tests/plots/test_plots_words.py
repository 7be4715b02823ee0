from __future__ import annotations

import math

import pytest

from analysis.plots.words import change_over_campaign, duration, signed, signed_percent, where_text
from analysis.stored.cells import Cells

SPACE = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("hours", "text"), [(0.01, "36 s"), (0.049, "3 min"), (0.78, "47 min"), (1.99, "119 min"), (2.5, "2.5 h")]
)
def test_durations_below_two_hours_are_minutes(hours: float, text: str) -> None:
    assert duration(hours) == text.replace(" ", SPACE)


def test_a_change_is_told_over_the_campaign_and_not_beyond_it() -> None:
    slope = (math.log(1.1), math.log(1.05), math.log(1.2))
    assert change_over_campaign(slope, 0.5) == "+4.9 % [+2.5, +9.5] over 30 min".replace(" %", f"{SPACE}%").replace(
        "30 ", f"30{SPACE}"
    )


@pytest.mark.parametrize("low", [-30.0, -math.inf, math.nan])
def test_a_change_with_a_very_wide_interval_cannot_be_told(low: float) -> None:
    assert change_over_campaign((2.0, low, 29.0), 0.05) == f"cannot be told over 3{SPACE}min"


@pytest.mark.parametrize(
    ("under", "said"),
    [
        ("KVM", "pairs under KVM"),
        ("KVM, nested and emulation (TCG)", "some pairs under KVM, nested, some under emulation (TCG)"),
    ],
)
def test_a_line_of_origin_says_what_pairs_ran_under_whatever_the_panels_are(under: str, said: str) -> None:
    assert where_text(Cells((), "idle", under)) == f"idle · {said}"


def test_what_rounds_to_nothing_has_no_sign() -> None:
    assert signed_percent(-0.00001) == f"0.0{SPACE}%"
    assert signed(-1234.56) == "\N{MINUS SIGN}1,234.6"
