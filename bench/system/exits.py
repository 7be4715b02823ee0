"""What the exit status of every command says, and the last door that turns what went wrong into one."""

from __future__ import annotations

import errno
import os
import platform
import sys
import traceback
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

import bench
from bench.errors import BenchError, ConfigError, HostError, PlanChangedError
from bench.process.interrupt import ignore, listen
from bench.process.streams import outlive_readers
from bench.system.files import FULL_OR_READ_ONLY, store_error

if TYPE_CHECKING:
    from collections.abc import Callable


_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_NO_THREAD = "can't start new thread"
_SCARCE = {
    errno.EMFILE: "file-limit",
    errno.ENFILE: "file-limit",
    errno.EFBIG: "file-limit",
    errno.ENOMEM: "address-limit",
    errno.EAGAIN: "process-limit",
}
"""What the system has no more of, by its error numbers, in causes."""

_CLOSED = frozenset((errno.EACCES, errno.EPERM))
"""The error numbers by which a file, or the file system that it lies on, is closed to us."""


class Exit(IntEnum):
    """The exit statuses."""

    DONE = 0
    RUNS_FAILED = 1
    USAGE = 2
    HOST = 3
    BUG = 4
    INTERRUPTED = 130


MEANINGS = {
    Exit.DONE: "everything that was asked for is done",
    Exit.RUNS_FAILED: "some runs failed; what was measured is kept, and the same command tries the others again",
    Exit.USAGE: "wrong usage or configuration: correct the command; nothing was measured",
    Exit.HOST: "this machine cannot: memory, disk, privilege, QEMU, or a folder that cannot be read or written",
    Exit.BUG: "a bug of ours, shown with its traceback and what to report; no other status shows a traceback",
    Exit.INTERRUPTED: "interrupted by SIGINT, SIGTERM or SIGHUP; the same command continues",
}
"""What each status says."""


def exit_of(error: BenchError) -> Exit:
    """Return the status of a failure that ended the command: the request is wrong, or this machine cannot."""
    return Exit.USAGE if isinstance(error, ConfigError | PlanChangedError) else Exit.HOST


def listening(command: Callable[[], int]) -> int:
    """Return the exit status of a command that a signal interrupts, wherever it has come to."""
    outlive_readers()
    find_system_programs()
    try:
        listen()
        try:
            return command()
        finally:
            ignore()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def find_system_programs() -> None:
    """Look for programs also where ``ip`` and ``tc`` are: ``su`` without a dash leaves those folders out."""
    found = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(dict.fromkeys((*found, *_SYSTEM)))


def last_door(command: str, work: Callable[[], int]) -> int:
    """Return the exit status of a command's work; whatever it raises is told on standard error."""
    try:
        _require_current_folder()
        return work()
    except KeyboardInterrupt:
        tell("interrupted")
        return Exit.INTERRUPTED
    except BenchError as error:
        tell(str(error))
        return exit_of(error)
    except Exception as error:  # noqa: BLE001 - the last door: whatever else arrives here is our bug
        if known := _refused(error):
            tell(str(known))
            return Exit.HOST
        traceback.print_exc()
        tell(bug_report(command))
        return Exit.BUG


def scarcity(said: str) -> str:
    """Return the cause where a program says that the system has no more of something; empty where it does not."""
    return next((cause for number, cause in _SCARCE.items() if os.strerror(number) in said), "")


def _refused(error: Exception) -> BenchError | None:
    """Return what the system refused us, where an error is that and no bug: room, memory, a thread, another file."""
    if isinstance(error, OSError) and error.errno in FULL_OR_READ_ONLY:
        return store_error(error)
    if isinstance(error, MemoryError):
        return HostError("there is no memory left for this program", cause="address-limit")
    if isinstance(error, RuntimeError) and str(error) == _NO_THREAD:
        return HostError(f"another thread is refused: {error}", cause="process-limit")
    if isinstance(error, OSError) and error.errno in _SCARCE:
        where = f"{error.filename}: " if error.filename else ""
        return HostError(f"{where}{error.strerror}", cause=_SCARCE[error.errno])
    if isinstance(error, OSError) and error.errno in _CLOSED and error.filename:
        return HostError(f"{error.filename}: {error.strerror}", cause="store-failed")
    return None


def _require_current_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise HostError(
            f"the current folder cannot be used: {error.strerror}", hint="cd to another one", cause="command-failed"
        ) from error


def told(error: BenchError | OSError, folder: Path) -> Exit:
    """Print what went wrong with one folder of several, and return the status that it means."""
    if isinstance(error, BenchError):
        tell(str(error))
        return exit_of(error)
    tell(f"{error.filename or folder}: {error.strerror or error}")
    return Exit.HOST


def tell(text: str) -> None:
    """Print something to standard error, with our name before it."""
    sys.stderr.write(f"colo-bench: {text}\n")


def bug_report(command: str) -> str:
    """Return what to report of a bug beside its traceback: version, command, Python and platform."""
    return "\n".join(
        (
            "this is a bug in colo-bench; please report it with the traceback above and these lines:",
            f"  version:  colo-bench {bench.__version__}",
            f"  command:  {command}",
            f"  Python:   {platform.python_implementation()} {platform.python_version()}",
            f"  platform: {platform.platform()}",
        )
    )
