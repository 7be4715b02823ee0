"""What the commands share: tables and JSON on standard output, progress on a terminal, shares as people type them."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analysis.errors import UNWRITABLE, AnalysisError, mends, said, told
from analysis.process.streams import lost
from analysis.verdicts.digits import rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

_WIDTH_OF_A_LOG = 160
_NARROWEST = 40
NOT_LIVE = frozenset({"", "dumb", "unknown"})
"""Values of ``TERM`` that promise no cursor and no colours."""

_LARGEST_SHARE = 10.0


def console(file: TextIO | None = None) -> Console:
    """Return where a command prints: as wide as the terminal, and of one fixed width in a log.

    Whether it is a terminal is asked of the stream, not of ``FORCE_COLOR`` and its like.
    """
    stream = sys.stdout if file is None else file
    live = stream.isatty() and os.environ.get("TERM", "dumb") not in NOT_LIVE
    width = _WIDTH_OF_A_LOG
    with suppress(OSError, ValueError, AttributeError):
        width = max(os.get_terminal_size(stream.fileno()).columns, _NARROWEST) if live else width
    return Console(file=stream, width=width, force_terminal=live, highlight=False, markup=False, emoji=False)


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Give a function that says what is being done: on one changing line of standard error, where it is a terminal.

    Elsewhere, and with ``quiet``, it says nothing.
    """
    screen = console(sys.stderr)
    if quiet or not screen.is_terminal:
        yield lambda _: None
        return
    with screen.status("reading the runs") as status:
        yield lambda text: status.update(escape(text))


def print_table(out: Console, headings: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> None:
    """Print rows below their headings; the first ``words`` columns and the last stand left, those between right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    last = len(headings) - 1
    for place, heading in enumerate(headings):
        number = words <= place < last
        table.add_column(heading, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)


def print_json(tree: Any) -> None:
    """Print one JSON document in ASCII: nine significant digits, null for what is no finite number."""
    text = json.dumps(finite(rounded(tree)), indent=1, allow_nan=False, default=lambda number: number.item())
    sys.stdout.write(f"{text}\n")


def finite(tree: Any) -> Any:
    """Return a tree of dicts, lists and tuples with null for what is no finite number."""
    if isinstance(tree, dict):
        return {key: finite(one) for key, one in tree.items()}
    if isinstance(tree, list | tuple):
        return [finite(one) for one in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def share(text: str) -> float:
    """Return ``5%``, ``5 %`` or ``0.05`` as 0.05, for ``argparse``.

    Raises:
        argparse.ArgumentTypeError: no number, not positive, or a bare number of 1 and more, which could mean either.
    """
    number = text.strip().removesuffix("%").strip()
    try:
        value = float(number)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write 5% or 0.05") from error
    if "%" not in text and value >= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not clear; write {number}% or a number below 1")
    value = value / 100 if "%" in text else value
    if not 0 < value <= _LARGEST_SHARE:
        raise argparse.ArgumentTypeError(f"{text!r} must be above 0 and at most 1000%")
    return value


def reported(work: Callable[[], int], *, in_files: bool = False) -> int:
    """Return what ``work`` returns; an error of the analysis is one line on stderr and its exit code.

    Args:
        work: the command's.
        in_files: what it makes lies in files, so that a full disk below standard output loses nothing. A reader that
            has gone (``| head``) has read what it wanted.
    """
    try:
        return work() if in_files else _whole(work())
    except AnalysisError as error:
        sys.stderr.write(error.told())
        return error.exit_code
    except OSError as error:
        sys.stderr.write(told(f"a file cannot be written: {said(error)}", mends(error)))
        return UNWRITABLE


def _whole(status: int) -> int:
    refused = lost()
    if refused is not None:
        raise OSError(refused.errno, refused.strerror, "standard output")
    return status
