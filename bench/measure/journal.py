"""``measure.jsonl``: what the harness itself learns while it measures, kept as it comes: a kill loses none of it.

One line when the measurement begins, ``{"early_checkpoints": n}``, one with the nodes' clocks, then one for each
reading of the link's byte counter, ``{"before": ..., "after": ..., "sent": ...}``, for each time in which somebody did
not run, ``{"gap": who, "begin": ..., "end": ...}``, and for when the measurement ended, ``{"ended": t}``, or a side was
struck, ``{"struck": t}``. Nothing else of a run's record is known to the harness alone: the rest is in QEMU's traces
and in ``qmp.jsonl``.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from bench.host.clock import Clocks, read_clocks
from bench.measure.pulse import Gap
from bench.measure.transfer import Sample
from bench.system.units import is_amount, is_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

NAME = "measure.jsonl"
_LATEST_S = 1e11


class Journal:
    """The file while it is written."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / NAME).open("a", encoding="utf-8", buffering=1)

    def begin(self, early: int) -> None:
        """Write down that the measurement begins, after so many checkpoints that do not belong to it."""
        self._write({"early_checkpoints": early})

    def clocks(self, clocks: Clocks) -> None:
        """Write down how far the nodes' clocks are from the harness's."""
        self._write({"clocks": clocks.to_json()})

    def sample(self, sample: Sample) -> None:
        """Write down a reading of the byte counter."""
        self._write(asdict(sample))

    def gap(self, gap: Gap) -> None:
        """Write down that somebody did not run."""
        self._write({"gap": gap.who, "begin": gap.begin, "end": gap.end})

    def ended(self, at: float) -> None:
        """Write down that the measurement ended."""
        self._write({"ended": at})

    def struck(self, at: float) -> None:
        """Write down that a side was struck."""
        self._write({"struck": at})

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Flush to disk and close."""
        os.fsync(self._file.fileno())
        self._file.close()


@dataclass(frozen=True)
class Kept:
    """The file read back.

    Attributes:
        early: checkpoints that ended before the measurement began; ``None`` when the file does not say.
        samples: of the link's byte counter, in order.
        gaps: when the harness or a side did not run.
        clocks: of the nodes.
        struck: when (Unix s) a side was struck, if one was.
        ended: when (Unix s) the measurement ended; ``None`` when the file does not say.
    """

    early: int | None
    samples: tuple[Sample, ...]
    gaps: tuple[Gap, ...] = ()
    clocks: Clocks = field(default_factory=Clocks)
    struck: float | None = None
    ended: float | None = None


def read_entries(entries: Iterable[Mapping[str, Any]]) -> Kept:
    """Return what the entries of a ``measure.jsonl`` say; one that is none of ours is left alone."""
    early: int | None = None
    struck: float | None = None
    ended: float | None = None
    clocks = Clocks()
    samples = []
    gaps = []
    for entry in entries:
        if is_count(entry.get("early_checkpoints")):
            early = entry["early_checkpoints"]
        elif is_amount(entry.get("struck"), _LATEST_S):
            struck = entry["struck"]
        elif is_amount(entry.get("ended"), _LATEST_S):
            ended = entry["ended"]
        elif "clocks" in entry:
            clocks = read_clocks(entry["clocks"])
        elif is_count(entry.get("sent")) and all(isinstance(entry.get(key), float) for key in ("before", "after")):
            samples.append(Sample(entry["before"], entry["after"], entry["sent"]))
        elif isinstance(entry.get("gap"), str) and all(is_amount(entry.get(key)) for key in ("begin", "end")):
            gaps.append(Gap(entry["gap"], entry["begin"], entry["end"]))
    return Kept(early, tuple(samples), tuple(gaps), clocks, struck, ended)
