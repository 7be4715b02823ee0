"""How many digits of a number are written: those that every processor agrees on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 9
"""Significant digits of what is written. NumPy adds in another order on another processor; what follows differs."""


def rounded(tree: Any) -> Any:
    """Return a tree of dicts, lists and tuples with its finite floats rounded; everything else as it is."""
    if isinstance(tree, dict):
        return {key: rounded(one) for key, one in tree.items()}
    if isinstance(tree, list | tuple):
        return [rounded(one) for one in tree]
    return float(f"{tree:.{DIGITS}g}") if isinstance(tree, float) and math.isfinite(tree) else tree


def csv(table: pd.DataFrame) -> bytes:
    """Return a table as CSV in UTF-8; what is unknown is an empty field."""
    text: str = table.to_csv(index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")
    return text.encode()
