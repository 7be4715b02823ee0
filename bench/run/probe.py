"""Can this binary do COLO here at all? A tiny real pair that has to complete checkpoints decides, never a version.

They have to be in its traces too: a QEMU whose traces go elsewhere would measure for hours and leave nothing.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bench.config.hosts import Host
from bench.config.links import Migration
from bench.config.model import Cell
from bench.config.procedure import Checkpoint, Deadlines
from bench.errors import BenchError, ColoError, HostError, MeasureError, QmpError, StoreError
from bench.format.folder import RunFolder
from bench.format.phases import NEEDED
from bench.measure.checkpoints import assemble
from bench.measure.driver import LAST_WORDS_S, CheckpointCounter
from bench.measure.parts import EVENTS
from bench.measure.pulse import SUSPENDED_S, Pulse
from bench.measure.trace import read_trace
from bench.provision.cache import cache_folder, text_sha256
from bench.provision.kvm import Verdict, parse_answer
from bench.system.files import write_atomic
from bench.vm.features import probe_features
from bench.vm.pair import Pair, open_pair
from bench.vm.procedure import boot_steps, poke, trace_steps
from bench.vm.scratch import probe_folder
from bench.workload.idle import Idle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary
    from bench.vm.spec import Second

LOCAL = Host()
_CHECKPOINTS = {"kvm": 2, "tcg": 12}
_APART_S = {"kvm": 0.0, "tcg": 0.5}
"""Under TCG a lock is lost at some checkpoints only. Two at once let QEMU 10.2.1 pass in 6 of 8 launches; of five that
were half a second apart, as those of a measurement are, 6 of 8 launches aborted at one."""

_HUNG_S = 10.0
_LOCK = (
    "under TCG, QEMU before 11.x saves live RAM without the big lock, which TCG's own listener then leaves held; this "
    "is not expected under KVM"
)
_HANG, _ABORT = (
    f"the primary hangs at a checkpoint, QMP included: {_LOCK}",
    f"the primary aborts at a checkpoint: {_LOCK}",
)
_LOST_LOCK = "bql_update_status"
"""The assertion by which newer ones end where older ones hang."""


@dataclass(frozen=True)
class Trial:
    """What the tiny pair is made of.

    Attributes:
        binary: of the primary, and of the secondary where no other is given.
        guest: what is booted.
        accel: ``kvm`` or ``tcg``.
        second: the secondary's QEMU, where it is another one.
        channels: of multifd, where pages go over connections of their own.
        host: what kind of hosts, and which.
    """

    binary: Binary
    guest: Guest
    accel: str
    second: Second | None = None
    channels: int = 0
    host: Host = LOCAL

    @property
    def qemu(self) -> str:
        """Return which QEMU it runs, or which two."""
        other = f" with {self.second.binary.version} as secondary" if self.second else ""
        return f"{self.binary.version}{other}"

    @property
    def answer(self) -> Path:
        """Return where its verdict is kept."""
        binaries = (self.binary, *((self.second.binary,) if self.second else ()))
        guest = (self.guest.initramfs_sha256 or self.guest.kernel_sha256)[:16]
        how = f"{self.accel}{'-multifd' if self.channels else ''}{_where(self.host)}"
        folder = cache_folder() / "colo-probe"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The answers from before the traces were looked at, and of few checkpoints under TCG, say less.
        asked = "traced" if self.accel == "kvm" else "spaced"
        return folder / f"{'-'.join(one.sha256[:16] for one in binaries)}-{guest}-{how}-{asked}.json"

    @property
    def checkpoints(self) -> int:
        """Return how many of them the pair has to complete."""
        return _CHECKPOINTS[self.accel]


def cached_colo(trial: Trial) -> Verdict | None:
    """Return the stored verdict, if there is one."""
    try:
        answer = parse_answer(trial.answer.read_bytes())
    except OSError:
        return None
    return answer[0] if answer else None


def probe_colo(trial: Trial, progress: Callable[[str], None]) -> Verdict:
    """Return whether such a pair can do COLO, from the store or by a real one."""
    known = cached_colo(trial)
    if known:
        return known
    task = f"a tiny pair must complete {trial.checkpoints} checkpoints" + (" with multifd" if trial.channels else "")
    progress(f"probing COLO with {trial.qemu} under {trial.accel}: {task}")
    verdict, sure = asyncio.run(_probe(trial))
    if sure:
        write_atomic(trial.answer, json.dumps(asdict(verdict)) + "\n")
    return verdict


def _where(host: Host) -> str:
    """Return what of the answer's name tells the hosts apart: of those of an inventory each pair is asked."""
    if not host.far:
        return ""
    far = (one for one in (host.primary, host.secondary) if one is not None)
    return f"-{text_sha256(*(one.model_dump_json() for one in far))[:16]}"


