"""Blocks read from and written to the replicated disk, by fio in the guest: no network, the disk alone."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from bench.system.units import Unit, parse_size, refuse_bool
from bench.workload.base import Workload

_SYSTEM_BYTES = 64 << 20  # fio itself
_SECTOR = 512


def _whole_sectors(size_bytes: int) -> int:
    if size_bytes % _SECTOR:
        raise ValueError(f"{size_bytes} bytes is not a whole number of sectors of {_SECTOR}; write 4K")
    return size_bytes


class Fio(Workload):
    """fio, one request after another on one file.

    Attributes:
        rw: what it does.
        block: bytes of a request.
        size: of the file, which is laid out before.
        fdatasync: flushes after so many writes; 0: never.
    """

    kind: ClassVar[str] = "fio"
    guests: ClassVar[tuple[str, ...]] = ("apps",)
    name: Literal["fio"] = "fio"
    rw: Literal["randwrite", "randread", "randrw", "write", "read"] = "randwrite"
    block: Annotated[
        int, BeforeValidator(parse_size), Unit("bytes", "4K"), AfterValidator(_whole_sectors), Field(le=1 << 20)
    ] = 4096
    size: Annotated[int, BeforeValidator(parse_size), Unit("bytes", "64M"), Field(ge=1 << 20, le=1 << 30)] = 64 << 20
    fdatasync: Annotated[int, BeforeValidator(refuse_bool), Field(ge=0, le=1_000_000)] = 1

    def guest_command(self, mem_bytes: int) -> str:
        """Return the console line that starts it."""
        del mem_bytes
        return f"start fio rw={self.rw} bs={self.block} size={self.size} fdatasync={self.fdatasync}"

    def guest_memory_bytes(self, mem_bytes: int) -> int:
        """Return what fio needs; of its file, the guest caches what it has room for."""
        del mem_bytes
        return _SYSTEM_BYTES
