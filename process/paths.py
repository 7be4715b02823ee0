"""Paths as people give them: whether one may be looked at."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def require_seen(path: Path) -> None:
    """Raise what keeps a path from being looked at: `Path.exists` and its like do so only before Python 3.14.

    Raises:
        OSError: something may be there. That nothing is there is no such thing.
    """
    with suppress(FileNotFoundError, NotADirectoryError, ValueError):
        path.stat()
