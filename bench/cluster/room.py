"""Whether a cluster has room for a campaign's jobs: what can be told before anything waits for ever."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.errors import ConfigError, HostError
from bench.plan.estimate import duration_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.cluster.slurm import Partition
    from bench.config.launcher import Launcher
    from bench.config.load import Settings
    from bench.config.model import Cell

_GENEROUS = 3
_LEAST_S = 600.0
_MINUTE_S = 60


def limit_s(launcher: Launcher, block_s: float, partition: Partition | None = None) -> float:
    """Return the time limit of a job.

    Args:
        launcher: as asked for.
        block_s: what a whole block is expected to take.
        partition: that the job goes to; one with less time than would be asked for is taken at its word.
    """
    if launcher.time is not None:
        return launcher.time
    wanted = max(_LEAST_S, _GENEROUS * block_s)
    longest = partition.longest_s if partition else None
    fitting = wanted if longest is None or longest < block_s else min(wanted, longest)
    return math.ceil(fitting / _MINUTE_S) * _MINUTE_S


def require_time(launcher: Launcher, limit: float, block_s: float) -> None:
    """Return when a block fits into the time of its job.

    Raises:
        ConfigError: it does not.
    """
    if limit < block_s:
        generous = round(limit_s(launcher.model_copy(update={"time": None}), block_s) / _MINUTE_S)
        raise ConfigError(
            f"launcher.time={duration_text(limit)} is shorter than a block, which takes about {duration_text(block_s)}",
            hint=f"launcher.time={generous}min, or fewer cells in the campaign",
            cause="job-too-short",
        )


def partition_of(launcher: Launcher, partitions: Sequence[Partition]) -> Partition:
    """Return the partition that the jobs go to, when it has what they ask for.

    Raises:
        HostError: there is none of that name, it is not up, or it has too few nodes.
    """
    named = {one.name: one for one in partitions}
    default = next((one for one in partitions if one.default), None)
    found = named.get(launcher.partition) if launcher.partition else default
    legal = ", ".join(named) or "none"
    if found is None:
        what = f"no partition {launcher.partition}" if launcher.partition else "no default partition"
        raise HostError(
            f"the cluster has {what}", hint=f"launcher.partition=NAME, of: {legal}", cause="job-never-starts"
        )
    if not found.up:
        raise HostError(
            f"partition {found.name} starts no jobs: it is not up",
            hint=f"launcher.partition=NAME, of: {legal}; or ask whoever runs the cluster: scontrol show partition",
            cause="job-never-starts",
        )
    if found.nodes < launcher.nodes:
        raise HostError(
            f"partition {found.name} has {found.nodes} nodes that are up, launcher.nodes={launcher.nodes} asks more",
            hint=f"launcher.partition=NAME, of: {legal}; or ask whoever runs the cluster: sinfo -R",
            cause="job-never-starts",
        )
    return found


def require_longest(partition: Partition, limit: float) -> None:
    """Return when the partition gives a job so much time.

    Raises:
        HostError: it does not.
    """
    if partition.longest_s is not None and limit > partition.longest_s:
        raise HostError(
            f"partition {partition.name} gives a job {duration_text(partition.longest_s)} at most, "
            f"{duration_text(limit)} are asked for",
            hint="a smaller launcher.time=, fewer cells in the campaign, or another launcher.partition=",
            cause="job-never-starts",
        )


def require_possible(settings: Settings, cells: Sequence[Cell]) -> None:
    """Return when a campaign can be measured by jobs.

    Raises:
        ConfigError: something of it is decided on one machine.
    """
    if any(cell.accel == "auto" for cell in cells):
        raise ConfigError(
            "accel=auto is found out on the machine that measures, and the jobs of a campaign are to agree",
            hint="say which: accel=kvm (the nodes' /dev/kvm) or accel=tcg (emulation)",
        )
    if settings.until_known:
        raise ConfigError(
            "repeats=auto decides after each block whether there is another, and jobs measure blocks side by side",
            hint="say how many: repeats=8 (colo-bench power tells what so many see), or hypotheses=none",
        )
    if settings.watch:
        raise ConfigError("watch= opens a screen on loopback, and a job's node is elsewhere", hint="leave it out")
    nodes = settings.launcher.nodes
    if nodes > 1 and not all(cell.host.far for cell in cells):
        raise ConfigError(
            f"launcher.nodes={nodes}: each side is on a node of its own, and host= puts them on one machine",
            hint="host=ssh (without an inventory: the job's nodes are its hosts), or launcher.nodes=1",
        )
    if nodes == 1 and any(cell.host.far for cell in cells):
        raise ConfigError(
            "host=ssh puts each side on a host of its own, and a job of launcher.nodes=1 has one",
            hint="launcher.nodes=2, or 3 with a client's; or host=local",
        )
    if any(cell.host.far and cell.link.shaped for cell in cells):
        raise ConfigError(
            "link.bandwidth, delay and loss_percent shape an interface that an inventory names, and a job has none",
            hint="leave them out, or use host=ssh with an inventory and launcher=local",
        )
    if any(cell.host.primary or cell.host.secondary or cell.host.client for cell in cells):
        raise ConfigError(
            "an inventory names hosts, and under launcher=slurm the nodes of each job are its hosts",
            hint="leave host.inventory and host.primary, secondary, client out",
        )


def jobs_text(launcher: Launcher, block_s: float) -> str:
    """Return what a dry run says of the jobs."""
    where = f"partition {launcher.partition}" if launcher.partition else "the default partition"
    limit = duration_text(limit_s(launcher, block_s))
    limit += "" if launcher.time is not None else " or what the partition gives, where that is less"
    at_once = f", {launcher.jobs} at once" if launcher.jobs else ""
    too_short = ": too short for a block" if launcher.time is not None and launcher.time < block_s else ""
    return f"every block is one of about {duration_text(block_s)} in {where}{at_once}, limit {limit}{too_short}"
