"""The scenarios by the configuration's word for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.scenario.colo import Colo
from bench.scenario.failover import FailoverRun
from bench.scenario.formed import Formed
from bench.scenario.native import Native

if TYPE_CHECKING:
    from bench.config.model import Cell
    from bench.scenario.base import Scenario

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in (Colo(), Formed(), Native(), FailoverRun())}


def scenario_of(cell: Cell) -> Scenario:
    """Return the scenario that a cell is run by."""
    return SCENARIOS[cell.scenario]
