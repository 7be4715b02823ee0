"""Two workloads without a network: one that computes and touches no memory, one that streams through it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bench.system.units import Unit, parse_size, refuse_bool
from bench.workload.base import Workload


class Compute(Workload):
    """Computes in registers: the control, whose guest is busy and dirties next to nothing.

    Attributes:
        threads: how many compute.
    """

    kind: ClassVar[str] = "cpu"
    guests: ClassVar[tuple[str, ...]] = ("apps",)
    name: Literal["cpu"] = "cpu"
    threads: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=64)] = 1

    def guest_command(self, mem_bytes: int) -> str:
        """Return the console line that starts it."""
        del mem_bytes
        return f"start cpu threads={self.threads}"


class Stream(Workload):
    """Goes through three arrays as STREAM's triad does: as much memory bandwidth as there is.

    Attributes:
        working_set: bytes of the arrays together; a third of it is written over and over.
        threads: each has its share of the working set.
    """

    kind: ClassVar[str] = "stream"
    guests: ClassVar[tuple[str, ...]] = ("apps",)
    name: Literal["stream"] = "stream"
    working_set: Annotated[int, BeforeValidator(parse_size), Unit("bytes", "32M"), Field(ge=8 << 20)] = 32 << 20
    threads: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=64)] = 1

    def guest_command(self, mem_bytes: int) -> str:
        """Return the console line that starts it."""
        del mem_bytes
        return f"start stream bytes={self.working_set} threads={self.threads}"

    def guest_memory_bytes(self, mem_bytes: int) -> int:
        """Return the working set."""
        del mem_bytes
        return self.working_set
