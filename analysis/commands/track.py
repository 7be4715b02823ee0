"""``python -m analysis track DIR...``: campaigns of one kind as a series, and where the cost changed."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from analysis.commands.terminal import console, print_json, print_table, reported, share
from analysis.compare.judging import EXIT_CODES
from analysis.compare.sides import refuse_shared
from analysis.compare.tracking import track
from analysis.errors import path_of
from analysis.format.outcomes import OUTCOMES
from analysis.plots.drawing import KINDS
from analysis.plots.track import figure_of
from analysis.process.words import Parser
from analysis.report.files import write
from analysis.stored.load import load_campaign
from analysis.text import MISSING, ratio_text
from analysis.verdicts.amounts import amount, shown_in

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from analysis.compare.tracking import Point, Track


def main(arguments: Sequence[str]) -> int:
    """Return 0 when the last campaign is not regressed, 5 regressed, 6 inconclusive; 1 nothing measured, 2 usage."""
    parser = Parser(
        prog="python -m analysis track",
        description="Show campaigns of one kind (builds, nights, hosts) as a series per cell. Ends with the word on "
        "the last one: 0 not regressed, 5 regressed, 6 inconclusive.",
    )
    parser.add_argument("campaign", type=path_of, nargs="+", help="campaign folders, in the order of the series")
    parser.add_argument("--threshold", type=share, default=0.05, help="the smallest change that matters (default: 5%%)")
    parser.add_argument("--outcome", choices=OUTCOMES, default="pause", metavar="OUTCOME", help="default: pause")
    parser.add_argument("--json", action="store_true", help="print the series as JSON")
    parser.add_argument("--figure", type=path_of, metavar="FILE", help=f"draw it there: {', '.join(KINDS)}")
    options = parser.parse_args(arguments)
    if options.figure is not None and options.figure.suffix.removeprefix(".") not in KINDS:
        parser.error(f"argument --figure: legal endings: {', '.join(KINDS)}")
    return reported(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    campaigns = [load_campaign(folder) for folder in options.campaign]
    refuse_shared(campaigns)
    names = [folder.resolve().name for folder in options.campaign]
    found = track(campaigns, names, threshold=options.threshold, outcome=options.outcome)
    if options.figure is not None:
        scale, unit = shown_in(found.outcome)
        write(options.figure, figure_of(found, options.figure.suffix.removeprefix("."), unit=unit, scale=scale))
    if options.json:
        print_json(to_tree(found))
    else:
        show(found, console())
    return EXIT_CODES[found.word]


def show(found: Track, out: Console) -> None:
    """Print a table: a row a cell, a column a campaign, with a word where something changed."""
    out.print(
        f"{found.outcome} over {len(found.names)} campaigns, changes that may be {100 * found.threshold:g} % or more"
    )
    out.print()
    rows = [
        (
            f"{series.cell} \N{MIDDLE DOT} {series.under}",
            *(_said(point, found.outcome) for point in series.points),
            series.word,
        )
        for series in found.cells
    ]
    print_table(out, ("cell", *found.names, "the last one"), rows)
    out.print()
    if found.note:
        out.print(f"note: {found.note}")
        out.print()
    out.print(
        "Each campaign is set against those since the last change (exact test of ratios of medians, 90 % interval), "
        "adjusted over the cells of a campaign. Where campaigns differ as the runs within one do, some 5 % are called "
        "changed by chance, and of those right after such a one, which are set against it alone, up to one in four. "
        "What else changes on a host from one to the next counts as a change in the first eight; from then on a change "
        "has to clear three times what neighbours mostly differ by, and nothing is called unchanged where that is more "
        "than what matters."
    )


def _said(point: Point, outcome: str) -> str:
    if math.isnan(point.median):
        return MISSING
    change = f" {point.word} x{ratio_text(point.ratio, decimals=2)}" if point.change else ""
    return amount(point.median, outcome) + change


def to_tree(found: Track) -> dict[str, Any]:
    """Return the series for a program: seconds, bytes or shares; what does not exist is null."""
    return {
        "outcome": found.outcome,
        "threshold": found.threshold,
        "verdict": found.word,
        "note": found.note,
        "campaigns": [
            {"name": name, "plan_sha256": side.plan_sha256, "accel": list(side.accel), "qemu": [*map(list, side.qemu)]}
            for name, side in zip(found.names, found.campaigns, strict=True)
        ],
        "cells": [
            {
                "cell": series.cell,
                "accel": series.accel,
                "under": series.under,
                "verdict": series.word,
                "points": [asdict(point) for point in series.points],
            }
            for series in found.cells
        ],
    }
