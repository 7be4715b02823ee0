"""The checkpoints of a run as they were measured, or why they cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.format.table import PAUSE_PHASES, PHASES
from analysis.stored.columns import Columns
from analysis.stored.tables import UnusableError, read_table

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

_ROUNDING_S = 1e-9


def read_checkpoints(path: Path, run_id: str, known: str = "", *, needed: bool) -> tuple[Columns, str]:
    """Return the checkpoints of a run and the hash of their file.

    Args:
        path: the file.
        run_id: whose they have to be.
        known: the hash of the file when it was read before; what has not changed is not checked again.
        needed: whether there have to be any after the warm-up.

    Raises:
        UnusableError: it is missing, damaged, of another version or run, or holds times that cannot be.
    """
    table, sha256 = read_table(path, known)
    if sha256 != known:
        _check_rows(table, path.name, run_id, needed=needed)
    return Columns(table), sha256


def _check_rows(table: pa.Table, name: str, run_id: str, *, needed: bool) -> None:
    if set(table["run_id"].unique().to_pylist()) - {run_id}:
        raise UnusableError(f"{name} holds checkpoints of another run")
    if needed and table["warmup"].to_numpy().all():
        raise UnusableError(f"{name} holds no checkpoint after the warm-up")
    times = {column: table[column].to_numpy() for column in ("t_request", "pause_s", "total_s", *PHASES)}
    if not all(np.isfinite(values).all() for values in times.values()):
        raise UnusableError(f"{name} holds a time that is not a number")
    if any((values < 0).any() for values in times.values()):
        raise UnusableError(f"{name} holds a time below zero")
    for column, phases in (("pause_s", PAUSE_PHASES), ("total_s", PHASES)):
        sums = np.sum([times[phase] for phase in phases], axis=0)
        off = int((np.abs(sums - times[column]) > _ROUNDING_S).sum())
        if off:
            raise UnusableError(f"{name}: the phases of {off} checkpoint(s) do not add up to {column}")
