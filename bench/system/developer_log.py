"""What a developer wants to see, beside the display for people: ``-v`` on the terminal, ``harness.log`` in each run.

Modules log to ``logging.getLogger(__name__)``; nothing is shown or kept outside of these two.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bench.format.folder import HARNESS_LOG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_ROOT = logging.getLogger("bench")
_ROOT.addHandler(logging.NullHandler())
_LINE = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"


def _formatter() -> logging.Formatter:
    formatter = logging.Formatter(_LINE, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    return formatter


def log_to_terminal() -> None:
    """Show everything on standard error from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter())
    _ROOT.addHandler(handler)
    _ROOT.setLevel(logging.DEBUG)


class _RunLog(logging.FileHandler):
    """A file that may be refused, by a full disk say, without a word: it fails no run."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        del record


@contextmanager
def logging_into(folder: Path) -> Iterator[None]:
    """Keep everything that is logged within the block in ``harness.log`` of a folder; a full disk fails nothing."""
    handler = _RunLog(folder / HARNESS_LOG, encoding="utf-8", errors="backslashreplace", delay=True)
    handler.setFormatter(_formatter())
    level = _ROOT.level
    _ROOT.addHandler(handler)
    _ROOT.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        _ROOT.removeHandler(handler)
        _ROOT.setLevel(level)
        with suppress(OSError):
            handler.close()
