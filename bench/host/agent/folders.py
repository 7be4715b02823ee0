"""The folders of an agent, and those that a killed one has left."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import MARK
from .children import search_path
from .kernel import all_pids, boot_id, end_all, environ, text

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOCKETS = "colo-bench-far-"
_SOCKETS_FILE = ".sockets"
_LOCK = ".lock"
_AT_END = ".at-end"
_AT_END_S = 2.0


class Folders:
    """The run's folder and one for sockets, whose path is short; both go with the agent.

    Attributes:
        work: what they lie in, and what stays.
        run: the run's; None before it was asked for.
    """

    def __init__(self, work: Path) -> None:
        self.work = work
        self.run: Path | None = None
        self._sockets: Path | None = None
        self._lock = -1

    @property
    def marked(self) -> str:
        """Return what everything that this agent starts carries in its environment."""
        return str(self.run or self.work)

    def op_open(self, _message: dict[str, Any], _payload: bytes) -> dict[str, Any]:
        """Remove what killed agents left, then make the folders of this one."""
        runs = self.work / "runs"
        runs.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(self.work / ".reap"):
            left = list(_reap_runs(runs))
            self.run = Path(tempfile.mkdtemp(prefix=_run_prefix(), dir=runs))
            self._lock = os.open(self.run / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with suppress(OSError):  # a file system without locks: the folder is then known by the boot alone
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sockets = Path(tempfile.mkdtemp(prefix=_SOCKETS))
            (self.run / _SOCKETS_FILE).write_text(str(self._sockets))
        return {"run": str(self.run), "sockets": str(self._sockets), "left": left}

    def op_at_end(self, message: dict[str, Any], _payload: bytes) -> None:
        """Write down a short command that is run when this agent goes; where it is killed, when the next one comes."""
        with Path(self.marked, _AT_END).open("a") as file:
            file.write(json.dumps(message["argv"]) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Do what is left for the end, and remove both."""
        if self.run:
            _do_last(self.run)
        for folder in (self.run, self._sockets):
            if folder:
                shutil.rmtree(folder, ignore_errors=True)


def _run_prefix() -> str:
    """Return what the folders of this host's agents begin with: a work folder may be shared between hosts."""
    return "{}-{}-".format(re.sub(r"[^A-Za-z0-9.]", "_", os.uname().nodename), boot_id()[:8])


def _reap_runs(runs: Path) -> Iterator[str]:
    """Remove the folders of agents that are gone, and what they have started."""
    own = _run_prefix()
    host = own[: -len("xxxxxxxx-")]
    for folder in sorted(runs.iterdir()):
        if not folder.name.startswith(host) or _owner(folder) != os.geteuid():
            continue
        if folder.name.startswith(own) and _is_held(folder / _LOCK):
            continue
        mark = f"{MARK}={folder}".encode()
        ended = end_all(lambda mark=mark: [pid for pid in all_pids() if mark in environ(pid)])  # type: ignore[misc]
        if folder.name.startswith(own):  # what was set before the host was started anew is gone by that
            _do_last(folder)
        sockets = text(folder / _SOCKETS_FILE)
        if Path(sockets).name.startswith(_SOCKETS):
            shutil.rmtree(sockets, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        yield f"{folder}, with {ended} processes"


def _owner(folder: Path) -> int | None:
    """Return whose a folder is; None where its own agent has just removed it."""
    with suppress(FileNotFoundError):
        return folder.stat().st_uid
    return None


def _do_last(folder: Path) -> None:
    """Run the commands of an agent's end, the last first; one that finds nothing to do any more fails, and may."""
    quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    for line in reversed(text(folder / _AT_END).splitlines()):
        with suppress(OSError, ValueError, subprocess.SubprocessError):
            subprocess.run(json.loads(line), env={"PATH": search_path()}, timeout=_AT_END_S, check=False, **quiet)


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
