"""The campaign: prepare, plan, then every run that is not measured yet; each change of state is on disk at once."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import psutil

from bench.config.load import CHECKOUT
from bench.errors import BenchError, Phase, StoreError
from bench.exits import Exit
from bench.files import store_error
from bench.owner import end_with_owner
from bench.plan.dryrun import dry_run
from bench.plan.estimate import Estimate, duration_text, estimate, gib, require_disk, require_fit
from bench.plan.label import accel_text
from bench.plan.pace import Pace
from bench.plan.plan import GuestBuild, QemuBuild, digest, extent, identity, make_plan, plan_cells
from bench.provision.cache import file_sha256
from bench.record.index import Index, write_index
from bench.record.ledger import Ledger
from bench.record.run import is_recorded, quality_failures, read_record
from bench.record.table import has_whole_tables
from bench.run.display import make_console, make_display
from bench.run.folder import agree_on_plan, aside, fresh_run_folder, locked, set_aside
from bench.run.progress import phase_of
from bench.run.reaper import reap
from bench.run.summary import summarise, summary_table
from bench.tune.tuner import Tuner, undo_leftovers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from rich.console import Console

    from bench.config.load import OnError, Settings
    from bench.config.model import Cell
    from bench.plan.plan import Plan, PlannedRun
    from bench.record.ledger import Entry
    from bench.run.display import Display
    from bench.run.prepare import Prepared
    from bench.run.progress import Assets, Progress, RunOutcome

_REPORT_DEADLINE_S = 600
_MOST_EVIDENCE = 20
_LONGEST_EVIDENCE = 500
_HYPOTHESES_CHANGED = (
    "the hypotheses are not those that this campaign was started with, which stand; "
    "whatever is measured from here on is on record as measured under others, and its verdicts are exploratory"
)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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


def _tidy(results: Path) -> list[str]:
    """Remove what killed campaigns left, put back what they changed, and say what was done."""
    return [*reap(results), *undo_leftovers()]


@dataclass(frozen=True)
class Tools:
    """What the loop does not do itself."""

    prepare: Callable[[Settings, Sequence[Cell], str, Callable[[str], None]], Prepared]
    measure: Measure
    report: Callable[[Path, Console], bool]
    available_bytes: Callable[[], int]
    tidy: Callable[[Path], list[str]] = _tidy
    tuner: Callable[[], Tuner] = Tuner


def real_tools() -> Tools:
    """Return the tools that measure real pairs."""
    from bench.run.prepare import prepare  # noqa: PLC0415 - a refused or dry run needs none of it
    from bench.run.session import measure_run  # noqa: PLC0415

    return Tools(prepare, measure_run, write_report, lambda: int(psutil.virtual_memory().available))


def campaign_name(settings: Settings, cells: Sequence[Cell]) -> str:
    """Return the campaign's name: as given, the experiment's, or one that the same command always gives."""
    asked = [[identity(cell) for cell in cells], settings.repeats, settings.seed]
    return settings.campaign or settings.experiment or f"sweep-{digest(asked, 8)}"


def run_campaign(settings: Settings, cells: Sequence[Cell], command: str, tools: Tools | None = None) -> Exit:
    """Run, or continue, the campaign that the settings and cells ask for, and return the exit status.

    Raises:
        BenchError: nothing was measured: the plan changed, or this machine cannot.
    """
    console = make_console()
    name = campaign_name(settings, cells)
    planned = plan_cells(cells)
    if settings.dry_run:
        console.out(dry_run(settings, cells, name), highlight=False)
        return Exit.DONE
    tools = tools or real_tools()
    known = _is_there(settings.results / name / "plan.json")
    for line in tools.tidy(settings.results):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not known:
        require_fit(planned, tools.available_bytes())  # before anything is fetched; a known campaign asks again below
    folder = settings.results / name
    with locked(folder):
        prepared = tools.prepare(settings, cells, name, lambda text: console.print(text, markup=False, soft_wrap=True))
        plan = agree_on_plan(folder, _plan(settings, prepared, name, command))
        if plan.hypotheses != settings.hypotheses:
            console.print(_HYPOTHESES_CHANGED, markup=False, soft_wrap=True)
        ledger = Ledger(folder / "ledger.jsonl")
        loop = Loop(plan, prepared, folder, ledger, settings.on_error, tools.measure, console, tools.tuner())
        loop.recover()
        left = {run.cell_id for run in loop.remaining()}
        require_fit([one for one in plan.cells if one.cell_id in left], tools.available_bytes())
        loop.tuner.prepare(one.cell.tune for one in plan.cells if one.cell_id in left)
        return _finish(loop, loop.run(), tools.report)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long, a folder that is not ours: said in words when the folder is made
        return False


def _plan(settings: Settings, prepared: Prepared, name: str, command: str) -> Plan:
    builds = {key: assets.binary for key, assets in prepared.assets.items()}
    first = next(iter(prepared.assets.values()))
    guest = first.guest
    return make_plan(
        name,
        prepared.cells,
        repeats=settings.repeats,
        seed=settings.seed,
        qemu={key: QemuBuild(one.version, one.sha256, one.source) for key, one in builds.items()},
        guest=GuestBuild(guest.kernel_version, guest.kernel_sha256, guest.initramfs_sha256),
        nodelay_sha256=file_sha256(first.nodelay) if first.nodelay else None,
        command=command,
        experiment=settings.experiment,
        hypotheses=settings.hypotheses,
    )


@dataclass
class Loop:
    """Takes the runs of a plan one after another."""

    plan: Plan
    prepared: Prepared
    folder: Path
    ledger: Ledger
    on_error: OnError
    measure: Measure
    console: Console
    tuner: Tuner = field(default_factory=Tuner)
    interrupted: bool = False
    _cells: dict[str, Cell] = field(init=False)
    _estimates: dict[str, Estimate] = field(init=False)
    _whole: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        # The deadlines of this command, not those the plan was first made with.
        self._cells = {one.cell_id: one.cell for one in plan_cells(self.prepared.cells)}
        self._estimates = {cell_id: estimate(cell) for cell_id, cell in self._cells.items()}

    @cached_property
    def _index(self) -> Index:
        return Index(self.folder, self.ledger.last)

    def done(self, run_id: str) -> bool:
        """Return whether a run is measured and its record is there."""
        if not self.ledger.done(run_id):
            return False
        # Read once by each command: to read every record at every look would make a long campaign slow.
        if run_id not in self._whole and is_recorded(self.folder / "runs" / run_id, run_id):
            self._whole.add(run_id)
        return run_id in self._whole

    def _record(self, run_id: str) -> dict[str, Any] | None:
        return read_record(self.folder / "runs" / run_id, run_id)

    def recover(self) -> None:
        """Take what a kill left with its whole record, but without its line in the ledger, for measured.

        What it left without one is on record as broken off, and what has lost its table since as failed: both are
        measured again, and their raw traces kept.
        """
        for run in self.plan.runs:
            last = self.ledger.last(run.run_id)
            if (
                last is not None
                and last.state == "measured"
                and not has_whole_tables(self.folder / "runs" / run.run_id)
            ):
                self._take_back(last, Phase.STORE, "store-failed", "its table is damaged or gone")
            if last is None or last.state != "started":
                continue
            record = self._record(run.run_id)
            if record is None:
                self._take_back(
                    last, None, "interrupted", "it never ended: the harness was killed or the machine went down"
                )
                continue
            (self.folder / "runs" / run.run_id / "client.jsonl").unlink(missing_ok=True)  # its table is written
            doubt = "; ".join(quality_failures(record))
            self.ledger.append(run.run_id, "measured", last.attempt, message=doubt or None)
            text = f"run {run.run_id} had been measured when the campaign was killed: its record is whole"
            self.console.print(text, markup=False, soft_wrap=True)

    def _take_back(self, last: Entry, phase: Phase | None, cause: str, message: str) -> None:
        self.ledger.append(last.run_id, "failed", last.attempt, phase, cause, message)
        text = f"run {last.run_id} is measured again: {message}"
        home = self.folder / "runs" / last.run_id
        if last.state == "measured" and (home / "run.json").exists():  # it would say that the tables are whole
            (home / "run.json").rename(home / "run-without-tables.json")
        if home.exists():
            text = f"{text}; kept: {set_aside(self.folder, last.run_id)}"
        self.console.print(text, markup=False, soft_wrap=True)

    def remaining(self) -> list[PlannedRun]:
        """Return the runs that are still to be measured, in order."""
        return [run for run in self.plan.runs if not self.done(run.run_id)]

    def run(self) -> Exit:
        """Measure what is not measured yet; a SIGINT, SIGTERM or SIGHUP takes the pair down and ends the loop."""
        remaining = self.remaining()
        require_disk([self._estimate(run) for run in remaining], shutil.disk_usage(self.folder).free)
        self.ledger.plan(run.run_id for run in self.plan.runs)
        self._introduce(remaining)
        finished = len(self.plan.runs) - len(remaining)
        with make_display(self.console, self.plan, finished) as display:
            handlers = {number: signal.getsignal(number) for number in _SIGNALS}
            try:
                asyncio.run(self._interruptible(self._measure_all(remaining, display)))
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
            self.console.print(str(error), markup=False, soft_wrap=True)
            return False
        for line in lines:
            self.console.print(line, markup=False, soft_wrap=True)
        return True

    async def _interruptible(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            if not self.interrupted:  # a second signal must not cut the teardown short
                self.interrupted = True
                task.cancel()

        hangup = () if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else (signal.SIGHUP,)  # nohup means it
        for number in (signal.SIGINT, signal.SIGTERM, *hangup):
            loop.add_signal_handler(number, interrupt)
        try:
            await task
        except asyncio.CancelledError:
            if not self.interrupted:
                raise

    async def _measure_all(self, remaining: Sequence[PlannedRun], display: Display) -> None:
        pace = Pace(self._estimate(run).seconds for run in remaining)
        for run in remaining:
            if self.interrupted:
                return
            began = time.monotonic()
            measured = await self._until_measured(run, display, pace.left_s)
            pace.over(self._estimate(run).seconds, time.monotonic() - began if measured else None)
            if not measured and self.on_error.stop:
                display.say("stopped at the first failed run, as on_error=stop asks")
                return

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
        display.begin(run, cell.accel, ahead_s)
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
            self.ledger.append(run.run_id, "failed", run.attempt, _phase(display), cause="bug", message=repr(error))
            set_aside(self.folder, run.run_id)
            raise
        self.ledger.append(run.run_id, "measured", run.attempt, message=outcome.message or None)
        self._index.changed(run.run_id)
        doubt = "" if outcome.quality_ok else f", but its quality check failed: {outcome.message}"
        display.end(f"measured{doubt}", failed=False)
        return None

    def _assets(self, cell: Cell) -> Assets:
        """Return what a run of the cell is made with, once the host is as the cell asks for."""
        assets = self.prepared.assets[cell.qemu]
        tuned = self.tuner.ensure(cell.tune)
        return replace(assets, tuned=tuned) if tuned else assets

    def _give_up(self, run: PlannedRun, display: Display) -> None:
        words = "interrupted by a signal"
        self.ledger.append(run.run_id, "failed", run.attempt, _phase(display), cause="interrupted", message=words)
        set_aside(self.folder, run.run_id)
        display.end("interrupted", failed=True)

    def _failed(self, run: PlannedRun, error: BenchError, display: Display) -> None:
        moved, kept = self.folder / "runs" / run.run_id, aside(self.folder, run.run_id)
        error.logs = tuple(kept / log.relative_to(moved) if log.is_relative_to(moved) else log for log in error.logs)
        try:
            self._put_on_record(run, error)
        except StoreError as refusal:
            refusal.evidence = (f"the run had failed before that: {error.message}",)
            raise
        self._index.changed(run.run_id)
        set_aside(self.folder, run.run_id)
        display.end(f"failed in {error.phase}", failed=True)
        display.say(f"{error}\n  kept: {kept}")

    def _put_on_record(self, run: PlannedRun, error: BenchError) -> None:
        logs = [log.relative_to(self.folder) if log.is_relative_to(self.folder) else log for log in error.logs]
        self.ledger.append(
            run.run_id,
            "failed",
            run.attempt,
            error.phase,
            error.cause,
            error.message,
            hint=error.hint,
            evidence=[line[:_LONGEST_EVIDENCE] for line in error.evidence[:_MOST_EVIDENCE]],
            logs=map(str, logs),
        )

    def _estimate(self, run: PlannedRun) -> Estimate:
        return self._estimates[run.cell_id]

    def _introduce(self, remaining: Sequence[PlannedRun]) -> None:
        plan = self.plan
        seconds = sum(self._estimate(run).seconds for run in remaining)
        largest = max((self._estimate(run).memory_bytes for run in plan.runs), default=0)
        under = " and ".join(dict.fromkeys(accel_text(cell.accel) for cell in self._cells.values()))
        measured = len(plan.runs) - len(remaining)
        state = f", {measured} of them measured already" if measured else ""
        needs = f"about {duration_text(seconds)}, up to {gib(largest)} of memory"
        head = f"campaign {plan.campaign}: {extent(plan)}{state}; {under}; {needs}"
        self.console.print(f"{head}\nresults: {self.folder}", markup=False, soft_wrap=True)
        if self.ledger.torn:
            text = f"ledger.jsonl: its last line was torn by a kill and has been cut off: {self.ledger.torn[:80]}"
            self.console.print(text, markup=False, soft_wrap=True)


def _phase(display: Display) -> Phase:
    """Return the phase that the run under way has come to."""
    return phase_of(display.status.stage)


def _os_failure(error: OSError, phase: Phase) -> StoreError:
    failure = store_error(error)
    failure.phase = phase
    return failure


def _finish(loop: Loop, status: Exit, report: Callable[[Path, Console], bool]) -> Exit:
    write_index(loop.folder)
    measured = len(loop.plan.runs) - len(loop.remaining())
    if status == Exit.INTERRUPTED:
        loop.console.print(
            f"interrupted after {measured} of {len(loop.plan.runs)} runs; the same command continues", markup=False
        )
        return status
    if not measured:
        return status
    loop.console.print(summary_table(loop.plan.campaign, summarise(loop.plan, loop.folder, loop.done)))
    return status if report(loop.folder, loop.console) else Exit.BUG


def write_report(folder: Path, console: Console) -> bool:
    """Have the report written by the analysis, which knows nothing of this process, and print where it is.

    Raises:
        StoreError: this machine does not let it be written.
    """
    try:
        status, said = _run_analysis((sys.executable, "-m", "analysis", os.fspath(folder)))
    except subprocess.TimeoutExpired:
        console.print(f"the report took longer than {_REPORT_DEADLINE_S} s", markup=False)
        return False
    if status == Exit.HOST:
        hint = f"the data are stored; make room or access, then: python -m analysis {folder}"
        raise StoreError(said.strip().removeprefix("colo-bench: "), hint=hint)
    if status:
        console.print(f"the report failed:\n{said.strip()}", markup=False, soft_wrap=True)
        return False
    for verdict in _verdicts(folder / "report" / "verdicts.json"):
        console.print(f"{verdict['id']}: {verdict['sentence']}", markup=False, highlight=False)
    console.print(f"report: {folder / 'report' / 'report.html'}", markup=False, soft_wrap=True)
    return True


def _run_analysis(argv: Sequence[str]) -> tuple[int, str]:
    """Run the analysis, which ends with this process, and return its status and what it said on standard error."""
    follow = end_with_owner()

    def begin() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        follow()

    # What a signal's handler raises inside of fork()'s own hooks is printed and swallowed: it has to wait until after.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        child = subprocess.Popen(
            argv, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=begin
        )
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    with child:
        try:
            _, said = child.communicate(timeout=_REPORT_DEADLINE_S)
        except BaseException:
            child.kill()
            raise
    return child.returncode, said


def _verdicts(path: Path) -> list[dict[str, Any]]:
    """Return the verdicts that the analysis came to; none where no hypothesis was declared."""
    try:
        return list(json.loads(path.read_bytes())["verdicts"])
    except (OSError, ValueError, KeyError):
        return []
