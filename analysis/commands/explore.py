"""``python -m analysis explore CAMPAIGN...``: one page beside the report, with every run to filter and look at."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from analysis.commands.terminal import reported
from analysis.errors import path_of
from analysis.format.folder import REPORT
from analysis.process.words import Parser
from analysis.report.explore import explore, reached
from analysis.report.files import write
from analysis.runs.outcomes import run_table
from analysis.stored.cells import name_cells
from analysis.stored.study import load_study

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Return 0 with the path printed, 1 when nothing was measured, 2 on wrong usage, 3 when it is not writable."""
    parser = Parser(
        prog="python -m analysis explore",
        description="Write a self-contained page with every run of a campaign, or of several of one plan, to explore.",
    )
    parser.add_argument("campaign", type=path_of, nargs="+", help="campaign folders")
    parser.add_argument("--out", type=path_of, metavar="FILE", help="default: report/explore.html in the first folder")
    options = parser.parse_args(arguments)
    return reported(lambda: _run(options), in_files=True)


def _run(options: argparse.Namespace) -> int:
    campaign = load_study(options.campaign)
    cells = name_cells(run.record for run in campaign.runs)
    out = options.out or options.campaign[0] / REPORT / "explore.html"
    homes = [reached(folder, out.parent) for folder in options.campaign]
    report = reached(options.campaign[0] / REPORT / "report.html", out.parent)
    page = explore(campaign, cells, run_table(campaign.runs, cells), homes, report)
    write(out, page.encode())
    sys.stdout.write(f"{out}\n")
    return 0
