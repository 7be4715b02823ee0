"""Amounts as people type them, for ``argparse``: sizes, rates and durations."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_AMOUNT = re.compile(r"(?P<number>[0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(?P<unit>[A-Za-z/]*)", re.ASCII)
_SIZES = {"M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_RATES = {"kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9}
_LINKS = {"mbit": 1e6, "gbit": 1e9}
_DURATIONS = {"ms": 1e-3, "s": 1.0}


def _of(units: Mapping[str, float], example: str) -> Callable[[str], float]:
    def amount(text: str) -> float:
        match = _AMOUNT.fullmatch(text.strip())
        if not match or match["unit"] not in units or not float(match["number"]):
            raise argparse.ArgumentTypeError(f"{text!r}: write {example}, or with {', '.join(units)}")
        return float(match["number"]) * units[match["unit"]]

    return amount


size = _of(_SIZES, "32G")
"""Bytes."""

rate = _of(_RATES, "200MB/s")
"""Bytes per second."""

link = _of(_LINKS, "10gbit")
"""Bits per second."""

duration = _of(_DURATIONS, "500ms")
"""Seconds."""
