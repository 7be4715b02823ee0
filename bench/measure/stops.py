"""What QMP tells of pauses: the STOP and RESUME of the primary, with QEMU's own time stamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.measure.checkpoints import Checkpoint

WINDOW_US = 5_000
"""How far outside of a checkpoint its STOP and RESUME are looked for."""


@dataclass(frozen=True)
class StopResume:
    """A STOP or RESUME event of the primary: QEMU's own time stamp in microseconds since the epoch."""

    time_us: int
    name: str


def read_stops(entries: Iterable[Mapping[str, Any]]) -> tuple[StopResume, ...]:
    """Return the primary's STOP and RESUME events from the entries of ``qmp.jsonl``, in order."""
    return tuple(
        StopResume(entry["timestamp"]["seconds"] * 1_000_000 + entry["timestamp"]["microseconds"], entry["event"])
        for entry in entries
        if entry.get("side") == "primary" and entry.get("event") in ("STOP", "RESUME")
    )


def qmp_pauses_us(checkpoints: Sequence[Checkpoint], stops: Sequence[StopResume]) -> tuple[int | None, ...]:
    """Return each checkpoint's pause by QMP, ``None`` unless exactly one STOP and then one RESUME belong to it."""
    return tuple(_pause_us(one, stops) for one in checkpoints)


def _pause_us(one: Checkpoint, stops: Sequence[StopResume]) -> int | None:
    begin, end = one.request_us - WINDOW_US, one.running_us + WINDOW_US
    inside = [stop for stop in stops if begin <= stop.time_us <= end]
    if [stop.name for stop in inside] != ["STOP", "RESUME"]:
        return None
    pause_us = inside[1].time_us - inside[0].time_us
    return pause_us if pause_us >= 0 else None
