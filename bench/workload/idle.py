"""A guest that does nothing: the floor of what a checkpoint costs."""

from __future__ import annotations

from typing import ClassVar, Literal

from bench.workload.base import Workload


class Idle(Workload):
    """An idle guest."""

    kind: ClassVar[str] = "idle"
    guests: ClassVar[tuple[str, ...]] = ("linux", "bare", "apps")
    name: Literal["idle"] = "idle"
