"""What measuring itself costs: the pause by QMP events with our trace on and off, alternating in one session.

Once over the default link, and once over that with the shortest pause, where the same cost is the largest share.
"""

from __future__ import annotations

import asyncio
import statistics
from typing import TYPE_CHECKING, Any

from analysis.stats import median_interval
from bench.measure.driver import CheckpointCounter
from bench.vm.procedure import poke, step
from tools.benchmarks.setting import EVENTS, Setting, idle_cell, running_pair

if TYPE_CHECKING:
    from bench.vm.pair import Pair

_ALTERNATIONS = 200  # the ratio of one alternation scatters by some six per cent, their median by half of one
_CHECKPOINTS = 10
_LINKS = ("tcp", "unix")
_INTERVAL_S = 0.02
_DEADLINE_S = 60.0


def benchmark(setting: Setting) -> dict[str, Any]:
    """Return, for each link, the median ratio (traced / untraced) of neighbouring groups' median pauses."""
    return {link: _figures(asyncio.run(_benchmark(setting, link))) for link in _LINKS}


def _figures(groups: dict[str, list[float]]) -> dict[str, Any]:
    ratios = [on / off for on, off in zip(groups["on"], groups["off"], strict=True)]
    interval = median_interval(ratios)
    return {
        "alternations": _ALTERNATIONS,
        "checkpoints_per_group": _CHECKPOINTS,
        "median_pause_traced_s": statistics.median(groups["on"]),
        "median_pause_untraced_s": statistics.median(groups["off"]),
        "median_ratio": interval.estimate,
        "ratio_interval_95": [interval.low, interval.high],
    }


async def _benchmark(setting: Setting, link: str) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {"on": [], "off": []}
    counter = CheckpointCounter()
    async with running_pair(setting, idle_cell("512M", link)) as pair:
        pair.monitor("primary").subscribe(counter.observe)
        for side in ("primary", "secondary"):
            await pair.carry_out((step(side, "human-monitor-command", command_line="logfile trace.log"),))
        await _group(pair, counter)
        for index in range(_ALTERNATIONS):
            for state in ("on", "off") if index % 2 else ("off", "on"):
                await _switch(pair, on=state == "on")
                groups[state].append(statistics.median(await _group(pair, counter)))
    return groups


async def _switch(pair: Pair, *, on: bool) -> None:
    for side in ("primary", "secondary"):
        await pair.carry_out(step(side, "trace-event-set-state", name=event, enable=on) for event in EVENTS)


async def _group(pair: Pair, counter: CheckpointCounter) -> list[float]:
    first = counter.done
    for _ in range(_CHECKPOINTS):
        target = counter.done + 1
        await pair.carry_out((poke(),))
        await counter.reach(target, _DEADLINE_S)
        await asyncio.sleep(_INTERVAL_S)
    return [end - begin for begin, end in zip(counter.stops[first:], counter.resumes[first:], strict=False)]
