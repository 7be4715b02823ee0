"""Failover: a COLO pair takes its checkpoints, then one side is struck, and the other takes over."""

from __future__ import annotations

import asyncio
import math
import random
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.errors import GuestError, MeasureError, QmpError
from bench.format.folder import TRACE, RunFolder
from bench.format.outcomes import PAUSES_IN_DOUBT
from bench.format.phases import PRIMARY
from bench.host.echo import echoing
from bench.host.links import CLIENT, SIDES, Link
from bench.host.strike import blow_of, strike, strike_at
from bench.measure.driver import CheckpointCounter, drive
from bench.measure.gap import client_course
from bench.measure.journal import Journal
from bench.measure.parts import EVENTS
from bench.measure.pulse import HARNESS
from bench.measure.strike import BETWEEN, beginning_of, hit, until
from bench.measure.trace import read_trace
from bench.scenario.answers import kept_by_server
from bench.scenario.antagonist import antagonist, unapplied
from bench.scenario.base import boot, handshake
from bench.scenario.client import answered_since, require_alive, states_of, unless_client_ended, workload
from bench.scenario.colo import Colo, form
from bench.scenario.evidence import Evidence, by_clock_us, gather
from bench.scenario.heart import Heart
from bench.scenario.progress import Progress
from bench.scenario.redundancy import join_again, planned_joining
from bench.scenario.takeover import Course, take_over
from bench.vm.procedure import poke
from bench.vm.takeover import planned_texts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    from bench.config.model import Cell
    from bench.config.procedure import Failover
    from bench.host.process import Process
    from bench.host.strike import Blow
    from bench.measure.pulse import Gap
    from bench.scenario.base import Notes, Running
    from bench.vm.console import Console
    from bench.vm.qmp import Event
    from bench.vm.spec import PairSpec

_CHANCE = random.SystemRandom()
_LAST_LOOK_S = 0.2
"""For what the survivor's trace and QMP still have to say: it is killed next."""

_CLIENT_GOES_ON_S = 2.0
"""For what every connection of a client still has to send again: after an outage of half a second within one."""


class FailoverRun(Colo):
    """The scenario ``failover``; what follows the blow is in :func:`bench.vm.takeover.planned_steps`."""

    def then(self, spec: PairSpec) -> tuple[str, ...]:
        """Return the checkpoints before the blow, the blow, and every step after it."""
        return (*super().then(spec), *(_planned(spec, spec.cell.failover) if spec.cell.failover else ()))

    async def carry_out(self, run: Running) -> None:
        """Take the pair through its checkpoints, strike one side, and let the other take over.

        Raises:
            BenchError: it did not come to the blow. What a survivor does not manage is no error but put on record.
        """
        asked = run.cell.failover
        if asked is None:
            raise MeasureError("this cell has no failover", cause="bug")
        async with AsyncExitStack() as stack:
            scene = await run.pair.guarded(_until_the_blow(run, asked, stack))
            async with run.stages.stage("failover"):
                course = await _fail(run, asked, scene)
                if scene.client and course.success:
                    await _serve_again(run, course)
                await asyncio.sleep(_LAST_LOOK_S)
            course.noticed_s = scene.noticed_s(course, run.notes)
            run.notes.failover = course.to_json()
            # One that is stopped would keep its monitor's farewell waiting.
            run.pair.processes[asked.victim].kill()
            if asked.redundancy and course.success:
                async with run.stages.stage("redundancy"):
                    await join_again(run, course)
                run.notes.failover = course.to_json()
            run.pair.require_room()
        if not course.success:
            words = f"the {course.survivor} did not take over: {course.reason} ({course.cause})"
            run.on_event(Progress(stage="failover", note=words))
        elif course.redundancy.get("reason"):
            run.on_event(Progress(stage="redundancy", note=_alone(course.to_json())))

    def evidence(self, folder: Path, run_id: str, cell: Cell, notes: Notes, remarks: tuple[str, ...]) -> Evidence:
        """Read the checkpoints up to the blow, and where by the trace it fell.

        The record is sound when every checkpoint before the blow is there, packets were compared up to it (else nothing
        was protected that could be survived), and the harness ran from it to the answer.
        What speaks against the pauses alone, on a busy host say, says nothing of the failover: it is a note.
        """
        course = dict(notes.failover)
        at_us = by_clock_us(notes.clocks, PRIMARY, course["struck_at"][1])
        found = hit(until(read_trace(RunFolder(folder).trace(PRIMARY), EVENTS[PRIMARY]), at_us), at_us)
        harmed = _failures(course, found.unfinished, notes.pulse.gaps)
        own = (*unapplied(cell.cache, notes.cache), *notes.clock_faults, *harmed)
        evidence = gather(
            folder,
            run_id,
            cell,
            notes.samples,
            notes.events_missing,
            early=notes.early,
            remarks=(*remarks, *_remarks(cell, course, found.phase, notes.workload)),
            gaps=[gap for gap in notes.pulse.gaps if gap.begin < course["struck_at"][0]],
            clocks=notes.clocks,
            struck_at=course["struck_at"][1],
        )
        if evidence.measured < cell.taken.count:
            own = (*own, f"{evidence.measured} usable checkpoints before the blow, {cell.taken.count} were asked for")
        own = (*own, *evidence.uncompared)
        doubts = (one for one in evidence.quality.failures if one not in evidence.uncompared)
        of_pauses = (f"{PAUSES_IN_DOUBT}: {one}" for one in doubts)
        client = _seen_by_client(evidence.client_columns, course, notes, _kept(folder, cell, notes))
        quality = replace(evidence.quality, failures=own, notes=(*_losses(client), *evidence.quality.notes, *of_pauses))
        seen = {"client": client} if client else {}
        return replace(evidence, quality=quality, failover={**course, "hit": found.to_json(), **seen})


