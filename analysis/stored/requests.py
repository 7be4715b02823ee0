"""The requests of a run's client, one by one, on the clock of the primary: so that requests and pauses line up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from analysis.stored.tables import UnusableError, read_table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_HTTP_ERROR = 400


def _none() -> NDArray[np.float64]:
    return np.empty(0)


@dataclass(frozen=True)
class Requests:
    """The n requests of one run in the order of sending; none where there was no client.

    Attributes:
        sent: n times at which they were due, in Unix seconds by the primary's clock.
        latency_s: n times from then to the whole answer, or to where it was given up.
        answered: n times whether there was a good answer.
        service_s: n times from when they were really sent to the answer, NaN where the client did not tell; empty in
            runs from before it was kept.
    """

    sent: NDArray[np.float64] = field(default_factory=_none)
    latency_s: NDArray[np.float64] = field(default_factory=_none)
    answered: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))
    service_s: NDArray[np.float64] = field(default_factory=_none)

    def __len__(self) -> int:
        return len(self.sent)

    @property
    def size_bytes(self) -> int:
        """Return what they take in memory."""
        return self.sent.nbytes + self.latency_s.nbytes + self.answered.nbytes + self.service_s.nbytes

    @property
    def ended(self) -> NDArray[np.float64]:
        """Return when each was answered or given up."""
        ended: NDArray[np.float64] = self.sent + self.latency_s
        return ended

    @property
    def latencies(self) -> NDArray[np.float64]:
        """Return the latencies of those that were answered, in seconds."""
        kept: NDArray[np.float64] = self.latency_s[self.answered]
        return kept

    def values(self, column: str) -> NDArray[np.float64]:
        """Return what is known of a column (``latency_s``, ``service_s``) of those that were answered."""
        if column == "latency_s":
            return self.latencies
        kept: NDArray[np.float64] = self.service_s[self.answered] if len(self.service_s) else self.service_s
        return kept[np.isfinite(kept)]


def read_requests(path: Path, shift_s: float = 0.0, known: str = "") -> tuple[Requests, str]:
    """Return the requests of a ``client.parquet`` and the hash of the file; none, and empty, where there is no file.

    Args:
        path: the file.
        shift_s: the primary's clock minus the client's.
        known: the hash of the file when it was read before, as of :func:`analysis.stored.tables.read_table`.

    Raises:
        UnusableError: it is damaged, or of another version.
    """
    if not path.exists():
        return Requests(), ""
    table, sha256 = read_table(path, known)
    sent, latency_s, service_s = (table[name].to_numpy() for name in ("t_send", "latency_s", "service_s"))
    if not (np.isfinite(sent).all() and np.isfinite(latency_s).all()):
        raise UnusableError(f"{path.name} holds a time that is not a number")
    answered = pc.and_(pc.is_null(table["error"]), pc.less(table["status"], _HTTP_ERROR))
    told = service_s if np.isfinite(service_s).any() else _none()
    return Requests(sent + shift_s, latency_s, answered.to_numpy(zero_copy_only=False), told), sha256
