"""QEMU log files with trace events: bytes in, events and an account of what could not be used out.

Two line formats are read, also mixed with each other and with QEMU's own messages:

- ``1234@1795414439.465454:event arguments`` (process id, seconds, microseconds);
- ``2026-11-23T06:35:01.086819Z event arguments``, which GLib writes without a fraction when the microseconds
  are zero.

Sources: QEMU's ``scripts/tracetool/backend/log.py`` and ``util/error-report.c``, GLib's
``g_date_time_format_iso8601``.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from operator import le
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import StoreError
from bench.format.phases import BEAT, DEVICES, EVENTS, PACKETS, Kind
from bench.system.logs import open_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

LONGEST_LINE = 1 << 16
"""Bytes; a longer line is not a trace line."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK = 1 << 16
_EXAMPLE = 200
_FEW = 16

_ARGUMENTS = {event.name: re.compile(event.arguments, re.ASCII) for event in (*EVENTS, *DEVICES, *PACKETS, BEAT)}
"""The arguments of the events that measuring rests on; any other event keeps its arguments as they are."""

_ANY = re.compile(r"(?: (.*))?")

_DAY = r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})"
_PID = r"(?P<pid>[1-9][0-9]{0,9})@(?P<seconds>[1-9][0-9]{0,10})\.(?P<micro>[0-9]{6}):"
_EVENT = r"(?P<event>[A-Za-z_][A-Za-z0-9_]*)"
_REST = r"(?P<rest>| .{0,65536})"
_LINE = re.compile(rf"(?:{_DAY}(?:\.(?P<fraction>[0-9]{{6}}))?Z |{_PID}){_EVENT}{_REST}", re.ASCII)

# The two formats once more, over whole blocks: stamp, event, rest. The stamps' width is fixed, so that bytes compare
# like times.
_BLOCKS = tuple(
    re.compile(rb"^" + stamp + rb"([A-Za-z_][A-Za-z0-9_]*)(| .{0,65536})\n", re.MULTILINE).findall
    for stamp in (
        rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6})Z ",
        rb"[1-9][0-9]{0,9}@([1-9][0-9]{9}\.[0-9]{6}):",
    )
)

_ISO_STAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{6})?Z "
_STAMP = re.compile(rf"{_ISO_STAMP}|{_PID}".encode())
_INNER_STAMP = re.compile(rf"{_ISO_STAMP}|[0-9]@[0-9]{{1,11}}\.[0-9]{{6}}:".encode())
_MESSAGE = re.compile(rf"(?:{_ISO_STAMP})?[A-Za-z_][^\s:]*: ".encode())


class Unusable(StrEnum):
    """Why a line was not used. A line of ``DISORDER`` is used: its checkpoint decides whether order mattered."""

    TORN = "torn line"
    NUL = "NUL bytes"
    LONG = "overlong line"
    FORMAT = "unknown format"
    ARGUMENTS = "unreadable arguments"
    DISORDER = "out-of-order time"
    MESSAGE = "message of QEMU"


_DAMAGE = frozenset((Unusable.TORN, Unusable.NUL, Unusable.LONG, Unusable.ARGUMENTS))


@dataclass(frozen=True)
class Problem:
    """Something that could not be used: what, how often, and the first instance."""

    what: str
    count: int
    example: str

    def to_json(self) -> dict[str, str | int]:
        """Return it as stored in ``run.json``."""
        return {"what": self.what, "count": self.count, "example": self.example}


@dataclass(frozen=True)
class Line:
    """One trace line, taken apart without loss.

    Attributes:
        time_us: microseconds since the epoch.
        pid: the process id of the older format, ``None`` in the newer one.
        fraction: whether the stamp shows microseconds.
        event: the event's name.
        rest: everything after the name, its leading space included.
    """

    time_us: int
    pid: int | None
    fraction: bool
    event: str
    rest: str

    def render(self) -> str:
        """Return the line as QEMU wrote it, without the newline."""
        seconds, micro = divmod(self.time_us, 1_000_000)
        if self.pid is not None:
            return f"{self.pid}@{seconds}.{micro:06d}:{self.event}{self.rest}"
        day = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
        fraction = f".{micro:06d}" if self.fraction else ""
        return f"{day}{fraction}Z {self.event}{self.rest}"


