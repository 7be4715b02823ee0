"""What is started here: processes that run until they end or are told to, and short commands, read to their end."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import CHILD, MARK, PDEATHSIG, Later, prctl
from .kernel import descendants, end_all, environ, kill_group, state

if TYPE_CHECKING:
    from .folders import Folders
    from .link import Link

_PASSED = ("HOME", "LOGNAME", "PATH", "TMPDIR", "USER", "XDG_RUNTIME_DIR")
_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_WORDS = 65_536
_STATUS_KILLED = 9


class _Child:
    """A process that was started here, and how the near end calls it."""

    def __init__(self, number: int, process: subprocess.Popen[bytes], stderr: Path) -> None:
        self.number = number
        self.process = process
        self.stderr = stderr
        self.still = False


class _Command:
    """A short command under way: which request asked for it, and what it has printed so far."""

    def __init__(self, request: int, process: subprocess.Popen[bytes], deadline: float) -> None:
        self.request = request
        self.process = process
        self.deadline = deadline
        self.printed: dict[int, bytearray] = {}


class Children:
    """The processes that run, by the near end's numbers, and the commands under way, by their requests."""

    def __init__(self, link: Link, folders: Folders) -> None:
        self._link = link
        self._folders = folders
        self._running: dict[int, _Child] = {}
        self._commands: dict[int, _Command] = {}

    def __len__(self) -> int:
        return len(self._running) + len(self._commands)

    def op_start(self, message: dict[str, Any], _payload: bytes) -> int:
        """Start a process with its words in a file, and return its id; its end is an event."""
        stderr = Path(message["stderr"])
        with stderr.open("ab") as words:
            out = words.fileno()
            process = self._spawn(message, message["proc"], out, out)
        self._running[message["proc"]] = _Child(message["proc"], process, stderr)
        return process.pid

    def op_run(self, message: dict[str, Any], _payload: bytes) -> None:
        """Run a short command; the answer is its status and what it printed."""
        process = self._spawn(message, 0, subprocess.PIPE, subprocess.PIPE)
        command = _Command(message["id"], process, time.monotonic() + message["deadline"])
        self._commands[command.request] = command
        for pipe in (process.stdout, process.stderr):
            descriptor = pipe.fileno() if pipe else -1
            os.set_blocking(descriptor, False)
            command.printed[descriptor] = bytearray()
            self._link.selector.register(
                descriptor, selectors.EVENT_READ, lambda one=descriptor: self._printed(command, one)
            )
        raise Later

    def op_signal(self, message: dict[str, Any], _payload: bytes) -> None:
        """Send a signal to a process that still runs."""
        child = self._running.get(message["proc"])
        if child:
            with suppress(ProcessLookupError):
                os.kill(child.process.pid, message["number"])

    def op_family(self, message: dict[str, Any], _payload: bytes) -> None:
        """End what a process that has ended left behind."""
        mark = "{}={}".format(CHILD, message["proc"]).encode()
        end_all(lambda: [pid for pid in descendants() if mark in environ(pid)])

    def states(self) -> dict[str, tuple[str, str, bool] | None]:
        """Return the state of every process, by its number."""
        return {str(one.number): state(one.process.pid) for one in self._running.values()}

    def look(self) -> None:
        """Tell of processes that stand still, or run again, as nobody else does; end commands that are late."""
        for child in list(self._running.values()):
            now = state(child.process.pid)
            still = now is not None and (now[0] in ("T", "t") or bool(now[2]))
            if still != child.still:
                child.still = still
                self._link.send({"event": "state", "proc": child.number, "state": now})
        for command in list(self._commands.values()):
            if time.monotonic() > command.deadline:
                kill_group(command.process.pid)
                self._answer(command, None)

    def ended(self, pid: int) -> bool:
        """Take note of a process's end, if it is one of these; return whether it is."""
        all_here: list[_Child | _Command] = [*self._running.values(), *self._commands.values()]
        one = next((one for one in all_here if one.process.pid == pid), None)
        if isinstance(one, _Command):
            self._finish(one)
        elif one:
            status = one.process.wait()
            del self._running[one.number]
            self._link.send({"event": "exit", "proc": one.number, "status": status}, _tail(one.stderr))
        return one is not None

    def _printed(self, command: _Command, descriptor: int) -> None:
        try:
            got = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return
        command.printed[descriptor] += got
        if not got:
            self._link.selector.unregister(descriptor)
            self._finish(command)

    def _finish(self, command: _Command) -> None:
        """Answer when the command has ended and all that it printed has been read."""
        status = command.process.poll()
        if status is not None and not any(one in self._link.selector.get_map() for one in command.printed):
            self._answer(command, status)

    def _answer(self, command: _Command, status: int | None) -> None:
        del self._commands[command.request]
        out, err = command.printed.values()
        watched = self._link.selector
        for pipe in (command.process.stdout, command.process.stderr):
            if pipe:
                if pipe.fileno() in watched.get_map():
                    watched.unregister(pipe.fileno())
                pipe.close()
        command.process.poll()
        words = err.decode(errors="replace")
        self._link.send({"id": command.request, "value": {"status": status, "err": words}}, bytes(out))

    def _spawn(self, message: dict[str, Any], number: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
        """Start what a message says in a session of its own, known by our mark and a number; it dies with us."""
        owner, cpus = os.getpid(), message.get("cpus")

        def ask() -> None:
            prctl(PDEATHSIG, int(signal.SIGKILL))
            if os.getppid() != owner:
                os._exit(_STATUS_KILLED)
            if cpus:
                os.sched_setaffinity(0, cpus)

        passed = {key: os.environ[key] for key in os.environ if key in _PASSED or key.startswith("COLO_BENCH_")}
        passed["PATH"] = search_path()
        marks = {MARK: self._folders.marked, CHILD: str(number)}
        return subprocess.Popen(
            message["argv"],
            cwd=message.get("cwd"),
            env={**passed, "LC_ALL": "C", **message.get("env", {}), **marks},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=ask,
        )


def search_path() -> str:
    """Return where programs are looked for: where this user does, then where a system has its own."""
    return os.pathsep.join(dict.fromkeys((*os.environ.get("PATH", os.defpath).split(os.pathsep), *_SYSTEM)))


def _tail(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _WORDS))
        return file.read()
    return b""
