"""The workload of a run: what is started in the guest, the client that drives it from outside, what both report."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import LaunchError, WorkloadError
from bench.format.folder import RunFolder
from bench.guest.protocol import cause_of, start_line
from bench.host.host import HERE
from bench.host.links import Link
from bench.host.outlasting import unless_any_exited
from bench.measure.gap import HTTP_ERROR
from bench.measure.progress_lines import progress_figures
from bench.system.places import same_modules
from bench.system.units import is_amount

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
    from pathlib import Path

    from bench.host.host import Host
    from bench.host.process import Process
    from bench.host.vitals import State
    from bench.scenario.base import Running
    from bench.vm.console import Console

T = TypeVar("T")

_POLL_S = 0.02
_LOOK_S, _LATEST = 0.1, 500
_LISTENS_MS = 2  # how often a guest whose answers are timed looks at its console
_REFUSALS_SHOWN = 3
_FULL, _OURS = "No space left on device", "[Errno"
_SHORTEST_S = 1e-6  # the resolution that seconds are stored with
_KEPT_UP = 0.9
"""The share of the rate asked for below which a guest did not keep up."""


@asynccontextmanager
async def workload(
    run: Running, console: Console, *, over: Callable[[], bool] = lambda: False
) -> AsyncIterator[Process | None]:
    """Start what runs in the guest and the client outside, if any; at the end of the block both have to be well.

    Args:
        run: whose.
        console: of the guest.
        over: tells at the end of the block whether a side was struck: then what is not well is put on record.

    Raises:
        WorkloadError: it did not start, or did not last.
    """
    pair, cell = run.pair, run.cell
    poll_ms = _LISTENS_MS if cell.failover else 0
    command = start_line(cell.guest, cell.workload.guest_command(cell.mem), cell.checkpoint.interval, poll_ms)
    output = RunFolder(pair.folder).client_log
    node = pair.topology.client
    argv = cell.workload.client_argv(node.addresses[Link.CLIENT], int(pair.spec.service_port or 0), output)
    if cell.failover:
        argv = (*argv, *cell.workload.failover_argv())
    program = cell.workload.client_program()
    if program:
        argv = (*argv, "--", *run.assets.client_program(program))
    watched, died, ended = len(console.reports), "", ""
    async with run.stages.stage("workload"):
        if command and cell.guest != "apps":  # that one's was started before COLO
            await console.start(command, cell.deadlines.workload)
    if not argv:
        yield None
        died = _died(run, console, forgive=over())
    else:
        home = pair.folder / "client"
        node.host.make_folder(home)
        client = (*node.host.module(argv[0]), *argv[1:])
        async with node.host.start(
            "client", client, home, env=same_modules(), grace_s=cell.deadlines.teardown, qemu=False
        ) as process:
            await unless_client_ended(process, _first_answer(output, cell.deadlines.workload, node.host))
            yield process
            died = _died(run, console, forgive=over())
            ended = await _ended_badly(process, cell.deadlines.teardown, forgive=over())
            if not over():
                _require_room(_lines(node.host, output))
    progress = progress_figures(console.reports[watched:], console.arrived[watched:])
    ends = {name: how for name, how in (("died", died), ("client_ended", ended)) if how}
    run.notes.workload = {**workload_figures(console.reports[watched:]), **progress, **ends}


def states_of(sides: Mapping[str, Process], client: Process | None) -> dict[str, Callable[[], State | None]]:
    """Return what tells the state of everybody whose standing still would be measured: the sides, and their client."""
    everybody = {**sides, **({"client": client} if client else {})}
    return {name: process.state for name, process in everybody.items()}


def require_alive(run: Running, console: Console) -> None:
    """Return when what runs in the guest has not ended.

    Raises:
        WorkloadError: it has.
    """
    died = console.died()
    if died:
        logs = (RunFolder(run.pair.folder).serial("primary"),)
        raise WorkloadError(f"the guest's workload died: {died}", cause=cause_of(died), logs=logs)


def _died(run: Running, console: Console, *, forgive: bool) -> str:
    """Return why what runs in the guest ended, where that is forgiven; raise as :func:`require_alive` otherwise."""
    if forgive:
        return console.died() or ""
    require_alive(run, console)
    return ""


async def unless_client_ended(client: Process | None, work: Coroutine[None, None, T]) -> T:
    """Return what the work returns.

    Raises:
        WorkloadError: the client, if there is one, ended first.
    """
    if client is None:
        return await work
    try:
        return await unless_any_exited((client,), work)
    except LaunchError as error:
        if error.cause != "program-exited":
            raise
        raise _failed("the workload's client ended too early", error.evidence, error.logs) from error


def _failed(words: str, evidence: tuple[str, ...], logs: tuple[Path, ...]) -> WorkloadError:
    cause = "guest-disk-full" if _of_full_disk(evidence) else "client-failed"
    return WorkloadError(words, cause=cause, evidence=evidence, logs=logs)


def _of_full_disk(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the lines in which a server says that its disk is full: of our own disk, Python tells with its number."""
    return tuple(line for line in lines if _FULL in line and _OURS not in line)


