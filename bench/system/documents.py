"""JSON as it is stored here and sent to us. What a damaged file holds is a ``ValueError``, whatever it is."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import pydantic_core

if TYPE_CHECKING:
    from pathlib import Path

_EXPONENT = re.compile(rb"[eE]\+?[0-9]{3}")
_NUMBER_BEFORE = re.compile(rb"(?:^|[:,\[\s-])[0-9.]+$")
_LONG = re.compile(rb"[0-9]{300}")
_LONGEST = 400


def parse_json(content: str | bytes) -> Any:
    """Return the value of a JSON document in UTF-8.

    Raises:
        ValueError: it is torn, not UTF-8, nested too deep, or holds a NaN or an infinity, which JSON does not have.
    """
    raw = content if isinstance(content, bytes) else content.encode(errors="surrogatepass")
    if not _has_huge(raw):
        # Several times as fast as the standard library, and stricter: what it refuses is looked at once more.
        with suppress(ValueError):
            return pydantic_core.from_json(raw, allow_inf_nan=False)
    text = content.decode() if isinstance(content, bytes) else content
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def read_document(path: Path) -> dict[str, Any] | None:
    """Return the object that a file holds; None where there is no such file, or none that is whole."""
    try:
        tree = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return None
    return tree if isinstance(tree, dict) else None


def lines_of(content: bytes) -> list[bytes]:
    """Return the lines of a file of JSON lines, without their ends.

    Cut at line feeds alone: ``str.splitlines`` also cuts at characters that a JSON string holds as they are (U+2028).
    """
    lines = content.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _has_huge(raw: bytes) -> bool:
    """Return whether there may be a number beyond the floats, which parsers take for infinity; hashes hold none."""
    starts = (found.start() for found in _EXPONENT.finditer(raw))
    return bool(_LONG.search(raw)) or any(_NUMBER_BEFORE.search(raw[max(at - _LONGEST, 0) : at]) for at in starts)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is larger than any number here")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
