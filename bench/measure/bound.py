"""What the transport could do at best: the bound beside which the cost of a dirty page is read."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.config.links import Link

_VOLUME = 64 << 20
_CHUNK = 32 << 10  # what QEMU hands to the kernel at once (IO_BUF_SIZE in migration/qemu-file.c)
_DEADLINE_S = 10.0


def transport_bound(link: Link) -> dict[str, Any]:
    """Return ``{"bytes_per_s": ..., "how": ...}``: what one stream through the link's kind of socket reaches here, now.

    Both ends are on this host, so it is an upper bound; a bandwidth that the link was given is a lower one of the two.
    """
    seconds = _through(*(socket.socketpair() if link.transport == "unix" else _loopback()))
    reached = _VOLUME / seconds
    kind = "a unix socket" if link.transport == "unix" else "TCP on loopback"
    how = f"{_VOLUME >> 20} MiB through {kind}, before the run"
    if link.bandwidth and link.bandwidth / 8 < reached:
        return {"bytes_per_s": link.bandwidth / 8, "how": "the bandwidth that the link was given"}
    return {"bytes_per_s": round(reached), "how": how}


def _loopback() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname(), timeout=_DEADLINE_S)
        return sender, server.accept()[0]


def _through(sender: socket.socket, receiver: socket.socket) -> float:
    chunk = memoryview(bytes(_CHUNK))
    with sender, receiver:
        sender.settimeout(_DEADLINE_S)
        receiver.settimeout(_DEADLINE_S)
        drain = threading.Thread(target=_drain, args=(receiver,))
        started = time.monotonic()
        drain.start()
        try:
            for _ in range(_VOLUME // _CHUNK):
                sender.sendall(chunk)
        finally:
            sender.shutdown(socket.SHUT_WR)
            drain.join()
        return time.monotonic() - started


def _drain(receiver: socket.socket) -> None:
    buffer = bytearray(1 << 20)
    while receiver.recv_into(buffer):
        pass