async def _probe(trial: Trial) -> tuple[Verdict, bool]:
    """Return the verdict, and whether it speaks of the binary for sure: a busy host can fail a probe too."""
    binary, guest, second = trial.binary, trial.guest, trial.second
    features = await probe_features(binary)
    if features.missing:
        return Verdict(ok=False, reason=f"this QEMU was built without {', '.join(features.missing)}"), True
    untraceable = set(NEEDED) - features.trace_events
    if untraceable:
        reason = f"this QEMU cannot switch on the trace events {', '.join(sorted(untraceable))}"
        return Verdict(ok=False, reason=reason, cause="trace-event-unknown"), True
    cell = Cell(
        mem=256 << 20,
        smp=1,
        guest=guest.kind,
        accel=trial.accel,
        workload=Idle(),
        migration=Migration(multifd=trial.channels),
        host=trial.host,
        checkpoint=Checkpoint(count=trial.checkpoints),
        deadlines=Deadlines(boot=90, colo=60, checkpoint=20, qmp=20),
    )
    counter, pulse = CheckpointCounter(), Pulse()
    try:
        with probe_folder("colo") as folder:
            async with pulse.beating(), open_pair(cell, binary, guest, features, folder, second=second) as pair:
                await pair.guarded(_checkpoints(pair, cell, counter))
            lost = untraced(folder, trial.checkpoints)
    except BenchError as raised:
        error = of_the_lock(raised)
        if trial.host.far and isinstance(error, HostError):  # of a host of the inventory, not of the binary
            raise
        known, lost_s = known_cause(error), pulse.lost_since(0.0)
        if known is None and lost_s > SUSPENDED_S:
            reason = f"the harness itself did not run for {lost_s:.1f} s, and a deadline passed meanwhile: repeat it"
            return Verdict(ok=False, reason=reason, cause="harness-suspended"), False
        reason = known or " | ".join((error.message, *error.evidence, *(f"log: {log}" for log in error.logs)))
        return Verdict(ok=False, reason=reason, cause=error.cause if known else ""), known is not None
    if lost:
        return Verdict(ok=False, reason=lost, cause="trace-elsewhere"), True
    return Verdict(ok=True, reason=f"{trial.checkpoints} checkpoints completed, and are in the traces"), True


def untraced(folder: Path, checkpoints: int) -> str:
    """Return what is wrong with the traces that a pair left in its folder; empty when both show its checkpoints."""
    traces = []
    for side, events in EVENTS.items():
        try:
            trace = read_trace(RunFolder(folder).trace(side), events)
        except StoreError:
            return f"the checkpoints were taken, but there is no trace log of the {side}"
        if not len(trace):
            words = f"the {side}'s trace log holds no event of them ({trace.lines} lines)"
            return f"the checkpoints were taken, but {words}"
        traces.append(trace)
    traced = len(assemble(*traces).checkpoints)
    if traced < checkpoints:
        return f"{checkpoints} checkpoints were taken, but only {traced} can be read from the traces"
    return ""


async def _checkpoints(pair: Pair, cell: Cell, counter: CheckpointCounter) -> None:
    async with pair.console("primary") as console:
        await pair.carry_out(boot_steps())
        await console.ready(cell.deadlines.boot)
    await pair.carry_out(trace_steps(NEEDED))
    await pair.reach_colo(cell.deadlines.colo)
    pair.monitor("primary").subscribe(counter.observe)
    for count in range(1, cell.checkpoint.count + 1):
        await asyncio.sleep(_APART_S[cell.accel])
        await pair.carry_out((poke(),))
        try:
            await counter.reach(count, cell.deadlines.checkpoint)
        except MeasureError:
            await _raise_if_hung(pair)
            raise
    await asyncio.sleep(LAST_WORDS_S)


async def _raise_if_hung(pair: Pair) -> None:
    """Tell a primary that hangs for good, QMP included, from one that is merely slow."""
    try:
        await pair.monitor("primary").execute("query-status", deadline_s=_HUNG_S)
    except QmpError as error:
        raise ColoError(_HANG, cause="colo-hang") from error


def of_the_lock(error: BenchError) -> BenchError:
    """Return an error as what it is where a primary ended by the assertion of its lost lock; any other as it is."""
    if any(_LOST_LOCK in line for line in error.evidence):
        return ColoError(_ABORT, cause="colo-hang", evidence=error.evidence)
    return error


def known_cause(error: BenchError) -> str | None:
    """Return why a probe failed where that is a known property of the binary."""
    if error.cause == "releases-apart":
        return " | ".join((error.message, *error.evidence))
    if isinstance(error, ColoError) and error.cause in {"colo-hang", "colo-completed"}:
        return f"{error.message}: {error.hint}" if error.hint else error.message
    return None
