"""What the machines of a run cost their hosts while it is measured: CPU time by thread group, memory, network."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from bench.errors import QmpError
from bench.host.usage import Threads, used_between

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.host.usage import Usage
    from bench.measure.transfer import Sample
    from bench.scenario.base import Running


@asynccontextmanager
async def costing(run: Running) -> AsyncIterator[None]:
    """Read what each side has used before and after the block, and put the difference into the run's notes."""
    pair = run.pair
    threads = {side: await _threads(run, side) for side in pair.processes}
    before, began = _usages(run), time.monotonic()
    yield
    after, seconds = _usages(run), time.monotonic() - began
    sides = {
        side: used_between(before[side], used, threads[side], seconds) for side, used in after.items() if side in before
    }
    run.notes.costs = {"seconds": round(seconds, 6), **sides, "migration_bytes": _migrated(run.notes.samples)}


def _usages(run: Running) -> dict[str, Usage]:
    found = {side: process.usage() for side, process in run.pair.processes.items()}
    return {side: usage for side, usage in found.items() if usage is not None}


async def _threads(run: Running, side: str) -> Threads:
    """Return which threads of a side do what, as QEMU tells."""
    pid = run.pair.processes[side].pid
    return Threads(pid, await _ids(run, side, "query-cpus-fast"), await _ids(run, side, "query-iothreads"))


async def _ids(run: Running, side: str, command: str) -> frozenset[int]:
    try:
        said: Any = await run.pair.monitor(side).execute(command)
    except QmpError as error:
        if error.cause != "qmp-refused":
            raise
        return frozenset()  # their threads are then among the others
    entries = said if isinstance(said, list) else []
    return frozenset(one["thread-id"] for one in entries if isinstance(one, dict) and type(one.get("thread-id")) is int)


def _migrated(samples: Sequence[Sample]) -> int | None:
    """Return the bytes sent on the migration connection between the first reading and the last."""
    return samples[-1].sent - samples[0].sent if len(samples) > 1 else None
