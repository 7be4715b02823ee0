"""The frames from and to the near end, and the one place where everything is waited for."""

from __future__ import annotations

import json
import os
import select
import selectors
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import FRAME, GREETING, PIECE

if TYPE_CHECKING:
    from collections.abc import Callable

_FULL = 8 << 20


class Link:
    """The near end, as far as it is heard and spoken to.

    Attributes:
        selector: what is waited for; the data of each key is called when it is ready.
    """

    def __init__(self, lease_s: float, take: Callable[[dict[str, Any], bytes], None], end: Callable[[], None]) -> None:
        self.selector = selectors.DefaultSelector()
        self._lease_s = lease_s
        self._take, self._end = take, end
        self._heard = time.monotonic()
        self._rests_until = self._heard
        self._inbox, self._outbox = bytearray(), bytearray()

    def begin(self) -> None:
        """Listen on standard input, and never wait for standard output."""
        os.set_blocking(0, False)
        os.set_blocking(1, False)
        self.selector.register(0, selectors.EVENT_READ, self._read)

    def greet(self) -> None:
        """Tell the near end that frames come from here on."""
        self._write(GREETING)

    def rest(self, seconds: float) -> None:
        """Hear nothing but the near end for so long: what runs here has the CPUs to itself."""
        self._rests_until = time.monotonic() + seconds

    def wait(self, most_s: float | None) -> None:
        """Wait for what is ready, ``most_s`` at the most, and do it; end everything when the lease has run out."""
        now = time.monotonic()
        left = self._heard + self._lease_s - now
        if left <= 0:
            with suppress(OSError):
                os.write(2, b"colo-bench agent: no sign of life of the other end: all is ended\n")
            self._end()
        if now < self._rests_until:
            unsaid = (1,) if self._outbox else ()  # the near end waits for it before it begins what we rest for
            heard, taken, _ = select.select((0,), unsaid, (), min(left, self._rests_until - now))
            if taken:
                self._flush()
            if heard:
                self._read()
            return
        for key, _ in self.selector.select(left if most_s is None else min(left, most_s)):
            # An earlier one of the same round may have closed it, or given its number to another.
            current = self.selector.get_map().get(key.fd)
            if current:
                current.data()

    def _read(self) -> None:
        try:
            got = os.read(0, 1 << 18)
        except (BlockingIOError, InterruptedError):
            return
        if not got:
            self._end()
        self._inbox += got
        while len(self._inbox) >= FRAME.size:
            size, more = FRAME.unpack_from(self._inbox)
            if len(self._inbox) < FRAME.size + size + more:
                break
            body = bytes(self._inbox[FRAME.size : FRAME.size + size + more])
            del self._inbox[: FRAME.size + size + more]
            self._take(json.loads(body[:size]), body[size:])
        self._heard = time.monotonic()  # not before: the other end may say nothing while it waits for the answer

    def send(self, message: dict[str, Any], payload: bytes = b"") -> None:
        """Send one frame; waits only where the near end is far behind."""
        head = json.dumps(message, separators=(",", ":")).encode()
        self._write(FRAME.pack(len(head), len(payload)) + head + payload)

    def drain(self) -> None:
        """Wait until all that was sent has been taken."""
        while self._outbox:
            self._wait_for_room()

    def _write(self, data: bytes) -> None:
        self._outbox += data
        self._flush()
        while len(self._outbox) > _FULL:
            self._wait_for_room()

    def _wait_for_room(self) -> None:
        with selectors.DefaultSelector() as waiting:
            waiting.register(1, selectors.EVENT_WRITE)
            if not waiting.select(self._lease_s):
                self._end()
        self._flush()

    def _flush(self) -> None:
        try:
            while self._outbox:
                del self._outbox[: os.write(1, self._outbox[:PIECE])]
        except BlockingIOError:
            pass
        except OSError:
            self._end()
        registered = 1 in self.selector.get_map()
        if self._outbox and not registered:
            self.selector.register(1, selectors.EVENT_WRITE, self._flush)
        elif not self._outbox and registered:
            self.selector.unregister(1)
