"""One run: a pair is launched, brought into COLO, loaded, driven through checkpoints, ended, and put on record."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shlex
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import bench
from bench.errors import BenchError, LaunchError, StoreError, WorkloadError
from bench.files import require_room, write_atomic
from bench.format.version import SCHEMA_VERSION
from bench.guest.protocol import start_line
from bench.host.clock import Clocks
from bench.host.host import HERE
from bench.host.links import Link
from bench.measure.bound import transport_bound
from bench.measure.clock import ClockWatch
from bench.measure.driver import CheckpointCounter, drive
from bench.measure.journal import Journal
from bench.measure.pulse import Pulse
from bench.measure.snapshot import drift
from bench.pair.features import known_events
from bench.pair.pair import Pair, open_pair
from bench.pair.procedure import boot_steps, checkpoint_delay_ms, trace_steps
from bench.pair.readback import read_colo, read_machines
from bench.places import same_modules
from bench.provision.cache import file_sha256
from bench.run.evidence import HTTP_ERROR, gather
from bench.run.progress import Assets, Progress, RunOutcome, phase_of
from bench.units import is_amount

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from bench.config.model import Cell
    from bench.errors import Phase
    from bench.host.host import Host
    from bench.measure.transfer import Sample
    from bench.pair.console import Console
    from bench.pair.process import Process
    from bench.plan.plan import PlannedRun
    from bench.provision.guest import Guest

    OnEvent = Callable[[Progress], None]

T = TypeVar("T")

_POLL_S = 0.02
_REFUSALS_SHOWN = 3
_SHORTEST_S = 1e-6  # the resolution that seconds are stored with
_SUSPENDED_S = 1.0
_JUST_NOW_S = 30.0
_LATE_CAUSES = frozenset(
    (
        "checkpoint-stuck",
        "client-hung",
        "client-silent",
        "colo-stuck",
        "colo-timeout",
        "command-slow",
        "guest-not-ready",
        "qemu-hung",
        "qmp-timeout",
        "workload-failed",
    )
)
"""Causes by which a deadline passed: they say nothing of the pair when the harness slept through it."""


@dataclass
class Notes:
    """What a run learns on its way, to be put on record."""

    started_at: float = field(default_factory=time.time)
    timings: dict[str, float] = field(default_factory=dict)
    readback: dict[str, Any] = field(default_factory=dict)
    workload: dict[str, Any] = field(default_factory=dict)
    transport: dict[str, Any] = field(default_factory=dict)
    events_missing: tuple[str, ...] = ()
    samples: list[Sample] = field(default_factory=list)
    early: int = 0
    clocks: Clocks = field(default_factory=Clocks)
    clock: ClockWatch = field(default_factory=ClockWatch)
    pulse: Pulse = field(default_factory=Pulse)


class Stages:
    """Announces each stage, keeps how long it took, and remembers which one the run has come to."""

    def __init__(self, on_event: OnEvent, timings: dict[str, float]) -> None:
        self._on_event = on_event
        self._timings = timings
        self._reached = ""

    @property
    def phase(self) -> Phase:
        """The phase that a failure now goes by: that of the stage which began last."""
        return phase_of(self._reached)

    @asynccontextmanager
    async def stage(self, name: str) -> AsyncIterator[None]:
        """Announce a stage and time the block."""
        self._reached = name
        self._on_event(Progress(stage=name))
        started = time.monotonic()
        yield
        self._timings[f"{name.replace('-', '_')}_s"] = round(time.monotonic() - started, 6)


async def measure_run(
    run: PlannedRun, cell: Cell, assets: Assets, folder: Path, on_event: OnEvent, *, attempt: int = 0
) -> RunOutcome:
    """Measure one planned run and write its record into its folder.

    Args:
        run: identity and place in the plan.
        cell: the configuration, ``accel`` resolved.
        assets: QEMU, guest and library.
        folder: the run's own empty folder, mode 0700.
        on_event: called with every stage and checkpoint.
        attempt: how many times this run failed before.

    Raises:
        BenchError: the run failed, in the phase of the stage that it had come to; raw traces up to then stay in the
            folder.
    """
    notes = Notes()
    stages = Stages(_looking(notes.clock, on_event), notes.timings)
    try:
        notes.transport = transport_bound(cell.link)
        before, cpu_before_s = HERE.snapshot(), _cpu_s()
        async with notes.pulse.beating():
            await _live(cell, assets, folder, notes, stages, _looking(notes.clock, on_event))
        notes.clock.look()
        notes.clock.require_steady()
        after, own_cpu_s = HERE.snapshot(), _cpu_s() - cpu_before_s
        async with stages.stage("store"):
            changed = [*drift(before, after, own_cpu_s), *notes.clock.drift()]
            host = {
                "before": before.to_json(),
                "after": after.to_json(),
                "drift": changed,
                "harness": notes.pulse.to_json(),
            }
            return _store(run, cell, assets, folder, notes, host, attempt)
    except BenchError as error:
        if error.cause == "checkpoint-stuck":  # QEMU's checkpoint timer goes by the wall clock
            notes.clock.look()
            notes.clock.require_steady()
        notes.pulse.look()
        lost_s = notes.pulse.lost_since(time.time() - _JUST_NOW_S)
        if error.cause in _LATE_CAUSES and lost_s > _SUSPENDED_S:
            raise BenchError(
                f"the harness itself did not run for {lost_s:.1f} s, and a deadline passed meanwhile",
                cause="harness-suspended",
                phase=stages.phase,
                evidence=(error.message, *error.evidence),
                logs=error.logs,
            ) from error
        # What an error is called by its kind (a QEMU that ends: launch) says less than where the run had come to.
        if error.cause != "clock-stepped":
            error.phase = stages.phase
        raise


def _looking(clock: ClockWatch, on_event: OnEvent) -> OnEvent:
    """Return what hands every piece of news on after a look at the clocks: a step may be taken back before the end."""

    def told(news: Progress) -> None:
        clock.look()
        on_event(news)

    return told


def _store(
    run: PlannedRun, cell: Cell, assets: Assets, folder: Path, notes: Notes, host: dict[str, Any], attempt: int
) -> RunOutcome:
    """Write the tables, then the record: a run whose ``run.json`` is there is whole."""
    remarks = assets.remarks(cell)
    try:
        evidence = gather(
            folder,
            run.run_id,
            cell,
            notes.samples,
            notes.events_missing,
            early=notes.early,
            remarks=remarks,
            gaps=notes.pulse.gaps,
            clocks=notes.clocks,
        )
    except StoreError:
        require_room(folder)
        raise
    record = {
        "schema_version": SCHEMA_VERSION,
        "run_id": run.run_id,
        "campaign": assets.campaign,
        "hypotheses_sha256": assets.hypotheses_sha256,
        "block": run.block,
        "order": run.order,
        "attempt": attempt,
        "cell_id": run.cell_id,
        "label": run.label,
        "cell": cell.model_dump(mode="json"),
        "accel": cell.accel,
        "started_at": notes.started_at,
        "finished_at": time.time(),
        "watch": sorted(assets.watch),
        "sandbox": (assets.features.sandbox or None) if assets.features else None,
        "tuned": [{"what": one.what, "was": one.old, "is": one.new} for one in assets.tuned],
        "versions": _versions(assets, assets.guest_of(cell)),
        "readback": notes.readback,
        "host": host,
        "clocks": notes.clocks.to_json(),
        "transport": notes.transport,
        "workload": {"name": cell.workload.name, **notes.workload},
        **({"client": evidence.client} if evidence.client is not None else {}),
        "timings": notes.timings,
        "early_checkpoints": notes.early,
        "quality": evidence.quality.to_json(),
    }
    evidence.write_tables(folder)
    write_atomic(folder / "run.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    (folder / "client.jsonl").unlink(missing_ok=True)
    return RunOutcome(run.run_id, evidence.measured, quality_ok=evidence.quality.ok, message=evidence.quality.summary())


async def _live(cell: Cell, assets: Assets, folder: Path, notes: Notes, stages: Stages, on_event: OnEvent) -> None:
    """Everything that needs the running pair; when this returns or raises, nothing of it runs any more."""
    async with stages.stage("launch"):
        opening = open_pair(
            cell,
            assets.pair_binary(cell),
            assets.guest_of(cell),
            assets.features,
            folder,
            watch=assets.watch,
            announce=lambda text: on_event(Progress(stage="launch", note=text)),
        )
        pair = await opening.__aenter__()
    try:
        await pair.guarded(_measure(pair, cell, assets, notes, stages, on_event))
    except BaseException:
        if not await opening.__aexit__(*sys.exc_info()):
            raise
    else:
        async with stages.stage("teardown"):
            await opening.__aexit__(None, None, None)


async def _measure(pair: Pair, cell: Cell, assets: Assets, notes: Notes, stages: Stages, on_event: OnEvent) -> None:
    deadlines = cell.deadlines
    counter = CheckpointCounter()
    async with stages.stage("handshake"):
        notes.clocks = await pair.topology.clocks()
        notes.readback = {"machine": await read_machines(pair)}
        for side in sorted(assets.watch):
            screen = await pair.monitor(side).execute("query-vnc")
            on_event(Progress(stage="handshake", note=screen_text(side, screen, pair.host(side))))
    async with pair.console("primary") as console:
        async with stages.stage("boot"):
            await pair.carry_out(boot_steps())
            await console.ready(deadlines.boot)
        async with stages.stage("colo-start"):
            events, notes.events_missing = known_events(cell.traced, assets.features)
            await pair.carry_out(trace_steps(events))
            await pair.reach_colo(deadlines.colo)
            pair.monitor("primary").subscribe(counter.observe)
            notes.readback["colo"] = await read_colo(pair, checkpoint_delay_ms(pair.spec))
        async with _workload(pair, cell, console, stages) as client:
            async with stages.stage("measure"):

                def told(done: int, total: int, pause_s: float) -> None:
                    on_event(Progress(stage="measure", done=done, total=total, pause_s=pause_s))

                notes.early = counter.done
                states = {side: process.state for side, process in pair.processes.items()}
                with Journal(pair.folder) as journal:
                    journal.begin(notes.early)
                    journal.clocks(notes.clocks)
                    async with notes.pulse.watching(states, journal.gap):
                        driving = drive(pair, cell, counter, told, journal.sample)
                        notes.samples = await (_unless_client_ended(client, driving) if client else driving)
                # Asked while the images are there, whose end makes room: QEMU says nothing of a log it could not write.
                require_room(pair.folder)
            died = console.died()
            if died:
                raise WorkloadError(f"the guest's workload died: {died}", cause="workload-died", logs=_serial(pair))
        notes.workload = workload_figures(console.reports)


@asynccontextmanager
async def _workload(pair: Pair, cell: Cell, console: Console, stages: Stages) -> AsyncIterator[Process | None]:
    """Start what runs in the guest and the client outside, if any; end the client when the block ends."""
    command = start_line(cell)
    port = int(pair.spec.ports.forward)
    output = pair.folder / "client.jsonl"
    node = pair.topology.client
    argv = cell.workload.client_argv(node.address(Link.CLIENT), port, output)
    async with stages.stage("workload"):
        if command:
            await console.start(command, cell.deadlines.workload)
    if not argv:
        yield None
        return
    home = pair.folder / "client"
    node.host.make_folder(home)
    client = (sys.executable, "-P", "-m", *argv)
    async with node.host.start(
        "client", client, home, env=same_modules(), grace_s=cell.deadlines.teardown, qemu=False
    ) as process:
        await _unless_client_ended(process, _first_answer(output, cell.deadlines.workload))
        yield process
        await _finish_client(process, cell.deadlines.teardown)


async def _unless_client_ended(client: Process, work: Coroutine[None, None, T]) -> T:
    try:
        return await client.unless_exited(work)
    except LaunchError as error:
        if error.cause != "program-exited":
            raise
        words = "the workload's client ended too early"
        raise WorkloadError(words, cause="client-failed", evidence=error.evidence, logs=error.logs) from error


async def _first_answer(output: Path, deadline_s: float) -> None:
    """Wait until the client has had an answer: from then on it is at work, and SIGTERM ends it in order."""
    try:
        async with asyncio.timeout(deadline_s):
            while not any(is_answer(line) for line in _lines(output)):
                await asyncio.sleep(_POLL_S)
    except TimeoutError as error:
        refusals = [line for line in _lines(output) if line.strip()]
        if not refusals:
            raise WorkloadError(f"the client got no answer within {deadline_s:g} s", cause="client-silent") from error
        raise WorkloadError(
            f"the client's {len(refusals)} requests all failed within {deadline_s:g} s",
            cause="client-refused",
            evidence=tuple(refusals[-_REFUSALS_SHOWN:]),
        ) from error


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines() if path.exists() else []


def is_answer(line: str) -> bool:
    """Return whether a line of the client's log tells of a request that was answered well."""
    try:
        entry = json.loads(line)
        return bool(entry["error"] is None and entry["status"] < HTTP_ERROR)
    except (ValueError, KeyError, TypeError):
        return False  # the line that is being written


