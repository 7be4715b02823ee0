"""Work that goes on only as long as all the processes that it needs do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import BenchError
from bench.host.ending import ended_error

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from bench.host.process import Process

T = TypeVar("T")

_DYING_S = 1.0


async def unless_any_exited(processes: tuple[Process, ...], work: Coroutine[None, None, T]) -> T:
    """Return what the work returns, or raise how the first process ended if one ends before that.

    Raises:
        LaunchError: a process ended first.
    """
    task = asyncio.create_task(work)
    watchers = {asyncio.create_task(process.exited()): process for process in processes}
    everything: set[asyncio.Future[Any]] = {task, *watchers}
    try:
        await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not task.cancelled() and task.exception() is None:
            return task.result()
        # A dying QEMU closes its sockets before it can be waited for: its end explains the work's failure.
        ended, _ = await asyncio.wait(watchers, timeout=_DYING_S, return_when=asyncio.FIRST_COMPLETED)
        if ended:
            # Of two that ended, the one that was killed took the other along.
            first = min(ended, key=lambda watcher: watcher.result())
            raise ended_error(watchers[first], first.result(), processes) from await _outcome(task)
        return await task
    finally:
        await _end_all(everything)


async def _outcome(task: asyncio.Task[T]) -> BaseException | None:
    """Cancel the work and return the error it had, as the cause to keep."""
    await _end_all({task})
    outcome = None if task.cancelled() else task.exception()
    return outcome if isinstance(outcome, BenchError) else None


async def _end_all(tasks: set[asyncio.Future[Any]]) -> None:
    """Cancel until every task has ended: one that was just being answered can miss a single cancellation."""
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=1)
    for task in tasks:
        if not task.cancelled():
            task.exception()
