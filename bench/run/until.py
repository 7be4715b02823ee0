"""Until it is known: whether another block is measured, decided after each of them from what the analysis says."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.format.outcomes import NO_RATIO, NOT_WRITTEN
from bench.plan.estimate import duration_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from bench.record.ledger import Entry

_OPEN = "INCONCLUSIVE"
_ENOUGH_TO_GIVE_UP = 6
"""Blocks from which on a forecast is trusted that says what is open cannot be decided: before, it rests on too few."""

_BEYOND_HOPE = 2.0
"""So many times the blocks that the budget still has; forecasts are made to be large enough, and may be too large."""


@dataclass(frozen=True)
class Question:
    """One declared hypothesis and where it stands.

    Attributes:
        name: its short name.
        sentence: the answer so far.
        decided: whether it has a word.
        more_blocks: how many more would settle it; None where nobody can tell, infinite where none would.
        label: which case of its word.
    """

    name: str
    sentence: str
    decided: bool
    more_blocks: float | None
    label: str = ""

    @property
    def beyond_blocks(self) -> bool:
        """Whether no number of blocks decides it, by its label."""
        return self.label == NOT_WRITTEN or NO_RATIO in self.label


def questions_of(verdicts: Iterable[Mapping[str, Any]]) -> tuple[Question, ...]:
    """Return the questions that blocks are added for: those of the primary family, all where there is none of it."""
    told = list(verdicts)
    primary = [one for one in told if one.get("family") == "primary"]
    return tuple(
        Question(
            str(one["id"]),
            str(one.get("sentence", "")),
            one["word"] != _OPEN,
            float(one["more_blocks"]) if one.get("more_blocks") is not None else None,  # "inf" is a text in JSON
            str(one.get("label", "")),
        )
        for one in primary or told
    )


@dataclass(frozen=True)
class Spent:
    """What a campaign has taken so far: whole blocks, and the seconds of measuring that went into them."""

    blocks: int
    seconds: float

    @property
    def block_s(self) -> float:
        """What one block takes."""
        return self.seconds / self.blocks if self.blocks else 0.0


@dataclass
class Until:
    """Decides after each block whether there is another.

    Attributes:
        budget_s: seconds of measuring that the whole campaign may take.
        most: blocks that it may have.
        ask: returns the verdicts on a campaign's folder as it is.
        questions: where they stood when they were last asked for; empty before that.
        others: how many other hypotheses were declared, for which no block is added.
    """

    budget_s: float
    most: int
    ask: Callable[[Path], Awaitable[Sequence[Mapping[str, Any]]]]
    questions: tuple[Question, ...] = ()
    looked_after: int = field(default=0)
    others: int = 0

    async def look(self, folder: Path, blocks: int) -> None:
        """Ask for the verdicts after so many blocks."""
        told = await self.ask(folder)
        self.questions = questions_of(told)
        self.others = len(told) - len(self.questions)
        self.looked_after = blocks

    def fitting(self, spent: Spent) -> int:
        """Return how many further blocks the budget and ``most`` have room for."""
        left_s = self.budget_s - spent.seconds
        by_time = math.floor(left_s / spent.block_s) if spent.block_s else self.most  # a lost ledger tells no time
        return max(min(by_time, self.most - spent.blocks), 0)

    def stop(self, spent: Spent) -> str:
        """Return why no further block is measured; empty where one is."""
        if self.questions and all(one.decided for one in self.questions):
            every = "every primary hypothesis" if self.others else "everything declared"
            return f"{every} is decided after {_blocks(spent.blocks)}"
        if spent.blocks >= self.most:
            return f"max_blocks={self.most} is reached; a larger one continues this campaign"
        fitting = self.fitting(spent)
        budget = f"budget={duration_text(self.budget_s)}"
        if not fitting:
            return f"another block would not fit into {budget}; a larger one continues this campaign"
        needs = [one.more_blocks for one in self.questions if not one.decided and one.more_blocks is not None]
        if self.questions and all(one.beyond_blocks for one in self._open()):
            names: dict[str, list[str]] = {}
            for one in self._open():
                names.setdefault(one.label, []).append(one.name)
            told = [f"{', '.join(own)}: {why}" for why, own in names.items()]
            return f"no number of blocks decides {'; '.join(told)}"
        hopeless = needs and min(needs) > _BEYOND_HOPE * fitting and len(needs) == len(self._open())
        if hopeless and spent.blocks >= _ENOUGH_TO_GIVE_UP:
            return f"what is open needs more than the {_blocks(fitting)} that {budget} and max_blocks={self.most} leave"
        return ""

    def _open(self) -> list[Question]:
        return [one for one in self.questions if not one.decided]

    def standing(self, spent: Spent) -> str:
        """Return where it stands, for a person: ``block 4: ram_alone decided; vcpus needs about 3 more (18 min)``."""
        decided = [one.name for one in self.questions if one.decided]
        said = [f"{', '.join(decided)} decided"] if decided else []
        said += [f"{one.name} {_needs(one, spent)}" for one in self._open()]
        return f"block {spent.blocks}: {'; '.join(said) or 'nothing was declared'}"

    def so_far(self, folder: Path) -> Iterator[str]:
        """Yield what is decided so far, for who interrupts."""
        if not self.questions:
            return
        yield f"decided so far, after {_blocks(self.looked_after)}:"
        yield from (f"  {one.name}: {one.sentence}" for one in self.questions)
        yield f"the report of it: python -m analysis {folder}"


def _needs(question: Question, spent: Spent) -> str:
    more = question.more_blocks
    if question.beyond_blocks:
        return f"is open: {question.label}"
    if more is None:
        return "is open"
    if math.isinf(more):
        return "is open, and more blocks than can be told would be needed"
    time = f" ({duration_text(more * spent.block_s)})" if spent.block_s else ""
    return f"needs about {more:.0f} more{time}"


def _blocks(count: int) -> str:
    return f"{count} block{'' if count == 1 else 's'}"


def measuring_s(entries: Iterable[Entry]) -> float:
    """Return the seconds that attempts took, measured or failed; one that was interrupted counts for nothing.

    How long a killed campaign lay there before its next command is no measuring.
    """
    began: dict[str, float] = {}
    total = 0.0
    for entry in entries:
        if entry.state == "started":
            began[entry.run_id] = entry.t
        elif entry.run_id in began and entry.state in {"measured", "failed"}:
            start = began.pop(entry.run_id)
            total += max(entry.t - start, 0.0) if entry.cause != "interrupted" else 0.0
    return total