@dataclass(frozen=True, eq=False)
class Trace:
    """The wanted events of one log file, in the file's order. Iterating gives (microseconds, kind).

    Attributes:
        times_us: int64, shape (events,): microseconds since the epoch.
        codes: int32, shape (events,): index into ``kinds``.
        kinds: the distinct (event, values) that occur.
        gaps: how many events precede each damaged line: something may be missing there.
        lines: lines in the file, used or not.
        problems: what could not be used, by kind.
    """

    times_us: NDArray[np.int64]
    codes: NDArray[np.int32]
    kinds: tuple[Kind, ...]
    gaps: tuple[int, ...]
    lines: int
    problems: tuple[Problem, ...]

    def __len__(self) -> int:
        return len(self.times_us)

    def __iter__(self) -> Iterator[tuple[int, Kind]]:
        kinds = self.kinds
        return ((time, kinds[code]) for time, code in zip(self.times_us.tolist(), self.codes.tolist(), strict=True))


def parse_line(line: str) -> Line | None:
    """Take one line apart; ``None`` unless it is exactly one trace line of a known format with a real date."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    if match["pid"]:
        time_us = int(match["seconds"]) * 1_000_000 + int(match["micro"])
        return Line(time_us, int(match["pid"]), fraction=True, event=match["event"], rest=match["rest"])
    second_us = _second_us(match["day"].encode())
    if second_us is None:
        return None
    time_us = second_us + int(match["fraction"] or 0)
    fraction = match["fraction"] is not None
    return Line(time_us, None, fraction=fraction, event=match["event"], rest=match["rest"])


@lru_cache(maxsize=4096)
def _second_us(text: bytes) -> int | None:
    """Return the microseconds of a stamp without its fraction; ``None`` when it is no date."""
    if text.isdigit():
        return int(text) * 1_000_000
    try:
        moment = datetime.strptime(f"{text.decode()}+0000", "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1) if moment >= _EPOCH else None


def _are_dates(seconds: Iterable[bytes]) -> bool:
    return all(_second_us(second) is not None for second in seconds)


def _time_us(stamp: bytes) -> int:
    return (_second_us(stamp[:-7]) or 0) + int(stamp[-6:])


def read_kind(event: str, rest: str) -> Kind | None:
    """Return the event with its argument values; ``None`` when the arguments are not what QEMU writes."""
    match = _ARGUMENTS.get(event, _ANY).fullmatch(rest)
    return Kind(event, tuple(value for value in match.groups() if value is not None)) if match else None


def read_trace(path: Path, wanted: Iterable[str]) -> Trace:
    """Parse a log file of any size, compressed or not; memory is needed for the wanted events only.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        with open_log(path) as file:
            return parse_trace(iter(lambda: file.read(_CHUNK), b""), wanted)
    except FileNotFoundError as error:
        raise StoreError(f"there is no trace log: {path}", cause="trace-empty", logs=(path,)) from error
    except OSError as error:
        raise StoreError(f"the trace cannot be read: {error}", cause="trace-unreadable", logs=(path,)) from error


def parse_trace(chunks: Iterable[bytes], wanted: Iterable[str]) -> Trace:
    """Parse a log file given as chunks of bytes, cut anywhere. Never raises, whatever they hold."""
    parser = _Parser(frozenset(name.encode() for name in wanted))
    rest = b""
    for chunk in chunks:
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            parser.feed(rest + head + newline)
            rest = tail
        elif len(rest) <= 2 * LONGEST_LINE:
            rest += chunk
    return parser.finish(rest)


