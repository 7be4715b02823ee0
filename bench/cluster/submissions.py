"""Our own ledger of what was submitted: an append-only file, one line for every change. Slurm may forget, it does not.

A submission is *asked* before Slurm is, so that a job whose id was never heard is found again by its comment;
*submitted* with that id; and *over* when what it left is merged into the campaign.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from bench.cluster.parts import PARTS, part_name
from bench.errors import StoreError
from bench.format.version import SCHEMA_VERSION
from bench.system.documents import lines_of, parse_json
from bench.system.files import append_line

if TYPE_CHECKING:
    from pathlib import Path

NAME = "submissions.jsonl"

State = Literal["asked", "submitted", "over"]


@dataclass(frozen=True)
class Submission:
    """One submission of one block.

    Attributes:
        block: 0-based.
        number: 0-based, counted by block.
        state: how far it has come.
        t: when it came there, Unix seconds.
        job: its id; empty before Slurm has given one.
        parts: the folder that its part is in, from the campaign's on; absolute where it is elsewhere.
        why: how it ended, for a person.
    """

    block: int
    number: int
    state: State = "asked"
    t: float = 0.0
    job: str = ""
    parts: str = PARTS
    why: str = ""

    @property
    def part(self) -> str:
        """The name of its part."""
        return part_name(self.block, self.number)


class Submissions:
    """The submissions of one campaign.

    Raises:
        StoreError: the file cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._last: dict[tuple[int, int], Submission] = {}
        for line in lines_of(self._content()):
            one = _parse(line)
            if one:  # a torn last line is of something that was about to be done, and is asked again
                self._last[one.block, one.number] = one

    def _content(self) -> bytes:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StoreError(f"{self._path} cannot be read: {error.strerror}", logs=(self._path,)) from error
        if content and not content.endswith(b"\n"):
            append_line(self._path, "")
        return content

    def ask(self, block: int, parts: str = PARTS) -> Submission:
        """Put on record that a block is about to be submitted, with its part in that folder."""
        return self._write(Submission(block, self.count(block), parts=parts))

    def submitted(self, one: Submission, job: str) -> Submission:
        """Put the id of its job on record."""
        return self._write(replace(one, state="submitted", job=job))

    def over(self, one: Submission, why: str) -> Submission:
        """Put on record that nothing more comes of it."""
        return self._write(replace(one, state="over", why=why))

    def _write(self, one: Submission) -> Submission:
        one = replace(one, t=time.time())
        place = {"schema_version": SCHEMA_VERSION, "t": round(one.t, 6), "block": one.block, "submission": one.number}
        tree = {**place, "state": one.state, "job": one.job, "parts": one.parts, "why": one.why}
        append_line(self._path, json.dumps(tree, ensure_ascii=False))
        self._last[one.block, one.number] = one
        return one

    def count(self, block: int) -> int:
        """Return how often a block was submitted."""
        return sum(1 for place, _ in self._last if place == block)

    @property
    def open(self) -> list[Submission]:
        """Those that are not over, in the order of the blocks."""
        return [one for _, one in sorted(self._last.items()) if one.state != "over"]

    def of(self, block: int) -> list[Submission]:
        """Return those of a block, in their order."""
        return [one for (place, _), one in sorted(self._last.items()) if place == block]


def _parse(line: bytes) -> Submission | None:
    try:
        tree = parse_json(line)
        return Submission(
            int(tree["block"]),
            int(tree["submission"]),
            tree["state"],
            float(tree["t"]),
            str(tree["job"]),
            str(tree["parts"]),
            str(tree["why"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
