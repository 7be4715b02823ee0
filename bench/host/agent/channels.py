"""Connections to unix sockets of this host, relayed: their bytes are frames of a channel."""

from __future__ import annotations

import os
import selectors
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .link import Link


class _Channel:
    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.sock = sock
        self.unsent = bytearray()
        self.ended = False
        self.rest_s = 0.0


class Channels:
    """The connections that are open, by the near end's numbers."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._open: dict[int, _Channel] = {}
        self._rest_s = 0.0

    def op_connect(self, message: dict[str, Any], _payload: bytes) -> None:
        """Connect to a unix socket; from then on its bytes are frames of this channel."""
        path = Path(message["path"])
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(f"/proc/self/fd/{folder}/{path.name}")  # the path may be longer than an address holds
        except BaseException:
            sock.close()
            raise
        finally:
            os.close(folder)
        sock.settimeout(0)
        channel = _Channel(message["number"], sock)
        self._open[channel.number] = channel
        self._link.selector.register(sock, selectors.EVENT_READ, lambda: self._forward(channel))

    def op_rest(self, message: dict[str, Any], _payload: bytes) -> None:
        """Rest for so long: from now on, or ``answered``, once what is said next on any channel has its answer."""
        if message["answered"]:
            self._rest_s = message["seconds"]
        else:
            self._link.rest(message["seconds"])

    def relay(self, number: int, payload: bytes) -> None:
        """Hand bytes of the near end on; none: it has ended, and the connection does once all before is handed on."""
        channel = self._open.get(number)
        if channel:
            channel.unsent += payload
            channel.ended = channel.ended or not payload
            channel.rest_s, self._rest_s = self._rest_s, 0.0
            self._push(channel)

    def _forward(self, channel: _Channel) -> None:
        if channel.unsent:
            self._push(channel)
        if channel.number not in self._open:
            return
        try:
            got = channel.sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            got = b""
        self._link.send({"chan": channel.number}, got)
        if channel.rest_s:
            self._link.rest(channel.rest_s)
            channel.rest_s = 0.0
        if not got:
            self._close(channel)

    def _push(self, channel: _Channel) -> None:
        try:
            while channel.unsent:
                del channel.unsent[: channel.sock.send(channel.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            channel.unsent.clear()
        if channel.ended and not channel.unsent:
            self._close(channel)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.unsent else 0)
        self._link.selector.modify(channel.sock, wanted, lambda: self._forward(channel))

    def _close(self, channel: _Channel) -> None:
        self._link.selector.unregister(channel.sock)
        channel.sock.close()
        del self._open[channel.number]
