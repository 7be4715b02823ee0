"""``python -m analysis compare BASE NEW``: shows the comparison, writes it as JSON, ends with its exit code."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from decimal import ROUND_CEILING, Context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands.terminal import console, finite, print_json, print_table, reported, share
from analysis.compare.comparison import compare, compare_levels
from analysis.compare.judging import CONFIDENCE, INCONCLUSIVE, NOT_REGRESSED, REGRESSED
from analysis.compare.sides import refuse_shared
from analysis.errors import path_of
from analysis.format.outcomes import NO_RATIO, OUTCOMES
from analysis.process.words import Parser
from analysis.report.files import write
from analysis.stored.load import load_campaign
from analysis.text import MISSING, duration_text, plural, ratio_text, short_text
from analysis.verdicts.amounts import amount
from analysis.verdicts.digits import rounded
from analysis.verdicts.settling import hangs_on_lost
from analysis.verdicts.trend import HANGING, HANGS_ON_FAILURES, ON_FAILURES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from analysis.compare.comparison import Comparison
    from analysis.compare.ratios import CellComparison, Ratio

SCHEMA_VERSION = 1
"""The version of what ``--json`` writes."""

_STDOUT = Path("-")


def to_json(comparison: Comparison) -> str:
    """Return the comparison as JSON, as ``docs/comparing.md`` describes."""
    return json.dumps(finite(rounded(to_tree(comparison))), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_tree(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison for a program; a number that does not exist is NaN."""
    sides = {
        name: {**asdict(side), "qemu": [{"version": version, "sha256": sha256} for version, sha256 in side.qemu]}
        for name, side in (("base", comparison.base), ("new", comparison.new))
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "outcome": comparison.outcome,
        "unit": OUTCOMES[comparison.outcome].unit,
        "threshold": comparison.threshold,
        "confidence": CONFIDENCE,
        "verdict": comparison.verdict,
        "label": comparison.label,
        "exit_code": comparison.exit_code,
        "overall": asdict(comparison.overall),
        "passes_at": comparison.passes_at,
        "by_cell": dict(zip(("verdict", "label"), comparison.by_cell, strict=True)),
        "each_cell": comparison.each_cell,
        "within": comparison.within,
        "levels": comparison.levels,
        "missing": comparison.missing,
        **sides,
        "cells": [asdict(cell) for cell in comparison.cells],
        "only_in_base": comparison.only_in_base,
        "only_in_new": comparison.only_in_new,
        "notes": comparison.notes,
    }


def show(comparison: Comparison, out: Console) -> None:
    """Print the comparison for a person."""
    sides = (("BASE", comparison.base), ("NEW", comparison.new))
    for (name, side), level in zip(sides, comparison.levels or ("", ""), strict=True):
        qemu = ", ".join(f"{version or 'QEMU'} ({sha256[:12] or 'no hash'})" for version, sha256 in side.qemu)
        which = f", {comparison.within}={level}" if level else ""
        out.print(f"{name:<5}{side.campaign}: {side.under}, {plural(side.runs, 'run')}, {qemu}{which}")
    out.print()
    headings = ("cell", "base", "new", "new / base", "90 % interval", "runs", "verdict")
    print_table(out, headings, [_row(cell, comparison) for cell in comparison.cells])
    of = " of the same block" if comparison.within else ""
    out.print(
        f"Base, new: medians over runs. New / base: the median ratio of a run of NEW to one of BASE{of}, which need "
        "not be that of the two medians. Cells are called as in BASE."
    )
    out.print()
    for name, labels in (("BASE", comparison.only_in_base), ("NEW", comparison.only_in_new)):
        if labels:
            out.print(f"only in {name}: {'; '.join(labels)}")
    for note in comparison.notes:
        out.print(f"note: {note}")
    _show_overall(comparison, out)
    threshold = f"{100 * comparison.threshold:g} %"
    regressed = sum(cell.verdict == REGRESSED for cell in comparison.cells)
    hidden = regressed and comparison.verdict == NOT_REGRESSED
    but = f"; {plural(regressed, 'cell')} regressed by {'itself' if regressed == 1 else 'themselves'}" if hidden else ""
    out.print(f"{comparison.verdict.upper()} at a threshold of {threshold}: {comparison.label}{but}")
    if comparison.verdict == INCONCLUSIVE:
        out.print(settles(comparison))


