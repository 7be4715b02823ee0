"""How many checkpoints a second are reached on demand: idle, 512 MiB, over a unix socket, no pause between them."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from bench.measure.driver import CheckpointCounter
from bench.vm.procedure import poke
from tools.benchmarks.setting import Setting, idle_cell, running_pair

_CHECKPOINTS = 200
_DEADLINE_S = 60.0


def benchmark(setting: Setting) -> dict[str, Any]:
    """Return checkpoints per second and the median pause in seconds by QMP events."""
    return asyncio.run(_benchmark(setting))


async def _benchmark(setting: Setting) -> dict[str, Any]:
    counter = CheckpointCounter()
    async with running_pair(setting, idle_cell("512M")) as pair:
        pair.monitor("primary").subscribe(counter.observe)
        started = time.monotonic()
        for count in range(1, _CHECKPOINTS + 1):
            await pair.carry_out((poke(),))
            await counter.reach(count, _DEADLINE_S)
        seconds = time.monotonic() - started
    pauses = [end - begin for begin, end in zip(counter.stops, counter.resumes, strict=False)]
    return {
        "checkpoints": _CHECKPOINTS,
        "checkpoints_per_s": _CHECKPOINTS / seconds,
        "median_pause_s": statistics.median(pauses),
    }
