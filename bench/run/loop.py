"""The loop over a plan: every run that is not measured yet, each change of its state on disk at once."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

from bench.errors import BenchError, StoreError, printable
from bench.plan.estimate import Estimate, duration_text, estimate, gib, require_disk
from bench.plan.label import accel_text
from bench.plan.lengthen import looked, with_blocks
from bench.plan.pace import Pace
from bench.plan.plan import asks, extent, plan_cells
from bench.process.interrupt import SIGNALS, heard
from bench.record.index import Index
from bench.record.ledger import read_entries
from bench.run.display import make_display
from bench.run.folder import aside, fresh_run_folder, keep_plan, set_aside
from bench.run.records import Records
from bench.run.until import Spent, measuring_s
from bench.scenario.progress import phase_of
from bench.system.exits import Exit
from bench.system.files import store_error
from bench.tune.tuner import Tuner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from rich.console import Console

    from bench.config.load import OnError
    from bench.config.model import Cell
    from bench.failures.cause import Phase
    from bench.plan.plan import Plan, PlannedRun
    from bench.record.ledger import Ledger
    from bench.run.display import Display
    from bench.run.prepare import Prepared
    from bench.run.until import Until
    from bench.scenario.progress import Assets, Progress, RunOutcome


class Measure(Protocol):
    """Measures one run; :func:`bench.run.session.measure_run`, or a fake in tests."""

    def __call__(
        self,
        run: PlannedRun,
        cell: Cell,
        assets: Assets,
        folder: Path,
        on_event: Callable[[Progress], None],
        *,
        attempt: int,
    ) -> Awaitable[RunOutcome]:
        """Measure the run into its empty folder."""
        ...


@dataclass
class Loop:
    """Takes the runs of a plan one after another.

    Attributes:
        wanted: how many of its blocks are asked for; None for all.
        until: adds blocks until what was declared is decided; None for a plan that is as long as it is.
        in_time: returns whether a run of so many seconds may still begin.
        cut_short: whether one was not begun for that reason.
        fresh: whether this command has measured a run since verdicts were last asked for.
    """

    plan: Plan
    prepared: Prepared
    folder: Path
    ledger: Ledger
    on_error: OnError
    measure: Measure
    console: Console
    tuner: Tuner = field(default_factory=Tuner)
    wanted: int | None = None
    until: Until | None = None
    in_time: Callable[[float], bool] = lambda _: True
    cut_short: bool = False
    interrupted: bool = False
    fresh: bool = False
    _cells: dict[str, Cell] = field(init=False)
    _estimates: dict[str, Estimate] = field(init=False)

    def __post_init__(self) -> None:
        # The deadlines of this command, not those the plan was first made with.
        self._cells = {one.cell_id: one.cell for one in plan_cells(self.prepared.cells)}
        self._estimates = {cell_id: estimate(cell) for cell_id, cell in self._cells.items()}

    @cached_property
    def _index(self) -> Index:
        return Index(self.folder, self.ledger.last)

    @cached_property
    def _records(self) -> Records:
        return Records(self.folder, self.ledger, partial(self.console.print, soft_wrap=True))

    def done(self, run_id: str) -> bool:
        """Return whether a run is measured and its record is there."""
        return self._records.done(run_id)

    def recover(self, runs: Sequence[PlannedRun] | None = None) -> None:
        """Settle what a kill left, of these runs or of all; see :meth:`bench.run.records.Records.recover`."""
        self._records.recover(self.plan.runs if runs is None else runs)

    def remaining(self) -> list[PlannedRun]:
        """Return the runs that are asked for and still to be measured, in order."""
        blocks = self.plan.repeats if self.wanted is None else self.wanted
        return [run for run in self.plan.runs if run.block < blocks and not self.done(run.run_id)]

    def measured(self) -> int:
        """Return how many runs of the plan are measured, asked for or not."""
        return sum(self.done(run.run_id) for run in self.plan.runs)

    def look(self, *, until_known: bool = False) -> None:
        """Put on record that verdicts are asked for."""
        self._keep(looked(self.plan, self.plan.repeats, until_known=until_known))
        self.fresh = False

    def renew(self) -> None:
        """Take note that a run was measured: whoever asks next for verdicts on blocks that were looked at looks again.

        That is on record at once: a command that is killed, or that leaves its jobs, asks for none, and the next one
        may have nothing to measure.
        """
        if not self.fresh and self.plan.repeats in self.plan.looks:
            self._keep(looked(self.plan, self.plan.repeats, again=True))
        self.fresh = True

    def tried(self) -> bool:
        """Return whether every run of the plan has been measured, or has failed at least once."""
        return all(self.ledger.attempts(run.run_id) for run in self.plan.runs)

    def run(self) -> Exit:
        """Measure what is not measured yet; a SIGINT, SIGTERM or SIGHUP takes the pair down and ends the loop."""
        remaining = self.remaining()
        require_disk([self._estimate(run) for run in remaining], shutil.disk_usage(self.folder).free)
        self.ledger.plan(run.run_id for run in self.plan.runs)
        self._introduce(remaining)
        with make_display(self.console, self.plan, self.measured(), grows=self.until is not None) as display:
            handlers = {number: signal.getsignal(number) for number in SIGNALS}
            try:
                asyncio.run(self._interruptible(self._measure_all(remaining, display)), debug=False)
            finally:
                for number, handler in handlers.items():  # asyncio leaves the default ones behind
                    signal.signal(number, handler)
                restored = self._restore_host()
        if self.interrupted:
            return Exit.INTERRUPTED
        if not restored:
            return Exit.HOST
        return Exit.RUNS_FAILED if self.remaining() else Exit.DONE

    def _restore_host(self) -> bool:
        """Put the host settings back that were changed for the runs; return whether all of them are."""
        try:
            lines = self.tuner.restore()
        except BenchError as error:
            self.console.print(str(error), soft_wrap=True)
            return False
        for line in lines:
            self.console.print(line, soft_wrap=True)
        return True

    async def _interruptible(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            if not self.interrupted:  # a second signal must not cut the teardown short
                self.interrupted = True
                task.cancel()

        for number in heard():
            loop.add_signal_handler(number, interrupt)
        try:
            await task
        except asyncio.CancelledError:
            if not self.interrupted:
                raise

    async def _measure_all(self, remaining: Sequence[PlannedRun], display: Display) -> None:
        pace = Pace(self._estimate(run).seconds for run in remaining)
        while await self._measure_these(remaining, display, pace):
            further = await self._next_block(self.until, display) if self.until else None
            if further is None:
                return
            remaining = further
            pace.more(self._estimate(run).seconds for run in remaining)

    async def _measure_these(self, runs: Sequence[PlannedRun], display: Display, pace: Pace) -> bool:
        """Measure runs, and return whether that went on to the last of them."""
        for run in runs:
            if self.interrupted:
                return False
            if not self.in_time(pace.scaled(self._estimate(run).seconds)):
                self.cut_short = True
                display.say("no further run is begun: it would not end in time")
                return False
            began = time.monotonic()
            measured = await self._until_measured(run, display, pace.left_s)
            pace.over(self._estimate(run).seconds, time.monotonic() - began if measured else None)
            if not measured and self.on_error.stop:
                display.say("stopped at the first failed run, as on_error=stop asks")
                return False
        return not self.interrupted

    async def _next_block(self, until: Until, display: Display) -> list[PlannedRun] | None:
        """Return what is left of one more block; None where all is decided, or cannot be within the budget.

        Nothing is left of one that was measured before plan.json was moved away.
        """
        blocks = self.plan.repeats
        if not any(self.done(run.run_id) for run in self.plan.runs if run.block == blocks - 1):
            display.say(f"no run of block {blocks} was measured: no further block is begun")
            return None
        # Before it is asked: a look counts, whatever becomes of it.
        self.look(until_known=True)
        mine = {run.run_id for run in self.plan.runs}
        spent = Spent(blocks, measuring_s(one for one in read_entries(self.ledger.path)[0] if one.run_id in mine))
        try:
            await until.look(self.folder, blocks)
        except StoreError as error:
            display.say(f"what is decided so far is not known: {error.message}")
        else:
            display.say(until.standing(spent))
        why = until.stop(spent)
        if why:
            display.say(why)
            return None
        self._keep(with_blocks(self.plan, blocks + 1))
        self.wanted = blocks + 1
        self.__dict__.pop("_index", None)  # it has the rows of the shorter plan
        self.recover([run for run in self.plan.runs if run.block == blocks])
        self.ledger.plan(run.run_id for run in self.plan.runs)
        display.lengthen(self.plan)
        runs = self.remaining()
        require_disk([self._estimate(run) for run in runs], shutil.disk_usage(self.folder).free)
        self.tuner.prepare(self._cells[run.cell_id].tuning for run in runs)  # where nothing was left when it began
        return runs

    def _keep(self, plan: Plan) -> None:
        if plan != self.plan:
            keep_plan(self.folder, plan)
            self.plan = plan

    async def _until_measured(self, run: PlannedRun, display: Display, ahead_s: float) -> bool:
        first = self.ledger.attempts(run.run_id)
        for attempt in range(first, first + self.on_error.retries + 1):
            error = await self._attempt(replace(run, attempt=attempt), display, ahead_s)
            if error is None:
                return True
            if not error.transient or self.interrupted:
                return False
        return False

    async def _attempt(self, run: PlannedRun, display: Display, ahead_s: float) -> BenchError | None:
        """Measure a run once, and return its failure if it failed in a way that the project understands."""
        cell = self._cells[run.cell_id]
        folder = fresh_run_folder(self.folder, run.run_id)
        self.ledger.append(run.run_id, "started", run.attempt)
        display.begin(run, accel_text(cell.accel, elsewhere=cell.host.far), ahead_s)
        try:
            assets = self._assets(cell)
            outcome = await self.measure(run, cell, assets, folder, display.progress, attempt=run.attempt)
        except (BenchError, OSError, asyncio.CancelledError) as error:
            if self.interrupted:
                self._give_up(run, display)
                raise asyncio.CancelledError from error
            if isinstance(error, asyncio.CancelledError):
                raise
            understood = error if isinstance(error, BenchError) else _os_failure(error, _phase(display))
            self._failed(run, understood, display)
            return understood
        except Exception as error:
            self._records.fail(
                run.run_id, run.attempt, BenchError(repr(error), cause="bug", phase=_phase(display), transient=False)
            )
            set_aside(self.folder, run.run_id)
            raise
        self.renew()
        self.ledger.append(run.run_id, "measured", run.attempt, message=outcome.message or None)
        self._index.changed(run.run_id)
        doubt = "" if outcome.quality_ok else f", but its quality check failed: {outcome.message}"
        display.end(f"measured{doubt}", failed=False)
        return None

    def _assets(self, cell: Cell) -> Assets:
        """Return what a run of the cell is made with, once the host is as the cell asks for."""
        assets = self.prepared.assets_of(cell)
        tuned = self.tuner.ensure(cell.tuning)
        return replace(assets, tuned=tuned) if tuned else assets

    def _give_up(self, run: PlannedRun, display: Display) -> None:
        signalled = BenchError("interrupted by a signal", cause="interrupted", phase=_phase(display))
        self._records.fail(run.run_id, run.attempt, signalled)
        set_aside(self.folder, run.run_id)
        display.end("interrupted", failed=True)

    def _failed(self, run: PlannedRun, error: BenchError, display: Display) -> None:
        kept = aside(self.folder, run.run_id)
        try:
            self._records.fail(run.run_id, run.attempt, error)
        except StoreError as refusal:
            refusal.evidence = (f"the run had failed before that: {error.message}",)
            raise
        self._index.changed(run.run_id)
        set_aside(self.folder, run.run_id)
        display.end(f"failed in {error.phase}", failed=True)
        display.say(f"{error}\n  kept: {kept}")

    def _estimate(self, run: PlannedRun) -> Estimate:
        return self._estimates[run.cell_id]

    def _introduce(self, remaining: Sequence[PlannedRun]) -> None:
        plan = self.plan
        seconds = sum(self._estimate(run).seconds for run in remaining)
        largest = max((self._estimate(run).memory_bytes for run in plan.runs), default=0)
        cells = self._cells.values()
        under = " and ".join(dict.fromkeys(accel_text(cell.accel, elsewhere=cell.host.far) for cell in cells))
        measured = self.measured()
        state = f", {measured} of them measured already" if measured else ""
        needs = f"about {duration_text(seconds)}, up to {gib(largest)} of memory"
        if self.until is not None:
            needs += f"; further blocks until it is known, at most {duration_text(self.until.budget_s)} of measuring"
            needs += f" and {self.until.most} blocks"
        head = f"campaign {plan.campaign}: {extent(plan)}{state}; {under}; {needs}"
        self.console.print(f"{head}\nresults: {self.folder}", soft_wrap=True)
        for line in asks(plan.hypotheses):
            self.console.print(line, soft_wrap=True)
        if self.ledger.torn:
            torn = printable(self.ledger.torn[:80])
            text = f"ledger.jsonl: its last line was torn by a kill and has been cut off: {torn}"
            self.console.print(text, soft_wrap=True)


def _phase(display: Display) -> Phase:
    """Return the phase that the run under way has come to."""
    return phase_of(display.status.stage)


def _os_failure(error: OSError, phase: Phase) -> StoreError:
    failure = store_error(error)
    failure.phase = phase
    return failure
