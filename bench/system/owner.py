"""Children that end with their owner, even when the owner is killed by SIGKILL and runs no clean-up.

Three layers, as no single one is enough. The kernel kills a child when its owner dies (:func:`end_with_owner`). That
does not reach what the child itself has started, so every child carries a mark in its environment, which its own
children inherit (:func:`mark`): whoever ends a child ends what carries its mark (:mod:`bench.system.family`). And what
a killed owner leaves in spite of both is recognised by that mark when the main command starts next.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import signal
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.system.files import is_folder, passing_folder, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VARIABLE = "COLO_BENCH_RUN"
"""The environment variable that marks a process as ours: ``OWNER:CHILD:FOLDER``."""

SCRATCH = "colo-bench-"
"""What the names of our folders for temporary files begin with; the owner follows at their end."""

_PR_SET_PDEATHSIG = 1
# Looked up before any fork: a child between fork and exec must not load or lock anything.
_prctl = ctypes.CDLL(None, use_errno=True).prctl
_OWNER = re.compile(r"(?P<pid>[1-9][0-9]{0,9})-(?P<started>[0-9]{1,20})-(?P<namespace>[0-9]{1,20})", re.ASCII)
_CHILDREN = itertools.count(1)
_STARTED = 19
"""Where in ``/proc/PID/stat``, counted behind the command's closing bracket, the time of the start is (proc(5))."""


@dataclass(frozen=True)
class Owner:
    """A process that owns others; no second process is ever the same one.

    Attributes:
        pid: its id.
        started: when it started, in the kernel's ticks since boot: an id is used again, the two together are not.
        namespace: of the process ids (an inode): an id says nothing in another container.
    """

    pid: int
    started: int
    namespace: int

    def __str__(self) -> str:
        """Return it as it is written in marks and names."""
        return f"{self.pid}-{self.started}-{self.namespace}"


def parse_owner(text: str) -> Owner | None:
    """Return the owner that a text names, if it is exactly one."""
    match = _OWNER.fullmatch(text)
    return Owner(int(match["pid"]), int(match["started"]), int(match["namespace"])) if match else None


def this_process() -> Owner:
    """Return this process as an owner."""
    return Owner(os.getpid(), start_ticks(os.getpid()) or 0, pid_namespace("self") or 0)


def is_gone(owner: Owner) -> bool:
    """Return whether an owner is known to have ended; one in another container is never known to."""
    return owner.namespace == pid_namespace("self") and start_ticks(owner.pid) != owner.started


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in ticks since boot; ``None`` when there is none of this id, or a corpse."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in {"Z", "X"} or len(fields) < _STARTED else int(fields[_STARTED - 1])


def pid_namespace(pid: int | str) -> int | None:
    """Return the inode of a process's namespace of process ids; ``None`` when it may not be seen."""
    try:
        return Path(f"/proc/{pid}/ns/pid").stat().st_ino
    except OSError:
        return None


def mark(folder: Path) -> str:
    """Return the value of :data:`VARIABLE` for a child of this process that works in a folder.

    No two are equal: whoever ends a child's family ends no other child's that works in the same place.
    """
    return f"{this_process()}:{next(_CHILDREN)}:{folder.absolute()}"


def temporary_folder() -> Path:
    """Return where temporary files go: ``$TMPDIR`` if that can be written to, else ``/tmp``.

    ``tempfile`` finds that out with a trial file, which stays there for good when the process is killed meanwhile.
    """
    named = os.environ.get("TMPDIR", "")
    usable = is_folder(Path(named)) and os.access(named, os.W_OK | os.X_OK) if named else False
    return Path(named if usable else "/tmp").absolute()  # noqa: S108 - a folder is made in it


def temporary_places() -> tuple[Path, ...]:
    """Return every folder that temporary files may go to, the one that they go to first."""
    others = ("/tmp", os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm", "/var/tmp")  # noqa: S108 - as above
    # A relative XDG_RUNTIME_DIR is none, by its specification; and a child in another folder would look elsewhere.
    usable = (Path(name) for name in others if Path(name).is_absolute() and os.access(name, os.W_OK | os.X_OK))
    return tuple(dict.fromkeys((temporary_folder(), *usable)))


@contextmanager
def scratch_folder(purpose: str, place: Path | None = None) -> Iterator[Path]:
    """Provide a private temporary folder whose name says whose it is: one left behind can be told from one in use.

    Raises:
        StoreError: it cannot be made where no place was given.
        OSError: it cannot be made in the place.
    """
    with ExitStack() as stack:
        parent = place or temporary_folder()
        with told(parent) if place is None else nullcontext():
            made = passing_folder(parent, f"{SCRATCH}{purpose}-", f"-{this_process()}")
            folder = stack.enter_context(made)
        yield folder


def end_with_owner(cpus: frozenset[int] = frozenset()) -> Callable[[], None]:
    """Return what a child has to call between fork and exec to be killed when this process dies.

    See prctl(2), PR_SET_PDEATHSIG. The request counts from when it is made: an owner that died just before would never
    be noticed, so the child looks whose child it is afterwards. ``setpriv --pdeathsig`` leaves that gap open.

    Args:
        cpus: the CPUs that the child and all that it starts may use; empty for those of this process.
    """
    owner = os.getpid()

    def ask() -> None:
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != owner:
            os.kill(os.getpid(), signal.SIGKILL)
        if cpus:
            os.sched_setaffinity(0, cpus)

    return ask
