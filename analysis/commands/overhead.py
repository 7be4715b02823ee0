"""``python -m analysis overhead CAMPAIGN``: what COLO leaves of a service, against the same machine without it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.commands.terminal import console, print_json, print_table, reported
from analysis.errors import NothingMeasuredError, path_of
from analysis.process.words import Parser
from analysis.stored.study import load_study
from analysis.text import EXPLORATORY, MISSING, percent_text
from analysis.verdicts.overhead import LATENCY, left_out, overheads, tells_neither, to_tree
from analysis.verdicts.overhead_words import sentences, times_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from analysis.verdicts.overhead import Overhead

HEADINGS = ("cell", "compared", "throughput", *LATENCY, "lost", "paused", "blocks")


def main(arguments: Sequence[str]) -> int:
    """Return 0 with the ratios printed, 1 when no machine was measured with and without COLO, 2 on wrong usage."""
    parser = Parser(
        prog="python -m analysis overhead",
        description="Hold what was measured under COLO against the same machine without it, block by block: "
        "throughput, latency, and what share of the difference the pauses explain.",
    )
    parser.add_argument("campaign", type=path_of, nargs="+", help="a campaign with scenario=native,colo, or several")
    parser.add_argument("--json", action="store_true", help="print the ratios as JSON")
    options = parser.parse_args(arguments)
    return reported(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    study = load_study(options.campaign)
    found = overheads(study)
    if not found:
        sweep = "-m scenario=native,colo (or native,formed,colo) measures both in every block"
        why, fix = left_out(study) or sweep, "measure both in every block: -m scenario=native,colo"
        if study.without and tells_neither(study):
            why = "its workload tells neither"
            fix = "choose one that has a client or counts its work: docs/workloads.md"
        raise NothingMeasuredError(
            f"{study.plan.campaign}: no machine has a throughput or a latency both with COLO and without (a rate by "
            f"the guest's own clock, which stands still in a pause, is none); {why}",
            fix=fix,
        )
    if options.json:
        print_json({"campaign": study.plan.campaign, "compared": to_tree(found), "left_out": left_out(study)})
        return 0
    out = console()
    for line in (*sentences(found), *filter(None, [left_out(study)])):
        out.print(line, soft_wrap=True)
    out.print()
    print_table(out, HEADINGS, [_row(one) for one in found], words=2)
    return 0


def _row(one: Overhead) -> tuple[str, ...]:
    known = one.explained
    ratios = (one.throughput, *(one.of(name) for name in LATENCY))
    return (
        one.label,
        one.compared,
        *(MISSING if ratio is None else times_text(ratio.ratio) + EXPLORATORY * ratio.exploratory for ratio in ratios),
        *(MISSING if math.isnan(share) else percent_text(share) for share in (known.lost, known.paused)),
        one.blocks_text,
    )
