"""What every benchmark of a real pair shares: the provisioned QEMU and guest, and one way to a running pair."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.config.links import Link
from bench.config.model import Cell
from bench.config.procedure import Checkpoint
from bench.format import phases
from bench.measure.triggers import NETWORK_EVENTS
from bench.plan.plan import PlannedRun
from bench.provision.guest import Guest, build_guest
from bench.provision.qemu import Binary, find_qemu
from bench.record.table import read_checkpoints
from bench.run.session import measure_run
from bench.scenario.progress import Assets
from bench.vm.features import Features, probe_features
from bench.vm.pair import Pair, open_pair
from bench.vm.procedure import boot_steps
from bench.workload.idle import Idle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

EVENTS = tuple(event.name for event in phases.EVENTS if event.name not in NETWORK_EVENTS)


@dataclass(frozen=True)
class Setting:
    """QEMU, guest, and what that QEMU can do."""

    binary: Binary
    guest: Guest
    features: Features


def provisioned() -> Setting:
    """Return the provisioned setting, made first where it is missing."""
    binary = find_qemu("provisioned", print)
    return Setting(binary, build_guest(print), asyncio.run(probe_features(binary)))


def idle_cell(mem: str, transport: str = "unix") -> Cell:
    """Return an idle cell under emulation."""
    return Cell(
        mem=mem, smp=1, accel="tcg", workload=Idle(), link=Link(transport=transport), checkpoint=Checkpoint(count=1)
    )


@contextmanager
def measured(setting: Setting, cell: Cell, block: int = 0, bare: Guest | None = None) -> Iterator[tuple[float, Path]]:
    """Measure a run as a campaign does, and give the seconds of all of it and its folder, which goes afterwards."""
    assets = Assets(setting.binary, setting.guest, setting.features, "benchmark", bare=bare)
    run = PlannedRun("0" * 12, "benchmark", "0" * 8, "benchmark", block, 0)
    with tempfile.TemporaryDirectory(prefix="colo-bench-benchmark-") as name:
        started = time.monotonic()
        asyncio.run(measure_run(run, cell, assets, Path(name), lambda _: None))
        yield time.monotonic() - started, Path(name)


def kept_rows(folder: Path) -> list[dict[str, Any]]:
    """Return the checkpoints of a run, without those of its warm-up."""
    return [row for row in read_checkpoints(folder / "checkpoints.parquet").to_pylist() if not row["warmup"]]


@asynccontextmanager
async def running_pair(setting: Setting, cell: Cell) -> AsyncIterator[Pair]:
    """Provide a pair in the COLO state, without traces."""
    with tempfile.TemporaryDirectory(prefix="colo-bench-benchmark-") as name:
        async with open_pair(cell, setting.binary, setting.guest, setting.features, Path(name)) as pair:
            async with pair.console("primary") as console:
                await pair.guarded(_to_ready(pair, cell, console.ready))
            await pair.guarded(pair.reach_colo(cell.deadlines.colo))
            yield pair


async def _to_ready(pair: Pair, cell: Cell, ready: object) -> None:
    await pair.carry_out(boot_steps())
    await ready(cell.deadlines.boot)  # type: ignore[operator]
