"""Run one helper program to its end, with a deadline and nothing left behind."""

from __future__ import annotations

import io
import os
import shutil
import signal
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.system.children import child
from bench.system.environment import helping

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence
    from pathlib import Path

_STEP_S = 0.5
"""In what steps a deadline is waited for: one in which this process was suspended counts as one, however long."""


@dataclass(frozen=True)
class Finished:
    """A program that ended: its exit status and its output, standard error included, line by line."""

    status: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the whole output."""
        return "\n".join(self.lines)


def run(
    argv: Sequence[str],
    *,
    deadline_s: float,
    env: Sequence[tuple[str, str]] = (),
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    over: threading.Event | None = None,
) -> Finished:
    """Run ``argv`` and return how it ended, it and all that it has started: whatever way this is left, that is gone.

    Messages come in the C locale, since they are searched for known causes.

    Args:
        argv: the program and its arguments.
        deadline_s: how long it may take.
        env: what to add to its environment.
        cwd: the folder that it works in.
        on_line: told each line of its output.
        over: ends it when set, from another thread.

    Raises:
        ProvisionError: the program is not there, or did not end within ``deadline_s`` seconds in which this process ran
            (Ctrl-Z stops it, and not the program).
    """
    ended, late = threading.Event(), threading.Event()
    lines: list[str] = []
    with ExitStack() as stack:
        try:
            process = stack.enter_context(child(argv, cwd, dict(env), around=helping))
        except OSError as error:
            raise ProvisionError(f"{argv[0]} cannot be started: {error.strerror}") from error
        output = stack.enter_context(io.TextIOWrapper(process.stdout or io.BytesIO(), errors="replace"))
        watch = threading.Thread(target=_kill_late, args=(process, deadline_s, ended, late, over), daemon=True)
        watch.start()
        try:
            for line in output:
                lines.append(line.rstrip("\r\n"))
                if on_line:
                    on_line(lines[-1])
            process.wait()
        finally:
            ended.set()
            watch.join()
    if late.is_set():
        raise ProvisionError(f"{argv[0]} did not end within {deadline_s:.0f} s", evidence=tuple(lines[-5:]))
    return Finished(process.returncode, tuple(lines))


def check(
    argv: Sequence[str],
    *,
    what: str,
    deadline_s: float,
    hint: str = "",
    cwd: Path | None = None,
    env: Sequence[tuple[str, str]] = (),
) -> str:
    """Run ``argv`` and return its output.

    Raises:
        ProvisionError: it cannot be started, is late, or ends with another status than 0; ``what`` begins the message.
    """
    if hint and shutil.which(argv[0]) is None:
        raise ProvisionError(f"{what}: {argv[0]} is not installed", hint=hint, cause="tools-missing")
    finished = run(argv, deadline_s=deadline_s, cwd=cwd, env=env)
    if finished.status != 0:
        raise ProvisionError(
            f"{what} failed: {argv[0]} ended with status {finished.status}",
            hint=hint,
            evidence=finished.lines[-8:],
        )
    return finished.text


def _kill_late(
    process: subprocess.Popen[bytes],
    deadline_s: float,
    ended: threading.Event,
    late: threading.Event,
    over: threading.Event | None,
) -> None:
    left_s = deadline_s
    while left_s > 0 and not (over and over.is_set()):
        step_s = min(left_s, _STEP_S)
        if ended.wait(step_s):
            return
        left_s -= step_s
    if left_s <= 0:
        late.set()
    # A child of the program may outlive it and hold the pipe open, so the whole group goes.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