class _Parser:
    """The state of one pass over a file."""

    def __init__(self, wanted: frozenset[bytes]) -> None:
        self._wanted = wanted
        self._times = array("q")
        self._codes = array("i")
        self._kinds: dict[Kind, int] = {}
        self._known: dict[bytes, int] = {}
        self._unusable: dict[Unusable, tuple[int, str]] = {}
        self._gaps: dict[int, None] = {}
        self._lines = 0
        self._last_us = 0

    def feed(self, block: bytes) -> None:
        """Take whole lines, each with its newline: all at once when every one is sound, else in ever smaller parts."""
        lines = block.count(b"\n")
        if self._fast(block, lines):
            self._lines += lines
            return
        middle = block.index(b"\n", len(block) // 2) + 1
        if lines > _FEW and middle < len(block):
            self.feed(block[:middle])
            self.feed(block[middle:])
            return
        self._lines += lines
        for line in block[:-1].split(b"\n"):
            self._slow(line)

    def finish(self, rest: bytes) -> Trace:
        """Close the file; ``rest`` is what follows the last newline."""
        if rest:
            # Without its newline nobody can tell a whole line from one whose last digits are missing.
            self._lines += 1
            self._count(Unusable.TORN, rest)
        times = np.array(self._times, dtype=np.int64)
        codes = np.array(self._codes, dtype=np.int32)
        times.setflags(write=False)
        codes.setflags(write=False)
        problems = tuple(Problem(kind, *self._unusable[kind]) for kind in Unusable if kind in self._unusable)
        return Trace(times, codes, tuple(self._kinds), tuple(self._gaps), self._lines, problems)

    def _fast(self, block: bytes, lines: int) -> bool:
        """Use a block when all its lines are sound and of one format; only wanted ones cost more than a comparison."""
        if b"\0" in block or block.count(b"Z ") + block.count(b"@") != lines:
            return False
        for pattern in _BLOCKS:
            found = pattern(block)
            if len(found) == lines and _are_dates({stamp[:-7] for stamp, _, _ in found}):
                self._use(found)
                return True
        return False

    def _use(self, found: list[tuple[bytes, bytes, bytes]]) -> None:
        wanted, stamps = self._wanted, [stamp for stamp, _, _ in found]
        if _time_us(stamps[0]) < self._last_us or not all(map(le, stamps, stamps[1:])):
            for stamp, event, rest in found:
                self._advance(_time_us(stamp), event + rest)
        for stamp, event, rest in found:
            if event in wanted:
                self._keep(_time_us(stamp), event + rest)
        self._last_us = _time_us(stamps[-1])

    def _slow(self, line: bytes) -> None:
        """Use one line or count it."""
        fault = _damage(line)
        parsed = None if fault else parse_line(line.decode("latin-1"))
        if parsed is None:
            self._count(fault or _strangeness(line), line)
            return
        tail = (parsed.event + parsed.rest).encode("latin-1")
        self._advance(parsed.time_us, tail)
        if parsed.event.encode() in self._wanted:
            self._keep(parsed.time_us, tail)

    def _advance(self, time_us: int, tail: bytes) -> None:
        if time_us < self._last_us:
            self._count(Unusable.DISORDER, b"%d us before the line above: %s" % (self._last_us - time_us, tail))
        self._last_us = time_us

    def _keep(self, time_us: int, tail: bytes) -> None:
        code = self._known.get(tail)
        if code is None:
            event, space, arguments = tail.decode("latin-1").partition(" ")
            kind = read_kind(event, space + arguments)
            if kind is None:
                self._count(Unusable.ARGUMENTS, tail)
                return
            code = self._known[tail] = self._kinds.setdefault(kind, len(self._kinds))
        self._times.append(time_us)
        self._codes.append(code)

    def _count(self, kind: Unusable, line: bytes) -> None:
        count, example = self._unusable.get(kind, (0, ""))
        self._unusable[kind] = (count + 1, example or line[:_EXAMPLE].decode("ascii", "backslashreplace"))
        if kind in _DAMAGE:
            self._gaps[len(self._times)] = None


def _damage(line: bytes) -> Unusable | None:
    """Say how a line was damaged, if it shows: it holds NULs (a write that never happened) or another's stamp."""
    if b"\0" in line:
        return Unusable.NUL
    own = _STAMP.match(line)
    return Unusable.TORN if _INNER_STAMP.search(line, own.end() if own else 0) else None


def _strangeness(line: bytes) -> Unusable:
    if len(line) > LONGEST_LINE:
        return Unusable.LONG
    return Unusable.MESSAGE if _MESSAGE.match(line) else Unusable.FORMAT
