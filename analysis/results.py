"""Everything that the report, its figures and its tables are made of, derived once from a campaign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from analysis.cells import Cells
    from analysis.diagnostics import Diagnostics
    from analysis.effects import Effects
    from analysis.finding import Finding
    from analysis.load import Campaign


@dataclass(frozen=True)
class Results:
    """A campaign and what follows from it.

    Attributes:
        campaign: as it was read; its runs hold every checkpoint.
        cells: the cells by panel and size; ``cell`` columns are places in ``cells.names``.
        runs: one row per run, see :func:`analysis.outcomes.run_table`.
        per_cell: one row per cell, see :func:`analysis.cell_table.cell_table`.
        findings: one per hypothesis, in the order declared.
        effects: what RAM does by itself and through dirty pages, what a page costs; parts are None without the design.
        diagnostics: what bears on trust: A/A pairs, drift, steadiness, modes, sensitivity.
    """

    campaign: Campaign
    cells: Cells
    runs: pd.DataFrame
    per_cell: pd.DataFrame
    findings: tuple[Finding, ...]
    effects: Effects
    diagnostics: Diagnostics
