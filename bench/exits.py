"""What the exit status of every command says."""

from __future__ import annotations

from enum import IntEnum

from bench.errors import BenchError, ConfigError, PlanChangedError


class Exit(IntEnum):
    """The exit statuses."""

    DONE = 0
    RUNS_FAILED = 1
    USAGE = 2
    HOST = 3
    BUG = 4
    INTERRUPTED = 130


def exit_of(error: BenchError) -> Exit:
    """Return the status of a failure that ended the command: the request is wrong, or this machine cannot."""
    return Exit.USAGE if isinstance(error, ConfigError | PlanChangedError) else Exit.HOST
