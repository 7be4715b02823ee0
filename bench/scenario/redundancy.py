"""Redundancy again: the survivor of a failover gets a new secondary, and both enter COLO, the survivor as the primary.

Source of the steps: QEMU docs/system/qemu-colo.rst, "Secondary Failover" (its chardevs), "Primary resume replication"
and "Secondary resume replication"; before that there was the same in docs/COLO-FT.txt. The bare guest writes to no disk
and sends no packet: its machines are joined by the migration alone, and it runs meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, ColoError, MeasureError, StoreError, TeardownError
from bench.format.folder import NEW_SECONDARY, RunFolder
from bench.host.links import PRIMARY, SECONDARY, Link
from bench.measure.driver import CheckpointCounter
from bench.scenario.takeover import carry_out, of_the_host
from bench.system.sockets import socket_folder
from bench.vm.argv import COLO, compare_settings
from bench.vm.pair import Pair, free_ports
from bench.vm.procedure import Step, disk_steps, incoming_steps, migrate_steps, poke, step
from bench.vm.qmp import QmpLog, connect, well_formed
from bench.vm.side import open_side

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.config.model import Cell
    from bench.host.process import Process
    from bench.scenario.base import Running
    from bench.scenario.takeover import Course
    from bench.vm.procedure import Side
    from bench.vm.qmp import Monitor
    from bench.vm.spec import PairSpec, Ports

NAME = "new secondary"
"""What messages and ``qmp.jsonl`` call it."""

RESYNC = "resync"
_POLL_S = 0.02


def joined_spec(spec: PairSpec, survivor: Side, free: Ports, sockets: str) -> PairSpec:
    """Return the spec of the new pair: the survivor is its primary, the secondary is where the lost side was.

    A primary that survived listens for a secondary's packets where it has always done so.
    """
    lost = SECONDARY if survivor == PRIMARY else PRIMARY
    places = {**spec.addresses, PRIMARY: spec.addresses[survivor], SECONDARY: spec.addresses[lost]}
    ports = replace(spec.ports, migration=free.migration, nbd=free.nbd) if survivor == PRIMARY else free
    return replace(spec, addresses=places, ports=ports, sockets=sockets)


def joining_steps(spec: PairSpec, survivor: Side) -> tuple[Step, ...]:
    """Return the steps up to ``migrate``, by the parts in the new pair; the first ones need no secondary yet.

    Args:
        spec: as :func:`joined_spec` gives it.
        survivor: which side it was.
    """
    # The traces of a run end with its failover: what comes now is no checkpoint of what was measured.
    untraced = step("primary", "trace-event-set-state", name="*", enable=False, ignore_unavailable=True)
    if spec.cell.guest == "bare":
        return (untraced, *incoming_steps(spec), *migrate_steps(spec))
    endpoints = _endpoints(spec) if survivor == SECONDARY else ()
    disk = (*_resync(spec), *disk_steps(spec))
    return (untraced, *endpoints, *incoming_steps(spec), *disk, *_filters(spec, survivor), *migrate_steps(spec))


def planned_joining(spec: PairSpec, survivor: Side) -> tuple[str, ...]:
    """Return the steps to the first checkpoint as a plan shows them."""
    steps = joining_steps(joined_spec(spec, survivor, spec.ports, spec.sockets), survivor)
    return tuple(one.text() for one in (*steps, poke()))


def _endpoints(spec: PairSpec) -> tuple[Step, ...]:
    """Return the steps by which a secondary gets the sockets that a primary has from its start."""
    outside, inside, ports = spec.address(PRIMARY, Link.COMPARE), spec.address(PRIMARY, Link.INSIDE), spec.ports
    sockets = (
        ("mirror0", outside, ports.mirror, True),
        ("compare1", outside, ports.compare, True),
        ("compare0", inside, ports.primary_in, True),
        ("compare0-0", inside, ports.primary_in, False),
        ("compare_out", inside, ports.compare_out, True),
        ("compare_out0", inside, ports.compare_out, False),
    )
    return tuple(
        step(
            "primary",
            "chardev-add",
            id=name,
            backend={
                "type": "socket",
                "data": {"addr": {"type": "inet", "data": {"host": host, "port": str(port)}}, "server": server},
            },
        )
        for name, host, port, server in sockets
    )


def _resync(spec: PairSpec) -> tuple[Step, ...]:
    """Return the steps that copy the disk; the guest then stands still until COLO, or its writes would be lost."""
    target = f"nbd://{spec.address(SECONDARY, Link.MIGRATION)}:{spec.ports.nbd}/parent0"
    whole = {"mode": "existing", "format": "raw", "sync": "full"}
    return (
        step("primary", "drive-mirror", device="colo-disk0", job_id=RESYNC, target=target, **whole),
        step("primary", "stop"),
        step("primary", "block-job-cancel", device=RESYNC),
    )


def _filters(spec: PairSpec, survivor: Side) -> tuple[Step, ...]:
    """Return the steps that mirror and compare packets; a secondary's rewriter, which stays, comes behind them."""
    compare = spec.cell.compare
    header = {"vnet_hdr_support": True} if compare.vnet_hdr else {}
    before = {"insert": "before", "position": "id=rew0"} if survivor == SECONDARY else {}
    card = {"netdev": "hn0", **before, **header}
    ends = {"primary_in": "compare0-0", "secondary_in": "compare1", "outdev": "compare_out0", "iothread": "iothread1"}
    objects: tuple[dict[str, Any], ...] = (
        {"qom-type": "filter-mirror", "id": "m0", **card, "queue": "tx", "outdev": "mirror0"},
        {"qom-type": "filter-redirector", "id": "redire0", **card, "queue": "rx", "indev": "compare_out"},
        {"qom-type": "filter-redirector", "id": "redire1", **card, "queue": "rx", "outdev": "compare0"},
        {"qom-type": "iothread", "id": "iothread1"},
        {"qom-type": "colo-compare", "id": "comp0", **ends, **header, **compare_settings(compare)},
    )
    return tuple(Step("primary", "object-add", tuple(one.items())) for one in objects)


