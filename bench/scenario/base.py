"""What every scenario is: its machines, its steps, its evidence; and what all of them share on the way."""

from __future__ import annotations

import asyncio
import logging
import shlex
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bench.guest.protocol import start_line
from bench.host.clock import Clocks
from bench.measure.clock import ClockWatch
from bench.measure.pulse import Pulse
from bench.scenario.progress import Progress, phase_of
from bench.vm.procedure import boot_steps, restore_steps, restored_steps
from bench.vm.readback import read_machines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from bench.config.model import Cell
    from bench.failures.cause import Phase
    from bench.host.host import Host
    from bench.measure.transfer import Sample
    from bench.scenario.evidence import Evidence
    from bench.scenario.progress import Assets
    from bench.vm.argv import Side
    from bench.vm.console import Console
    from bench.vm.pair import Pair
    from bench.vm.procedure import Step
    from bench.vm.spec import PairSpec

    OnEvent = Callable[[Progress], None]


_LOG = logging.getLogger(__name__)


@dataclass
class Notes:
    """What a run learns on its way, to be put on record."""

    started_at: float = field(default_factory=time.time)
    timings: dict[str, float] = field(default_factory=dict)
    readback: dict[str, Any] = field(default_factory=dict)
    workload: dict[str, Any] = field(default_factory=dict)
    cache: dict[str, Any] = field(default_factory=dict)
    costs: dict[str, Any] = field(default_factory=dict)
    failover: dict[str, Any] = field(default_factory=dict)
    transport: dict[str, Any] = field(default_factory=dict)
    events_missing: tuple[str, ...] = ()
    samples: list[Sample] = field(default_factory=list)
    early: int = 0
    ended_at: float | None = None
    clocks: Clocks = field(default_factory=Clocks)
    clock_faults: tuple[str, ...] = ()
    hosts: dict[str, Any] = field(default_factory=dict)
    clock: ClockWatch = field(default_factory=ClockWatch)
    pulse: Pulse = field(default_factory=Pulse)


class Stages:
    """Announces each stage, keeps how long it took, and remembers which one the run has come to, and when (Unix s)."""

    def __init__(self, on_event: OnEvent, timings: dict[str, float]) -> None:
        self._on_event = on_event
        self._timings = timings
        self._reached = ""
        self.began = time.time()

    @property
    def phase(self) -> Phase:
        """The phase that a failure now goes by: that of the stage which began last."""
        return phase_of(self._reached)

    @asynccontextmanager
    async def stage(self, name: str) -> AsyncIterator[None]:
        """Announce a stage and time the block."""
        self._reached, self.began = name, time.time()
        _LOG.info("stage %s", name)
        self._on_event(Progress(stage=name))
        started = time.monotonic()
        yield
        self._timings[f"{name.replace('-', '_')}_s"] = round(time.monotonic() - started, 6)


@dataclass(frozen=True)
class Running:
    """A run under way, as a scenario gets it: its machines are up and can be spoken to."""

    pair: Pair
    cell: Cell
    assets: Assets
    notes: Notes
    stages: Stages
    on_event: OnEvent


class Scenario(Protocol):
    """One kind of run. An instance holds nothing: what a run learns goes into its :class:`Notes`.

    Attributes:
        sides: the machines it needs, the first one with the workload.
    """

    sides: ClassVar[Mapping[str, Side]]

    def steps(self, spec: PairSpec) -> tuple[Step, ...]:
        """Return the QMP steps from the greeting to where measuring begins, as a plan shows them."""

    def then(self, spec: PairSpec) -> tuple[str, ...]:
        """Return what is done after these steps, line by line, as a plan shows it."""

    async def carry_out(self, run: Running) -> None:
        """Take the machines from their start to the end of the measurement.

        An end of a machine is a failure inside :meth:`bench.vm.pair.Pair.guarded`, and only there: a scenario that
        ends one on purpose does so outside, and guards the others.

        Raises:
            BenchError: it did not come to its end.
        """

    def evidence(self, folder: Path, run_id: str, cell: Cell, notes: Notes, remarks: tuple[str, ...]) -> Evidence:
        """Return the tables of a run that has ended, and the verdict on whether its record is sound.

        Raises:
            StoreError: what it needs cannot be read.
        """


async def handshake(run: Running) -> None:
    """Hold the machines against what was asked for, and tell where their screens are."""
    pair, notes = run.pair, run.notes
    async with run.stages.stage("handshake"):
        notes.clocks = await pair.topology.clocks()
        notes.readback = {"machine": await read_machines(pair)}
        for side in sorted(run.assets.watch & set(pair.processes)):
            screen = await pair.monitor(side).execute("query-vnc")
            run.on_event(Progress(stage="handshake", note=screen_text(side, screen, pair.host(side))))


async def boot(run: Running, console: Console) -> None:
    """Let the guest boot to its ready line, or bring it in as it was saved there; start the applications it has."""
    pair, deadline_s = run.pair, run.cell.deadlines.boot
    async with run.stages.stage("boot"):
        if pair.spec.saved:
            await pair.carry_out(restore_steps(pair.spec.saved))
            await pair.restored(deadline_s)
            await pair.carry_out(restored_steps())
        else:
            await pair.carry_out(boot_steps())
            await console.ready(deadline_s)
    await serve(run, console)


async def serve(run: Running, console: Console) -> None:
    """Start what runs in the guest with applications, before there is a second guest: both sides begin with it.

    What is started over the console under COLO runs on the primary alone until the next checkpoint.
    """
    cell = run.cell
    command = start_line(cell.guest, cell.workload.guest_command(cell.mem), cell.checkpoint.interval)
    if cell.guest == "apps" and command:
        async with run.stages.stage("serve"):
            await console.start(command, cell.deadlines.workload)


async def undisturbed(run: Running, look: Callable[[], None] = lambda: None) -> None:
    """Let the workload run for as long as checkpoints would lie apart, and ``look`` after each such time."""
    checkpoint = run.cell.checkpoint
    total = checkpoint.warmup + checkpoint.count
    for done in range(total):
        await asyncio.sleep(checkpoint.interval)
        look()
        run.on_event(Progress(stage="measure", done=done + 1, total=total))


def undisturbed_text(cell: Cell) -> str:
    """Return what :func:`undisturbed` does, as a plan shows it."""
    checkpoint = cell.checkpoint
    seconds = (checkpoint.warmup + checkpoint.count) * checkpoint.interval
    return f"then {seconds:g} s of its workload, and no checkpoint"


def screen_text(side: str, screen: dict[str, Any], host: Host) -> str:
    """Return how a person looks at a side's screen (it listens on its host's loopback), from ``query-vnc``'s reply."""
    viewer = host.command(("vncviewer", f"{screen['host']}::{screen['service']}"))
    return f"{side}: screen: {shlex.join(viewer)}"
