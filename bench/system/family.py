"""Processes that carry our mark: found whoever their parent is by now, and ended by a handle that hits no other.

Children are signalled without being reaped.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.system.owner import VARIABLE, Owner, parse_owner, pid_namespace

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

_PROC = Path("/proc")
_PREFIX = f"{VARIABLE}=".encode()
_POLL_S = 0.01
_DEADLINE_S = 5.0
_FAMILY_S = 1.0


@dataclass(frozen=True)
class Marked:
    """A process that carries our mark.

    Attributes:
        pid: its id.
        owner: who started it, or started the process that did.
        folder: where the one that was started works.
        child: which of its owner's children that was, counted from 1.
    """

    pid: int
    owner: Owner
    folder: str
    child: str = ""

    @property
    def mark(self) -> str:
        """Return the mark as it stands in the environment."""
        return f"{self.owner}:{self.child}:{self.folder}"


def read_mark(pid: int, environ: bytes) -> Marked | None:
    """Return whose a process is, from the environment that it was started with; ``None`` when it is not ours."""
    for entry in environ.split(b"\0"):
        if entry.startswith(_PREFIX):
            name, _, rest = os.fsdecode(entry.removeprefix(_PREFIX)).partition(":")
            child, _, folder = rest.partition(":")
            owner = parse_owner(name)
            return Marked(pid, owner, folder, child) if owner else None
    return None


def marked() -> Iterator[Marked]:
    """Find every process of this user, in this container, that carries a mark; this process is none of them."""
    here = pid_namespace("self")
    for entry in _PROC.iterdir():
        with suppress(OSError):
            if not entry.name.isdigit() or int(entry.name) == os.getpid() or entry.stat().st_uid != os.geteuid():
                continue
            found = read_mark(int(entry.name), (entry / "environ").read_bytes())
            if found and pid_namespace(found.pid) == here:
                yield found


def end(wanted: Callable[[Marked], bool], deadline_s: float = _DEADLINE_S) -> list[Marked]:
    """Kill every marked process that is wanted, and what it may start meanwhile; return those that were killed."""
    killed: dict[int, Marked] = {}
    give_up = time.monotonic() + deadline_s
    while True:
        found = [one for one in marked() if wanted(one)]
        for one in found:
            if _kill(one):
                killed[one.pid] = one
        if not found or time.monotonic() > give_up:
            return list(killed.values())
        time.sleep(_POLL_S)


def _kill(one: Marked) -> bool:
    """Kill a process by a handle on it: between the look and the kill, its id may have become another's."""
    try:
        handle = os.pidfd_open(one.pid)
    except OSError:
        return False
    try:
        now = read_mark(one.pid, (_PROC / str(one.pid) / "environ").read_bytes())
        if now != one:
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def end_family(mark: str) -> list[Marked]:
    """Kill whatever carries exactly this mark: what an ended child had started and left."""
    return end(lambda one: one.mark == mark, _FAMILY_S)


def signal_child(child: asyncio.subprocess.Process, number: int) -> None:
    """Send a signal to a child that still runs, and take nothing from one that has ended.

    Its own ``kill`` and ``terminate`` reap a child that has just ended (``Popen.send_signal`` polls first), and
    asyncio's watcher, which waits for it too, then prints "Unknown child process" and makes up a status of 255.
    """
    with suppress(ChildProcessError, ProcessLookupError):
        if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            os.kill(child.pid, number)
