"""A heartbeat over the link between two namespaces: a datagram that goes from the one to the other and back."""

from __future__ import annotations

import asyncio
import itertools
import socket
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from bench.host.strike import within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_BYTES = 8


@asynccontextmanager
async def echoing(near: tuple[int, str], far: tuple[int, str]) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Give what sends a datagram over the link and returns when it has come back, for the length of the block.

    Args:
        near: the process that holds the asking side's namespace open, and that side's address on the link.
        far: the same of the side that answers.

    Raises:
        HostError: a namespace cannot be entered.
    """
    asking, answering = (within(pid, partial(_bound, address)) for pid, address in (near, far))
    loop, numbers = asyncio.get_running_loop(), itertools.count(1)
    to = answering.getsockname()

    async def beat() -> None:
        number = next(numbers).to_bytes(_BYTES, "big")
        await loop.sock_sendto(asking, number, to)
        while await loop.sock_recv(asking, _BYTES) != number:
            pass  # that of a beat which was given up

    try:
        loop.add_reader(answering, partial(_answer, answering))
        yield beat
    finally:
        loop.remove_reader(answering)
        asking.close()
        answering.close()


def _bound(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)  # noqa: FBT003 - the standard library takes no keyword
    sock.bind((address, 0))
    return sock


def _answer(sock: socket.socket) -> None:
    with suppress(OSError):  # the way back is down
        sock.sendto(*sock.recvfrom(_BYTES))
