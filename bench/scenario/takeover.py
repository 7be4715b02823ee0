"""The survivor takes over: it is decided, carried out, answered by its guest, and what it came to is told either way.

Once a side has been struck, a takeover that fails is no failed run: it is what the run was to find out.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, GuestError, HostError, LaunchError, QmpError
from bench.format.folder import RunFolder
from bench.host.links import SECONDARY
from bench.host.outlasting import unless_any_exited
from bench.vm.qmp import well_formed
from bench.vm.takeover import HARMLESS, SWITCHED, announce_step, instances_step, takeover_steps, yank_step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.config.procedure import Failover
    from bench.host.strike import Blow
    from bench.scenario.base import Running
    from bench.vm.console import Console
    from bench.vm.procedure import Step
    from bench.vm.qmp import Monitor

_CAUSES = {
    "qmp-refused": "takeover-refused",
    "hmp-refused": "takeover-refused",
    "qmp-timeout": "takeover-stuck",
    "qmp-lost": "takeover-stuck",
    "qmp-garbled": "takeover-stuck",
    "guest-silent": "survivor-silent",
    "console-lost": "survivor-silent",
    "guest-panic": "guest-panic",
    "survivor-damaged": "survivor-damaged",
}
"""What an error that a survivor met means, by its cause; any other is none of COLO's."""

_OF_THE_HOST = frozenset(
    (
        *("qemu-oom-killed", "qemu-no-memory", "port-taken", "disk-full", "read-only"),
        *("netns-lost", "link-down", "program-exited"),
    )
)
_OOPS = re.compile(r"Oops: |Kernel panic|\bBUG: ")
_STALE = re.compile(r"Oops: int3|stack-protector: Kernel stack is corrupted")
"""How a guest dies of a translation that TCG kept of RAM which a checkpoint has replaced (docs/findings.md, 6)."""

_MOST_LINES = 6


@dataclass
class Course:
    """What became of a failover; seconds, None for what it did not come to.

    Attributes:
        survivor: who was to take over.
        struck_at: Unix s, just before and just after the blow.
        detect_s: from the blow to the heartbeat that was missed.
        decide_s: from there until the survivor has said that it lives.
        takeover_s: from there to the last step's reply.
        first_answer_s: from there to the first answer of the survivor's guest.
        outage_s: from the blow to that answer.
        noticed_s: from the blow to QEMU's own COLO_EXIT on the survivor.
        redundancy_s: how long it took to join a new secondary, to the end of the first checkpoint.
        redundancy: the steps of that, and why it did not come to its end; empty where it was not asked for.
        steps: each of the takeover's, with its seconds and what was said.
        guest: what the guest said: before the blow, first after it, and of its memory.
        success: whether the survivor's guest went on, whole.
        cause: why not, as the catalogue of failures has it.
        reason: in words.
        hint: what to do about it.
        evidence: the lines that show it.
    """

    survivor: str
    struck_at: tuple[float, float]
    detect_s: float | None = None
    decide_s: float | None = None
    takeover_s: float | None = None
    first_answer_s: float | None = None
    outage_s: float | None = None
    noticed_s: float | None = None
    redundancy_s: float | None = None
    redundancy: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    guest: dict[str, Any] = field(default_factory=dict)
    success: bool = False
    cause: str = ""
    reason: str = ""
    hint: str = ""
    evidence: tuple[str, ...] = ()

    @property
    def taken_at(self) -> float:
        """When the last step of the takeover was done, in Unix s; of one that came so far."""
        return self.struck_at[1] + (self.detect_s or 0) + (self.decide_s or 0) + (self.takeover_s or 0)

    def to_json(self) -> dict[str, Any]:
        """Return it as ``run.json`` keeps it."""
        return asdict(self)

    def fail(self, error: BenchError) -> None:
        """Take note of why it failed."""
        self.success = False
        self.cause, self.reason, self.hint = error.cause, error.message, error.hint
        self.evidence = error.evidence
        self.outage_s = None  # which has no end that anybody saw


async def take_over(
    run: Running, asked: Failover, course: Course, struck: Blow, detected: float, console: Console
) -> None:
    """Let the survivor take over, and write what it came to into the course.

    Raises:
        BenchError: something else than the survivor failed: the host, the harness, the disk.
    """
    process = run.pair.processes[asked.survivor]
    work = _steps(run, asked, course, struck, detected, console)
    try:
        await unless_any_exited((process, *run.pair.topology.holders), work)
        course.success = True
    except BenchError as error:
        found = _outcome(error, run, asked.survivor)
        if found is None:
            raise
        course.fail(found)


async def _steps(
    run: Running, asked: Failover, course: Course, struck: Blow, detected: float, console: Console
) -> None:
    monitor, deadline_s = run.pair.monitor(asked.survivor), run.cell.deadlines.failover
    course.detect_s = round(detected - struck.moment, 6)
    instances = await _decide(monitor, asked)
    decided = time.monotonic()
    course.decide_s = round(decided - detected, 6)
    yank = yank_step(asked.survivor, instances)
    for one in (*([yank] if yank else []), *takeover_steps(asked.survivor)):
        await carry_out(monitor, one, course.steps, deadline_s)
    if run.pair.topology.switched and asked.survivor == SECONDARY:
        await _switch(run, course)
        await carry_out(monitor, announce_step(asked.survivor), course.steps, deadline_s)
    taken = time.monotonic()
    course.takeover_s = round(taken - decided, 6)
    course.guest["first"] = await console.ask("alive", deadline_s)
    answered = time.monotonic()
    course.first_answer_s = round(answered - taken, 6)
    course.outage_s = round(answered - struck.moment, 6)
    course.guest["checked"] = await console.ask("check", deadline_s)
    _require_sound(run, course)


