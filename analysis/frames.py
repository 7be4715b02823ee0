"""Campaigns as tidy pandas frames: the public way into the data for a notebook or a script."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from analysis.runs.behaviour import behaviour_table
from analysis.runs.cell_table import cell_table
from analysis.runs.outcomes import run_table
from analysis.stored.cells import name_cells
from analysis.stored.study import load_study

if TYPE_CHECKING:
    import os


@dataclass(frozen=True)
class Frames:
    """What was measured, at three grains; times are seconds, sizes bytes, and what was not measured is NaN or NA.

    Runs that are asked for no checkpoints (``scenario=native``, ``formed``) are in none of them: what a service got
    there is in their own ``run.json`` and ``client.parquet``.

    Attributes:
        checkpoints: one row per checkpoint, warm-up included, in the columns of ``checkpoints.parquet``
            (docs/data.md), and before them those of its run: ``cell``, ``block``, ``mem``, ``smp``, ``accel``.
        runs: one row per run, the unit of inference: where it stands, every factor by its dotted path, one number per
            outcome (:func:`analysis.runs.outcomes.run_table`), and how its pauses behaved over time
            (:func:`analysis.runs.behaviour.behaviour_table`); ``cell`` is the cell's label.
        cells: one row per cell with its intervals over runs (:func:`analysis.runs.cell_table.cell_table`).
    """

    checkpoints: pd.DataFrame
    runs: pd.DataFrame
    cells: pd.DataFrame


def read(*folders: str | os.PathLike[str]) -> Frames:
    """Return the frames of a campaign, or of several of one plan as one study.

    Raises:
        NotACampaignError: a folder is none, or of another format.
        NothingMeasuredError: a campaign holds no run that can be read.
        DifferentPlansError: the campaigns are not of one plan.
    """
    campaign = load_study([Path(folder) for folder in folders])
    cells = name_cells(run.record for run in campaign.runs)
    runs = run_table(campaign.runs, cells).join(behaviour_table(campaign.runs))
    labels = [name.label for name in cells.names]
    named = runs.assign(cell=pd.Categorical.from_codes(runs["cell"].to_numpy(), labels))
    every = pd.concat([run.checkpoints for run in campaign.runs], ignore_index=True)
    of_run = named[["cell", "block", "mem", "smp", "accel"]]
    counts = [len(run.rows) for run in campaign.runs]
    beside = of_run.loc[of_run.index.repeat(counts)].reset_index(drop=True)
    return Frames(pd.concat([beside, every], axis=1), named, cell_table(campaign, cells, runs))
