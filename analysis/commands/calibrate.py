"""``python -m analysis calibrate [--from CAMPAIGN]``: shows how often each method is wrong where the truth is known."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from analysis.calibrate.calibration import STUDIES, rates, table
from analysis.calibrate.layouts import layouts_of
from analysis.calibrate.looking import MOST_BLOCKS
from analysis.calibrate.model import model_of
from analysis.calibrate.rates import FEWEST_STUDIES, Asked
from analysis.calibrate.simulate import NOISES
from analysis.commands.terminal import console, print_json, print_table, progress, reported
from analysis.errors import path_of
from analysis.process.words import Parser
from analysis.report.files import write
from analysis.runs.stalls import always_note
from analysis.stats.sequential import cost_in_blocks
from analysis.stored.study import load_study
from analysis.text import plural, tenths_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from rich.console import Console

    from analysis.calibrate.simulate import Model


_MOST_STUDIES = 1_000_000
_MOST_SIMULATED = 1000
"""Blocks of a simulated campaign: more of them are more memory than a machine has."""

_DIGITS = 100
"""Of a number that anybody types; Python refuses to read thousands of them."""


def show(model: Model, found: pd.DataFrame, out: Console) -> None:
    """Print the model and every rate."""
    out.print(
        f"{plural(len(model.sizes), 'size')} x {plural(model.blocks, 'block')} x "
        f"{plural(model.checkpoints, 'checkpoint')}; between runs "
        f"{tenths_text(model.run_sd)}, within a run {tenths_text(model.checkpoint_sd)}, correlation of neighbours "
        f"{model.phi:.2f}, stalled {tenths_text(model.slow_share)} of checkpoints and {tenths_text(model.stuck_share)} "
        f"of runs, between blocks {tenths_text(model.block_sd)}, drift {100 * model.drift:+.1f} %, "
        f"lost {tenths_text(model.missing)} of runs and most of the longest {tenths_text(model.missing_long)}"
    )
    out.print()
    show_rates(found, out)
    out.print()
    outside = found[found["recommended"] & ~found["ok"]]
    if len(outside):
        named = (
            f"{row.quantity} of {row.method} ({'above' if row.estimate > row.band_high else 'below'})"
            for row in outside.itertuples()
        )
        out.print(f"Outside their band: {'; '.join(named)}.")
    else:
        out.print("Every method that conclusions are drawn with is inside its band.")
    costs = (f"{cost_in_blocks(range(1, last + 1)):.1f} times at {last}" for last in (4, 8, 16, MOST_BLOCKS))
    more = "Looking after every block takes more blocks than a single look for the same power of four tests"
    out.print(f"{more}: {', '.join(costs)}.")


def show_rates(found: pd.DataFrame, out: Console) -> None:
    """Print every rate beside its band."""
    headings = ("quantity", "method", "level", "rate", "standard error", "claimed", "band", "studies", "inside")
    print_table(out, headings, [_row(row) for row in found.to_dict("records")], words=3)


def _row(row: dict[str, object]) -> tuple[str, ...]:
    estimate, error, nominal, low, high = (
        float(str(row[name])) for name in ("estimate", "standard_error", "nominal", "band_low", "band_high")
    )
    informative = math.isnan(nominal)
    verdict = "" if informative else "yes" if row["ok"] else "NO"
    return (
        str(row["quantity"]),
        str(row["method"]),
        str(row["level"]),
        tenths_text(estimate),
        f"{100 * error:.1f}",
        "" if informative else f"{100 * nominal:.1f} %",
        "" if informative else f"{100 * low:.1f} to {100 * high:.1f} %",
        str(row["studies"]),
        verdict if row["recommended"] or informative else f"{verdict} (not used)",
    )


def main(arguments: Sequence[str]) -> int:
    """Return 0, 1 when the campaign tells nothing of how runs vary, 2 on wrong usage, 3 when FILE is not writable."""
    parser = Parser(
        prog="python -m analysis calibrate",
        description="Simulate a design and print how often every method is wrong: type I error, coverage, power.",
    )
    add = parser.add_argument
    add("--from", dest="campaign", type=path_of, nargs="+", metavar="CAMPAIGN", help="its design and variation")
    add("--noise", choices=NOISES, default="assumed", help="where no campaign is given (default: assumed)")
    add("--blocks", type=_whole(2, _MOST_SIMULATED), help="of the simulated campaigns where no campaign is given")
    studies = _whole(FEWEST_STUDIES, _MOST_STUDIES)
    add("--studies", type=studies, default=STUDIES, help=f"per question (default: {STUDIES})")
    add("--seed", type=_whole(0), default=1, help="of the generators (default: 1)")
    add("--csv", type=path_of, metavar="FILE", help="also write the table there")
    add("--json", action="store_true", help="print model and rates as JSON")
    add("-q", "--quiet", action="store_true", help="show no progress, and print the table alone")
    options = parser.parse_args(arguments)
    return reported(lambda: _run(options))


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    said = f"of at least {least}" if most is None else f"from {least} to {most}"

    def whole(text: str) -> int:
        known = text.isdecimal() and len(text) < _DIGITS
        if not known or int(text) < least or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(f"{text!r} must be a whole number {said}")
        return int(text)

    return whole


def _run(options: argparse.Namespace) -> int:
    with progress(quiet=options.quiet) as say:
        campaign = None if options.campaign is None else load_study(options.campaign)
        if campaign is None:
            named = NOISES[options.noise]
            model = replace(named, blocks=options.blocks or named.blocks)
        else:
            model = model_of(campaign)
        layouts = None if campaign is None else layouts_of(campaign, model)
        found = table(rates(Asked(model, options.studies, options.seed, layouts), say=say))
    out = console()
    stalled = "" if campaign is None else always_note(campaign.runs)
    if options.json:
        rows = found.to_dict("records")
        print_json({"model": asdict(model), "seed": options.seed, "rates": rows, "notes": [stalled] if stalled else []})
    elif options.quiet:
        show_rates(found, out)
    else:
        show(model, found, out)
        if stalled:
            out.print(f"note: {stalled}")
    if options.csv is not None:
        text: str = found.to_csv(index=False, float_format="%.6f", lineterminator="\n")
        write(options.csv, text.encode())
    return 0
