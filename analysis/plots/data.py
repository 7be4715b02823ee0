"""From results to what figures draw: checkpoints after the warm-up by cell, and where a cell stands."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.format.hosts import ACCEL_TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.stored.campaign import Run
    from analysis.stored.cells import CellName, Cells
    from analysis.verdicts.results import Results


def runs_by_cell(results: Results) -> dict[int, list[Run]]:
    """Return the runs of each cell in the order measured, by the cell's place in ``cells.names``."""
    found: dict[int, list[Run]] = {}
    for run in results.campaign.runs:
        found.setdefault(results.cells.places[run.record.cell_id], []).append(run)
    return dict(sorted(found.items()))


def stacked(parts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one frame of its parts, each of arrays of one length and of values that hold for all of its rows.

    What a part lacks is NaN there. A frame for each part would take several times as long.
    """
    lengths = [max(np.size(value) for value in part.values()) for part in parts]
    names = dict.fromkeys(name for part in parts for name in part)
    return pd.DataFrame(
        {
            name: np.concatenate(
                [_column(part.get(name, np.nan), length) for part, length in zip(parts, lengths, strict=True)]
            )
            for name in names
        }
    )


def _column(values: Any, length: int) -> NDArray[Any]:
    return np.broadcast_to(np.asarray(values, dtype=object if isinstance(values, str) else None), length)


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """Return at most ``most`` places out of ``count``, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def sampled(values: NDArray[np.float64], keep: int, run: Run) -> NDArray[np.float64]:
    """Return so many of a run's values in their order, drawn by chance: always the same ones, as the run's id has it.

    Args:
        values: of the run.
        keep: how many at most.
        run: whose they are.
    """
    if keep >= len(values):
        return values
    seed = int.from_bytes(hashlib.sha256(run.record.run_id.encode()).digest()[:8], "big")
    drawn = np.random.default_rng(seed).choice(len(values), size=max(keep, 1), replace=False, shuffle=False)
    return values[np.sort(drawn)]


def cell_columns(cells: Cells, place: int) -> dict[str, Any]:
    """Return where a cell stands in the figures, as columns of their data."""
    return name_columns(cells.names[place])


def name_columns(name: CellName) -> dict[str, Any]:
    """Return the columns of :func:`cell_columns` by the name of a cell."""
    return {
        "panel": name.panel,
        "cell": name.label,
        "accel": name.accel,
        "memory": name.memory,
        "mem_bytes": name.mem_bytes,
        "vcpus": name.vcpus,
        "smp": name.smp,
    }


def unmeasured(results: Results) -> list[CellName]:
    """Return names for planned cells without a measured run, as for a measured cell that differs in size only.

    A planned cell unlike every measured one in something else has no name.
    """
    measured, accels = results.cells.places, results.cells.accels
    only = accels[0] if len(accels) == 1 else ""
    alike: dict[tuple[str, str], CellName] = {
        (_but_size(run.record.cell), run.record.accel): results.cells.names[measured[run.record.cell_id]]
        for run in results.campaign.runs
    }
    found = []
    for cell in results.campaign.plan.cells:
        # An older plan does not name the accelerator: where all ran under one, this cell would have, too.
        accel = str(cell.cell.get("accel"))
        like = alike.get((_but_size(cell.cell), accel if accel in ACCEL_TEXT else only))
        if cell.cell_id not in measured and like is not None:
            mem_bytes, smp = int(cell.cell["mem"]), int(cell.cell["smp"])
            name = replace(like, cell_id=cell.cell_id, mem_bytes=mem_bytes, smp=smp)
            found.append(replace(name, label=like.label.replace(like.size, name.size)))
    return found


def _but_size(cell: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in cell.items() if key not in {"mem", "smp", "deadlines", "accel"}}
    return json.dumps(rest, sort_keys=True)
