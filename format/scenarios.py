"""The scenarios, by the configuration's word: what both who measures and who judges has to know of each.

What happens in one is ``bench/scenario/``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .factors import Level

ScenarioName = Literal["colo", "formed", "native", "failover"]

COLO = "colo"
"""The scenario of a cell that names none."""


@dataclass(frozen=True)
class Scenario:
    """What a run of one is.

    Attributes:
        name: the configuration's word.
        words: for people; ``said``: in a sentence on what it costs; ``heading``: where that begins.
        paired: whether the VM has a secondary.
        checkpoints: whether any are asked for; of a pair, output that differs may make some all the same.
        against: the scenario that it is held against, in the same block; empty for none.
    """

    name: ScenarioName
    words: str
    said: str
    heading: str
    paired: bool = True
    checkpoints: bool = True
    against: str = ""

    @property
    def short(self) -> str:
        """Return its words where there is little room."""
        return self.words.partition(",")[0]


SCENARIOS: Mapping[str, Scenario] = {
    one.name: one
    for one in (
        Scenario("colo", "COLO", "COLO", "COLO", against="native"),
        Scenario(
            "formed",
            "formed, no checkpoint asked for",
            "COLO formed, no checkpoint asked for,",
            "A pair that is only formed",
            checkpoints=False,
            against="native",
        ),
        Scenario("native", "native", "native", "The machine without COLO", paired=False, checkpoints=False),
        Scenario("failover", "COLO, to a failover", "COLO with a failover", "COLO with a failover"),
    )
}

BASELINES = frozenset(one.name for one in SCENARIOS.values() if not one.checkpoints)
"""Scenarios that ask for no checkpoints: what COLO costs is told from them, and no pause is."""

ALONE = frozenset(one.name for one in SCENARIOS.values() if not one.paired)
"""Scenarios in which the VM has no secondary."""

COMPARED: tuple[tuple[str, str], ...] = tuple((one.name, one.against) for one in SCENARIOS.values() if one.against)
"""Which scenario is held against which: the first by the second."""


def checkpoints_asked(cell: Mapping[str, Level]) -> Level:
    """Return how many checkpoints a run is to take after its warm-up: before a failover, as many as that comes after.

    Args:
        cell: its factors by dotted path.
    """
    return cell.get("failover.after", cell.get("checkpoint.count"))


def redundancy_asked(cell: Mapping[str, Level]) -> bool:
    """Return whether the survivor of a run's failover is to get a new secondary.

    Args:
        cell: its factors by dotted path.
    """
    return cell.get("failover.redundancy") is True