async def join_again(run: Running, course: Course) -> None:
    """Give the survivor a new secondary; write into the course how long it took to their first checkpoint's end.

    What QEMU refuses or does not come to fails no run: it is put on record, in QEMU's own words.

    Raises:
        BenchError: something else than QEMU failed: the host, a disk, the end of what was started.
    """
    told, processes = course.redundancy, dict[str, Any]()
    told["steps"], asked_at = [], time.time()
    try:
        async with AsyncExitStack() as stack:
            began = time.monotonic()
            try:
                await _join(run, stack, processes, told["steps"])
            finally:  # what was started is ended next, which is no part of it
                told["at"] = [asked_at, time.time()]
            course.redundancy_s = round(time.monotonic() - began, 6)
    except (StoreError, TeardownError):
        raise
    except BenchError as error:
        if of_the_host(error) or (SECONDARY in processes and processes[SECONDARY].alive()):
            raise
        told.update(cause=error.cause, reason=error.message, evidence=list(error.evidence))


async def _join(run: Running, stack: AsyncExitStack, processes: dict[str, Process], told: list[dict[str, Any]]) -> None:
    pair, asked, deadlines = run.pair, run.cell.failover, run.cell.deadlines
    if asked is None:
        raise MeasureError("this cell has no failover", cause="bug")
    # One that hangs is fenced now: its place is given to another one, and its memory.
    await pair.processes[asked.victim].stop(0, deadlines.teardown)
    nodes, survivor = pair.topology.nodes, pair.monitor(asked.survivor)
    topology = replace(pair.topology, nodes={**nodes, PRIMARY: nodes[asked.survivor], SECONDARY: nodes[asked.victim]})
    sockets = stack.enter_context(socket_folder("pair"))
    spec = joined_spec(pair.spec, asked.survivor, free_ports(topology), str(sockets))
    steps = joining_steps(spec, asked.survivor)
    first = tuple(takewhile(lambda one: one.side == PRIMARY, steps))
    processes[PRIMARY] = pair.processes[asked.survivor]
    joined = Pair(spec, pair.binary, pair.folder, sockets, topology, processes, {PRIMARY: survivor}, pair.binaries)
    await joined.guarded(_carry_out(run.cell, joined, first, told))
    await _start(run, joined, stack, asked.victim)
    await joined.guarded(_enter(run.cell, joined, steps[len(first) :], told))


async def _start(run: Running, joined: Pair, stack: AsyncExitStack, victim: Side) -> None:
    """Start the new secondary in the place of the lost side, and connect to it."""
    cell, host, folder = run.cell, joined.host(SECONDARY), joined.folder
    machine, binary, home = COLO[SECONDARY], joined.binaries[victim], folder / NEW_SECONDARY
    cpus = cell.tune.pinning.side(victim)
    starting = open_side(SECONDARY, machine, joined.spec, host, binary, home, name=NAME, cpus=cpus)
    joined.processes[SECONDARY] = await stack.enter_async_context(starting)
    log = stack.enter_context(QmpLog(RunFolder(folder).qmp_log))
    path = joined.sockets / SECONDARY / "qmp.sock"
    connecting = connect(NAME, path, log, cell.deadlines.launch, cell.deadlines.qmp, host)
    monitor = await joined.guarded(connecting)
    joined.monitors[SECONDARY] = await stack.enter_async_context(monitor)


async def _carry_out(cell: Cell, joined: Pair, steps: Iterable[Step], told: list[dict[str, Any]]) -> None:
    for one in steps:
        await carry_out(joined.monitor(one.side), one, told, cell.deadlines.failover)
        if one.command in {"drive-mirror", "block-job-cancel"}:
            await _job(joined.monitor(PRIMARY), cell.deadlines.colo, gone=one.command == "block-job-cancel")


async def _enter(cell: Cell, joined: Pair, steps: Iterable[Step], told: list[dict[str, Any]]) -> None:
    """Take the new pair into COLO and through one checkpoint."""
    counter, primary, deadlines = CheckpointCounter(), joined.monitor(PRIMARY), cell.deadlines
    primary.subscribe(counter.observe)
    await _carry_out(cell, joined, steps, told)
    await joined.in_colo(deadlines.colo)
    counter.entered()
    await counter.idle(deadlines.checkpoint)
    target = counter.done + 1
    await carry_out(primary, poke(), told, deadlines.failover)
    await counter.reach(target, deadlines.checkpoint)


async def _job(monitor: Monitor, deadline_s: float, *, gone: bool) -> None:
    """Wait until the copy of the disk has caught up with the guest, or is ``gone``.

    Raises:
        ColoError: it ended before, or took too long.
    """
    give_up = time.monotonic() + deadline_s
    while True:
        with well_formed(f"the {monitor.side}'s answer to `query-block-jobs`"):
            jobs = {one["device"]: bool(one["ready"]) for one in await monitor.execute("query-block-jobs")}
        done = RESYNC not in jobs if gone else jobs.get(RESYNC, False)
        if done:
            return
        if RESYNC not in jobs:
            raise ColoError("the copy of the disk to the new secondary ended early", cause="migration-failed")
        if time.monotonic() > give_up:
            words = f"the disk was not copied to the new secondary within {deadline_s:g} s"
            raise ColoError(words, cause="colo-timeout")
        await asyncio.sleep(_POLL_S)
