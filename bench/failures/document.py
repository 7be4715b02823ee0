"""``docs/failures.md``, made from the catalogue and the exit statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.failures.catalogue import CAUSES
from bench.failures.cause import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.failures.cause import Cause

_INTRODUCTION = """\
# Failures

Made from the code by `make docs`: change `bench/failures/catalogue.toml`, not this page.

Every failure that the project understands is shown with one line that says what happened, the lines that prove it,
what fixes it, and the logs worth reading. A failed run leaves the same in `ledger.jsonl`: its `phase`, its `cause` (a
name of this page), `message`, `hint`, `evidence` and `logs`; its logs and traces stay in `failed/`. The phase is how
far the run had come, so that one cause can arise in several.

A cause that *may pass* is tried again under `on_error=retry:N` (`retry:2` is the default), up to N times; the others
are not, whatever N is. Each failed attempt stays on record. `on_error=continue` goes on with the next run,
`on_error=stop` ends the campaign at the first failed one.

## Exit statuses

"""


def document(meanings: Iterable[tuple[int, str]]) -> str:
    """Return the page."""
    statuses = [f"| {int(status)} | {meaning} |" for status, meaning in meanings]
    heads = ("| status | meaning |", "| --- | --- |")
    parts = [_INTRODUCTION + "\n".join((*heads, *statuses)), _overview()]
    parts += [_chapter(phase, mine) for phase in Phase if (mine := [one for one in CAUSES if one.phases[0] == phase])]
    return "\n\n".join(parts) + "\n"


def _overview() -> str:
    rows = [
        f"| [`{one.name}`](#{one.name}) | {_phases(one)} | {'yes' if one.transient else 'no'} |"
        for one in sorted(CAUSES, key=lambda one: one.name)
    ]
    return "\n".join(("## All causes", "", "| cause | arises in | may pass |", "| --- | --- | --- |", *rows))


def _chapter(phase: Phase, causes: Iterable[Cause]) -> str:
    return "\n\n".join((f"## First met in: {phase}", *(_entry(one) for one in causes)))


def _entry(cause: Cause) -> str:
    return "\n".join(
        (
            f"### {cause.name}",
            "",
            cause.meaning,
            "",
            f"- Arises in: {_phases(cause)}. {'May pass.' if cause.transient else 'Does not pass by itself.'}",
            f"- Fix: {cause.fix}",
            f"- Evidence: {cause.proof}",
        )
    )


def _phases(cause: Cause) -> str:
    return ", ".join(cause.phases)
