"""One run: a pair is launched, brought into COLO, loaded, driven through checkpoints, ended, and put on record."""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import bench
from bench.errors import BenchError, StoreError
from bench.failures.cause import Trait
from bench.format.folder import RunFolder
from bench.format.version import SCHEMA_VERSION
from bench.host.host import HERE
from bench.host.limits import read_limits, throttled_s
from bench.host.links import PRIMARY, SECONDARY
from bench.host.snapshot import drift, quota_drift
from bench.host.virtual import this_kvm
from bench.measure.bound import transport_bound
from bench.measure.pulse import SUSPENDED_S
from bench.provision.cache import file_sha256
from bench.scenario.base import Notes, Running, Stages
from bench.scenario.client import shortfall
from bench.scenario.progress import Assets, Progress, RunOutcome
from bench.scenario.registry import scenario_of
from bench.scenario.surroundings import Surroundings
from bench.system.developer_log import logging_into
from bench.system.files import require_room, write_atomic
from bench.vm.pair import open_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.config.model import Cell
    from bench.host.snapshot import Snapshot
    from bench.measure.clock import ClockWatch
    from bench.plan.plan import PlannedRun
    from bench.provision.qemu import Binary

    OnEvent = Callable[[Progress], None]

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_JUST_NOW_S, _LONGEST_S = 30.0, 600.0
"""How far back at least, and at most, a harness that did not run explains a deadline that its stage has missed."""


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
    with logging_into(folder):
        _LOG.info("run %s, attempt %d: %s", run.run_id, attempt, run.label)
        try:
            return await _measured(run, cell, assets, folder, on_event, attempt)
        except BaseException:
            _LOG.exception("the run did not come to its end")
            raise


