"""Everything that the report, its figures and its tables are made of, derived once from a campaign."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from analysis.runs.behaviour import behaviour_table
from analysis.runs.causes import cause_table
from analysis.runs.cell_table import cell_table
from analysis.runs.outcomes import run_table
from analysis.stored.cells import Cells, name_cells
from analysis.verdicts.diagnostics import Diagnostics, diagnose
from analysis.verdicts.effects import Effects, effects
from analysis.verdicts.hypotheses import judge_all
from analysis.verdicts.overhead import overheads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from analysis.stored.campaign import Campaign
    from analysis.stored.records import Hypothesis
    from analysis.verdicts.finding import Finding
    from analysis.verdicts.overhead import Overhead


@dataclass(frozen=True)
class Results:
    """A campaign and its verdicts, and what else follows from it: each part is made when somebody looks at it.

    Attributes:
        campaign: as it was read.
        cells: the cells by panel and size; ``cell`` columns are places in ``cells.names``.
        runs: one row per run, see :func:`analysis.runs.outcomes.run_table`.
        findings: one per hypothesis, in the order declared.
        asked: hypotheses that were chosen after the data; None: those of the plan.
        behaving: gives the behaviours, where other processes have begun to compute them.
    """

    campaign: Campaign
    cells: Cells
    runs: pd.DataFrame
    findings: tuple[Finding, ...]
    asked: tuple[Hypothesis, ...] | None = None
    behaving: Callable[[], pd.DataFrame] | None = None

    @cached_property
    def overheads(self) -> tuple[Overhead, ...]:
        """Return what COLO leaves of a service, see :func:`analysis.verdicts.overhead.overheads`."""
        return overheads(self.campaign)

    @cached_property
    def per_cell(self) -> pd.DataFrame:
        """Return one row per cell, see :func:`analysis.runs.cell_table.cell_table`."""
        return cell_table(self.campaign, self.cells, self.runs)

    @cached_property
    def effects(self) -> Effects:
        """Return what RAM does by itself and through dirty pages, what a page costs; None without the design."""
        return effects(self.runs, self.campaign.runs)

    @cached_property
    def causes(self) -> pd.DataFrame:
        """Return why checkpoints began, one row per cell, see :func:`analysis.runs.causes.cause_table`."""
        return cause_table(self.campaign)

    @cached_property
    def behaviours(self) -> pd.DataFrame:
        """Return how pauses behaved over time, a row per run, see :func:`analysis.runs.behaviour.behaviour_table`."""
        return self.behaving() if self.behaving else behaviour_table(self.campaign.runs)

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Return what bears on trust: A/A pairs, drift, steadiness, modes, sensitivity."""
        return diagnose(self.campaign, self.cells, self.runs, self.behaviours, self.asked)


def derive(
    campaign: Campaign,
    asked: Sequence[Hypothesis] | None = None,
    behaving: Callable[[], pd.DataFrame] | None = None,
) -> Results:
    """Return the verdicts on a campaign, and everything that follows from it; the same data gives the same values.

    ``asked`` and ``behaving`` as in :class:`Results`.
    """
    cells = name_cells(run.record for run in campaign.runs)
    runs = run_table(campaign.runs, cells)
    findings = judge_all(campaign, runs, asked)
    return Results(campaign, cells, runs, findings, None if asked is None else tuple(asked), behaving)