def _show_overall(comparison: Comparison, out: Console) -> None:
    overall, edges = comparison.overall, _edges(comparison)
    if not math.isnan(comparison.passes_at):
        passing = f"{short_text(100 * comparison.passes_at)} %"
        # Fewer pass where each cell has to; and three blocks tell the noise itself but roughly (docs/comparing.md).
        over = ", all cells as one," if comparison.each_cell and len(comparison.cells) > 1 else ""
        out.print(
            f"With this noise 70 to 80 % of comparisons of equals{over} pass a threshold of {passing}: a smaller one "
            "fewer do, and most others end inconclusive."
        )
    if not math.isnan(overall.ratio):
        ratio, low, high = (ratio_text(end, edges) for end in (overall.ratio, overall.low, overall.high))
        interval = "no interval" if math.isnan(overall.low) else f"90 % interval {low} to {high}"
        whole = comparison.compared == len(comparison.cells) and not comparison.missing
        over = "all cells" if whole else f"the {plural(comparison.compared, 'cell')} that can be compared"
        out.print(f"Over {over}: new / base {ratio}, {interval}: {overall.verdict}, {overall.label}")
    out.print(f"Each cell by itself: {comparison.by_cell[0]}, {comparison.by_cell[1]}")


def _edges(comparison: Comparison) -> tuple[float, ...]:
    """Return what no ratio is printed as that does not lie there: nothing left, no change, one by the threshold."""
    falls = OUTCOMES[comparison.outcome].less_is_worse
    return 0.0, 1.0, 1 + (-comparison.threshold if falls else comparison.threshold)


def _row(cell: CellComparison, comparison: Comparison) -> tuple[str, ...]:
    ratio, low, high = (ratio_text(end, _edges(comparison)) for end in (cell.ratio, cell.low, cell.high))
    interval = MISSING if math.isnan(cell.low) else f"[{low}, {high}]"
    runs = f"{cell.runs_base} + {cell.runs_new}"
    failed = cell.failed_base + cell.failed_new
    return (
        cell.cell,
        amount(cell.base, comparison.outcome),
        amount(cell.new, comparison.outcome),
        ratio,
        interval,
        f"{runs}, {failed} failed" if failed else runs,
        f"{cell.verdict}: {cell.label}",
    )


def settles(comparison: Comparison) -> str:
    """Return in words what would turn an inconclusive comparison into a word."""
    judged, undecided = _judged(comparison), _undecided(comparison)
    over_all = "" if comparison.each_cell else comparison.overall.label
    failing = [
        cell
        for cell in comparison.cells
        if cell.label in ON_FAILURES
        or (over_all in ON_FAILURES and cell.failed_base + cell.failed_new)
        or (cell.verdict == INCONCLUSIVE and _lost_many(cell))
    ]
    again = f"Measure the failed runs of {plural(len(failing), 'cell')} again. " if failing else ""
    if comparison.missing:
        again += f"Measure what a side lacks: {'; '.join(comparison.missing)}. "
    if NO_RATIO in comparison.label or (undecided and all(NO_RATIO in cell.label for cell in undecided)):
        return "No number of runs would settle it: compare another outcome, or declare a range as a value hypothesis."
    if comparison.missing:
        return again.strip()  # no threshold and no further run of others makes up for it
    on_checks = any(one.label in HANGING - {HANGS_ON_FAILURES} for one in judged)
    passing = "more blocks on both sides, of runs that pass their own check" if on_checks else ""
    more = "" if over_all in HANGING else _more_runs(comparison)
    if not passing and not more:
        return again.strip() or _would_settle(_larger(comparison), "more blocks on both sides")
    return again + _would_settle(_larger(comparison), passing, more)


def _lost_many(cell: CellComparison) -> bool:
    return hangs_on_lost(cell.failed_base, cell.runs_base) or hangs_on_lost(cell.failed_new, cell.runs_new)


def _undecided(comparison: Comparison) -> list[CellComparison]:
    return [cell for cell in comparison.cells if cell.verdict == INCONCLUSIVE]


def _judged(comparison: Comparison) -> Sequence[CellComparison | Ratio]:
    """Return what the word is of: all cells as one, or each one that is undecided."""
    return _undecided(comparison) if comparison.each_cell else [comparison.overall]


