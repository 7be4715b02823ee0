"""What the fuzz tests share: inputs that are counted, and the damage that files meet."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from bench.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
Bytes = st.SearchStrategy[bytes]

_LONG, _THOUSAND = 100, 1000

QUICK = settings(max_examples=4 * settings.default.max_examples)
"""For properties whose inputs take no time."""

SLOW = settings(max_examples=max(15, settings.default.max_examples // 8))
"""For properties whose every input takes many milliseconds."""

SLOW_AND_WIDE = settings(max_examples=15 if SLOW.max_examples < _LONG else _THOUSAND)
"""For those of them that meet a person's own words: thousands, when there is time."""


@dataclass
class Count:
    """How many inputs a parser was given, and what became of them."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    failures: int = 0


COUNTS: dict[str, Count] = {}
"""By kind of input, over all tests of this process."""


class Trial:
    """One input that a parser is tried with."""

    def __init__(self) -> None:
        self.accepted = False

    def attempt(self, parse: Callable[..., T], *given: Any, refusals: type[Exception] = BenchError) -> T | None:
        """Return what a parser makes of an input; None when it refuses, by None or by what it may raise."""
        try:
            result = parse(*given)
        except refusals:
            return None
        self.accepted = result is not None
        return result


@contextmanager
def trial(kind: str) -> Iterator[Trial]:
    """Count an input of a kind; whatever the block raises is a failure."""
    count, one = COUNTS.setdefault(kind, Count()), Trial()
    count.inputs += 1
    try:
        yield one
    except Exception:
        count.failures += 1
        raise
    count.accepted += one.accepted
    count.refused += not one.accepted


def json_values(leaves: int = 12) -> st.SearchStrategy[Any]:
    """Return any JSON value, and what Python's parser takes for one."""
    scalars = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(min_value=1 << 62, max_value=1 << 80),
        st.floats(allow_nan=True, allow_infinity=True),
        st.text(max_size=12),
    )
    nested = lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)  # noqa: E731
    return st.recursive(scalars, nested, max_leaves=leaves)


NASTY = st.one_of(
    st.sampled_from(
        [
            b"",
            b"\n",
            b"\r\n",
            b"\0" * 9,
            b"\xff\xfe",
            "\N{LINE SEPARATOR}\x85\x1c".encode(),
            b"[" * 20_000,
            b'{"a":' * 5_000,
            b"9" * 5_000,
            b"NaN",
            b"-Infinity",
            b"1e999",
            "\N{FULLWIDTH DIGIT FOUR}".encode(),
        ]
    ),
    st.binary(max_size=20),
)
"""Bytes that have broken parsers before."""

_PLACES = st.integers(0, 1 << 20)


def lose_the_end(content: bytes, at: int, _to: int, _insert: bytes) -> bytes:
    return content[: at % (len(content) + 1)]


def lose_the_beginning(content: bytes, at: int, _to: int, _insert: bytes) -> bytes:
    return content[at % (len(content) + 1) :]


def lose_a_part(content: bytes, at: int, to: int, _insert: bytes) -> bytes:
    first, last = _span(content, at, to)
    return content[:first] + content[last:]


def zero_a_part(content: bytes, at: int, to: int, _insert: bytes) -> bytes:
    """A write that never reached the disk before the power went."""
    first, last = _span(content, at, to)
    return content[:first] + b"\0" * (last - first) + content[last:]


def repeat_a_part(content: bytes, at: int, to: int, _insert: bytes) -> bytes:
    first, last = _span(content, at, to)
    return content[:last] + content[first:]


def flip_a_bit(content: bytes, at: int, to: int, _insert: bytes) -> bytes:
    if not content:
        return content
    place = at % len(content)
    return content[:place] + bytes([content[place] ^ (1 << to % 8)]) + content[place + 1 :]


def insert(content: bytes, at: int, _to: int, inserted: bytes) -> bytes:
    place = at % (len(content) + 1)
    return content[:place] + inserted + content[place:]


def interleave(content: bytes, at: int, to: int, _insert: bytes) -> bytes:
    """One writer's line in the middle of another's."""
    lines = content.split(b"\n")
    line = lines[to % len(lines)]
    place = at % (len(content) + 1)
    return content[:place] + line + b"\n" + content[place:]


def repeat_a_line(content: bytes, at: int, to: int, _insert: bytes) -> bytes:
    lines = content.split(b"\n")
    lines.insert(at % len(lines), lines[to % len(lines)])
    return b"\n".join(lines)


def lose_a_line(content: bytes, at: int, _to: int, _insert: bytes) -> bytes:
    lines = content.split(b"\n")
    del lines[at % len(lines)]
    return b"\n".join(lines)


def swap_lines(content: bytes, at: int, to: int, _insert: bytes) -> bytes:
    lines = content.split(b"\n")
    first, second = at % len(lines), to % len(lines)
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def join_lines(content: bytes, at: int, _to: int, _insert: bytes) -> bytes:
    lines = content.split(b"\n")
    place = at % len(lines)
    return b"\n".join([*lines[:place], b"".join(lines[place : place + 2]), *lines[place + 2 :]])


SHOWN = (lose_the_end, zero_a_part, repeat_a_line)
"""Damage that leaves every line either as it was or no line at all."""

STAMPED = (*SHOWN, interleave)
"""The same for lines that begin with a time: two in one are seen to be two."""

ANY = (
    *STAMPED,
    lose_the_beginning,
    lose_a_part,
    repeat_a_part,
    flip_a_bit,
    insert,
    lose_a_line,
    swap_lines,
    join_lines,
)


def damaged(content: bytes | Bytes, kinds: tuple[Callable[..., bytes], ...] = ANY, most: int = 4) -> Bytes:
    """Return a content after one to so many accidents."""
    contents = st.just(content) if isinstance(content, bytes) else content
    accident = st.tuples(st.sampled_from(kinds), _PLACES, _PLACES, NASTY)
    return st.builds(_after, contents, st.lists(accident, min_size=1, max_size=most))


def _after(content: bytes, accidents: list[tuple[Callable[..., bytes], int, int, bytes]]) -> bytes:
    for happen, at, to, inserted in accidents:
        content = happen(content, at, to, inserted)
    return content


def _span(content: bytes, at: int, to: int) -> tuple[int, int]:
    first, second = at % (len(content) + 1), to % (len(content) + 1)
    return min(first, second), max(first, second)