async def _switch(run: Running, course: Course) -> None:
    """Let the client reach the survivor's guest: what whoever runs the network has to do."""
    began = time.monotonic()
    await run.pair.topology.take_over()
    course.steps.append({"step": SWITCHED, "seconds": round(time.monotonic() - began, 6)})


async def _decide(monitor: Monitor, asked: Failover) -> list[dict[str, Any]]:
    """Have the survivor say that it lives, out of band where it can; return its connections that can be yanked."""
    question = instances_step(asked.survivor)
    try:
        with well_formed(f"the {asked.survivor}'s answer to `{question.command}`"):
            reply = await monitor.execute(question.command, deadline_s=asked.timeout, out_of_band=True)
            return [dict(one) for one in reply]
    except QmpError as error:
        if error.cause != "qmp-refused":
            raise
    await monitor.execute("query-status", deadline_s=asked.timeout)  # a QEMU before 6.0 has nothing to yank
    return []


async def carry_out(monitor: Monitor, one: Step, steps: list[dict[str, Any]], deadline_s: float) -> None:
    """Execute a step, and add to the steps on record what it was, how long it took and what was said.

    Raises:
        QmpError: it was refused or not answered.
    """
    began = time.monotonic()
    done: dict[str, Any] = {"step": one.text()}
    steps.append(done)
    try:
        reply = await monitor.execute(one.command, dict(one.arguments) or None, deadline_s, out_of_band=one.out_of_band)
    except QmpError as error:
        done["said"] = error.message
        raise
    finally:
        done["seconds"] = round(time.monotonic() - began, 6)
    said = str(reply).strip() if one.command == "human-monitor-command" else ""
    if said:
        done["said"] = said
    if said and HARMLESS not in said:
        raise QmpError(f"the {monitor.side} answered to {dict(one.arguments)}: {said}", cause="hmp-refused")


def _require_sound(run: Running, course: Course) -> None:
    """Return when the guest went on from where it was, and is whole.

    Raises:
        GuestError: it is not.
    """
    found = [*_wrong(course.guest)]
    oopses = oops_lines(_console(run, course.survivor))
    if oopses:
        raise GuestError(f"the guest of the {course.survivor} met an oops", cause="guest-panic", evidence=oopses)
    if found:
        raise GuestError(f"the guest of the {course.survivor} {'; it '.join(found)}", cause="survivor-damaged")


def _wrong(guest: dict[str, Any]) -> Iterable[str]:
    before, first, checked = guest.get("before"), guest["first"], guest["checked"]
    for name, words in (("clock_us", "clock"), ("pages", "count of written pages")):
        if before and first.get(name, 0) < before.get(name, 0):
            yield f"went back: its {words} says {first.get(name)}, after {before.get(name)} before the last checkpoint"
    if checked.get("wrong"):
        yield f"has {checked['wrong']} of {checked.get('pages')} pages that do not hold what its own counters say"
    if checked.get("held") is False:
        yield "has a vCPU that did not stand still when it was to"
    if checked.get("oopses"):
        yield f"met {checked['oopses']} oopses"
    if checked.get("state_errors"):
        yield f"has {checked['state_errors']} errors in the file system of its replicated disk"
    if checked.get("state_writable") is False:
        yield "can no longer write to its replicated disk"


def oops_lines(console: str) -> tuple[str, ...]:
    """Return the last lines of a console that tell of an oops or a panic."""
    return tuple(line.strip() for line in console.splitlines() if _OOPS.search(line))[-_MOST_LINES:]


def _console(run: Running, side: str) -> str:
    """Return what the survivor's console has said, asked of its host: what follows from another one comes later."""
    with suppress(HostError, OSError):
        return run.pair.host(side).get(RunFolder(run.pair.folder).serial(side)).decode(errors="replace")
    return ""


def of_the_host(error: BenchError) -> bool:
    """Return whether an error says nothing of COLO: a host's, or of a process that somebody killed, or the kernel."""
    killed = isinstance(error, LaunchError) and "SIGKILL" in error.message
    return killed or isinstance(error, HostError) or error.cause in _OF_THE_HOST


def _outcome(error: BenchError, run: Running, survivor: str) -> BenchError | None:
    """Return what an error says of the failover; None where it says nothing of it."""
    process = run.pair.processes[survivor]
    if of_the_host(error):
        return None
    ended = isinstance(error, LaunchError)
    cause = _CAUSES.get(error.cause) or ("survivor-ended" if ended else None)
    if cause is None:
        return None
    words = f"the survivor did not live: {error.message}" if ended else error.message
    panic = oops_lines(_console(run, survivor))
    if panic and cause != "takeover-refused":
        stale = run.cell.accel == "tcg" and any(_STALE.search(line) for line in panic)
        cause = "tcg-translation" if stale else "guest-panic"
        how = ": TCG ran what it had translated before a checkpoint" if stale else ""
        words = f"the guest of the {survivor} panicked{how}"
    evidence = (*error.evidence, *panic, *(f"{process.name}: {line}" for line in process.tail()))
    return BenchError(words, cause=cause, evidence=tuple(dict.fromkeys(evidence)))
