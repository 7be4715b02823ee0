"""Where a command prints: whether it is a terminal, how wide, and that what was printed is there."""

from __future__ import annotations

import os
import sys

from rich.console import Console

from bench.errors import StoreError
from bench.process.streams import lost

_PLAIN_WIDTH = 140
_NOT_LIVE = frozenset({"", "dumb", "unknown"})
_CELLS = range(10, 1000)


def require_whole() -> None:
    """Return when what was printed, and is all that a command makes, is there; a reader may have gone before its end.

    Raises:
        StoreError: the disk below standard output is full.
    """
    refused = lost()
    if refused is not None:
        raise StoreError(f"standard output could not be written: {refused.strerror}", cause="disk-full")


def make_console() -> Console:
    """Return the console of this process; wide enough for whole lines where it is no terminal. Brackets are brackets.

    Whether it is one is asked of the stream itself: ``FORCE_COLOR`` and its like do not make a log a terminal, and
    ``TERM=dumb`` is none that anything can change in place on.
    """
    for name in ("COLUMNS", "LINES"):
        if not _plausible(os.environ.get(name, "80")):
            del os.environ[name]  # the terminal knows better; rich would take any digits, or trip over them
    live = sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM", "") not in _NOT_LIVE
    width = None if live else _PLAIN_WIDTH
    return Console(width=width, force_terminal=live, force_interactive=live, highlight=False, markup=False)


def _plausible(cells: str) -> bool:
    return cells.isascii() and cells.isdecimal() and int(cells[:9]) in _CELLS
