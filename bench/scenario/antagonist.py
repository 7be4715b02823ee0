"""The cache antagonist of a run, and what shows that it took the host's caches from the pair: a manipulation check."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.errors import LaunchError, WorkloadError
from bench.system.units import is_amount

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from bench.config.tuning import HostCache
    from bench.host.host import Host
    from bench.host.process import Process
    from bench.scenario.base import Running

_CHASED_S = "0.03"
_TRIES = 5
_TAKEN = 1.1
"""How many times as long a line must take to be reached under an antagonist."""

_BUSY = 0.5
"""The share of the CPU time that was asked for below which a run tells nothing of it."""

_FIGURES = ("cpus", "cpu_s", "seconds", "swept_bytes")
_DOES = {"antagonist": "sweep", "control": "compute"}


@asynccontextmanager
async def antagonist(run: Running) -> AsyncIterator[None]:
    """Let the antagonist, or its control, run during the block, if the cell has one.

    Raises:
        WorkloadError: it did not start, did not last, or did not say what it did.
    """
    cache, program, host = run.cell.cache, run.assets.antagonist, run.pair.host("primary")
    if not cache.beside:
        yield
        return
    if program is None:
        raise LaunchError("the cache antagonist was not compiled")
    await host.provide((program.parent,))
    home = run.pair.folder / "antagonist"
    host.make_folder(home)
    argv = (str(program), _DOES[cache.kind], str(cache.buffer), str(cache.share))
    before_s = await _reach_s(host, program, cache)
    cpus = frozenset(cache.cpus or ())
    async with host.start("cache antagonist", argv, home, qemu=False, cpus=cpus) as process:
        yield
        reach_s = await _reach_s(host, program, cache)
        figures = await _end(process, run.cell.deadlines.teardown)
    run.notes.cache = {"reach_before_s": before_s, "reach_s": reach_s, **figures}


async def _reach_s(host: Host, program: Path, cache: HostCache) -> float:
    """Return how long a line takes to be reached: the middle one of several tries, as others come and go."""
    argv = (str(program), "chase", str(cache.chase), _CHASED_S)
    tries = [_figures(await host.run(argv), ("reach_ns",)) for _ in range(_TRIES)]
    found = [float(one["reach_ns"]) for one in tries if one]
    if len(found) < _TRIES:
        raise WorkloadError("the cache antagonist did not say how long a line takes", cause="antagonist-failed")
    return round(median(found) / 1e9, 13)


async def _end(process: Process, deadline_s: float) -> Mapping[str, Any]:
    """End it, and return what it did; one that ended by itself has said nothing or something else."""
    alone = not process.alive()
    process.terminate()
    status = None
    try:
        async with asyncio.timeout(deadline_s):
            status = await process.exited()
    except TimeoutError:
        pass
    said = _figures("\n".join(process.words()[-1:]), _FIGURES)
    if alone or status != 0 or said is None:
        raise WorkloadError(
            "the cache antagonist did not last, or did not end in order",
            cause="antagonist-failed",
            evidence=process.tail(),
            logs=(process.stderr_path,),
        )
    return said


def _figures(text: str, names: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the figures of a line of the program; ``None`` where they are not all there."""
    try:
        said = json.loads(text)
        figures = {name: said[name] for name in names}
    except (ValueError, KeyError, TypeError):
        return None
    return figures if all(is_amount(value) for value in figures.values()) else None


def unapplied(cache: HostCache, did: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what was not there of what a cell asks for, one line each."""
    if not did:
        return ()
    asked_s = did["seconds"] * did["cpus"] * cache.share
    found = []
    if did["cpu_s"] < _BUSY * asked_s:
        got = f"{did['cpu_s']:.1f} s of CPU time, {asked_s:.1f} s were asked for"
        found.append(f"the cache {cache.kind} had {got}: the CPUs are too busy; a smaller cache.share asks for less")
    if cache.kind == "antagonist" and did["reach_s"] < _TAKEN * did["reach_before_s"]:
        times = f"{did['reach_before_s'] * 1e9:.1f} ns before and {did['reach_s'] * 1e9:.1f} ns under the antagonist"
        found.append(
            f"a line of {cache.chase >> 10} KiB took {times}: the cache was not taken; a larger cache.buffer, or more "
            "cache.cpus, takes more"
        )
    return tuple(found)
