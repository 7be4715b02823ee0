"""Standard output and error that outlive their reader: ``... | head`` and a full disk do not end what is being done."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Sturdy(io.TextIOWrapper):
    """A text stream that drops what nobody can read any more, from the first refused write on.

    Attributes:
        refused: why nothing more is written; None as long as something is.
    """

    refused: OSError | None = None

    def write(self, text: str, /) -> int:
        """Write, or drop."""
        try:
            return super().write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        """Hand over what was written, or drop it."""
        try:
            super().flush()
        except OSError as error:
            self._drop(error)

    def _drop(self, error: OSError) -> None:
        self.refused = error
        # What is still in the buffers would be refused again, at the interpreter's end too, which then ends with 120.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def outlive_readers() -> None:
    """Make standard output and error sturdy: one that is closed goes nowhere, a slow one is waited for."""
    _fill_gaps()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        with suppress(OSError, ValueError, AttributeError):
            os.set_blocking(stream.fileno(), True)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - as long as the process
        elif type(stream) is io.TextIOWrapper:  # one of another kind is whoever made it's to keep
            # A path that is no UTF-8, or a sign that the locale lacks, is written as escapes.
            by_line = stream.line_buffering
            setattr(sys, name, Sturdy(stream.detach(), stream.encoding, "backslashreplace", line_buffering=by_line))


def _fill_gaps() -> None:
    """Let no file of ours take the number of a stream that was closed: whatever writes there would write into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def lost() -> OSError | None:
    """Return why what was printed is not there, where the disk below standard output is full.

    A reader that went before the end has read what it wanted.
    """
    sys.stdout.flush()
    refused: OSError | None = getattr(sys.stdout, "refused", None)
    return refused if refused is not None and refused.errno in _FULL else None
