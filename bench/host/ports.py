"""Ports to listen on: below those that the kernel hands out, in no order, so that two pairs seldom try the same."""

from __future__ import annotations

import random
import socket

PORTS = range(20000, 32000)
"""Where they are taken from."""

_CHANCE = random.SystemRandom()


def sampled_ports(count: int = 200) -> list[int]:
    """Return different ports to try."""
    return _CHANCE.sample(PORTS, count)


def is_free(address: str, port: int) -> bool:
    """Tell whether a port of an address of this machine could be bound just now."""
    with socket.socket() as sock:
        try:
            sock.bind((address, port))
        except OSError:
            return False
    return True
