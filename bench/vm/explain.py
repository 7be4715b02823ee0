"""Looks behind a failure that says only that something did not come: is a side hung, its guest dead, the link down?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import BenchError, HostError, LaunchError, MeasureError, QmpError
from bench.failures.cause import Trait
from bench.failures.words import diagnose
from bench.format.folder import SERIAL
from bench.host.ending import panic_error, recognised
from bench.host.process import last_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bench.host.process import Process
    from bench.host.topology import Topology
    from bench.vm.qmp import Monitor

_CONSOLE_LINES = 4

_ANSWER_S = 3.0
"""A QEMU that answers at all answers `query-status` in milliseconds; under TCG on a busy machine within a second."""

_LOOK_S = 10.0


async def explained(
    error: BenchError,
    processes: Mapping[str, Process],
    monitors: Mapping[str, Monitor],
    topology: Topology,
) -> BenchError:
    """Return the error that names what is behind a failure, or the failure itself, with both sides' last words.

    Takes some seconds where a side does not answer. Nothing but a disk that refuses the QMP log makes it fail itself.
    """
    if not (error.has(Trait.SILENT) or error.has(Trait.BROKEN)):
        return error
    found = _by_words(error, processes.values()) or _by_panic(processes.values()) or _stopped(error, processes)
    if found is None and error.has(Trait.SILENT):
        found = await _silent(error, processes, monitors)
    if found is None:
        found = await _network(error, topology)
    if found is None and error.cause == "migration-failed":
        found = _by_words(error, processes.values(), weak=True)
    if found is None:
        _add_words(error, processes.values())
    return found or error


def _by_words(error: BenchError, processes: Iterable[Process], *, weak: bool = False) -> BenchError | None:
    sides = tuple(processes)
    lines = [line for one in sides for line in one.words()]
    known = diagnose(lines, weak=weak)
    return recognised(error.message, known, sides) if known else None


def _by_panic(processes: Iterable[Process]) -> BenchError | None:
    for one in processes:
        if panic := one.panic():
            return panic_error(one, panic)
    return None


def _stopped(error: BenchError, processes: Mapping[str, Process]) -> BenchError | None:
    for one in processes.values():
        state = one.state()
        if state is not None and state.stopped:
            return _hung(error, one, state.text(), processes)
    return None


async def _silent(
    error: BenchError, processes: Mapping[str, Process], monitors: Mapping[str, Monitor]
) -> BenchError | None:
    """Ask each side a question that a live main loop answers at once."""
    for side, monitor in monitors.items():
        try:
            await monitor.execute("query-status", deadline_s=_ANSWER_S)
        except QmpError as silence:
            if silence.cause == "qmp-garbled":
                return silence
            state = processes[side].state()
            if silence.cause == "qmp-timeout" and state is not None:
                return _hung(error, processes[side], state.text(), processes)
    return None


def _hung(error: BenchError, process: Process, state: str, processes: Mapping[str, Process]) -> BenchError:
    return LaunchError(
        f"the {process.name} (process {process.pid}) is alive and hangs, {state}",
        cause="qemu-hung",
        evidence=(error.message, *_last_words(processes.values())),
        logs=tuple(one.stderr_path for one in processes.values()),
    )


async def _network(error: BenchError, topology: Topology) -> BenchError | None:
    """Look at what joins the nodes, from every end."""
    for side, node in topology.nodes.items():
        if not node.interface:
            continue
        try:
            seen = await node.host.run(("ip", "-o", "link", "show", "dev", node.interface), _LOOK_S)
        except HostError as failure:
            if failure.has(Trait.GONE):  # the other side only noticed it first
                return HostError(failure.message, cause=failure.cause, evidence=(error.message, *failure.evidence))
            if failure.cause != "command-failed":
                return None
            gone = diagnose(failure.evidence)
            if gone is not None and gone.cause == "netns-lost":
                words = f"the network namespace of the {side} is gone"
                return LaunchError(words, cause="netns-lost", evidence=(error.message, *gone.lines))
            words = f"the link between the sides is gone on the {side}'s"
            return MeasureError(words, cause="link-down", evidence=(error.message, *failure.evidence))
        if not link_is_up(seen):
            words = f"the link between the sides is down on the {side}'s"
            return MeasureError(words, cause="link-down", evidence=(error.message, seen.strip()))
    return None


def link_is_up(shown: str) -> bool:
    """Return whether a line of ``ip -o link show`` says that the interface is up and has a carrier."""
    flags = shown.partition("<")[2].partition(">")[0].split(",")
    return "UP" in flags and "LOWER_UP" in flags and "state DOWN" not in shown


def _add_words(error: BenchError, processes: Iterable[Process]) -> None:
    sides = tuple(processes)
    if error.has(Trait.CONSOLE) and sides:
        serial = sides[0].folder / SERIAL
        error.evidence = error.evidence or last_lines(serial, _CONSOLE_LINES)
        error.logs = error.logs or (serial,)
    if not error.evidence:
        error.evidence = _last_words(sides)
    if not error.logs:
        error.logs = tuple(one.stderr_path for one in sides)


def _last_words(processes: Iterable[Process]) -> tuple[str, ...]:
    return tuple(f"{one.name}: {line}" for one in processes for line in one.tail())
