"""Sizes, durations, rates and the words of a configuration: one spelling family, and no other number than was typed."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import pytest
from fuzzing import QUICK, json_values, trial
from hypothesis import given
from hypothesis import strategies as st

from analysis.stored.factors import parse_level
from bench.config.load import parse_on_error
from bench.format.factors import size_text
from bench.system.units import is_amount, parse_duration_s, parse_rate_bit_s, parse_size

UNITS = ("", "K", "M", "G", "T", "KiB", "MiB", "GiB", "TiB")
SHIFT = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
SECONDS = {"": 1, "us": Fraction(1, 10**6), "ms": Fraction(1, 1000), "s": 1, "min": 60, "h": 3600}
BITS = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
ODD = [
    "4G",
    "4096M",
    "0",
    "-1G",
    "4GB",
    "16EiB",
    "1e3M",
    "4 G",
    " 4G",
    "4G ",
    "4G\n",
    "",
    "G",
    "+4G",
    "4g",
    "4Gib",
    "4iB",
    "0x10",
    "4_096M",
    "4,096M",
    "4.0G",
    "00004G",
    "1048576T",
    "1048575T",
    "9" * 18,
    "9" * 19,
    "9" * 5000,
    "NaN",
    "inf",
    "null",
    "true",
    "\N{FULLWIDTH DIGIT FOUR}G",
    "\N{ARABIC-INDIC DIGIT FOUR}G",
    "4\N{GREEK CAPITAL LETTER GAMMA}",
    "4\N{NO-BREAK SPACE}G",
    "4\0G",
]
TEXTS = st.one_of(
    st.sampled_from(ODD),
    st.builds(
        lambda n, unit: f"{n}{unit}",
        st.integers(-9, 1 << 70),
        st.sampled_from((*UNITS, "B", "GB", "EiB", "iB", "g", "m")),
    ),
    st.text("0123456789KMGTiB .-+e\N{FULLWIDTH DIGIT FOUR}\N{ARABIC-INDIC DIGIT FOUR}", max_size=12),
    st.text(max_size=8),
)


@QUICK
@given(TEXTS)
def test_an_accepted_size_is_the_number_that_is_written_there(text: str) -> None:
    with trial("size") as one:
        size = one.attempt(parse_size, text, refusals=ValueError)
        match = re.fullmatch(r"([0-9]+)(?:([KMGT])(?:iB)?)?", text, re.ASCII)
        meant = int(match[1][:40]) << SHIFT[match[2] or ""] if match and len(match[1]) < 20 else 0
        assert size == (meant if 0 < meant < 1 << 60 else None)
        if size is not None:
            assert text.isascii()
            assert parse_level("mem", text) == size


@QUICK
@given(st.integers(1, (1 << 60) - 1), st.sampled_from(UNITS))
def test_a_written_size_is_read_back(count: int, unit: str) -> None:
    size = count >> SHIFT[unit[:1]] << SHIFT[unit[:1]]
    with trial("size") as one:
        if size:
            assert one.attempt(parse_size, f"{size >> SHIFT[unit[:1]]}{unit}") == size
            assert parse_size(size) == parse_size(str(size)) == size
            assert parse_size(size_text(size).removesuffix(" B").replace(" ", "")) == size


@QUICK
@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), json_values()))
def test_what_is_no_size_is_refused_whatever_its_type(value: Any) -> None:
    with trial("size") as one:
        size = one.attempt(parse_size, value, refusals=ValueError)
        assert size is None or size == value or isinstance(value, str)
        assert not isinstance(value, bool | float) or size is None


@QUICK
@given(
    st.one_of(
        st.builds(lambda n, unit: f"{n}{unit}", st.integers(0, 10**10), st.sampled_from((*SECONDS, "d", "S", "sec"))),
        st.from_regex(r"[0-9]{1,10}(\.[0-9]{1,10})? ?(us|ms|s|min|h)?", fullmatch=True),
        TEXTS,
    )
)
def test_an_accepted_duration_is_the_float_nearest_to_what_is_written(text: str) -> None:
    with trial("duration") as one:
        seconds = one.attempt(parse_duration_s, text, refusals=ValueError)
        if seconds is not None:
            match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s?([a-z]*)", text, re.ASCII)
            assert match is not None
            assert seconds == float(Fraction(match[1]) * SECONDS[match[2]])
            assert parse_duration_s(seconds) == seconds


@QUICK
@given(st.floats())
def test_a_duration_as_the_plan_holds_it_is_read_back(seconds: float) -> None:
    with trial("duration") as one:
        found = one.attempt(parse_duration_s, seconds, refusals=ValueError)
        assert found == (seconds if 0 <= seconds < 1e13 else None)


@QUICK
@given(
    st.one_of(
        st.from_regex(r"[0-9]{1,10}(\.[0-9]{1,10})?(bit|kbit|mbit|gbit|tbit|Mbit)?", fullmatch=True),
        TEXTS,
        st.integers(),
    )
)
def test_an_accepted_rate_is_exactly_what_is_written(value: str | int) -> None:
    with trial("rate") as one:
        rate = one.attempt(parse_rate_bit_s, value, refusals=ValueError)
        if rate is not None:
            match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([a-z]+)", str(value), re.ASCII)
            assert rate == (Fraction(match[1]) * BITS[match[2]] if match else value)
            assert parse_rate_bit_s(rate) == rate


@QUICK
@given(st.one_of(st.from_regex(r"(continue|stop|retry)(:-?[0-9]{0,5})?", fullmatch=True), TEXTS, json_values()))
def test_on_error_is_one_of_three_words(value: Any) -> None:
    with trial("on_error") as one:
        found = one.attempt(parse_on_error, value, refusals=ValueError)
        if found is not None:
            rendered = "stop" if found.stop else f"retry:{found.retries}" if found.retries else "continue"
            assert rendered == value


@QUICK
@given(json_values())
def test_an_amount_is_a_number_from_zero(value: Any) -> None:
    with trial("amount") as one:
        one.accepted = is_amount(value)
        assert not one.accepted or (type(value) in (int, float) and value >= 0)


@pytest.mark.parametrize("text", ["4iB", "0iB", "9" * 5000])
def test_a_size_needs_its_unit_before_the_ib(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(("text", "expected"), [("2.3ms", 0.0023), ("50us", 5e-05), ("7us", 7e-06), ("0.1h", 360.0)])
def test_a_duration_is_not_rounded_and_is_read_back_from_a_plan(text: str, expected: float) -> None:
    assert parse_duration_s(text) == expected
    assert parse_duration_s(expected) == expected


@pytest.mark.parametrize("value", ["1.5bit", "0.123456789kbit", 10**19, "999999999999gbit"])
def test_a_rate_is_a_whole_number_of_bits_and_has_an_end(value: str | int) -> None:
    with pytest.raises(ValueError, match="is not a bit rate"):
        parse_rate_bit_s(value)


def test_a_number_of_thousands_of_digits_is_refused_in_words() -> None:
    for parse in (parse_size, parse_rate_bit_s):
        with pytest.raises(ValueError, match="so large a number"):
            parse(10**5000)


def test_a_size_in_bytes_may_have_nineteen_digits() -> None:
    assert parse_size("1000000000000000000") == 10**18
    assert parse_size(str((1 << 60) - 1)) == (1 << 60) - 1
