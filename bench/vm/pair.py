"""One pair: hosts, images, two QEMU processes and their monitors, opened together and gone together."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, ColoError, GuestError, LaunchError, QmpError
from bench.failures.words import diagnose
from bench.format.folder import RunFolder
from bench.host.host import HERE
from bench.host.links import PRIMARY, SECONDARY, SIDES, Link
from bench.host.outlasting import unless_any_exited
from bench.host.process import Process, stop_all
from bench.host.topology import Topology, open_topology
from bench.plan.estimate import require_side
from bench.system.sockets import socket_folder
from bench.vm.argv import COLO, Side
from bench.vm.console import Console, open_console
from bench.vm.explain import explained
from bench.vm.placed import binary_on, require_equal, ship, with_binary
from bench.vm.procedure import colo_steps
from bench.vm.qmp import Monitor, QmpLog, connect
from bench.vm.side import open_side
from bench.vm.spec import SAVED_DISK, PairSpec, Ports, Second, planned_spec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
    from pathlib import Path

    from bench.config.model import Cell
    from bench.host.host import Host
    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary
    from bench.vm.features import Features
    from bench.vm.procedure import Step

_POLL_S = 0.02
_KEY_BYTES = 32


@dataclass(frozen=True)
class Pair:
    """A running pair."""

    spec: PairSpec
    binary: Binary
    folder: Path
    sockets: Path
    topology: Topology
    processes: dict[str, Process]
    monitors: dict[str, Monitor]
    binaries: Mapping[str, Binary] = field(default_factory=dict)

    def host(self, side: str) -> Host:
        """Return where a side runs."""
        return self.topology.nodes[side].host

    def monitor(self, side: str) -> Monitor:
        """Return a side's monitor."""
        return self.monitors[side]

    async def rest(self, seconds: float) -> float:
        """Leave the CPUs of both sides' hosts to the pair for so long, the primary's from its next answer on.

        That a poke was answered at once is what tells the checkpoint that it began from others. Returns for how long
        the primary's host rests.
        """
        primary, secondary = self.host(PRIMARY), self.host(SECONDARY)
        rests_s, _ = await asyncio.gather(primary.rest(seconds, answered=True), secondary.rest(seconds))
        return rests_s

    def require_room(self) -> None:
        """Return when the disks that the run is written to have room for a little more.

        Raises:
            StoreError: one is full.
        """
        for host in (HERE, *self.topology.hosts):
            host.require_room(self.folder)

    def console(self, side: str) -> AbstractAsyncContextManager[Console]:
        """Return what opens the console of a side's guest."""
        return open_console(self.sockets / side / "serial.sock", self.host(side))

    async def guarded(self, work: Coroutine[None, None, Any]) -> Any:
        """Return what the work returns, or raise why it could not: a side that ended, hangs, or lost the other.

        Raises:
            BenchError: the work's own error, or the one that names what is behind it.
        """
        holders = self.topology.holders
        try:
            return await unless_any_exited((*self.processes.values(), *holders), work)
        except BenchError as error:
            for holder in holders:
                if not holder.alive():
                    words = f"the {holder.name} is gone: process {holder.pid}, which held it open, has ended"
                    raise LaunchError(words, cause="netns-lost") from error
            named = await explained(error, self.processes, self.monitors, self.topology)
            if named is error:
                raise
            raise named from error

    async def carry_out(self, steps: Iterable[Step]) -> None:
        """Execute steps in order, each under the QMP deadline.

        Raises:
            QmpError: QEMU refused a step; its own words are kept.
        """
        for entry in steps:
            try:
                reply = await self.monitors[entry.side].execute(entry.command, dict(entry.arguments) or None)
            except QmpError as error:
                if error.cause != "qmp-refused":
                    raise
                raise refused(error.message, "qmp-refused") from error
            if entry.command == "human-monitor-command" and str(reply).strip():
                said = f"the {entry.side} answered to {dict(entry.arguments)}: {str(reply).strip()}"
                raise refused(said, "hmp-refused")

    async def restored(self, deadline_s: float) -> None:
        """Wait until the primary is the machine that was saved.

        Raises:
            GuestError: it cannot be brought in, or takes too long.
        """
        give_up = time.monotonic() + deadline_s
        while (status := (await self.monitors["primary"].execute("query-migrate")).get("status")) != "completed":
            if status == "failed" or time.monotonic() > give_up:
                raise GuestError(
                    f"the saved machine was not restored: its migration is `{status}`",
                    cause="saved-broken",
                    hint=f"rm -r {self.spec.saved}: it is then saved anew",
                    evidence=tuple(self.processes["primary"].tail()),
                    logs=(self.processes["primary"].stderr_path,),
                )
            await asyncio.sleep(_POLL_S)

    async def reach_colo(self, deadline_s: float) -> None:
        """Carry out the procedure and wait until both sides are in the COLO state.

        Raises:
            ColoError: the migration failed, completed as an ordinary one, or took too long.
        """
        await self.carry_out(colo_steps(self.spec))
        await self.in_colo(deadline_s)

    async def in_colo(self, deadline_s: float) -> None:
        """Wait until both sides are in the COLO state, into which ``migrate`` has sent them.

        Raises:
            ColoError: the migration failed, completed as an ordinary one, or took too long.
        """
        monitor = self.monitors["primary"]
        give_up = time.monotonic() + deadline_s
        while (status := (await monitor.execute("query-migrate")).get("status")) != "colo":
            if status in ("failed", "completed", "cancelled"):
                raise _not_colo(str(status), self)
            if time.monotonic() > give_up:
                raise ColoError(f"the pair did not reach COLO within {deadline_s:g} s", cause="colo-timeout")
            await asyncio.sleep(_POLL_S)
        while not (await monitor.execute("query-status"))["running"]:
            if time.monotonic() > give_up:
                raise ColoError("the primary is in COLO but its guest does not run again", cause="colo-stuck")
            await asyncio.sleep(_POLL_S)


