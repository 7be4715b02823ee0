"""Why nothing can be compared: runs are not there, or lack what is asked about, or cells were chosen so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.format.factors import flatten
from analysis.verdicts.looks import looked_at
from analysis.verdicts.question import meant_levels, measured_rows, others_of, question

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from analysis.format.factors import Level
    from analysis.stored.campaign import Campaign
    from analysis.verdicts.finding import Finding
    from analysis.verdicts.question import Question

_LACKING = "runs do not have what is asked about"


def why_blank(campaign: Campaign, runs: pd.DataFrame, finding: Finding) -> str:
    """Return why a trend or contrast has nothing to compare, as a clause.

    Args:
        campaign: as it was read.
        runs: :func:`analysis.runs.outcomes.run_table` of it.
        finding: of it.
    """
    asked = question(*looked_at(campaign, runs), finding.hypothesis)
    every, known = (
        measured_rows(asked, own) for own in (asked.runs, asked.runs[asked.runs[finding.hypothesis.outcome].notna()])
    )
    if (finding.failed or finding.excluded) and _compare(asked, (*known, *asked.lost)):
        return "runs failed or were left out"
    if len(known) < len(every) and _compare(asked, every):
        return _LACKING
    cells = [flatten(one.cell) for one in campaign.plan.cells] or [flatten(run.record.cell) for run in campaign.runs]
    if len(meant_levels(finding.hypothesis, cells)) == 1:
        return "the cells have but one level of what is asked about"
    if len({row[str(finding.hypothesis.factor)] for row in every}) == 1 and not campaign.unfinished:
        return _LACKING
    missing = "runs are not yet measured, or " if campaign.unfinished else ""
    return f"{missing}the cells do not cross what was asked with the other factors"


def _compare(asked: Question, rows: Iterable[Mapping[str, Level]]) -> bool:
    """Tell whether some block has two levels of the factor where all other factors are alike."""
    found: dict[tuple[Level, ...], set[Level]] = {}
    for row in rows:
        found.setdefault((row["block"], *others_of(asked, row)), set()).add(row.get(str(asked.hypothesis.factor)))
    return any(len(levels) > 1 for levels in found.values())
