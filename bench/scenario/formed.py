"""COLO formed, and no checkpoint asked for: what being a pair costs by itself, beside what checkpoints cost.

QEMU's timer is set so far away that it never fires within a run. Output that differs asks for a checkpoint all the
same: such checkpoints are in the run's table and counted on its record, and they fail nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bench.measure.driver import LAST_WORDS_S
from bench.scenario.base import undisturbed, undisturbed_text
from bench.scenario.colo import Colo, measure

if TYPE_CHECKING:
    from bench.measure.driver import CheckpointCounter
    from bench.measure.journal import Journal
    from bench.scenario.base import Running
    from bench.vm.spec import PairSpec


class Formed(Colo):
    """The scenario ``formed``: the pair, its procedure and its evidence are those of ``colo``."""

    def then(self, spec: PairSpec) -> tuple[str, ...]:
        """Return that its workload runs, how long, and what may come in between."""
        return (f"{undisturbed_text(spec.cell)}, but those that differing output makes",)

    async def carry_out(self, run: Running) -> None:
        """Take the pair into COLO, and let the workload run for as long as the native machine has it."""
        await run.pair.guarded(measure(run, _wait))


SCENARIO = Formed()


async def _wait(run: Running, counter: CheckpointCounter, _journal: Journal) -> None:
    await undisturbed(run, counter.require_colo)
    # One that output has just begun is let to its end: half of it would be in the traces.
    await counter.idle(run.cell.deadlines.checkpoint)
    await asyncio.sleep(LAST_WORDS_S)
