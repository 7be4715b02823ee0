"""``python -m analysis power CAMPAIGN...``: shows what a design can see, and what it would take to see more."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

from analysis.commands.terminal import console, print_json, print_table, reported, share
from analysis.errors import path_of
from analysis.planning.power import power
from analysis.process.words import Parser
from analysis.stored.study import load_study
from analysis.text import MISSING, duration_text, ms_text, plural, short_text, strata_text, tenths_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from analysis.planning.power import CellPower, Power
    from analysis.verdicts.designs import Reach
    from analysis.verdicts.promises import Promise

_CELL_HEADINGS = (
    "cell",
    "R",
    "N",
    "between",
    "within",
    "ICC",
    "lag 1",
    "long-run",
    "CV",
    "launch",
    "checkpoint",
    "best N",
)


def show(result: Power, out: Console) -> None:
    """Print what a design can see."""
    out.print(f"{result.campaign}: {result.under}, {plural(result.blocks, 'block')}")
    out.print()
    print_table(out, _CELL_HEADINGS, [_cell_row(cell) for cell in result.cells])
    out.print()
    out.print(
        "R: runs. N: checkpoints of the shortest run. Between, within: deviation of the log pause between runs, beyond "
        "what checkpoints explain, and within a run. ICC: share between runs. Lag 1: correlation of a checkpoint with "
        "the one before. Long-run: deviation within a run, autocorrelation included. CV: of run medians. Best N: "
        "checkpoints per run for the most precision in the time."
    )
    out.print()
    best = MISSING if result.best_checkpoints is None else str(result.best_checkpoints)
    out.print(
        f"Over the {plural(len(result.cells), 'cell')} above: run medians differ by {tenths_text(result.overall.sd)} "
        f"within cell and block ({result.overall.df} df); {result.launch_s:.1f} s per launch, "
        f"{short_text(result.checkpoint_s)} s per checkpoint; best N {best}."
    )
    out.print()
    if result.promises:
        _show_promises(result, out)
    else:
        _show_reaches(result, out)
    for note in result.notes:
        out.print(f"note: {note}")


def _show_reaches(result: Power, out: Console) -> None:
    """Print what every factor that varies would show, for a campaign that asks nothing."""
    effect = f"{100 * result.effect:g} %"
    headings = (
        "question",
        "run medians differ by",
        f"seen at {plural(result.blocks, 'block')}",
        f"blocks to see {effect}",
        f"blocks to decide {effect}",
        "more time",
    )
    print_table(out, headings, [_reach_row(one) for one in result.reaches])
    out.print()
    out.print(
        f"One block takes {duration_text(result.block_s)}. Run medians differ: within cell and block, among the cells "
        "that answer the question, and only these. Seen: with 80 % power at a one-sided 5 %. Decided: the 90 % "
        "interval is narrower than the effect, so that it cannot hold both it and none. Plans use the upper 80 % bound "
        "of the deviation, and what rank tests lose to least squares."
    )


def _show_promises(result: Power, out: Console) -> None:
    effect = f"{100 * result.effect:g} %"
    headings = (
        "hypothesis",
        "runs differ by",
        "SUPPORTED with 80 % power",
        f"blocks to support {effect}",
        f"blocks to refute {effect}",
    )
    print_table(out, headings, [_promise_row(one) for one in result.promises])
    out.print()
    out.print(
        "Each of these hypotheses as it is judged: its strata, its exact test at the level that its family leaves an "
        "effect that is alone, told from what equal cells differ by; blocks are planned with the upper 80 % bound of "
        "the deviation. Not planned: that what is ruled out has to be so of the mean over the levels of other factors, "
        "which takes more blocks where some of these have fewer sizes. Runs differ: in the outcome that is asked "
        f"about, within cell and block. One block takes {duration_text(result.block_s)}."
    )


def _promise_row(one: Promise) -> tuple[str, ...]:
    smallest = MISSING if math.isnan(one.smallest) else "none: too few blocks"
    if math.isfinite(one.smallest):
        smallest = f"{tenths_text(one.smallest)} {one.per} at {plural(one.blocks, 'block')}"
    return (
        f"{one.hypothesis}, {strata_text(one.strata)} a block, {one.family} in its family",
        f"{tenths_text(one.deviation.sd)} ({one.deviation.df} df)",
        smallest,
        _blocks(one.blocks_to_support, one.blocks),
        _blocks(one.blocks_to_refute, one.blocks),
    )


def _cell_row(cell: CellPower) -> tuple[str, ...]:
    return (
        cell.cell,
        str(cell.runs),
        str(cell.checkpoints),
        f"{tenths_text(cell.run_sd_log)} ({ms_text(1e3 * cell.run_sd_s)} ms)",
        f"{tenths_text(cell.checkpoint_sd_log)} ({ms_text(1e3 * cell.checkpoint_sd_s)} ms)",
        tenths_text(cell.icc),
        MISSING if math.isnan(cell.lag1) else f"{cell.lag1:.2f}",
        tenths_text(cell.long_run_sd_log),
        tenths_text(cell.cv),
        f"{cell.costs.launch_s:.1f} s",
        f"{short_text(cell.costs.checkpoint_s)} s",
        str(cell.best_checkpoints) if cell.best_checkpoints is not None else MISSING,
    )


def _reach_row(one: Reach) -> tuple[str, ...]:
    return (
        one.question,
        f"{tenths_text(one.deviation.sd)} in {plural(one.cells, 'cell')} ({one.deviation.df} df)",
        f"{tenths_text(one.smallest)} {one.per}",
        _blocks(one.blocks_to_see, one.blocks),
        _blocks(one.blocks_to_decide, one.blocks),
        MISSING if math.isnan(one.more_s) else duration_text(one.more_s) if one.more_s else "none",
    )


def _blocks(needed: int | None, present: int) -> str:
    if needed is None:
        return "beyond reason"
    return f"{needed} ({needed - present} more)" if needed > present else f"{needed} (enough)"


def main(arguments: Sequence[str]) -> int:
    """Return 0, 1 when no cell has two runs, 2 on wrong usage."""
    parser = Parser(
        prog="python -m analysis power",
        description="Say what a design can see, how long its runs should be, and how many more blocks are needed.",
    )
    parser.add_argument("campaign", type=path_of, nargs="+", help="a campaign folder, or several of one plan")
    parser.add_argument("--effect", type=share, default=0.05, help="the effect that should be seen (default: 5%%)")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    options = parser.parse_args(arguments)
    return reported(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    found = power(load_study(options.campaign), effect=options.effect)
    if options.json:
        print_json(asdict(found))
    else:
        show(found, console())
    return 0
