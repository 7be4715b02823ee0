"""Sizes, durations and rates as people type them, turned into SI numbers; each has one spelling family and no other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Unit:
    """Marks a configured field with the unit that its value is stored in, and how people type one.

    The reference of the configuration is made from it (``docs/hooks.py``); nothing else reads it.
    """

    name: str
    typed: str = ""


_SIZE = re.compile(r"(?P<n>[0-9]{1,19})(?:(?P<unit>[KMGT])(?:iB)?)?", re.ASCII)
_DURATION = re.compile(r"(?P<n>[0-9]{1,9}(?:\.[0-9]{1,9})?)\s?(?P<unit>us|ms|s|min|h)?", re.ASCII)
_RATE = re.compile(r"(?P<n>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>bit|kbit|mbit|gbit)", re.ASCII)

_SHIFT = {None: 0, "K": 10, "M": 20, "G": 30, "T": 40}
# Decimal: 2.3ms is the float nearest to 0.0023, which 2.3 * 1e-3 is not.
_SECONDS = {None: "1", "us": "0.000001", "ms": "0.001", "s": "1", "min": "60", "h": "3600"}
_BITS = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_LARGEST = 1 << 60
_LONGEST_S = 1e13
_FASTEST_BIT_S = 10**18
_CPUS = re.compile(r"(?P<first>[0-9]{1,4})(?:-(?P<last>[0-9]{1,4}))?", re.ASCII)


def refuse_bool(value: object) -> object:
    """Return the value unless it is a truth value, which Python would take for 0 or 1.

    Raises:
        ValueError: it is true or false.
    """
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is not a number")  # noqa: TRY004 - validation wants ValueError
    return value


def is_amount(value: object, below: float = 1e18) -> bool:
    """Return whether a value out of a file is a number from 0 up to a bound: no truth value, no NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < below


def is_count(value: object) -> bool:
    """Return whether a value out of a file is a whole number from 0 up: no truth value."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def parse_size(value: object) -> int:
    """Return bytes from ``4G``, ``512M``, ``4GiB`` or a whole number of bytes.

    Raises:
        ValueError: anything else, zero, negative, or 1 EiB and more.
    """
    size = value if isinstance(value, int) and not isinstance(value, bool) else 0
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        size = int(match["n"]) << _SHIFT[match["unit"]]
    if not 0 < size < _LARGEST:
        raise ValueError(f"{_shown(value)} is not a size; write 512M, 4G or a number of bytes, above 0")
    return size


def parse_duration_s(value: object) -> float:
    """Return seconds from ``20``, ``0.5``, ``500ms``, ``20s``, ``2min`` or ``1h``.

    Raises:
        ValueError: anything else, or a negative number.
    """
    if is_amount(value, _LONGEST_S):
        return float(value)  # type: ignore[arg-type]
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return float(Decimal(match["n"]) * Decimal(_SECONDS[match["unit"]]))
    raise ValueError(f"{_shown(value)} is not a duration; write 0.5, 500ms, 20s or 2min")


def parse_rate_bit_s(value: object) -> int:
    """Return bits per second from ``100mbit``, ``1gbit`` or a whole number of bits per second.

    Raises:
        ValueError: anything else, zero, or a fraction of a bit per second.
    """
    rate = Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else Decimal(0)
    if isinstance(value, str) and (match := _RATE.fullmatch(value)):
        rate = Decimal(match["n"]) * _BITS[match["unit"]]
    if not 0 < rate <= _FASTEST_BIT_S or rate != int(rate):
        raise ValueError(f"{_shown(value)} is not a bit rate; write 100mbit or 1gbit")
    return int(rate)


def _shown(value: object) -> str:
    """Return a value for a message; Python refuses to write out an integer of thousands of digits."""
    return "so large a number" if isinstance(value, int) and abs(value) > 1 << 128 else repr(value)


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