def _not_colo(status: str, pair: Pair) -> ColoError:
    evidence = tuple(line for side in SIDES for line in pair.processes[side].tail())
    logs = tuple(process.stderr_path for process in pair.processes.values())
    if status == "completed":
        return ColoError(
            "the migration ended `completed` instead of `colo`",
            cause="colo-completed",
            hint="this QEMU ends COLO at once, as 10.0.0-10.0.6 and 10.1.0-10.1.2 do: use qemu=provisioned",
            evidence=evidence,
            logs=logs,
        )
    cause = "migration-cancelled" if status == "cancelled" else "migration-failed"
    return ColoError(f"the migration ended `{status}`", cause=cause, evidence=evidence, logs=logs)


def refused(said: str, cause: str) -> QmpError:
    """Return the error of a refused step: with the cause that QEMU's words name, else the given one."""
    known = diagnose(said.splitlines())
    return QmpError(" ".join(said.split()), cause=known.cause if known else cause)


@asynccontextmanager
async def open_pair(
    cell: Cell,
    binary: Binary,
    guest: Guest,
    features: Features,
    folder: Path,
    *,
    sides: Mapping[str, Side] = COLO,
    second: Second | None = None,
    watch: frozenset[str] = frozenset(),
    saved: Path | None = None,
    announce: Callable[[str], None] = lambda _: None,
    base: Path | None = None,
) -> AsyncIterator[Pair]:
    """Start a pair in its folder and connect to both monitors; end it all when the block ends, however it ends.

    Args:
        cell: the configuration, with ``accel`` resolved.
        binary: the QEMU to run (already preloading, where the link wants that).
        guest: kernel and initramfs.
        features: what the binary can do.
        folder: the run's folder; gets ``primary/``, ``secondary/`` and ``qmp.jsonl``.
        sides: the QEMUs to start, each by the name of its node.
        second: the secondary's QEMU, where it is another one.
        watch: sides that open a VNC screen on loopback.
        saved: the folder of the saved machine that the primary begins as, if it does not boot.
        announce: called with what is about to be started, before it is.
        base: the image that the guest's disk begins with, on both sides; ``None``: an empty disk.

    Raises:
        HostError: a host cannot be provided.
        LaunchError: a QEMU did not come up.
        QmpError: a monitor did not answer.
        TeardownError: a QEMU could not be ended within the deadline for that.
    """
    async with AsyncExitStack() as stack:
        topology = await stack.enter_async_context(open_topology(cell.host, cell.link, folder, cell.client_link))
        sockets = stack.enter_context(socket_folder("pair"))
        for host in topology.hosts:
            host.adopt(folder)
            host.adopt(sockets, sockets=True)
        asked = {PRIMARY: binary, SECONDARY: second.binary if second else binary}
        binaries = {side: await binary_on(topology.nodes[side], asked[side]) for side in sides}
        require_equal(binaries, asked_apart=second is not None)
        for side in sides:
            if side in topology.far:
                require_side(side, cell, *topology.far[side].memory())
            await ship(topology.nodes[side].host, binaries[side], guest)
        spec = concrete_spec(cell, binary, guest, features, topology, watch, second)
        locks = all(host.has_locks(folder) for host in topology.hosts)
        begun = saved / SAVED_DISK if saved else base
        spec = replace(
            spec,
            sockets=str(sockets),
            image_locks=locks,
            base=str(begun) if begun else None,
            saved=str(saved) if saved else None,
        )
        log = stack.enter_context(QmpLog(RunFolder(folder).qmp_log))
        announce(start_text(spec, binaries, folder, sides))
        pair = Pair(spec, binary, folder, sockets, topology, {}, {}, binaries)
        # Made for this pair alone, and gone with the folder of its sockets.
        key = f"qemu:{secrets.token_hex(_KEY_BYTES)}\n" if cell.link.tls else ""
        for side, machine in sides.items():
            own = with_binary(spec, side, binaries[side])
            host, home, cpus = topology.nodes[side].host, folder / side, cell.tune.pinning.side(side)
            starting = open_side(side, machine, own, host, binaries[side], home, cpus=cpus, key=key)
            pair.processes[side] = await stack.enter_async_context(starting)
        stack.push_async_exit(_stopping(tuple(pair.processes.values()), cell.deadlines.teardown))
        for side in sides:
            host, path = topology.nodes[side].host, sockets / side / "qmp.sock"
            monitor = await pair.guarded(connect(side, path, log, cell.deadlines.launch, cell.deadlines.qmp, host))
            pair.monitors[side] = await stack.enter_async_context(monitor)
        yield pair


