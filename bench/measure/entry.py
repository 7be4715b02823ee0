"""How long the primary stands still on entering COLO: from the end of the live copy until its guest runs again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.format.phases import CHANGED, RUNSTATE, SENT, Kind
from bench.measure.stops import WINDOW_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.measure.stops import StopResume
    from bench.measure.trace import Trace

_RUNS = Kind(CHANGED, ("stop", "run"))
_FIRST_REQUEST = Kind(SENT, ("checkpoint-request",))


@dataclass(frozen=True)
class Entry:
    """The standstill on entering COLO, in microseconds, bounded as a checkpoint's pause is.

    Attributes:
        standstill_us: by the primary's trace.
        qmp_us: between the STOP and RESUME of QMP that belong to it; ``None`` unless there is one of each.
    """

    standstill_us: int
    qmp_us: int | None

    def to_json(self) -> dict[str, Any]:
        """Return it as stored in ``run.json``."""
        return {
            "standstill_s": self.standstill_us / 1e6,
            "qmp_s": None if self.qmp_us is None else self.qmp_us / 1e6,
        }


def read_entry(primary: Trace, stops: Sequence[StopResume]) -> Entry | None:
    """Return it from the primary's trace; ``None`` where that does not show both its ends before the first request."""
    began: int | None = None
    for time_us, kind in primary:
        if kind == _FIRST_REQUEST:
            return None
        if kind.event == RUNSTATE and began is None and kind.values != ("running",):
            began = time_us
        if kind == _RUNS and began is not None:
            return Entry(time_us - began, _by_qmp(began, time_us, stops))
    return None


def _by_qmp(began: int, ended: int, stops: Sequence[StopResume]) -> int | None:
    inside = [one for one in stops if began - WINDOW_US <= one.time_us <= ended + WINDOW_US]
    if [one.name for one in inside[:2]] != ["STOP", "RESUME"]:
        return None
    return inside[1].time_us - inside[0].time_us