SCENARIO = FailoverRun()


def _planned(spec: PairSpec, asked: Failover) -> Iterator[str]:
    does = {
        "kill": "is killed (SIGKILL)",
        "stop": "is stopped (SIGSTOP)",
        "cut": "loses its link",
        "down": "loses its link and is killed (SIGKILL)",
    }[asked.how]
    when = "between two checkpoints" if asked.when == BETWEEN else f"when {asked.when} of the next one begins"
    yield f"then the {asked.victim} {does}, {when}"
    yield f"a heartbeat each {asked.heartbeat:g} s, given up after {asked.timeout:g} s"
    yield f"then the {asked.survivor} takes over"
    shown = planned_texts(asked.survivor, switched=spec.cell.host.bridged)
    yield from (f"  {number:>2}. {one}" for number, one in enumerate(shown, start=1))
    yield "and its guest is asked over its console whether it lives, and what its memory holds"
    if asked.redundancy:
        yield f"then a new secondary is started in place of the {asked.victim}; its primary is the {asked.survivor}"
        joining = planned_joining(spec, asked.survivor)
        yield from (f"  {number:>2}. {one}" for number, one in enumerate(joining, start=1))


def _seen_by_client(
    columns: dict[str, list[Any]] | None, course: Mapping[str, Any], notes: Notes, kept: dict[str, Any] | None
) -> dict[str, Any]:
    if columns is None:
        return {}
    struck_at = notes.clocks.of(CLIENT).span(*course["struck_at"])[1]
    took_s = [course[part] for part in ("detect_s", "decide_s", "takeover_s")]
    taken_at = struck_at + sum(took_s) if course["success"] else None
    return client_course(columns, struck_at, taken_at, kept)


def _kept(folder: Path, cell: Cell, notes: Notes) -> dict[str, Any] | None:
    """Return what became of what was acknowledged; where the client was to look and did not, that nothing is known."""
    found = kept_by_server(RunFolder(folder).client_log)
    if found is not None or "--verify" not in cell.workload.failover_argv():
        return found
    why = notes.workload.get("client_ended") or "the client did not come to look"
    return {"checked": 0, "lost": 0, "examples": [], "error": why}


def _losses(client: Mapping[str, Any]) -> tuple[str, ...]:
    if not client.get("lost"):
        return ()
    examples = "; ".join(client.get("examples", ()))
    return (f"{client['lost']} of {client['checked']} acknowledged writes are lost: {examples}",)


