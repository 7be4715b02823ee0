"""What the keys of several parts of the configuration hold: numbers with their units, names, paths of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from bench.system.places import expanded
from bench.system.units import Unit, parse_cpus, parse_duration_s, parse_rate_bit_s, parse_size, refuse_bool

Size = Annotated[int, BeforeValidator(parse_size), Unit("bytes", "512M")]
"""Bytes; accepts ``4G``, ``512M`` or a whole number of bytes."""

Duration = Annotated[float, BeforeValidator(parse_duration_s), Unit("s", "500ms")]
"""Seconds; accepts ``20``, ``500ms``, ``20s``."""

Rate = Annotated[int, BeforeValidator(parse_rate_bit_s), Unit("bit/s", "100mbit")]
"""Bits per second; accepts ``1gbit``, ``100mbit``."""

Cpus = Annotated[tuple[int, ...], BeforeValidator(parse_cpus), Unit("CPU numbers", "0-3,6")]
"""CPU numbers of the host; accepts ``3``, ``0-3,6`` or a list."""

Loss = Annotated[float, BeforeValidator(refuse_bool), Field(gt=0, lt=100), Unit("%")]
"""Per cent of the packets."""

Whole = Annotated[int, BeforeValidator(refuse_bool)]
Positive = Annotated[Whole, Field(ge=1)]
Deadline = Annotated[Duration, Field(gt=0)]


def whole_mib(size_bytes: int) -> int:
    """Return a size that is a whole number of MiB.

    Raises:
        ValueError: it is not.
    """
    if size_bytes % (1 << 20):
        raise ValueError(f"{size_bytes} bytes is not a whole number of MiB; write 512M or 4G")
    return size_bytes


def absolute_path(text: str) -> Path:
    """Return a path with its ``~`` replaced, from the root.

    Raises:
        ValueError: there is no such user, or it cannot be a path.
    """
    if "\0" in text:
        raise ValueError("a path holds no NUL")
    try:
        return expanded(Path(text))
    except (RuntimeError, OSError) as error:
        raise ValueError(f"{text!r} is no path here: {error}") from error


def as_text(value: object) -> object:
    """Return a name as it was typed: ``10.0`` is read as a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
