"""A relayed connection: a pair of sockets here, of which one end is its user's and the other the agent's channel."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from bench.errors import HostError

if TYPE_CHECKING:
    from bench.host.wire import Wire


class Relay:
    """Joins a channel of an agent to one end of a pair of sockets."""

    def __init__(self, wire: Wire, number: int) -> None:
        self._wire = wire
        self._number = number
        self._loop = asyncio.get_running_loop()
        self._inner, self._outer = socket.socketpair()
        self._inner.setblocking(False)  # noqa: FBT003 - the standard library takes no keyword
        self._unsent = bytearray()
        self._open, self._ended = True, False

    def begin(self) -> socket.socket:
        """Return the end for whoever asked."""
        if self._open:
            self._loop.add_reader(self._inner, self._readable)
        return self._outer

    def _readable(self) -> None:
        try:
            got = self._inner.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            got = b""
        with suppress(HostError):
            self._wire.frame({"chan": self._number}, got)
        if not got:
            self.close()

    def take(self, data: bytes) -> None:
        """Hand bytes on; none: the other side has ended, and this one does once its user has taken what came before."""
        if not self._open:
            return
        self._unsent += data
        self._ended = self._ended or not data
        self._push()

    def _push(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._inner.send(self._unsent)]
        except BlockingIOError:
            self._loop.add_writer(self._inner, self._push)
            return
        except OSError:
            self._unsent.clear()
        self._loop.remove_writer(self._inner)
        if self._ended:
            self.close()

    def abandon(self) -> None:
        """Let go of both ends."""
        self.close()
        self._outer.close()

    def close(self) -> None:
        """Let go of our end: whoever has the other one reads its end."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._inner)
            self._loop.remove_writer(self._inner)
            self._inner.close()