def _remarks(cell: Cell, course: Mapping[str, Any], phase: str, workload: Mapping[str, Any]) -> tuple[str, ...]:
    wanted = cell.failover.when if cell.failover else phase
    missed = (f"the blow was meant for {wanted} and fell {_place(phase)}",) if phase != wanted else ()
    failed = () if course["success"] else (f"the {course['survivor']} did not take over: {course['reason']}",)
    alone = (_alone(course),) if course.get("redundancy", {}).get("reason") else ()
    died = (f"after the blow the guest's workload died: {workload['died']}",) if "died" in workload else ()
    return (*missed, *failed, *alone, *died)


def _alone(course: Mapping[str, Any]) -> str:
    told = course["redundancy"]
    return f"the survivor got no new secondary: {told['reason']} ({told['cause']})"


def _place(phase: str) -> str:
    return "between checkpoints" if phase == BETWEEN else f"into {phase}"


def _failures(course: Mapping[str, Any], unfinished: int, gaps: list[Gap]) -> tuple[str, ...]:
    """Return why the times of a failover are none: the harness, which takes them, did not run; or a trace has holes."""
    struck_at = course["struck_at"][0]
    spans = {"between the blow and the first answer": (struck_at, struck_at + (course["outage_s"] or math.inf))}
    if joining := course.get("redundancy"):
        spans["while a new secondary was to join"] = joining["at"]
    late_s = {
        when: sum(gap.seconds for gap in gaps if gap.who == HARNESS and gap.begin < end and gap.end > begin)
        for when, (begin, end) in spans.items()
    }
    late = tuple(f"the harness did not run for {seconds:.2f} s {when}" for when, seconds in late_s.items() if seconds)
    holes = (f"{unfinished} checkpoints before the blow are not whole in the trace",) if unfinished else ()
    return (*late, *holes)


@dataclass
class _Scene:
    """What is there when the blow is due."""

    consoles: dict[str, Console]
    counter: CheckpointCounter
    journal: Journal
    before: dict[str, Any] | None
    exits: list[Event]
    client: Process | None

    def noticed_s(self, course: Course, notes: Notes) -> float | None:
        """Return after how long the survivor's own QEMU noticed; None where it did not say so."""
        clock = notes.clocks.of(course.survivor)
        times = [event.t - clock.seconds - course.struck_at[1] for event in self.exits]
        return round(times[0], 6) if times else None


async def _until_the_blow(run: Running, asked: Failover, stack: AsyncExitStack) -> _Scene:
    pair, notes = run.pair, run.notes
    counter, exits = CheckpointCounter(), list[Any]()
    await handshake(run)
    consoles = {side: await stack.enter_async_context(pair.console(side)) for side in SIDES}
    await boot(run, consoles[PRIMARY])
    await form(run, counter)
    pair.monitor(asked.survivor).subscribe(lambda event: exits.append(event) if event.name == "COLO_EXIT" else None)
    struck = lambda: bool(notes.failover)  # noqa: E731
    client = await stack.enter_async_context(workload(run, consoles[PRIMARY], over=struck))
    await stack.enter_async_context(antagonist(run))
    journal = stack.enter_context(Journal(pair.folder))
    async with run.stages.stage("measure"):
        notes.early = counter.done
        journal.begin(notes.early)
        journal.clocks(notes.clocks)
        async with notes.pulse.watching(states_of(pair.processes, client), journal.gap):
            before = await unless_client_ended(client, _drive(run, counter, consoles[PRIMARY], journal))
    require_alive(run, consoles[PRIMARY])
    return _Scene(consoles, counter, journal, before, exits, client)


async def _drive(run: Running, counter: CheckpointCounter, console: Console, journal: Journal) -> dict[str, Any] | None:
    """Take the checkpoints; return what the guest said of itself before the last of them began."""
    total = run.cell.taken.warmup + run.cell.taken.count
    asking: list[asyncio.Task[tuple[float, dict[str, Any]]]] = []

    def ask() -> None:
        asking.append(asyncio.create_task(_ask(console, run.cell.deadlines.failover)))

    def told(done: int, total: int, pause_s: float) -> None:
        run.on_event(Progress(stage="measure", done=done, total=total, pause_s=pause_s))
        if done == total - 1:
            ask()

    try:
        if total == 1:
            ask()
            await asyncio.wait(asking)
        run.notes.samples = await drive(run.pair, run.cell, counter, told, journal.sample)
        when, said = await asking[0]
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    at_latest = run.notes.clocks.of(PRIMARY).span(when, when)[1]
    return said if counter.stops and at_latest < counter.stops[-1] else None


