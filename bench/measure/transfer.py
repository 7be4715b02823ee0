"""Bytes sent on the migration connection per checkpoint, from samples of the kernel's counter between checkpoints."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_ADDRESS = re.compile(r"\S+:(?P<port>[0-9]{1,5}|\*)", re.ASCII)
_COUNTER = re.compile(r"\b(?P<name>bytes_sent|bytes_retrans):(?P<value>[0-9]{1,20})\b", re.ASCII)


@dataclass(frozen=True)
class Sample:
    """One reading of a counter that only grows.

    Attributes:
        before: Unix seconds just before it was read.
        after: Unix seconds just after.
        sent: bytes sent since the connection began.
    """

    before: float
    after: float
    sent: int


def parse_ss(text: str, port: int) -> int | None:
    """Return the bytes sent on the TCP connections to a port, from the output of ``ss -tinH`` (``-O`` or not).

    Retransmissions are taken off: they belong to the path, not to the checkpoint. Several connections (multifd) are
    added up. ``None`` when there is no connection to that port, or when the kernel (before 4.19) does not tell.
    """
    sent: list[int] = []
    for line in re.sub(r"\n[ \t]+", " ", text).splitlines():
        ends = [match["port"] for match in map(_ADDRESS.fullmatch, line.split()) if match][:2]
        if len(ends) == 2 and ends[1] == str(port):  # noqa: PLR2004 - ours and the peer's
            counters = {match["name"]: int(match["value"]) for match in _COUNTER.finditer(line)}
            if "bytes_sent" not in counters:
                return None
            sent.append(counters["bytes_sent"] - counters.get("bytes_retrans", 0))
    return sum(sent) if sent else None


def bytes_sent(spans_us: Sequence[tuple[int, int]], samples: Sequence[Sample]) -> tuple[int | None, ...]:
    """Return the bytes sent in each span, ``None`` where the samples do not tell.

    The difference of two samples belongs to a span only when the span, whole, is the only one between them, and no
    span touches the time in which either was read.

    Args:
        spans_us: begin and end, in microseconds since the epoch, of every checkpoint of the connection, used or not,
            in order.
        samples: readings of one counter, in order.
    """
    marks = [(mark, sample.sent) for sample in samples if (mark := _quiet(spans_us, sample)) is not None]
    found: dict[int, int] = {}
    for (before, first), (after, second) in pairwise(marks):
        if after == before + 1 and second >= first:
            found[before] = second - first
    return tuple(found.get(index) for index in range(len(spans_us)))


def _quiet(spans_us: Sequence[tuple[int, int]], sample: Sample) -> int | None:
    """Return how many spans had ended before a sample was read; ``None`` when one touches the reading."""
    ended = sum(end <= sample.before * 1e6 for _, end in spans_us)
    begun = sum(start < sample.after * 1e6 for start, _ in spans_us)
    return ended if ended == begun else None
