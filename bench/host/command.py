"""A short command on this machine, and what it printed."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import HostError
from bench.failures.words import diagnose
from bench.system.environment import measured
from bench.system.family import end_family, signal_child
from bench.system.owner import end_with_owner, mark

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND_S = 60.0
"""How long a short command may take."""


async def run(
    argv: tuple[str, ...],
    deadline_s: float = COMMAND_S,
    *,
    env: Mapping[str, str] | None = None,
    family: bool = False,
) -> str:
    """Run a short command and return what it printed.

    Args:
        argv: the command.
        deadline_s: when to give up.
        env: variables to add.
        family: whether to end what the command leaves behind. Looking for that takes some ms; a command that fails or
            is late never leaves anything.

    Raises:
        HostError: it failed or did not end in time; the evidence is what it said.
    """
    command = " ".join(argv)
    ours = mark(Path("/"))
    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=measured(ours, env or {}),
            # It costs a fork of this process: what runs between two checkpoints does without.
            preexec_fn=end_with_owner() if family else None,
        )
    except OSError as error:
        raise HostError(f"`{command}` cannot be started: {error.strerror}", cause="command-failed") from error
    try:
        async with asyncio.timeout(deadline_s):
            out, err = await child.communicate()
    except TimeoutError as error:
        raise late(command, deadline_s) from error
    finally:
        if child.returncode is None:
            signal_child(child, signal.SIGKILL)
            await child.wait()
        if family or child.returncode:
            end_family(ours)
    return printed(command, child.returncode or 0, out, err.decode(errors="replace"))


def late(command: str, deadline_s: float) -> HostError:
    """Return the error of a command that did not end in time."""
    return HostError(f"`{command}` took longer than {deadline_s:g} s", cause="command-slow")


def printed(command: str, status: int, out: bytes, err: str) -> str:
    """Return what a command that has ended printed.

    Raises:
        HostError: it failed; the evidence is what it said.
    """
    if status:
        said = tuple(err.splitlines())
        known = diagnose(said)
        raise HostError(f"`{command}` failed", cause=known.cause if known else "command-failed", evidence=said)
    return out.decode(errors="replace")
