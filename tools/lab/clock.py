"""A wall clock that the programs of our choice see shifted: a library that is preloaded into them reads by how much."""

from __future__ import annotations

import mmap
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from bench.provision.compiler import PRELOADED, compile_c

_SOURCE = Path(__file__).with_name("clock.c")
_OFFSET = struct.Struct("q")


@dataclass(frozen=True)
class ShiftedClock:
    """The library, and the file that holds by how much the clock is shifted."""

    library: Path
    offset: Path

    @property
    def environ(self) -> dict[str, str]:
        """Return what the environment of a program holds that is to see it."""
        return {"LD_PRELOAD": str(self.library), "COLO_BENCH_FAULT_CLOCK": str(self.offset)}

    def shift(self, seconds: float) -> None:
        """Have every such program, running or not, see the clock shifted by so much from now on."""
        with self.offset.open("r+b") as file, mmap.mmap(file.fileno(), mmap.PAGESIZE) as page:
            page[: _OFFSET.size] = _OFFSET.pack(round(seconds * 1e9))


def no_shifted_clock() -> str:
    """Return why there can be none here; empty where there can."""
    return "" if shutil.which("gcc") else "gcc is needed to build the library that stands in for the clock"


def shifted_clock(folder: Path) -> ShiftedClock:
    """Build the library in a folder; the clock is not shifted yet.

    Raises:
        ProvisionError: the compiler refused.
    """
    made = ShiftedClock(folder / "clock.so", folder / "clock")
    compile_c([_SOURCE], made.library.absolute(), PRELOADED)
    made.offset.write_bytes(bytes(mmap.PAGESIZE))
    return made
