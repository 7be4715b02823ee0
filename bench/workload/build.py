"""A C compile in parallel in the guest: short processes, fresh memory, small files; no network."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bench.system.units import refuse_bool
from bench.workload.base import Workload

_PER_JOB_BYTES = 48 << 20  # the compiler at work on one file
_PER_FUNCTION_BYTES = 6 << 10  # of source, assembly and object, which the guest caches

Whole = Annotated[int, BeforeValidator(refuse_bool)]


class Build(Workload):
    """gcc's compiler and the assembler, on files of the replicated disk, round and round.

    Attributes:
        jobs: how many files are compiled at once.
        files: how many there are; each is as large as any other.
        functions: in each file: what a compile takes grows with them.
        level: of optimization, ``-O0`` to ``-O3``.
    """

    kind: ClassVar[str] = "build"
    guests: ClassVar[tuple[str, ...]] = ("apps",)
    name: Literal["build"] = "build"
    jobs: Annotated[Whole, Field(ge=1, le=64)] = 2
    files: Annotated[Whole, Field(ge=1, le=10_000)] = 64
    functions: Annotated[Whole, Field(ge=1, le=10_000)] = 20
    level: Annotated[Whole, Field(ge=0, le=3)] = 1

    def guest_command(self, mem_bytes: int) -> str:
        """Return the console line that starts it."""
        del mem_bytes
        return f"start build jobs={self.jobs} files={self.files} functions={self.functions} level={self.level}"

    def guest_memory_bytes(self, mem_bytes: int) -> int:
        """Return what the compilers need; of the files, the guest caches what it has room for."""
        del mem_bytes
        return self.jobs * (_PER_JOB_BYTES + self.functions * _PER_FUNCTION_BYTES)
