"""Where the blocks of a campaign stand, for a person: pure text from what is known of their jobs."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.cluster.slurm import OVER
from bench.plan.estimate import duration_text


@dataclass(frozen=True)
class Running:
    """A block whose job has begun.

    Attributes:
        block: 0-based.
        nodes: that it is on.
        done: how many of its runs are measured.
        runs: how many it was asked to measure.
    """

    block: int
    nodes: str
    done: int
    runs: int

    @property
    def text(self) -> str:
        """Say it: ``block 2 on n1 (3/8 runs)``."""
        return f"block {self.block + 1} on {self.nodes or 'a node'} ({self.done}/{self.runs} runs)"


@dataclass(frozen=True)
class Standing:
    """Where all blocks stand.

    Attributes:
        blocks: how many are asked for.
        done: how many of them are measured.
        running: those whose job has begun.
        waiting: those whose job has not, by the reason that Slurm gives.
        left_s: the estimate of all that is still to be measured.
    """

    blocks: int
    done: int
    running: tuple[Running, ...]
    waiting: tuple[tuple[int, str], ...]
    left_s: float

    @property
    def text(self) -> str:
        """Say it, without what changes from moment to moment."""
        said = [f"{self.done} of {self.blocks} blocks measured"]
        said += [one.text for one in self.running]
        if self.waiting:
            reasons = ", ".join(sorted({reason for _, reason in self.waiting if reason}))
            said.append(f"{len(self.waiting)} waiting" + (f" ({reasons})" if reasons else ""))
        return "; ".join(said)

    @property
    def eta_s(self) -> float:
        """The time that is left, if as many blocks go on side by side as do now."""
        return self.left_s / max(len(self.running), 1)

    def with_time(self, now: time.struct_time) -> str:
        """Say it, with the time of day and how long it will take."""
        left = f"; about {duration_text(self.eta_s)} to go" if self.running or self.waiting else ""
        return f"{time.strftime('%H:%M:%S', now)} {self.text}{left}"


UNHAPPY = OVER - {"COMPLETED"}


def ending(state: str, reason: str, begun: str, measured: int, runs: int, message: str) -> str:
    """Return how a job ended, for a person.

    Args:
        state: Slurm's word; empty where it does not know the job any more.
        reason: Slurm's.
        begun: where it had begun; empty where it never did.
        measured: how many runs it has measured.
        runs: how many it was asked to measure.
        message: what it said itself of what went wrong.
    """
    if not begun and not message:
        return f"{state or 'gone from Slurm'}{f' ({reason})' if reason else ''} before it had begun"
    words = state if state in UNHAPPY else "ended"
    said = f"{words}{f' on {begun}' if begun else ''}: {measured} of {runs} runs measured"
    return f"{said}: {message.splitlines()[0]}" if message else said
