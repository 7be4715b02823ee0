"""The installed command prints its own name: ``colo-bench doctor`` where a message says ``python -m bench.doctor``.

With ``pipx`` the latter is no command of the shell that reads it. Messages are written in one spelling everywhere, and
stay so in stored files; here the bytes on their way to the terminal are changed.
"""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPELLED = re.compile(rb"\bpython -m (bench|analysis)(\.[a-z_]+)?(?: ([a-z]+)\b(?![=./]))?")


class Spelled(io.BufferedIOBase):
    """A stream of bytes that passes on what is written in the other spelling.

    Args:
        stream: what lies below.
        names: of commands, by their module and the words that follow it.
    """

    def __init__(self, stream: io.BufferedIOBase, names: Mapping[tuple[str, ...], str]) -> None:
        self._stream = stream
        self._names = names

    def write(self, content: object, /) -> int:
        """Pass on; the length is that of what was given."""
        given = bytes(content)  # type: ignore[call-overload]
        self._stream.write(_SPELLED.sub(self._replaced, given))
        return len(given)

    def _replaced(self, match: re.Match[bytes]) -> bytes:
        module, word = (match[1] + (match[2] or b"")).decode(), (match[3] or b"").decode()
        if name := self._names.get((module, word)):
            return f"colo-bench {name}".encode()
        rest = f" {word}" if word else ""
        name = self._names.get((module,))
        return f"colo-bench {name}{rest}".encode() if name else match[0]

    def flush(self) -> None:
        """Flush what lies below."""
        self._stream.flush()

    def fileno(self) -> int:
        """Return the descriptor of what lies below."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Tell whether what lies below is a terminal."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True


def spell(names: Mapping[tuple[str, ...], str]) -> None:
    """Have this process's standard output and error name commands as they are installed, see :class:`Spelled`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            encoding, errors, by_line = stream.encoding, stream.errors, stream.line_buffering
            below: io.BufferedIOBase = stream.detach()
            setattr(sys, name, io.TextIOWrapper(Spelled(below, names), encoding, errors, line_buffering=by_line))
