"""A guest that dirties memory at a set rate over a set working set: the workload that isolates dirty pages."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bench.system.units import Unit, parse_size, refuse_bool
from bench.workload.base import Workload

_GIB = 1 << 30
_PAGE = 4096


class Dirty(Workload):
    """Dirties pages.

    Attributes:
        working_set: bytes touched over and over.
        scaling: ``fixed``: the same working set whatever the guest's size; ``mem``: it is the working set of a guest
            with 1 GiB, and grows with RAM. The two arms tell what RAM costs by itself and what its dirty pages cost.
        rate: MB/s (1e6 bytes of dirtied pages per guest second); 0 is as fast as it can.
        pattern: the order of the pages.
        threads: each has its share of the working set and of the rate.
    """

    kind: ClassVar[str] = "dirty"
    guests: ClassVar[tuple[str, ...]] = ("linux", "bare", "apps")
    name: Literal["dirty"] = "dirty"
    working_set: Annotated[int, BeforeValidator(parse_size), Unit("bytes", "64M"), Field(ge=4096)] = 64 << 20
    scaling: Literal["fixed", "mem"] = "fixed"
    rate: Annotated[float, BeforeValidator(refuse_bool), Field(ge=0, le=1e6), Unit("MB/s")] = 20.0
    pattern: Literal["sequential", "random"] = "sequential"
    threads: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=64)] = 1

    def guest_command(self, mem_bytes: int) -> str:
        """Return the console line that starts it."""
        work = f"bytes={self.guest_memory_bytes(mem_bytes)} rate={_decimal(self.rate)} pattern={self.pattern}"
        return f"start dirty {work} threads={self.threads} seed=1"

    def shares(self, mem_bytes: int) -> tuple[int, ...]:
        """Return how many pages each thread writes, round and round."""
        pages = self.guest_memory_bytes(mem_bytes) // _PAGE
        edges = [pages * thread // self.threads for thread in range(self.threads + 1)]
        return tuple(end - begin for begin, end in pairwise(edges))

    def asked_mb_s(self) -> float:
        """Return the rate."""
        return self.rate

    def guest_memory_bytes(self, mem_bytes: int) -> int:
        """Return the working set; one that grows with RAM in whole pages."""
        if self.scaling == "fixed":
            return self.working_set
        return max(self.working_set * mem_bytes // _GIB // _PAGE, 1) * _PAGE


def _decimal(rate: float) -> str:
    """Return a rate to the byte, without an exponent, which the bare guest does not read; 0 is as fast as it can."""
    return f"{max(rate, 1e-6) if rate else 0:.6f}".rstrip("0").rstrip(".")
