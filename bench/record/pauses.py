"""What the table of a run says of its pauses in a few numbers: all that is shown of a run without its report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import StoreError
from bench.format.folder import RunFolder
from bench.record.table import read_checkpoints

if TYPE_CHECKING:
    from pathlib import Path

_NONE = float("nan")


@dataclass(frozen=True)
class Pauses:
    """The checkpoints of a run after its warm-up; NaN where there is nothing to say."""

    checkpoints: int
    median_s: float = _NONE
    p95_s: float = _NONE
    p99_s: float = _NONE
    median_dirty_pages: float = _NONE


def read_pauses(home: Path) -> Pauses | None:
    """Return the pauses of a run by its folder; None when its table cannot be read."""
    try:
        table = read_checkpoints(RunFolder(home).checkpoints)
    except StoreError:
        return None
    table = table.filter(~table["warmup"].to_numpy())
    if not len(table):
        return Pauses(0)
    pauses, pages = table["pause_s"].to_numpy(), table["dirty_pages"].drop_null().to_numpy()
    p95_s, p99_s = (float(np.quantile(pauses, share)) for share in (0.95, 0.99))
    return Pauses(len(table), float(np.median(pauses)), p95_s, p99_s, float(np.median(pages)) if len(pages) else _NONE)
