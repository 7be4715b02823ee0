"""COLO with checkpoints: the pair is joined, and driven through as many checkpoints as were asked for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from bench.measure.driver import CheckpointCounter, drive
from bench.measure.journal import Journal
from bench.scenario.antagonist import antagonist, unapplied
from bench.scenario.base import boot, handshake
from bench.scenario.client import states_of, unless_client_ended, workload
from bench.scenario.costs import costing
from bench.scenario.evidence import Evidence, gather
from bench.scenario.progress import Progress
from bench.vm import procedure
from bench.vm.argv import COLO
from bench.vm.features import known_events
from bench.vm.procedure import checkpoint_delay_ms, poke, trace_steps
from bench.vm.readback import read_colo

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

    from bench.config.model import Cell
    from bench.host.process import Process
    from bench.scenario.base import Notes, Running
    from bench.vm.argv import Side
    from bench.vm.procedure import Step
    from bench.vm.spec import PairSpec

    Drive = Callable[[Running, CheckpointCounter, Journal], Coroutine[None, None, None]]


class Colo:
    """The scenario ``colo``."""

    sides: ClassVar[Mapping[str, Side]] = COLO

    def steps(self, spec: PairSpec) -> tuple[Step, ...]:
        """Return the procedure."""
        return procedure.steps(spec)

    def then(self, spec: PairSpec) -> tuple[str, ...]:
        """Return how many checkpoints are taken, and when each begins."""
        checkpoint = spec.cell.taken
        wanted = f"then {checkpoint.warmup} + {checkpoint.count} checkpoints"
        if checkpoint.trigger == "timer":
            return (f"{wanted} by QEMU's own timer, {checkpoint.interval:g} s from request to request",)
        asked = " ".join(poke().text().split())
        return (f"{wanted}, each {checkpoint.interval:g} s after the last one ended: {asked}",)

    async def carry_out(self, run: Running) -> None:
        """Take the pair into COLO and through its checkpoints."""
        await run.pair.guarded(measure(run, _drive))

    def evidence(self, folder: Path, run_id: str, cell: Cell, notes: Notes, remarks: tuple[str, ...]) -> Evidence:
        """Read the checkpoints from both traces; the record is sound when trace and QMP agree on them."""
        return gather(
            folder,
            run_id,
            cell,
            notes.samples,
            notes.events_missing,
            early=notes.early,
            remarks=remarks,
            failures=(*unapplied(cell.cache, notes.cache), *notes.clock_faults),
            gaps=notes.pulse.gaps,
            clocks=notes.clocks,
            measured_s=notes.timings.get("measure_s"),
            ended_at=notes.ended_at,
        )


SCENARIO = Colo()


async def measure(run: Running, drive_it: Drive) -> None:
    """Take the pair into COLO, start its workload, and let ``drive_it`` measure.

    Raises:
        BenchError: it did not come to its end.
    """
    counter = CheckpointCounter()
    await handshake(run)
    async with run.pair.console("primary") as console:
        await boot(run, console)
        await form(run, counter)
        async with workload(run, console) as client, antagonist(run), costing(run), run.stages.stage("measure"):
            run.notes.early = counter.done
            await watched(run, counter, client, drive_it)


async def watched(run: Running, counter: CheckpointCounter, client: Process | None, drive_it: Drive) -> None:
    """Let ``drive_it`` measure, and put on record who stood still meanwhile.

    Raises:
        BenchError: it did not come to its end, or a disk is full.
    """
    pair, notes = run.pair, run.notes
    with Journal(pair.folder) as journal:
        journal.begin(notes.early)
        journal.clocks(notes.clocks)
        async with notes.pulse.watching(states_of(pair.processes, client), journal.gap):
            await unless_client_ended(client, drive_it(run, counter, journal))
        notes.ended_at = time.time()
        journal.ended(notes.ended_at)
    # Asked while the images are there, whose end makes room: QEMU says nothing of a log it could not write.
    pair.require_room()


async def form(run: Running, counter: CheckpointCounter) -> None:
    """Take both machines into COLO, traced, and count their checkpoints from then on.

    Raises:
        BenchError: they did not come there.
    """
    pair, cell, notes = run.pair, run.cell, run.notes
    async with run.stages.stage("colo-start"):
        events, notes.events_missing = known_events(cell.traced, run.assets.side_features)
        await pair.carry_out(trace_steps(events))
        # From before COLO is there: its first checkpoint may come before it is known to be.
        pair.monitor("primary").subscribe(counter.observe)
        await pair.reach_colo(cell.deadlines.colo)
        counter.entered()
        notes.readback["colo"] = await read_colo(pair, checkpoint_delay_ms(pair.spec))


async def _drive(run: Running, counter: CheckpointCounter, journal: Journal) -> None:
    def told(done: int, total: int, pause_s: float) -> None:
        run.on_event(Progress(stage="measure", done=done, total=total, pause_s=pause_s))

    run.notes.samples = await drive(run.pair, run.cell, counter, told, journal.sample)
