from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.format.factors import size_text
from bench.system.units import parse_cpus, parse_duration_s, parse_rate_bit_s, parse_size, refuse_bool


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4G", 4 << 30), ("512M", 512 << 20), ("4GiB", 4 << 30), ("64K", 65536), ("1T", 1 << 40), (4096, 4096), ("7", 7)],
)
def test_a_size_is_bytes(text: object, expected: int) -> None:
    assert expected == parse_size(text)


@pytest.mark.parametrize("text", ["", "4X", "-1", "0", 0, -5, "4 G", "1.5G", True, None, 2.0, "9" * 19, 1 << 60, "٤G"])
def test_what_is_not_a_size_is_refused_with_what_is_legal(text: object) -> None:
    with pytest.raises(ValueError, match="512M, 4G"):
        parse_size(text)


@given(st.integers(min_value=1, max_value=(1 << 50)))
def test_a_size_survives_being_written_and_read(size: int) -> None:
    amount, unit = size_text(size).split()
    assert size == parse_size(amount if unit == "B" else f"{amount}{unit}")


@pytest.mark.parametrize(
    ("text", "expected"), [(20, 20.0), (0.5, 0.5), ("500ms", 0.5), ("20s", 20.0), ("2min", 120.0), ("1h", 3600.0)]
)
def test_a_duration_is_seconds(text: object, expected: float) -> None:
    assert expected == parse_duration_s(text)


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1 day", True, None, float("nan"), float("inf"), -0.5])
def test_what_is_not_a_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="500ms"):
        parse_duration_s(text)


@pytest.mark.parametrize(("text", "expected"), [("1gbit", 10**9), ("100mbit", 10**8), ("1.5kbit", 1500), (9600, 9600)])
def test_a_rate_is_bits_per_second(text: object, expected: int) -> None:
    assert expected == parse_rate_bit_s(text)


@pytest.mark.parametrize("text", ["", "1GB", 0, -1, True, None, "0bit", 1.5])
def test_what_is_not_a_rate_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="100mbit"):
        parse_rate_bit_s(text)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(512 << 20, "512 MiB"), (4 << 30, "4 GiB"), (1536 << 20, "1536 MiB"), (1000, "1000 B"), (2048, "2 KiB")],
)
def test_a_size_is_shown_in_the_largest_unit_that_divides_it(size: int, expected: str) -> None:
    assert expected == size_text(size)


def test_a_truth_value_is_no_number() -> None:
    with pytest.raises(ValueError, match="true is not a number"):
        refuse_bool(True)  # noqa: FBT003
    assert refuse_bool(3) == 3


@pytest.mark.parametrize(
    ("text", "expected"), [("3", (3,)), (3, (3,)), ("0-2,7", (0, 1, 2, 7)), ("7,0-1,1", (0, 1, 7)), ([4, 2], (2, 4))]
)
def test_cpus_are_numbers_rising_and_each_once(text: object, expected: tuple[int, ...]) -> None:
    assert expected == parse_cpus(text)


@pytest.mark.parametrize("text", ["", "3-1", "a", "-1", "0-", "1.5", True, None, [], [True], "0-99999", "\u0661"])
def test_what_is_no_list_of_cpus_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="write 3 or 0-3,6"):
        parse_cpus(text)


@given(st.sets(st.integers(0, 9999), min_size=1, max_size=20))
def test_cpus_survive_being_written_and_read(cpus: set[int]) -> None:
    assert parse_cpus(",".join(map(str, cpus))) == parse_cpus(list(cpus)) == tuple(sorted(cpus))