async def _measured(
    run: PlannedRun, cell: Cell, assets: Assets, folder: Path, on_event: OnEvent, attempt: int
) -> RunOutcome:
    notes = Notes()
    stages = Stages(_looking(notes.clock, on_event), notes.timings)
    try:
        notes.transport = {} if cell.host.far else transport_bound(cell.link)
        before, cpu_before_s, throttled_before_s = HERE.snapshot(), _cpu_s(), throttled_s()
        async with notes.pulse.beating():
            await _live(cell, assets, folder, notes, stages, _looking(notes.clock, on_event))
        notes.clock.look()
        notes.clock.require_steady()
        after, own_cpu_s = HERE.snapshot(), _cpu_s() - cpu_before_s
        async with stages.stage("store"):
            changed = [*_drift(before, after, own_cpu_s, notes), *notes.clock.drift()]
            changed += quota_drift(throttled_before_s, throttled_s(), after.t - before.t)
            host = {
                "before": before.to_json(),
                "after": after.to_json(),
                "drift": changed,
                "harness": notes.pulse.to_json(),
                "limits": read_limits().to_json(),
            }
            return _store(run, cell, assets, folder, notes, host, attempt)
    except BenchError as error:
        if error.cause == "checkpoint-stuck":  # QEMU's checkpoint timer goes by the wall clock
            notes.clock.look()
            notes.clock.require_steady()
        notes.pulse.look()
        now = time.time()
        lost_s = notes.pulse.lost_since(max(min(stages.began, now - _JUST_NOW_S), now - _LONGEST_S))
        if error.has(Trait.LATE) and lost_s > SUSPENDED_S:
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
    try:
        remarks = (*assets.remarks(cell), *shortfall(cell.workload.asked_mb_s(), notes.workload))
        evidence = scenario_of(cell).evidence(folder, run.run_id, cell, notes, remarks)
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
        **({"nodes": dict(assets.nodes)} if assets.nodes else {}),
        **({} if cell.takes_checkpoints else {"takes_checkpoints": False}),
        **({"kvm": _kvm(notes)} if cell.accel == "kvm" else {}),
        "started_at": notes.started_at,
        "finished_at": time.time(),
        "watch": sorted(assets.watch),
        "sandbox": (assets.features.sandbox or None) if assets.features else None,
        "tuned": [{"what": one.what, "was": one.old, "is": one.new} for one in assets.tuned],
        **({"saved": assets.saved[cell].name} if cell in assets.saved else {}),
        "versions": _versions(assets, cell, notes.hosts),
        "readback": notes.readback,
        "host": host,
        "clocks": notes.clocks.to_json(),
        **({"hosts": notes.hosts} if notes.hosts else {}),
        "transport": notes.transport,
        "workload": {"name": cell.workload.name, **notes.workload},
        **({"cache": notes.cache} if notes.cache else {}),
        **({"costs": notes.costs} if notes.costs else {}),
        **({"devices": evidence.devices} if evidence.devices else {}),
        **({"client": evidence.client} if evidence.client is not None else {}),
        "timings": notes.timings,
        **({"entry": evidence.entry} if evidence.entry else {}),
        **({"triggers": evidence.triggers} if evidence.triggers else {}),
        **({"compare": evidence.compare} if evidence.compare else {}),
        **({"failover": evidence.failover} if evidence.failover else {}),
        "early_checkpoints": notes.early,
        "quality": evidence.quality.to_json(),
    }
    evidence.write_tables(folder)
    write_atomic(RunFolder(folder).record, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    RunFolder(folder).client_log.unlink(missing_ok=True)
    return RunOutcome(run.run_id, evidence.measured, quality_ok=evidence.quality.ok, message=evidence.quality.summary())


async def _live(cell: Cell, assets: Assets, folder: Path, notes: Notes, stages: Stages, on_event: OnEvent) -> None:
    """Everything that needs the running pair; when this returns or raises, nothing of it runs any more."""
    scenario = scenario_of(cell)
    async with AsyncExitStack() as stack:
        async with stages.stage("launch"):
            opening = open_pair(
                cell,
                assets.pair_binary(cell),
                assets.guest_of(cell),
                assets.features,
                folder,
                sides=scenario.sides,
                second=assets.pair_second(cell),
                watch=assets.watch,
                saved=assets.saved.get(cell),
                base=assets.state_of(cell),
                announce=lambda text: on_event(Progress(stage="launch", note=text)),
            )
            pair = await stack.enter_async_context(opening)
        surroundings = Surroundings(pair)
        await scenario.carry_out(Running(pair, cell, assets, notes, stages, on_event))
        async with stages.stage("teardown"):
            await surroundings.note(notes)
            await stack.aclose()


def _cpu_s() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def _versions(assets: Assets, cell: Cell, hosts: Mapping[str, Any]) -> dict[str, Any]:
    guest = assets.guest_of(cell)
    first = _qemu(assets.binary, hosts.get(PRIMARY, {}))
    second = _qemu(assets.second.binary if assets.second else assets.binary, hosts.get(SECONDARY, {}))
    apart = assets.second is not None or (cell.paired and second != first)
    return {
        "colo_bench": bench.__version__,
        "python": platform.python_version(),
        **{f"qemu{name}": value for name, value in first.items()},
        **({f"qemu_secondary{name}": value for name, value in second.items()} if apart else {}),
        "kernel": guest.kernel_version,
        "kernel_sha256": guest.kernel_sha256,
        "initramfs_sha256": guest.initramfs_sha256,
        **({"applications_sha256": guest.approot_sha256} if guest.approot else {}),
        "nodelay_sha256": file_sha256(assets.nodelay) if assets.nodelay else None,
        **({"antagonist_sha256": file_sha256(assets.antagonist)} if assets.antagonist else {}),
    }


def _drift(before: Snapshot, after: Snapshot, own_cpu_s: float, notes: Notes) -> list[str]:
    """Return what changed on this host and on every other one of the run, each machine told of once.

    Stand-in hosts on this machine are no others: what their agents started counts as ours.
    """
    here = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip() if notes.hosts else ""
    ours = [one for one in notes.hosts.values() if one["boot"] == here]
    found = drift(before, after, own_cpu_s + sum(one["used_s"] for one in ours))
    for name, one in notes.hosts.items():
        if one["boot"] != here:
            found += [f"{name}'s host: {line}" for line in one["drift"]]
    return found


def _kvm(notes: Notes) -> dict[str, Any]:
    """Return what lies under the primary's guest: its host's KVM, this machine's where nothing else is said."""
    return dict(notes.hosts.get("primary", {}).get("kvm") or this_kvm().to_json())


def _qemu(binary: Binary, host: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a side ran, by how the keys of it end: its host's own QEMU, where it ran that."""
    own = host.get("qemu")
    if own:
        return {"": own["version"], "_source": "path", "_sha256": own["sha256"]}
    return {"": binary.version, "_source": binary.source, "_sha256": binary.sha256}