def _require_room(lines: Iterable[str]) -> None:
    """Return when no line of a client's log tells of a full disk: a server may refuse what it cannot write, and go on.

    Raises:
        WorkloadError: one does.
    """
    told = _of_full_disk(lines)
    if told:
        words = f"the server refused {len(told)} requests: the replicated disk is full"
        raise WorkloadError(words, cause="guest-disk-full", evidence=told[-_REFUSALS_SHOWN:])


async def _first_answer(output: Path, deadline_s: float, host: Host = HERE) -> None:
    """Wait until the client has had an answer: from then on it is at work, and SIGTERM ends it in order."""
    try:
        async with asyncio.timeout(deadline_s):
            while not any(is_answer(line) for line in _lines(host, output)):
                await asyncio.sleep(_POLL_S)
    except TimeoutError as error:
        refusals = [line for line in _lines(host, output) if line.strip()]
        if not refusals:
            raise WorkloadError(f"the client got no answer within {deadline_s:g} s", cause="client-silent") from error
        raise WorkloadError(
            f"the client's {len(refusals)} requests all failed within {deadline_s:g} s",
            cause="client-refused",
            evidence=tuple(refusals[-_REFUSALS_SHOWN:]),
        ) from error


def _lines(host: Host, path: Path) -> list[str]:
    try:
        return host.get(path).decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def is_answer(line: str) -> bool:
    """Return whether a line of the client's log tells of a request that was answered well, or that a server is up."""
    try:
        entry = json.loads(line)
        if "program" in entry:
            return entry.get("up") is True
        return bool(entry["error"] is None and entry["status"] < HTTP_ERROR)
    except (ValueError, KeyError, TypeError):
        return False  # the line that is being written


async def answered_since(output: Path, moment: float, deadline_s: float, host: Host) -> bool:
    """Wait until a request of the client was answered well later than at a time (Unix s); return whether one was."""
    with suppress(TimeoutError):
        async with asyncio.timeout(deadline_s):
            while not any(_ended_at(line) > moment for line in _lines(host, output)[-_LATEST:] if is_answer(line)):
                await asyncio.sleep(_LOOK_S)
            return True
    return False


def _ended_at(line: str) -> float:
    entry = json.loads(line)
    return float(entry.get("t_send", 0.0)) + float(entry.get("latency_s", 0.0))


async def _ended_badly(client: Process, deadline_s: float, *, forgive: bool) -> str:
    """End the client; return how it failed, where that is forgiven.

    Raises:
        WorkloadError: it failed, and is not forgiven.
    """
    try:
        await _finish_client(client, deadline_s)
    except WorkloadError as error:
        if not forgive:
            raise
        return " ".join((error.message, *error.evidence))
    return ""


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
        raise _failed("the workload's client failed", client.tail(), (client.stderr_path,))


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


def shortfall(asked_mb_s: float, figures: dict[str, Any]) -> tuple[str, ...]:
    """Return what a reader should know of a guest that wrote more slowly than it was to; nothing where it kept up."""
    wrote = figures.get("achieved_mb_s")
    if wrote is None or wrote >= _KEPT_UP * asked_mb_s:
        return ()
    return (
        f"the guest wrote {wrote:.3g} MB/s of the {asked_mb_s:g} MB/s that were asked for: it cannot write faster here",
    )
