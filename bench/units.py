"""Sizes, durations and rates as people type them, turned into SI numbers; each has one spelling family and no other."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(?P<n>[0-9]{1,18})(?P<unit>[KMGT]?)(?:iB)?", re.ASCII)
_DURATION = re.compile(r"(?P<n>[0-9]{1,9}(?:\.[0-9]{1,9})?)\s?(?P<unit>us|ms|s|min|h)?", re.ASCII)
_RATE = re.compile(r"(?P<n>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>bit|kbit|mbit|gbit)", re.ASCII)

_SHIFT = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_SECONDS = {None: 1.0, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_BITS = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_LARGEST = 1 << 60
_CPUS = re.compile(r"(?P<first>[0-9]{1,4})(?:-(?P<last>[0-9]{1,4}))?", re.ASCII)


def refuse_bool(value: object) -> object:
    """Return the value unless it is a truth value, which Python would take for 0 or 1.

    Raises:
        ValueError: it is true or false.
    """
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is not a number")  # noqa: TRY004 - validation wants ValueError
    return value


def parse_size(value: object) -> int:
    """Return bytes from ``4G``, ``512M``, ``4GiB`` or a whole number of bytes.

    Raises:
        ValueError: anything else, zero, negative, or 1 EiB and more.
    """
    match = _SIZE.fullmatch(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else None
    size = int(match["n"]) << _SHIFT[match["unit"]] if match else 0
    if not 0 < size < _LARGEST:
        raise ValueError(f"{value!r} is not a size; write 512M, 4G or a whole number of bytes")
    return size


def parse_duration_s(value: object) -> float:
    """Return seconds from ``20``, ``0.5``, ``500ms``, ``20s``, ``2min`` or ``1h``.

    Raises:
        ValueError: anything else, or a negative number.
    """
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        match = _DURATION.fullmatch(str(value))
        if match:
            return float(match["n"]) * _SECONDS[match["unit"]]
    raise ValueError(f"{value!r} is not a duration; write 0.5, 500ms, 20s or 2min")


def parse_rate_bit_s(value: object) -> int:
    """Return bits per second from ``100mbit``, ``1gbit`` or a whole number of bits per second.

    Raises:
        ValueError: anything else, or zero.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    rate = round(float(match["n"]) * _BITS[match["unit"]]) if match else 0
    if rate <= 0:
        raise ValueError(f"{value!r} is not a bit rate; write 100mbit or 1gbit")
    return rate


def size_text(size_bytes: int) -> str:
    """Return a size as ``512 MiB`` or ``4 GiB``, exact: the largest binary unit that divides it."""
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size_bytes and size_bytes % (1 << shift) == 0:
            return f"{size_bytes >> shift} {unit}"
    return f"{size_bytes} B"


def parse_cpus(value: object) -> tuple[int, ...]:
    """Return CPU numbers, rising and each once, from ``3``, ``0-3,6`` or a list of numbers.

    Raises:
        ValueError: it is none of these, or names no CPU.
    """
    parts = list(value) if isinstance(value, list | tuple) else str(value).split(",")
    found: set[int] = set()
    for part in parts:
        match = _CPUS.fullmatch(str(part)) if not isinstance(part, bool) else None
        first, last = (int(match["first"]), int(match["last"] or match["first"])) if match else (1, 0)
        if first > last:
            raise ValueError(f"{value!r} is not a list of CPUs; write 3 or 0-3,6")
        found.update(range(first, last + 1))
    if not found:
        raise ValueError("no CPU is named; write 3 or 0-3,6")
    return tuple(sorted(found))