async def _ask(console: Console, deadline_s: float) -> tuple[float, dict[str, Any]]:
    said = await console.ask("alive", deadline_s)
    return time.time(), said


async def _serve_again(run: Running, course: Course) -> None:
    """Wait until the client is answered by the survivor, and let it go on for a while; without an answer, it failed."""
    deadline_s, taken_at = run.cell.deadlines.failover, course.taken_at
    log, node = RunFolder(run.pair.folder).client_log, run.pair.topology.client
    since = run.notes.clocks.of(CLIENT).span(taken_at, taken_at)[1]
    if await answered_since(log, since, deadline_s, node.host):
        await asyncio.sleep(_CLIENT_GOES_ON_S)
        return
    words = f"the {course.survivor} took over, and its service answered no request within {deadline_s:g} s"
    course.fail(GuestError(words, cause="survivor-unreachable"))


async def _fail(run: Running, asked: Failover, scene: _Scene) -> Course:
    pair = run.pair
    victim, holder = pair.processes[asked.victim], _holders(run).get(asked.victim)
    async with AsyncExitStack() as stack:
        beat = await _beat(run, asked, stack)
        heart = await stack.enter_async_context(Heart(beat, asked.heartbeat, asked.timeout))
        await heart.heard()
        # Where in the heartbeat's period the blow falls is left to chance.
        await asyncio.sleep(_CHANCE.uniform(0, asked.heartbeat))
        struck = await _strike(run, asked, scene, blow_of(asked.how, victim, holder))
        scene.journal.struck(struck.after)
        course = Course(asked.survivor, (struck.before, struck.after))
        if scene.before:
            course.guest["before"] = scene.before
        detected = await heart.lost(run.cell.deadlines.failover)
        if detected < struck.moment:
            heart.require()
        await take_over(run, asked, course, struck, detected, scene.consoles[asked.survivor])
    return course


def _holders(run: Running) -> dict[str, Any]:
    return dict(zip(SIDES, run.pair.topology.holders, strict=False))


async def _beat(run: Running, asked: Failover, stack: AsyncExitStack) -> Callable[[], Awaitable[object]]:
    """Return what one heartbeat is: a question over QMP, which no link carries; over the link where that goes down."""
    if asked.how in {"cut", "down"}:
        nodes, holders = run.pair.topology.nodes, _holders(run)
        ends = [(holders[side].pid, nodes[side].addresses[Link.MIGRATION]) for side in (asked.survivor, asked.victim)]
        return await stack.enter_async_context(echoing(*ends))
    return partial(run.pair.monitor(asked.victim).execute, "query-status", deadline_s=asked.timeout)


async def _strike(run: Running, asked: Failover, scene: _Scene, blow: Callable[[], None]) -> Blow:
    checkpoint = run.cell.checkpoint
    if asked.when == BETWEEN:
        await scene.counter.idle(run.cell.deadlines.checkpoint)
        return strike(blow)
    on_demand = checkpoint.trigger == "demand"
    deadline_s = run.cell.deadlines.checkpoint + (0 if on_demand else checkpoint.interval)
    with (run.pair.folder / PRIMARY / TRACE).open("rb") as log:
        log.seek(0, 2)
        striking = asyncio.create_task(asyncio.to_thread(strike_at, log, beginning_of(asked.when), blow, deadline_s))
        if on_demand:
            with suppress(QmpError):  # the primary may be struck before it has answered
                await run.pair.carry_out((poke(),))
        struck = await striking
    if struck is None:
        words = f"no checkpoint came to its phase {asked.when} within {deadline_s:g} s"
        raise MeasureError(words, cause="strike-missed")
    return struck
