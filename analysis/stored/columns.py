"""A table's columns as arrays: what is looked at is taken from where it was read to, and nothing else is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Columns:
    """The columns of a table of checkpoints; a frame of pandas takes ten times as long to give one of them.

    Args:
        table: of :data:`analysis.format.table.TABLES`.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._names = frozenset(table.column_names)
        self._floats: dict[str, NDArray[np.float64]] = {}

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column as it is stored: of numbers that may be missing NaN, of others None."""
        values: NDArray[Any] = self._table[name].to_numpy()
        return values

    def floats(self, name: str) -> NDArray[np.float64]:
        """Return a column of numbers; NaN where one is missing, or where an older table lacks the column."""
        if name not in self._floats:
            known = name in self
            self._floats[name] = self[name].astype(np.float64, copy=False) if known else np.full(len(self), np.nan)
        return self._floats[name]

    def is_(self, name: str, value: str) -> NDArray[np.bool_]:
        """Tell of each row whether a column of words has this one."""
        found: NDArray[np.bool_] = pc.equal(self._table[name], value).to_numpy()
        return found

    def after_warmup(self) -> Columns:
        """Return the rows that are no warm-up, which comes first: nothing of them is copied."""
        warmup = self["warmup"]
        first = int(warmup.sum())
        kept = self._table.slice(first) if warmup[:first].all() else self._table.filter(pa.array(~warmup))
        return Columns(kept)

    def frame(self) -> pd.DataFrame:
        """Return all of them as a frame; whole numbers that may be missing stay whole."""
        return self._table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get, use_threads=False)

    @property
    def nbytes(self) -> int:
        """What the table takes in memory."""
        return int(self._table.nbytes)
