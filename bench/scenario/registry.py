"""The scenarios by the configuration's word for them: what each is, is the module of that name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from bench.format import scenarios

if TYPE_CHECKING:
    from bench.config.model import Cell
    from bench.scenario.base import Scenario

SCENARIOS: dict[str, Scenario] = {
    name: import_module(f"bench.scenario.{name}").SCENARIO for name in scenarios.SCENARIOS
}


def scenario_of(cell: Cell) -> Scenario:
    """Return the scenario that a cell is run by."""
    return SCENARIOS[cell.scenario]
