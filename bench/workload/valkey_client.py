"""The client of the ``valkey`` workload: ``python -m bench.workload.valkey_client``. Runs until SIGTERM.

Source of the protocol: RESP2 (the server's documentation, "Redis serialization protocol specification").
"""

from __future__ import annotations

import json
import socket
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bench.workload.http_client import LAST_ANSWERS_S, REQUEST_TIMEOUT_S, Answer, end, needing, until_told
from bench.workload.kept import Verdict, Writes, number_in, value_of
from bench.workload.load import drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

OK, MISSING, REFUSED = 200, 404, 500
"""What an answer counts as: found or done, no such key, an error of the server."""

_LONGEST_LINE = 64 << 10
_LARGEST = 512 << 20
_AT_ONCE, _MOST_KEYS = 200, 20_000
_TRY_AGAIN_S = 0.5


def command(*words: bytes) -> bytes:
    """Return a command as the server reads it."""
    parts = (b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    return b"*%d\r\n%s" % (len(words), b"".join(parts))


def read_reply(stream: BinaryIO) -> tuple[int, int, str]:
    """Return an answer's status, the bytes of its content, and the server's words where it is an error.

    Raises:
        OSError: the connection ended.
        ValueError: it is no answer to a SET or a GET.
    """
    line = stream.readline(_LONGEST_LINE)
    if not line.endswith(b"\r\n"):
        raise ConnectionError("the server closed the connection")
    kind, rest = line[:1], line[1:-2]
    if kind == b"-":
        return REFUSED, len(rest), rest.decode(errors="replace")
    if kind in (b"+", b":"):
        return OK, len(rest), ""
    content = _content(line, stream)
    return (MISSING, 0, "") if content is None else (OK, len(content), "")


def _content(line: bytes, stream: BinaryIO) -> bytes | None:
    """Return what follows the line that tells a content's size; ``None`` where it tells that there is none."""
    kind, rest = line[:1], line[1:-2]
    if kind != b"$" or not rest.removeprefix(b"-").isdigit() or int(rest) > _LARGEST:
        raise ValueError(f"no answer of the protocol: {line[:80]!r}")
    size = int(rest)
    if size < 0:
        return None
    content = stream.read(size + 2)
    if len(content) < size + 2:
        raise ConnectionError("the server closed the connection")
    return content[:-2]


class Valkey:
    """A connection that sets or gets one key after another."""

    def __init__(
        self,
        address: str,
        port: int,
        make: Callable[[int], bytes],
        writes: Writes | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        self._socket = socket.create_connection((address, port), timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")
        self._make = make
        self._writes = writes

    def ask(self, number: int) -> tuple[int, int]:
        """Make the request of that number and return its status (as HTTP has them) and the bytes of its answer.

        Raises:
            OSError: there was no answer.
            ValueError: the server refused it, or the answer was none of the protocol.
        """
        sent = time.monotonic()
        self._socket.sendall(self._make(number))
        status, size, words = read_reply(self._stream)
        if words:
            raise ValueError(words)
        if self._writes is not None:
            self._writes.note(number, sent, time.monotonic())
        return status, size

    def values(self, keys: Sequence[int]) -> Iterator[bytes | None]:
        """Yield what these keys hold, ``None`` for one that is not there.

        Raises:
            OSError: the connection ended.
            ValueError: an answer was none.
        """
        for begin in range(0, len(keys), _AT_ONCE):
            some = keys[begin : begin + _AT_ONCE]
            self._socket.sendall(b"".join(command(b"GET", key_of(key)) for key in some))
            for _ in some:
                yield _content(self._stream.readline(_LONGEST_LINE), self._stream)

    def fill(self, keys: int, value_bytes: int) -> None:
        """Set every key, as the first write of each does.

        Raises:
            OSError: the connection ended.
            ValueError: the server refused one, or its answer was none.
        """
        make = requests("set", keys, value_bytes)
        for begin in range(0, keys, _AT_ONCE):
            some = range(begin, min(begin + _AT_ONCE, keys))
            self._socket.sendall(b"".join(map(make, some)))
            for _ in some:
                _, _, words = read_reply(self._stream)
                if words:
                    raise ValueError(words)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()
        self._socket.close()


def requests(what: str, keys: int, value_bytes: int) -> Callable[[int], bytes]:
    """Return what gives the request of a number: round and round over the keys, each run the same."""

    def make(number: int) -> bytes:
        key = key_of(number % keys)
        return command(b"SET", key, value_of(number, value_bytes)) if what == "set" else command(b"GET", key)

    return make


def key_of(place: int) -> bytes:
    """Return a key by its place among all."""
    return b"key:%012d" % place


def fill(
    connect: Callable[[], Valkey], keys: int, value_bytes: int, output: Path, wait: Callable[[float], bool]
) -> bool:
    """Set every key, which a server that has just started has none of, and write each failure as a row.

    Returns:
        Whether all of them are set; not where it was told to stop before.
    """
    with output.open("a", encoding="utf-8", buffering=1) as lines:
        while True:
            try:
                with closing(connect()) as session:
                    session.fill(keys, value_bytes)
            except (OSError, ValueError) as error:
                failed = Answer(time.time(), 0.0, 0, f"{type(error).__name__}: {error}", 0)
                lines.write(json.dumps(asdict(failed)) + "\n")
            else:
                return True
            if wait(_TRY_AGAIN_S):
                return False


def verify(connect: Callable[[], Valkey], keys: int, writes: Writes) -> Verdict:
    """Return what became of what the server has acknowledged, of the first many keys."""
    known = writes.copy()
    asked = sorted(known.by_key(keys))[:_MOST_KEYS]
    found: dict[int, int | None] = {}
    try:
        session = connect()
        for key, value in zip(asked, session.values(asked), strict=True):
            found[key] = None if value is None else number_in(value)
        session.close()
    except (OSError, ValueError) as error:
        return Verdict(error=f"{type(error).__name__}: {error}")
    return known.judge(keys, found)


def main() -> None:
    """Parse the command line and run until SIGTERM."""
    parser = needing(__doc__, address=str, port=int, rate=float, connections=int, keys=int, output=Path)
    parser.add_argument("--command", choices=("set", "get"), required=True)
    parser.add_argument("--value-bytes", type=int, required=True)
    parser.add_argument("--verify", action="store_true")
    options = parser.parse_args()
    told = until_told()
    make = requests(options.command, options.keys, options.value_bytes)
    writes = Writes() if options.verify else None
    connect = lambda: Valkey(options.address, options.port, make, writes)  # noqa: E731
    if options.command == "get" and not fill(connect, options.keys, options.value_bytes, options.output, told):
        return
    drive(connect, options.rate, options.connections, options.output, told)
    if writes is not None:
        again = lambda: Valkey(options.address, options.port, make, timeout_s=LAST_ANSWERS_S)  # noqa: E731
        with options.output.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"kept": asdict(verify(again, options.keys, writes))}) + "\n")
    end()


if __name__ == "__main__":
    main()
