"""Boot the guest alone, on one QEMU, with its console in hand: for probing an accelerator and for the tests."""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from bench.errors import BenchError, GuestError, LaunchError
from bench.guest.protocol import has_stopped, parse_line
from bench.system.children import child
from bench.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary

_CHUNK_BYTES = 65536
_LINGERS_S = 5.0


def boot_argv(binary: Binary, guest: Guest, accel: str, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the command of one VM with nothing but a console, which is the process's standard input and output."""
    return (
        *binary.argv,
        *("-machine", "pc", "-accel", accel, "-cpu", "qemu64", "-m", "256M", "-smp", "1"),
        *("-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio"),
        *guest.loading(),
        *extra,
    )


class Solo:
    """A guest alone, its console in hand line by line. Made by `booted`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._pending = b""
        self.lines: list[str] = []
        self.pid = process.pid

    def send(self, line: str) -> None:
        """Type one line."""
        if self._process.stdin is None:
            raise LaunchError("the guest's console was not opened")
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def wait(self, word: str, deadline_s: float) -> str:
        """Return the next line for us that begins with ``word``; other lines are kept in ``lines`` and passed over.

        Raises:
            GuestError: the deadline passed, the guest failed or stopped, or QEMU ended first.
        """
        end = time.monotonic() + deadline_s
        while True:
            line = self._next_line(end, f"the guest did not say {word!r} within {deadline_s:g} s")
            said = parse_line(line)
            if said and said[0] == word:
                return line
            if (said and said[0] == "failed") or has_stopped(line):
                raise GuestError(f"the guest stopped: {line}", cause="guest-stopped", evidence=tuple(self.lines[-4:]))

    def _next_line(self, end: float, late: str) -> str:
        while b"\n" not in self._pending:
            self._pending += self._read(end, late)
        line, _, self._pending = self._pending.partition(b"\n")
        self.lines.append(line.decode(errors="replace").rstrip("\r"))
        return self.lines[-1]

    def _read(self, end: float, late: str) -> bytes:
        output = self._process.stdout
        if output is None:
            raise LaunchError("the guest's console was not opened")
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            # Where this process was suspended (Ctrl-Z) the time is over, and what is waited for may have come.
            if not (selector.select(max(0.0, end - time.monotonic())) or selector.select(0)):
                raise GuestError(late, cause="guest-not-ready", evidence=tuple(self.lines[-4:]))
        chunk = os.read(output.fileno(), _CHUNK_BYTES)
        if not chunk:
            last = self.lines[-1] if self.lines else "it said nothing"
            cause = "qemu-aborted" if self._status() == -signal.SIGABRT else "qemu-ended"
            raise GuestError(f"QEMU ended: {last}", cause=cause, evidence=tuple(self.lines[-4:]))
        return chunk

    def _status(self) -> int | None:
        """Return the exit status of a QEMU that has closed its output; ``None`` when it lingers."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(_LINGERS_S)
        return None


@contextmanager
def booted(
    argv: Sequence[str], env: Sequence[tuple[str, str]], deadline_s: float, log: Path | None = None
) -> Iterator[Solo]:
    """Start a VM, wait for the guest's ready line and give its console; the VM and its family end on every way out.

    Where a ``log`` is named, all that QEMU and the guest said is kept there if the block does not end well.

    Raises:
        LaunchError: QEMU cannot be started.
        GuestError: the guest is not ready within ``deadline_s`` seconds.
    """
    with ExitStack() as stack:
        try:
            process = stack.enter_context(child(argv, env=dict(env), stdin=subprocess.PIPE))
        except OSError as error:
            raise LaunchError(f"{argv[0]} cannot be started: {error.strerror}", cause="qemu-missing") from error
        console = Solo(process)
        try:
            console.wait("ready", deadline_s)
            yield console
        except BenchError as error:
            if log:
                write_atomic(log, "".join(f"{line}\n" for line in (shlex.join(argv), *console.lines)))
                error.logs = (*error.logs, log)
            raise