def _more_runs(comparison: Comparison) -> str:
    """Return how many more runs would decide the cells that hang on nothing else; empty where nothing tells."""
    undecided = _undecided(comparison)
    known = [(cell, cell.needed_runs) for cell in undecided if cell.needed_runs is not None]
    if not known:
        return ""
    cell, runs = max(known, key=lambda pair: pair[1])
    more = runs - min(cell.runs_base, cell.runs_new)
    takes = duration_text(more * len(known) * comparison.seconds_per_run)
    which = "each undecided cell" if len(known) == len(undecided) else plural(len(known), "undecided cell")
    return (
        f"about {plural(more, 'more run')} of {which} on each side ({runs} in all for {cell.cell}), "
        f"{takes} of measuring per side"
    )


def _would_settle(*ways: str) -> str:
    return f"What would settle it: {'; or '.join(filter(None, ways))}."


def _larger(comparison: Comparison) -> str:
    """Return the threshold that would settle it: one that equals pass, and beyond what the intervals reach.

    Of each undecided cell, where the word is theirs. Empty where none would: without an interval, or with none so wide,
    and where runs without a value take the word away, which rank beyond any threshold.
    """
    judged = _judged(comparison)
    falls = OUTCOMES[comparison.outcome].less_is_worse
    ends = [1 - one.low if falls else one.high - 1 for one in judged]
    # Runs without a value are in no interval, and in every word.
    ranked = (one.ranked_passes_at for one in judged)
    reached = [end if math.isnan(own) else max(end, own) for end, own in zip(ends, ranked, strict=True)]
    lost = any(one.label in HANGING for one in judged)
    if lost or not reached or not all(map(math.isfinite, reached)):
        return ""
    needed = max(reached) if comparison.each_cell else max(comparison.passes_at, *reached)
    # With fewer figures, and no less: a threshold within the interval would settle nothing.
    shown = Context(prec=3, rounding=ROUND_CEILING).create_decimal(str(round(100 * needed, 9)))
    return f"a larger threshold of {short_text(float(shown))} %" if needed > comparison.threshold else ""


def main(arguments: Sequence[str]) -> int:
    """Return 0 not regressed, 5 regressed, 6 inconclusive, 1 nothing was measured, 2 wrong usage, 3 not writable."""
    parser = Parser(
        prog="python -m analysis compare",
        description="Compare two campaigns, or with --by two levels of a factor within the blocks of one. Ends with 0 "
        "not regressed, 5 regressed, 6 inconclusive, 1 nothing was measured on both sides, 2 wrong usage, 3 FILE "
        "cannot be written.",
    )
    parser.add_argument("base", type=path_of, help="the campaign to compare with; with --by the only one")
    parser.add_argument("new", type=path_of, nargs="?", help="the campaign in question")
    parser.add_argument(
        "--by", metavar="FACTOR", help="compare the two levels of a factor, such as qemu, block by block"
    )
    parser.add_argument("--threshold", type=share, default=0.05, help="the smallest growth that matters (default: 5%%)")
    parser.add_argument("--outcome", choices=OUTCOMES, default="pause", metavar="OUTCOME", help="default: pause")
    parser.add_argument(
        "--each-cell", action="store_true", help="end with what the cells say, each by itself, not all of them as one"
    )
    parser.add_argument(
        "--json", type=path_of, metavar="FILE", help="also write the answer there; - prints it, and nothing else"
    )
    options = parser.parse_args(arguments)
    if (options.new is None) == (options.by is None):
        parser.error("give two campaigns, or one and --by FACTOR")
    return reported(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    how = {"threshold": options.threshold, "outcome": options.outcome, "each_cell": options.each_cell}
    if options.by is not None:
        comparison = compare_levels(load_campaign(options.base), options.by, **how)
    else:
        sides = [load_campaign(folder) for folder in (options.base, options.new)]
        refuse_shared(sides)
        comparison = compare(*sides, **how)
    if options.json == _STDOUT:
        print_json(to_tree(comparison))
        return comparison.exit_code
    show(comparison, console())
    if options.json is not None:
        write(options.json, to_json(comparison).encode())
    return comparison.exit_code
