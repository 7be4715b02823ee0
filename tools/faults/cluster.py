"""Faults of a campaign's jobs: one is cancelled, its node dies, its time is over. The cluster is a real Slurm here."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from tools.faults.fault import DONE, SOME_CHECKPOINTS, SOME_FAILED, BlockedError, Fault
from tools.faults.scene import Beside, MissedError
from tools.lab.slurm import cluster, missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.faults.fault import Act
    from tools.faults.scene import Scene
    from tools.lab.slurm import Cluster

_SETTING = ("guest=bare", "mem=128M", "checkpoint.count=12", "checkpoint.interval=0.2")
_SETTLES_S = 25.0
_REQUEUED_S = 420.0
_LIMIT_S = 300.0


@contextmanager
def _cluster(scene: Scene, time: str = "5min") -> Iterator[None]:
    """Have a cluster of four nodes, and the campaign measured by its jobs."""
    why = missing()
    if why:
        raise BlockedError(why)
    folder = scene.folder.with_name(f"{scene.folder.name}-cluster")
    try:
        with cluster(folder) as slurm:
            scene.cluster, scene.settles_s = slurm, _SETTLES_S
            scene.env |= slurm.environ
            scene.words += ["launcher=slurm", f"launcher.time={time}"]
            scene.beside.append(partial(_told, slurm))
            yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _told(slurm: Cluster) -> Beside:
    jobs = (f"job {job} is {state}" for job, (state, _) in slurm.states().items() if state in {"PENDING", "RUNNING"})
    return Beside(processes=frozenset((*jobs, *(f"process {pid} of a job" for pid in slurm.processes()))))


def _running(scene: Scene) -> tuple[Cluster, str, str]:
    """Return the cluster, the job under way, and its node."""
    slurm = scene.cluster
    found = [(job, node) for job, (state, node) in slurm.states().items() if state == "RUNNING"] if slurm else []
    if slurm is None or not found:
        raise MissedError("no job is running")
    return slurm, *found[0]


def _cancel(scene: Scene) -> None:
    slurm, job, _ = _running(scene)
    slurm.say("scancel", job)


def _kill_node(scene: Scene) -> None:
    slurm, job, node = _running(scene)
    slurm.kill_node(node, job)


def _stop_job(scene: Scene) -> None:
    """Stop the job's own process, so that it comes to no end by itself."""
    slurm, job, _ = _running(scene)
    try:
        os.kill(slurm.begun(job), signal.SIGSTOP)
    except LookupError as error:
        raise MissedError(str(error)) from error


def _job(name: str, does: str, act: Act, **fields: Any) -> Fault:
    common: dict[str, Any] = {"ground": _cluster, "setting": _SETTING, "moment": SOME_CHECKPOINTS, "may_succeed": True}
    chosen = common | fields
    return Fault(name=name, does=does, act=act, **chosen)


def faults() -> Iterator[Fault]:
    """Yield every fault of a campaign's jobs."""
    yield _job(
        "job-cancelled",
        "the job that measures is cancelled (scancel)",
        _cancel,
        group="a job of the campaign cancelled",
        causes=frozenset({"interrupted"}),
        exits=frozenset({SOME_FAILED}),
        may_succeed=False,
    )
    yield _job(
        "job-node-killed",
        "the node of the job that measures dies; Slurm starts the job again on another one",
        _kill_node,
        group="the node of a job dead",
        exits=frozenset({DONE}),
        dies=True,
        slow=True,
        deadline_s=_REQUEUED_S,
    )
    yield _job(
        "job-time-limit",
        "the job's process is stopped, so that it runs into its limit; the block is submitted again",
        _stop_job,
        group="a job that runs into its limit",
        exits=frozenset({DONE}),
        ground=partial(_cluster, time="1min"),
        slow=True,
        deadline_s=_LIMIT_S,
    )
