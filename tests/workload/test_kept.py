"""Acknowledged writes: which values of a key are acceptable at the end, and a client against a fake that forgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.log_lines import is_kept
from bench.workload.kept import SMALLEST_BYTES, Verdict, Writes, number_in, value_of
from bench.workload.valkey_client import Valkey, key_of, requests, verify

if TYPE_CHECKING:
    from fake_valkey import FakeValkey

KEYS = 10


def written(*numbers: int) -> Writes:
    """Return writes that were made one after the other: number n from n to n + 0.5 s."""
    writes = Writes()
    for number in numbers:
        writes.note(number, float(number), number + 0.5)
    return writes


@given(st.integers(0, 10**SMALLEST_BYTES - 1), st.integers(SMALLEST_BYTES, 100))
def test_a_value_tells_which_write_it_is_of_and_has_its_size(number: int, size: int) -> None:
    value = value_of(number, size)
    assert (len(value), number_in(value)) == (size, number)


@pytest.mark.parametrize("size", range(SMALLEST_BYTES))
def test_a_value_without_room_for_that_has_its_size_and_says_nothing(size: int) -> None:
    assert (len(value_of(7, size)), number_in(value_of(7, size))) == (size, None)


def test_the_last_write_of_each_key_is_what_has_to_be_there() -> None:
    assert written(3, 13, 23, 4).judge(KEYS, {3: 23, 4: 4}) == Verdict(checked=2, lost=0)


def test_a_key_that_is_gone_or_went_back_has_lost_a_write() -> None:
    verdict = written(3, 13, 4).judge(KEYS, {3: 3, 4: None})
    assert (verdict.checked, verdict.lost) == (2, 2)
    assert verdict.examples == (
        "key 3 has write 3, write 13 of it was acknowledged later",
        "key 4 is gone, write 4 of it was acknowledged",
    )


def test_a_write_whose_answer_never_came_may_be_there_or_not() -> None:
    assert written(3).judge(KEYS, {3: 13}).lost == 0
    assert written(3).judge(KEYS, {3: 3}).lost == 0


def test_of_two_writes_under_way_at_once_either_may_be_the_last() -> None:
    writes = written(3)
    writes.note(13, 3.2, 3.4)  # sent while write 3 was under way
    assert writes.judge(KEYS, {3: 3}).lost == 0
    assert writes.judge(KEYS, {3: 13}).lost == 0


def asked(server: FakeValkey, count: int) -> tuple[Writes, Valkey]:
    writes = Writes()
    session = Valkey("127.0.0.1", server.server_address[1], requests("set", KEYS, 64), writes)
    for number in range(count):
        session.ask(number)
    session.close()
    return writes, Valkey("127.0.0.1", server.server_address[1], requests("set", KEYS, 64))


def test_a_server_that_kept_all_has_lost_nothing_and_one_that_forgot_has(server: FakeValkey) -> None:
    writes, again = asked(server, 25)
    assert verify(lambda: again, KEYS, writes) == Verdict(checked=10, lost=0)
    server.kept[key_of(4)] = value_of(14, 64)  # write 24 is lost
    del server.kept[key_of(7)]
    again = Valkey("127.0.0.1", server.server_address[1], requests("set", KEYS, 64))
    verdict = verify(lambda: again, KEYS, writes)
    assert (verdict.checked, verdict.lost) == (10, 2)


def test_a_server_that_is_gone_has_nothing_checked_and_says_why() -> None:
    def refuse() -> Valkey:
        return Valkey("127.0.0.1", 1, requests("set", KEYS, 64))

    verdict = verify(refuse, KEYS, written(1))
    assert (verdict.checked, verdict.lost) == (0, 0)
    assert "ConnectionRefusedError" in verdict.error


@pytest.mark.parametrize(
    "change", [{"checked": -1}, {"lost": 1.5}, {"examples": "x"}, {"examples": [3]}, {"error": None}, {"more": 1}]
)
def test_a_line_of_another_kind_tells_nothing_of_what_was_kept(change: dict[str, object]) -> None:
    line = {"checked": 3, "lost": 0, "examples": [], "error": ""}
    assert is_kept({"kept": line})
    assert not is_kept({"kept": line | change})
