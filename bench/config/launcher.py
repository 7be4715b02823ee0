"""Where a campaign's blocks are measured: one after another here, or each as a job of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bench.config.forms import written_as
from bench.config.quantities import Duration, Positive, absolute_path
from bench.system.frozen import Frozen
from bench.system.places import has_controls


def _folder(value: object) -> Path | None:
    if value is None or isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError("legal: the path of a folder that this machine and the nodes share, or null for results")
    folder = absolute_path(value)
    if has_controls(folder):
        raise ValueError(f"{str(folder)!r} holds a line end or another control character")
    return folder


_Word = Annotated[str, written_as(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a name as Slurm has it")]
_SECONDS = 60.0


class Launcher(Frozen):
    """How a campaign's blocks get their machines. Nothing of it is a factor: it is in no id and in no plan.

    Attributes:
        kind: ``local``: here, one run after another; ``slurm``: every block is a job.
        partition: of the cluster; None for its default one.
        time: the limit of a job in seconds, at least a minute; None: thrice what its block is expected to take.
        account: whom Slurm charges; None for the user's default one.
        nodes: how many a job gets: 1 for both sides on one, 2 for one side on each, 3 with a client's.
        jobs: how many run at once; None: as many as the cluster has room for.
        workdir: a folder that this machine and all nodes share; None: where results are kept.
        detach: submit and return; the same command comes back.
    """

    kind: Literal["local", "slurm"] = "local"
    partition: _Word | None = None
    time: Annotated[Duration, Field(ge=_SECONDS)] | None = None
    account: _Word | None = None
    nodes: Annotated[Positive, Field(le=3)] = 1
    jobs: Annotated[Positive, Field(le=1000)] | None = None
    workdir: Annotated[Path | None, BeforeValidator(_folder)] = None
    detach: bool = False

    @property
    def submits(self) -> bool:
        """Whether every block is a job of a cluster."""
        return self.kind != "local"
