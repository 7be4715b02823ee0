"""What the injections showed, as a table: for a person at a terminal, or for a document."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tools.faults.fault import Fault
    from tools.faults.inject import Outcome

HEADINGS = (
    "fault",
    "runs",
    "records lost",
    "leftovers",
    "cause named correctly",
    "campaign finished",
    "otherwise wrong",
    "made anew",
)


@dataclass(frozen=True)
class Row:
    """The injections of one group: counts, and why it is blocked here if it is.

    ``wrong`` are those whose campaign finished, but with another exit status than it should have had, with a traceback,
    or too late; ``redone`` is how often the moment was missed or a guest panicked by itself, and the fault came again.
    """

    group: str
    runs: int
    lost: int
    leftovers: int
    named: int
    finished: int
    wrong: int
    redone: int
    blocked: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the row as text."""
        if not self.runs:
            return (self.group, "0", *["blocked"] * (len(HEADINGS) - 2))
        shares = (_of(self.named, self.runs), _of(self.finished, self.runs))
        counts = (str(self.runs), str(self.lost), str(self.leftovers))
        return (self.group, *counts, *shares, str(self.wrong), str(self.redone))


def _of(count: int, runs: int) -> str:
    return "always" if count == runs else f"{count} of {runs}"


def rows(outcomes: Iterable[Outcome]) -> list[Row]:
    """Return one row for each group, in order of appearance, and one for all."""
    everything = list(outcomes)
    groups = dict.fromkeys(one.group for one in everything)
    by_group = [_row(group, [one for one in everything if one.group == group]) for group in groups]
    return [*by_group, _row("all", everything)]


def _row(group: str, outcomes: Sequence[Outcome]) -> Row:
    done = [one for one in outcomes if not one.blocked]
    return Row(
        group,
        runs=len(done),
        lost=sum(one.lost for one in done),
        leftovers=sum(len(one.leftovers) for one in done),
        named=sum(one.named for one in done),
        finished=sum(one.finished for one in done),
        wrong=sum(one.finished and bool(one.wrong) for one in done),
        redone=sum(one.redone for one in done),
        blocked=next((one.blocked for one in outcomes if one.blocked), ""),
    )


def rich_table(found: Sequence[Row]) -> Table:
    """Return the table as rich renders it."""
    table = Table(title="faults, injected for real", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "fault" else "right")
    for row in found:
        table.add_row(*row.cells(), end_section=row is found[-2] if len(found) > 1 else False)
    return table


def markdown(found: Sequence[Row]) -> str:
    """Return the table as a document holds it."""
    lines = [HEADINGS, ("---", *["---:"] * (len(HEADINGS) - 1)), *(row.cells() for row in found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def declared(fault: Fault) -> tuple[str, str, str]:
    """Return a fault as a document lists it: its name, what is done, and what the broken command has to come to."""
    names = [f"`{cause}`" for cause in sorted(fault.causes)]
    names += [f"told: `{fault.says}`".replace("|", r"\|")] if fault.says else []
    names += ["measured all the same"] if fault.may_succeed else []
    exits = (f"status {one}" if one >= 0 else signal.Signals(-one).name for one in sorted(fault.exits))
    return f"`{fault.name}`", fault.does, f"{' or '.join(names)}; {' or '.join(exits)}"


def line(outcome: Outcome) -> str:
    """Return one injection in a line."""
    if outcome.blocked:
        return f"{outcome.fault}: blocked: {outcome.blocked}"
    verdict = "as it should be" if outcome.ok else "NOT AS IT SHOULD BE"
    redone = f", done {outcome.redone + 1} times" if outcome.redone else ""
    head = f"{outcome.fault}: {verdict}: cause {outcome.cause}, {outcome.before} checkpoints before"
    wrong = [*outcome.wrong, *(f"left: {thing}" for thing in outcome.leftovers)]
    wrong += [f"{outcome.lost} records lost"] if outcome.lost else []
    wrong += [] if outcome.named else [f"the cause {outcome.cause} does not name it"]
    return "\n".join((f"{head}{redone} ({outcome.seconds:g} s)", *(f"  {one}" for one in wrong)))
