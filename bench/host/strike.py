"""What befalls a side on purpose: at once, or as soon as a line comes into a log; and when by the clock it fell."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import HostError
from bench.host.netns import INTERFACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from io import BufferedReader

    from bench.host.process import Process

T = TypeVar("T")

_LOOK_S = 50e-6
"""Between two looks at the log. A phase of a checkpoint can be over in 0.3 ms, so that no event loop is waited for."""

_LONGEST_MARK = 256
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_REQUEST = struct.Struct("16sh22x")  # struct ifreq with its flags


@dataclass(frozen=True)
class Blow:
    """When it fell.

    Attributes:
        before: Unix s, just before.
        after: Unix s, just after: from then on the victim is struck.
        moment: the same on the monotonic clock.
    """

    before: float
    after: float
    moment: float


def blow_of(how: str, process: Process, holder: Process | None) -> Callable[[], None]:
    """Return what strikes a side.

    Args:
        how: ``kill``, ``stop``, ``cut`` or ``down``: a host that goes down says no farewell over its link.
        process: the side's QEMU.
        holder: what holds the side's network namespace open, where it has one of its own; the last two need it.

    Raises:
        HostError: there is no link to cut.
    """
    if how == "kill":
        return process.kill
    if how == "stop":
        return process.suspend
    if holder is None:
        raise HostError("there is no link between two namespaces that could be cut", cause="privilege-missing")
    cut = partial(within, holder.pid, partial(_take_down, INTERFACE))
    return cut if how == "cut" else partial(_in_turn, (cut, process.kill))


def _in_turn(blows: Iterable[Callable[[], object]]) -> None:
    for blow in blows:
        blow()


def strike(blow: Callable[[], None]) -> Blow:
    """Strike, and return when."""
    before = time.time()
    blow()
    return Blow(before, time.time(), time.monotonic())


def strike_at(log: BufferedReader, mark: bytes, blow: Callable[[], None], deadline_s: float) -> Blow | None:
    """Strike as soon as a line with this mark comes into a log; for a thread of its own, since it does nothing else.

    Args:
        log: open, at the place from which it is read.
        mark: at most 256 bytes of a line.
        blow: what strikes.
        deadline_s: when to give up.

    Returns:
        When it fell; None where the line did not come.
    """
    give_up = time.monotonic() + deadline_s
    rest = b""
    while time.monotonic() < give_up:
        rest += log.read()
        if mark in rest:
            return strike(blow)
        rest = rest[-_LONGEST_MARK:]
        time.sleep(_LOOK_S)
    return None


def within(holder_pid: int, work: Callable[[], T]) -> T:
    """Return what the work returns when it is done in the network namespace of a process.

    A thread enters it and ends with the work. A socket stays in the namespace that it was made in, whoever uses it.

    Raises:
        HostError: the namespace cannot be entered, or the work met an error of the system.
    """
    found: list[Any] = []
    failed: list[OSError] = []

    def enter() -> None:
        try:
            _enter(holder_pid)
            found.append(work())
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if failed:
        words = f"what was to be done in the network namespace of process {holder_pid} failed: {failed[0].strerror}"
        raise HostError(words, cause="netns-failed") from failed[0]
    result: T = found[0]
    return result


def _enter(holder_pid: int) -> None:
    """Move this thread into the network namespace of a process (Python 3.12 has ``os.setns``)."""
    with Path(f"/proc/{holder_pid}/ns/net").open("rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))


def _take_down(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        asked = fcntl.ioctl(sock, _SIOCGIFFLAGS, _REQUEST.pack(interface.encode(), 0))
        _, flags = _REQUEST.unpack(asked)
        fcntl.ioctl(sock, _SIOCSIFFLAGS, _REQUEST.pack(interface.encode(), flags & ~_IFF_UP))
