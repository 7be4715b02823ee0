"""Builds the report of a campaign: reads its folder, writes ``report/`` inside it, each file complete or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from analysis.cells import name_cells
from analysis.figures import figures
from analysis.load import load_campaign
from analysis.report import Summaries, render
from analysis.summary import cell_table, run_table, used_checkpoints

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from analysis.load import Campaign


def build_report(folder: Path) -> Path:
    """Write ``report/`` and return the path of its page. The same data gives the same bytes.

    Raises:
        NotACampaignError: the folder holds no campaign that can be read.
        NothingMeasuredError: it holds no measured run.
        OSError: the report cannot be written.
    """
    files = report_files(load_campaign(folder))
    for name, content in files.items():
        _write(folder / "report" / name, content)
    return folder / "report" / "report.html"


def report_files(campaign: Campaign) -> dict[str, bytes]:
    """Return the files of the report by their names within ``report/``."""
    cells = name_cells(run.record for run in campaign.runs)
    used, per_run = used_checkpoints(campaign.runs, cells), run_table(campaign.runs, cells)
    per_cell = cell_table(cells, per_run, used)
    ecdf, phases = figures(used, per_cell, cells)
    files: dict[str, bytes] = {}
    for drawing in (ecdf, phases):
        files |= {f"figures/{drawing.name}.{kind}": content for kind, content in drawing.files.items()}
        files[f"figures/{drawing.name}.csv"] = _csv(drawing.data)
    files["tables/cells.csv"] = _csv(per_cell)
    files["report.html"] = render(campaign, Summaries(cells, per_run, per_cell), ecdf, phases).encode()
    return files


def _csv(table: pd.DataFrame) -> bytes:
    text: str = table.to_csv(index=False, float_format="%.6f", lineterminator="\n")
    return text.encode()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
