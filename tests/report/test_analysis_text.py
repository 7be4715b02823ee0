from __future__ import annotations

import math

import pytest

from analysis.text import (
    accel_text,
    change_text,
    count_text,
    duration_text,
    figures_text,
    listed,
    ms_text,
    percent_number,
    percent_text,
    plural,
    short_percent,
    short_text,
    tenths_text,
    typeset,
)


@pytest.mark.parametrize(
    ("seconds", "text"), [(36, "36 s"), (119, "119 s"), (306, "5 min"), (7199, "120 min"), (9000, "2.5 h")]
)
def test_durations_are_seconds_minutes_and_hours(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.00123, "0.0012"),
        (0.0421, "0.04"),
        (7.2, "7.20"),
        (46.08, "46.1"),
        (161.4, "161"),
        (3020.4, "3,020"),
        (math.nan, "\N{EN DASH}"),
    ],
)
def test_times_have_about_three_digits(value: float, text: str) -> None:
    assert ms_text(value) == text


def test_counts_and_shares() -> None:
    assert count_text(48123.4) == "48,123"
    assert count_text(math.nan) == "\N{EN DASH}"
    assert percent_text(0.6649) == "66\N{NO-BREAK SPACE}%"
    assert percent_text(-0.004) == "0\N{NO-BREAK SPACE}%"
    assert percent_text(-0.0149) == "\N{MINUS SIGN}1\N{NO-BREAK SPACE}%"
    assert [plural(n, "run") for n in (0, 1, 1200)] == ["0 runs", "1 run", "1,200 runs"]


def test_a_decline_that_leaves_something_is_not_one_of_all() -> None:
    shown = [change_text(percent) for percent in (-99.97, -99.95, -99.94, -100.0, -100.04)]
    assert shown == [f"\N{MINUS SIGN}{text}" for text in ("99.97", "99.95", "99.9", "100", "100")]


@pytest.mark.parametrize(
    ("share", "whole", "tenths"),
    [
        *[(0.996, "99.6", "99.6"), (0.995, "99.5", "99.5"), (0.9996, "99.96", "99.96"), (1.0, "100", "100.0")],
        *[(0.004, "0.4", "0.4"), (0.005, "0.5", "0.5"), (0.0002, "0.02", "0.02"), (0.0, "0", "0.0")],
        *[(0.66, "66", "66.0"), (-1e-17, "0", "0.0"), (1e-17, "0", "0.0"), (1 - 1e-16, "100", "100.0")],
    ],
)
def test_a_share_short_of_all_is_not_all_and_one_above_none_is_not_none(share: float, whole: str, tenths: str) -> None:
    assert percent_text(share) == f"{whole}\N{NO-BREAK SPACE}%"
    assert tenths_text(share) == f"{tenths} %"
    assert percent_number(share, 1) == tenths


def test_a_share_in_figures_is_not_all_either() -> None:
    assert [short_percent(share) for share in (0.6667, 0.9996, 1.0, 0.0004)] == ["66.7 %", "99.96 %", "100 %", "0.04 %"]
    assert [short_percent(share, 2) for share in (0.0083, 0.996, 0.0)] == ["0.83 %", "99.6 %", "0 %"]


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (2.4, "2.40"),
        (-31.6, "\N{MINUS SIGN}31.6"),
        (227.4, "227"),
        (999.7, "1,000"),
        (1204.2, "1,204"),
        (0.02, "0.0200"),
        (-1.25e-5, "\N{MINUS SIGN}0.0000125"),
    ],
)
def test_figures_are_three_with_their_zeros(number: float, shown: str) -> None:
    assert figures_text(number) == shown
    assert figures_text(abs(number), signed=True).startswith("+")


@pytest.mark.parametrize(
    ("number", "figures", "shown"),
    [
        *[(5.0, 3, "5"), (0.809, 3, "0.809"), (9.996, 3, "10"), (1204.2, 3, "1,204"), (0.0, 3, "0")],
        *[(999.96, 4, "1,000.0"), (99.6, 2, "100"), (0.826, 2, "0.83")],
        *[(8.02e-5, 3, "0.0000802"), (-8e-5, 3, "-0.00008")],
    ],
)
def test_short_numbers_have_no_exponent(number: float, figures: int, shown: str) -> None:
    assert short_text(number, figures) == shown


@pytest.mark.parametrize(
    ("percent", "shown"),
    [
        *[(43.61, "+43.6"), (120.4, "+120"), (1234.5, "+1,234"), (0.0, "0.0"), (-0.001, "0.0"), (0.06, "+0.1")],
        *[(-0.018, "\N{MINUS SIGN}0.02"), (0.0051, "+0.005"), (math.inf, "+\N{INFINITY}")],
    ],
)
def test_a_change_that_is_not_nothing_does_not_look_like_it(percent: float, shown: str) -> None:
    assert change_text(percent) == shown


def test_how_a_pair_ran_is_never_left_to_guess() -> None:
    assert accel_text(["tcg"]) == "emulation (TCG)"
    assert accel_text(["kvm", "tcg"]) == "KVM and emulation (TCG)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("by 12.8 % in 5 s of 30 runs", "by 12.8~% in 5~s of 30 runs"),
        ("+6.7 % [+3.9, +9.0]", "+6.7~% [+3.9,~+9.0]"),
        ("20 s [20 s, 20 s]", "20~s [20,~20]"),
        ("programs used 32.4% of it", "programs used 32.4~% of it"),
        ("\N{MINUS SIGN}0.0 % or \N{MINUS SIGN}0.05", "0.0~% or \N{MINUS SIGN}0.05"),
        ("1 GiB \N{MIDDLE DOT} 2 vCPUs, a 5 s-step", "1~GiB~\N{MIDDLE DOT} 2~vCPUs, a 5 s-step"),
    ],
)
def test_numbers_stay_with_their_units(text: str, shown: str) -> None:
    assert typeset(text) == shown.replace("~", "\N{NO-BREAK SPACE}")


def test_parts_are_listed_as_a_person_does() -> None:
    assert [listed(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
