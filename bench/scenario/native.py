"""The baseline: the same machine with the same workload for the same time, and no COLO at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.measure.journal import Journal
from bench.scenario.antagonist import antagonist, unapplied
from bench.scenario.base import boot, handshake, undisturbed, undisturbed_text
from bench.scenario.client import states_of, unless_client_ended, workload
from bench.scenario.costs import costing
from bench.scenario.evidence import Evidence, gather_undisturbed
from bench.vm.argv import NATIVE
from bench.vm.procedure import begin_steps, step

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.config.model import Cell
    from bench.scenario.base import Notes, Running
    from bench.vm.argv import Side
    from bench.vm.procedure import Step
    from bench.vm.spec import PairSpec


class Native:
    """The scenario ``native``."""

    sides: ClassVar[Mapping[str, Side]] = NATIVE

    def steps(self, spec: PairSpec) -> tuple[Step, ...]:
        """Return that the VM is started, and nothing else."""
        return (step("primary", "qmp_capabilities"), *begin_steps(spec))

    def then(self, spec: PairSpec) -> tuple[str, ...]:
        """Return that its workload runs, and how long."""
        return (undisturbed_text(spec.cell),)

    async def carry_out(self, run: Running) -> None:
        """Let the workload run for as long as the checkpoints of a pair would take."""
        await run.pair.guarded(_measure(run))

    def evidence(self, folder: Path, run_id: str, cell: Cell, notes: Notes, remarks: tuple[str, ...]) -> Evidence:
        """Read what the client saw; the record is sound when the VM never stood still."""
        failures = (*unapplied(cell.cache, notes.cache), *notes.clock_faults)
        return gather_undisturbed(folder, run_id, remarks=remarks, failures=failures, gaps=notes.pulse.gaps)


SCENARIO = Native()


async def _measure(run: Running) -> None:
    pair, notes, stages = run.pair, run.notes, run.stages
    await handshake(run)
    async with pair.console("primary") as console:
        await boot(run, console)
        async with workload(run, console) as client, antagonist(run), costing(run), stages.stage("measure"):
            states = states_of(pair.processes, client)
            with Journal(pair.folder) as journal:
                journal.begin(0)
                async with notes.pulse.watching(states, journal.gap):
                    await unless_client_ended(client, undisturbed(run))
            pair.require_room()
