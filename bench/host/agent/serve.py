"""The agent itself: its parts put together, what it is asked handed to them, and its end."""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import SUBREAPER, Later, prctl
from .channels import Channels
from .children import Children
from .files import Files
from .folders import Folders
from .kernel import descendants, end_all
from .link import Link
from .machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_S = 0.1
_OP = "op_"


class Agent:
    """Serves one near end until it goes."""

    def __init__(self, work: Path, lease_s: float) -> None:
        self._link = Link(lease_s, self._take, self._end)
        self._folders = Folders(work)
        self._children = Children(self._link, self._folders)
        self._channels = Channels(self._link)
        machine, files = Machine(self._folders, self._children), Files(self._link, self._folders)
        self._operations = _operations(self, self._folders, self._children, self._channels, machine, files)
        self._looked = 0.0

    def serve(self) -> None:
        """Answer until the input ends, the lease runs out, or a signal says so."""
        prctl(SUBREAPER, 1, 0, 0, 0)
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._link.begin()
        self._link.selector.register(woken, selectors.EVENT_READ, lambda: self._signalled(woken))
        try:
            self._link.greet()
            while True:
                self._link.wait(_LOOK_S if self._children else None)
                self._look()
        finally:  # a mistake of ours too must leave nothing behind
            self._clean()

    def _take(self, message: dict[str, Any], payload: bytes) -> None:
        if "chan" in message:
            self._channels.relay(message["chan"], payload)
            return
        try:
            value: Any = self._operations[message["op"]](message, payload)
        except Later:
            return
        except OSError as error:
            text = error.strerror or str(error)
            path = str(error.filename or "")
            self._link.send({"id": message["id"], "errno": error.errno or 0, "text": text, "path": path})
            return
        if isinstance(value, bytes):
            self._link.send({"id": message["id"], "value": None}, value)
        else:
            self._link.send({"id": message["id"], "value": value})

    def _signalled(self, woken: int) -> None:
        numbers = os.read(woken, 512)
        self._reap()
        if any(number in numbers for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)):
            self._end()

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None:
                    return
                if not self._children.ended(ended.si_pid):
                    os.waitpid(ended.si_pid, 0)  # adopted

    def _look(self) -> None:
        """Look after what tells nobody: processes that stand still, commands that are late."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        self._children.look()

    def op_bye(self, message: dict[str, Any], _payload: bytes) -> None:
        """End everything and go."""
        self._clean()
        self._link.send({"id": message["id"], "value": None})
        self._link.drain()
        os._exit(0)

    def _end(self) -> None:
        self._clean()
        os._exit(0)

    def _clean(self) -> None:
        end_all(descendants)
        self._folders.remove()


def _operations(*parts: object) -> dict[str, Callable[[dict[str, Any], bytes], Any]]:
    """Return what can be asked for, by name: the methods ``op_NAME`` of all parts."""
    return {name[len(_OP) :]: getattr(part, name) for part in parts for name in dir(part) if name.startswith(_OP)}


def main() -> None:
    """Serve in the folder, and for the lease, that the command line names."""
    os.umask(0o077)
    Agent(Path(sys.argv[1]), float(sys.argv[2])).serve()
