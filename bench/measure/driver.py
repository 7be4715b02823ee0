"""Drives a running pair through its checkpoints, on demand or by QEMU's timer, and samples the link between them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bench.errors import ColoError, HostError, MeasureError
from bench.measure.transfer import Sample, parse_ss
from bench.vm.procedure import poke

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.config.model import Cell
    from bench.vm.pair import Pair
    from bench.vm.qmp import Event

    OnCheckpoint = Callable[[int, int, float], None]
    OnSample = Callable[[Sample], None]

_SS_DEADLINE_S = 5.0
_REST = 1.1
LAST_WORDS_S = 0.2
"""For the traces of the last checkpoint, which come a little after its RESUME: the pair is killed next."""
_SETTLE_S = 0.01
"""QEMU sends RESUME just before its trace says that the guest runs; a sample in between belongs to no checkpoint."""


class CheckpointCounter:
    """Counts the checkpoints of a pair from the primary's STOP and RESUME events."""

    def __init__(self) -> None:
        self.stops: list[float] = []
        self.resumes: list[float] = []
        self._changed = asyncio.Event()
        self._exit_reason: str | None = None

    def observe(self, event: Event) -> None:
        """Take note of an event of the primary."""
        if event.name == "STOP":
            self.stops.append(event.t)
        elif event.name == "RESUME" and len(self.resumes) < len(self.stops):
            self.resumes.append(event.t)
        elif event.name == "COLO_EXIT":
            self._exit_reason = str(event.data.get("reason", "unknown"))
        self._changed.set()

    def entered(self) -> None:
        """Leave the standstill on entering COLO, which was observed first, out of the count: it is no checkpoint."""
        del self.stops[:1], self.resumes[:1]

    @property
    def done(self) -> int:
        """How many checkpoints have ended."""
        return len(self.resumes)

    @property
    def last_pause_s(self) -> float:
        """The last ended pause by QEMU's own event clock."""
        return self.resumes[-1] - self.stops[self.done - 1]

    @property
    def under_way(self) -> bool:
        """Whether a checkpoint has begun and not ended."""
        return len(self.stops) > len(self.resumes)

    async def reach(self, count: int, deadline_s: float) -> None:
        """Wait until ``count`` checkpoints have ended.

        Raises:
            MeasureError: they did not, within the deadline.
            ColoError: COLO ended.
        """
        await self._wait(lambda: self.done >= count, deadline_s)

    async def idle(self, deadline_s: float) -> None:
        """Wait until no checkpoint is under way.

        Raises:
            MeasureError: one was, all through the deadline.
            ColoError: COLO ended.
        """
        await self._wait(lambda: not self.under_way, deadline_s)

    def require_colo(self) -> None:
        """Return when COLO has not ended.

        Raises:
            ColoError: it has.
        """
        if self._exit_reason:
            cause = f"COLO ended during the run (COLO_EXIT, reason {self._exit_reason})"
            raise ColoError(cause, cause="colo-exit", hint="one side lost the other: see both stderr.log")

    async def _wait(self, come: Callable[[], bool], deadline_s: float) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                while not come():
                    self.require_colo()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            inside = "a checkpoint began and did not end" if self.under_way else "no checkpoint began"
            hint = "see both stderr.log and trace.log, or raise deadlines.checkpoint"
            raise MeasureError(f"{inside} within {deadline_s:g} s", hint=hint) from error


async def drive(
    pair: Pair,
    cell: Cell,
    counter: CheckpointCounter,
    on_checkpoint: OnCheckpoint,
    on_sample: OnSample = lambda _: None,
) -> list[Sample]:
    """Take all checkpoints of a run, warm-up included, and return the samples of the link's byte counter.

    On demand, the next checkpoint is asked for only when the last one has ended, the interval has passed, and none that
    the timer or differing output began is under way. The hosts of a pair rest for as long as it is likely to take.
    ``on_checkpoint`` is called with the checkpoints done, the checkpoints wanted, and the last pause in seconds,
    ``on_sample`` with every sample when it is taken.

    Raises:
        MeasureError: a checkpoint does not begin or does not end in time.
        ColoError: COLO ended.
    """
    wanted = cell.taken.warmup + cell.taken.count
    on_demand = cell.checkpoint.trigger == "demand"
    deadline_s = cell.deadlines.checkpoint + (0 if on_demand else cell.checkpoint.interval)
    sample = _sampler(pair, on_sample)
    samples = [entry for entry in [await sample()] if entry]
    for done in range(1, wanted + 1):
        rests_s = 0.0
        if on_demand:
            # A poke during a checkpoint that something else began would be swallowed by it, or start one right behind.
            await counter.idle(cell.deadlines.checkpoint)
        target = counter.done + 1
        if on_demand:
            if counter.done:  # who relays what is said in a pause takes CPU time from it: it is heard right behind it
                rests_s = await pair.rest(_REST * counter.last_pause_s)
            await pair.carry_out((poke(),))
        await counter.reach(target, deadline_s)
        on_checkpoint(done, wanted, counter.last_pause_s)
        samples += [entry for entry in [await sample()] if entry]
        if on_demand:
            # The end of a checkpoint that was shorter than the rest was heard late: the interval begins there.
            await asyncio.sleep(cell.checkpoint.interval - max(0.0, rests_s - counter.last_pause_s))
    await asyncio.sleep(LAST_WORDS_S)
    return samples


def _sampler(pair: Pair, on_sample: OnSample) -> Callable[[], Awaitable[Sample | None]]:
    """Return a function that reads the bytes sent on the migration connection, where the kernel tells."""
    port = pair.spec.ports.migration
    known = pair.spec.cell.link.transport != "unix"
    argv = ("ss", "-tinOH", "state", "established", "dport", "=", f":{port}")

    async def sample() -> Sample | None:
        nonlocal known
        if not known:
            return None
        await asyncio.sleep(_SETTLE_S)
        before = time.time()
        try:
            text = await pair.host("primary").run(argv, _SS_DEADLINE_S)
        except (HostError, OSError):
            known = False
            return None
        sent = parse_ss(text, int(port))
        if sent is None:
            return None
        taken = Sample(before, time.time(), sent)
        on_sample(taken)
        return taken

    return sample
