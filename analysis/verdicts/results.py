"""Everything that the report, its figures and its tables are made of, derived once from a campaign."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from analysis.runs.causes import cause_table
from analysis.runs.cell_table import cell_table
from analysis.runs.outcomes import run_table
from analysis.stored.cells import Cells, name_cells
from analysis.verdicts.diagnostics import Diagnostics, diagnose
from analysis.verdicts.effects import Effects, effects
from analysis.verdicts.hypotheses import judge_all
from analysis.verdicts.overhead import overheads

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from analysis.stored.load import Campaign
    from analysis.stored.records import Hypothesis
    from analysis.verdicts.finding import Finding
    from analysis.verdicts.overhead import Overhead


@dataclass(frozen=True)
class Judged:
    """A campaign and its verdicts, and what these are made of.

    Attributes:
        campaign: as it was read.
        cells: the cells by panel and size; ``cell`` columns are places in ``cells.names``.
        runs: one row per run, see :func:`analysis.runs.outcomes.run_table`.
        findings: one per hypothesis, in the order declared.
    """

    campaign: Campaign
    cells: Cells
    runs: pd.DataFrame
    findings: tuple[Finding, ...]

    @cached_property
    def overheads(self) -> tuple[Overhead, ...]:
        """Return what COLO leaves of a service, see :func:`analysis.verdicts.overhead.overheads`."""
        return overheads(self.campaign)


@dataclass(frozen=True)
class Results(Judged):
    """Everything else that follows from it.

    Attributes:
        per_cell: one row per cell, see :func:`analysis.runs.cell_table.cell_table`.
        effects: what RAM does by itself and through dirty pages, what a page costs; parts are None without the design.
        diagnostics: what bears on trust: A/A pairs, drift, steadiness, modes, sensitivity.
    """

    per_cell: pd.DataFrame
    effects: Effects
    diagnostics: Diagnostics

    @cached_property
    def causes(self) -> pd.DataFrame:
        """Return why checkpoints began, one row per cell, see :func:`analysis.runs.causes.cause_table`."""
        return cause_table(self.campaign)


def judge_study(campaign: Campaign, asked: Sequence[Hypothesis] | None = None) -> Judged:
    """Return the verdicts on a campaign, and nothing that only figures and tables look at."""
    cells = name_cells(run.record for run in campaign.runs)
    runs = run_table(campaign.runs, cells, behaviours=False)
    return Judged(campaign, cells, runs, judge_all(campaign, runs, asked))


def derive(campaign: Campaign, asked: Sequence[Hypothesis] | None = None) -> Results:
    """Return everything that follows from a campaign; the same data gives the same values."""
    cells = name_cells(run.record for run in campaign.runs)
    runs = run_table(campaign.runs, cells)
    return Results(
        campaign=campaign,
        cells=cells,
        runs=runs,
        findings=judge_all(campaign, runs, asked),
        per_cell=cell_table(campaign, cells, runs),
        effects=effects(runs, campaign.runs),
        diagnostics=diagnose(campaign, cells, runs, asked),
    )