async def _finish_client(client: Process, deadline_s: float) -> None:
    client.terminate()
    try:
        async with asyncio.timeout(deadline_s):
            status = await client.exited()
    except TimeoutError as error:
        raise WorkloadError(
            f"the workload's client did not end within {deadline_s:g} s",
            cause="client-hung",
            evidence=client.tail(),
            logs=(client.stderr_path,),
        ) from error
    if status:
        raise WorkloadError(
            "the workload's client failed", cause="client-failed", evidence=client.tail(), logs=(client.stderr_path,)
        )


def workload_figures(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the guest reported of itself, as figures of the whole run (empty when it reports nothing)."""
    sound = [one for one in reports if is_amount(one.get("seconds")) and is_amount(one.get("bytes"))]
    seconds = sum(float(report["seconds"]) for report in sound)
    if seconds < _SHORTEST_S:
        return {}
    return {
        "reports": len(sound),
        **({"unreadable_reports": len(reports) - len(sound)} if len(sound) < len(reports) else {}),
        "guest_seconds": round(seconds, 6),
        "achieved_mb_s": round(sum(int(report["bytes"]) for report in sound) / seconds / 1e6, 6),
    }


def _cpu_s() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def _serial(pair: Pair) -> tuple[Path, ...]:
    return (pair.folder / "primary" / "serial.log",)


def screen_text(side: str, screen: dict[str, Any], host: Host) -> str:
    """Return how a person looks at a side's screen (it listens on its host's loopback), from ``query-vnc``'s reply."""
    viewer = host.command(("vncviewer", f"{screen['host']}::{screen['service']}"))
    return f"{side}: screen: {shlex.join(viewer)}"


def _versions(assets: Assets, guest: Guest) -> dict[str, Any]:
    return {
        "colo_bench": bench.__version__,
        "python": platform.python_version(),
        "qemu": assets.binary.version,
        "qemu_source": assets.binary.source,
        "qemu_sha256": assets.binary.sha256,
        "kernel": guest.kernel_version,
        "kernel_sha256": guest.kernel_sha256,
        "initramfs_sha256": guest.initramfs_sha256,
        "nodelay_sha256": file_sha256(assets.nodelay) if assets.nodelay else None,
    }
