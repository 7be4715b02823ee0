"""How a program is started that is gone when its block ends, with all that it has started: the same for all of ours."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from bench.system.environment import measured
from bench.system.family import end_family
from bench.system.owner import end_with_owner, mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_ANYWHERE = Path("/")


class Born(TypedDict):
    """What a child is started with: the marked environment, and what it calls between fork and exec."""

    env: dict[str, str]
    preexec_fn: Callable[[], None]


@contextmanager
def family(
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    *,
    around: Callable[[str, Mapping[str, str]], dict[str, str]] = measured,
    cpus: frozenset[int] = frozenset(),
) -> Iterator[Born]:
    """Give what a child is started with: it dies with this process, and what it leaves behind with the block.

    Args:
        folder: where it works, if that is a place of its own.
        env: variables to add.
        around: which of our variables it has: of one that is measured, or of one that helps.
        cpus: where it may run; empty for where this process does.
    """
    ours = mark(folder or _ANYWHERE)
    try:
        yield {"env": around(ours, env or {}), "preexec_fn": end_with_owner(cpus)}
    finally:
        end_family(ours)


@contextmanager
def child(
    argv: Sequence[str],
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    *,
    around: Callable[[str, Mapping[str, str]], dict[str, str]] = measured,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.STDOUT,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program in a session of its own, its output in a pipe; it and its family end with the block.

    Raises:
        OSError: it cannot be started.
    """
    with (
        family(folder, env, around=around) as born,
        subprocess.Popen(
            argv, cwd=folder, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True, **born
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
