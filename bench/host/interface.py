"""The interface that carries an address on a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import HostError

if TYPE_CHECKING:
    from bench.host.host import Host

_LOOK_S = 10.0


async def interface_of(host: Host, address: str) -> str:
    """Return the name of the interface with an address; empty where the host does not tell, or it is loopback."""
    try:
        shown = await host.run(("ip", "-o", "addr", "show", "to", address), _LOOK_S)
    except HostError as error:
        if error.cause == "connection-cut":
            raise
        return ""
    words = shown.split()
    return words[1] if len(words) > 1 and words[1] != "lo" else ""
