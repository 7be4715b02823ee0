"""A fake of the key-value store: it speaks as much of the protocol as the client needs, on a real socket."""

from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator


class FakeValkey(socketserver.ThreadingTCPServer):
    """Keeps what is set; ``full`` makes it answer as a server whose disk is full does."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.kept: dict[bytes, bytes] = {}
        self.asked = 0
        self.full = False
        self.silent = threading.Event()
        self.over = threading.Event()


class _Connection(socketserver.StreamRequestHandler):
    server: FakeValkey

    def handle(self) -> None:
        while words := _words(self.rfile):
            self.server.asked += 1
            if self.server.silent.is_set():
                self.server.over.wait(60)
                return
            self.wfile.write(self._answer(words))

    def _answer(self, words: list[bytes]) -> bytes:
        if self.server.full:
            return b"-MISCONF Errors writing to the AOF file: No space left on device\r\n"
        if words[0] == b"SET":
            self.server.kept[words[1]] = words[2]
            return b"+OK\r\n"
        found = self.server.kept.get(words[1])
        return b"$-1\r\n" if found is None else b"$%d\r\n%s\r\n" % (len(found), found)


def _words(stream: BinaryIO) -> list[bytes]:
    head = stream.readline()
    words = []
    for _ in range(int(head[1:]) if head else 0):
        size = int(stream.readline()[1:])
        words.append(stream.read(size + 2)[:-2])
    return words


@contextmanager
def fake_valkey() -> Iterator[FakeValkey]:
    with FakeValkey() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