def concrete_spec(
    cell: Cell,
    binary: Binary,
    guest: Guest,
    features: Features,
    topology: Topology,
    watch: frozenset[str],
    second: Second | None = None,
) -> PairSpec:
    """Return the spec of a pair about to start, with ports that are free now."""
    return replace(
        planned_spec(cell, binary, guest, features, watch, second),
        ports=free_ports(topology),
        addresses={name: node.addresses for name, node in topology.nodes.items()},
        saved=None,
    )


def free_ports(topology: Topology) -> Ports:
    """Return ports for a pair on these nodes, each one free now where it is listened on."""
    # The two hosts may be one, so that no port may be given twice.
    near, far = (
        node.host.free_ports(tuple(dict.fromkeys(node.addresses.values())), 7)
        for node in (topology.primary, topology.secondary)
    )
    mirror, compare, primary_in, compare_out, forward = near[:5]
    migration, nbd = [port for port in far if port not in near[:5]][:2]
    return Ports(mirror, compare, primary_in, compare_out, migration, nbd, forward)


def start_text(spec: PairSpec, binaries: Mapping[str, Binary], folder: Path, sides: Iterable[str]) -> str:
    """Return what each start script of the procedure prints before it starts: folders, binary, addresses."""
    ports, names = spec.ports, tuple(sides)
    far = spec.address(SECONDARY, Link.MIGRATION)
    joined = {
        PRIMARY: f"address {spec.address(PRIMARY, Link.COMPARE)}, mirror {ports.mirror}, compare {ports.compare}",
        SECONDARY: f"address {far}, migration {spec.migration_uri}, NBD {ports.nbd}",
    }
    lines = []
    for side in names:
        lines += [f"{side}: images {folder / side}, QEMU {binaries[side].path}"]
        lines += [f"  {joined[side]}"] if len(names) > 1 else []
    return "\n".join(lines)


def _stopping(processes: tuple[Process, ...], deadline_s: float) -> Callable[..., Awaitable[None]]:
    """Return what ends both sides at once, so that they share one deadline, when the pair's block ends."""

    async def stop(_kind: object, failure: BaseException | None, _trace: object) -> None:
        await stop_all(processes, failure, deadline_s=deadline_s)

    return stop
