"""What is handed to ``sbatch``: a script that only becomes the program it is given, and every option as an argument."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.cluster.parts import SCRIPT
from bench.system.places import same_modules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.config.launcher import Launcher

TEXT = """#!/bin/sh
# The program and its arguments come as arguments: no name of a folder or a node is ever read by a shell.
exec "$@"
"""

_MINUTE_S = 60
_LEAD_S = 60
"""How long before the end of its time a job is told to come to an end."""

_LONG_S = 600.0
"""Jobs of less time are not told: Slurm looks once a minute, and tells up to that much earlier."""


@dataclass(frozen=True)
class Job:
    """What one submission asks Slurm for.

    Attributes:
        part: the folder of the part.
        name: of the job; of the jobs of one name, one at a time runs where ``one_by_one``.
        comment: by which it is found again.
        limit_s: how long it may take.
        one_by_one: whether it waits for other jobs of its name.
        on: the nodes that it is to have; empty for any.
    """

    part: Path
    name: str
    comment: str
    limit_s: float
    one_by_one: bool = False
    on: tuple[str, ...] = ()


def minutes(limit_s: float) -> int:
    """Return a limit as Slurm counts it: in whole minutes, at least one."""
    return max(math.ceil(limit_s / _MINUTE_S), 1)


def lead_s(limit_s: float) -> int:
    """Return how long before its limit a job is told to come to its end; 0: not before."""
    return _LEAD_S if limit_s >= _LONG_S else 0


def told_s(limit_s: float) -> int:
    """Return how long before its limit a job may be told at the earliest; 0: it is not told before."""
    lead = lead_s(limit_s)
    return lead + _MINUTE_S if lead else 0


def argv(job: Job, launcher: Launcher) -> tuple[str, ...]:
    """Return the command that submits a job.

    Whole nodes: who shares one measures its neighbours. Only the batch step's own process gets the signal before the
    limit: Slurm's own, at the limit, goes to the QEMUs too.
    """
    log = str(job.part / "slurm-").replace("%", "%%") + "%j.log"
    told = lead_s(job.limit_s)
    chosen = {
        "signal": f"B:TERM@{told}" if told else None,
        "partition": launcher.partition,
        "account": launcher.account,
        "nodelist": ",".join(job.on) or None,
    }
    return (
        *("sbatch", "--parsable", f"--job-name={job.name}", f"--comment={job.comment}"),
        *(f"--nodes={launcher.nodes}", f"--ntasks={launcher.nodes}", "--exclusive", "--mem=0"),
        *(
            f"--time={minutes(job.limit_s)}",
            "--requeue",
            "--open-mode=append",
            f"--output={log}",
            f"--chdir={job.part}",
            "--export=ALL",
        ),
        *(f"--{name}={value}" for name, value in chosen.items() if value),
        *(("--dependency=singleton",) if job.one_by_one else ()),
        *(str(job.part / SCRIPT), sys.executable, "-P", "-m", "bench.part", str(job.part)),
    )


_KEPT = frozenset({"SLURM_CLUSTERS", "SLURM_CONF", "SLURM_JWT"})
"""The variables of Slurm's that say which cluster, and who asks: those that are not of an allocation."""


def environment(around: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a job inherits: ours, with the place of our modules.

    Without what another job, an allocation or a person's habits have in it: ``srun`` in the job would take
    SLURM_MEM_PER_CPU or SLURM_EXPORT_ENV for options of its own.
    """
    others = ("SALLOC_", "SBATCH_", "SLURMD_", "SLURM_", "SRUN_")
    kept = {name: value for name, value in around.items() if name in _KEPT or not name.startswith(others)}
    return kept | same_modules()
