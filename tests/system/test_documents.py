from __future__ import annotations

import json

import pytest
from fuzzing import json_values
from hypothesis import given

from bench.system.documents import lines_of, parse_json


@given(json_values())
def test_what_json_can_say_is_read_back_and_nothing_else(value: object) -> None:
    text = json.dumps(value)
    try:
        finite = json.dumps(value, allow_nan=False)
    except ValueError:
        with pytest.raises(ValueError, match=r".+"):
            parse_json(text)
        return
    assert parse_json(finite) == parse_json(finite.encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        "[Infinity]",
        "[-Infinity]",
        "[" * 100_000,
        '{"a":' * 100_000,
        "9" * 5000,
        "1 2",
        "1e999",
        "-1e999",
        "[1E+400]",
        '{"a":1e999}',
        "9" * 400 + ".0",
    ],
)
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    for content in (text, text.encode()):
        with pytest.raises(ValueError, match=r".+"):
            parse_json(content)


def test_bytes_that_are_no_utf8_are_a_value_error() -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(b'"\xff"')


def test_a_lone_surrogate_is_read_as_it_was_escaped() -> None:
    assert parse_json('"\\udc80"') == parse_json(b'"\\udc80"') == "\udc80"


def test_lines_end_at_line_feeds_alone() -> None:
    assert lines_of("a\N{LINE SEPARATOR}b\x85\r\n\nc".encode()) == ["a\N{LINE SEPARATOR}b\x85\r".encode(), b"", b"c"]
    assert lines_of(b"") == []
    assert lines_of(b"a\n") == [b"a"]


def test_a_large_number_and_a_hash_that_looks_like_one_are_read() -> None:
    assert parse_json('{"a": 1e300, "b": "9e999", "c": 123456789012345678901234567890}') == {
        "a": 1e300,
        "b": "9e999",
        "c": 123456789012345678901234567890,
    }
