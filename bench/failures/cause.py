"""What the catalogue says of one cause of failure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Where in the life of a run (or before it) a failure happened, in the order of that life."""

    PLAN = "plan"
    HOST = "host"
    PROVISION = "provision"
    LAUNCH = "launch"
    HANDSHAKE = "handshake"
    GUEST = "guest"
    COLO_START = "colo-start"
    WORKLOAD = "workload"
    MEASURE = "measure"
    TEARDOWN = "teardown"
    STORE = "store"


LIVE = (Phase.LAUNCH, Phase.HANDSHAKE, Phase.GUEST, Phase.COLO_START, Phase.WORKLOAD, Phase.MEASURE)
"""The phases in which a pair runs."""


class Trait(StrEnum):
    """What it takes to understand a failure of some cause."""

    LATE = "late"
    """A deadline passed: it says nothing of the pair when the harness slept through it."""

    SILENT = "silent"
    """It says only that something did not come in time: what is behind it is looked for."""

    BROKEN = "broken"
    """Something broke, while both QEMUs go on: what is behind it is looked for."""

    CONSOLE = "console"
    """Its proof is on the primary's serial console."""

    GONE = "gone"
    """The host is one that nothing can be asked of any more."""


@dataclass(frozen=True)
class Cause:
    """One entry of the catalogue.

    Attributes:
        name: the short, stable name that the ledger and every error carry.
        phases: where it arises; the document lists it under the first.
        meaning: what happened, in one sentence.
        fix: what a person does about it; the hint of an error that brings none of its own.
        proof: which lines and logs an error of this cause brings, or where to look.
        transient: whether the same run, started again, may succeed: what ``on_error=retry:N`` goes by.
        traits: what it takes to understand it.
    """

    name: str
    phases: tuple[Phase, ...]
    meaning: str
    fix: str
    proof: str
    transient: bool = False
    traits: frozenset[Trait] = frozenset()
