"""The words around the figures: how many runs, which intervals, what is left out."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from analysis.format.hosts import ACCEL_TEXT
from analysis.format.scenarios import BASELINES
from analysis.plots.drawing import Sketch
from analysis.plots.sizes import SizeKey
from analysis.runs.counting import doubted_text
from analysis.stored.cells import shared_text
from analysis.text import accel_text, change_text, duration_text, ms_text, plural, span, spans
from analysis.verdicts.looks import looked_at

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.plots.drawing import Words
    from analysis.stored.campaign import Campaign
    from analysis.stored.cells import Cells
    from analysis.stored.records import PlannedRun
    from analysis.verdicts.results import Results

MS = 1e3
FEWEST_FOR_INTERVAL = 6
"""Runs from which on an order-statistic interval of 95 % exists."""

INTERVAL, RANGE = "interval", "range"
"""Kinds of whiskers."""

WHISKERS = ((INTERVAL, 2.5, 0.9), (RANGE, 0.0, 0.6))
"""Of each kind the ends and the width, in points."""

NO_INTERVAL = "No interval is drawn."

MINUS, DASH, SPACE = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{NO-BREAK SPACE}"
CANNOT = "cannot be told"
NOT_USED = "not used"


def where_text(cells: Cells) -> str:
    """Return what all cells share and how the pairs ran: ``idle · tcp · pairs under emulation (TCG)``."""
    kinds = cells.under.split(" and ")
    said = f"some pairs under {', some under '.join(kinds)}" if kinds[1:] else f"pairs under {cells.under}"
    return " · ".join(filter(None, [cells.shared, said]))


def sketch_of(
    name: str,
    results: Results,
    data: pd.DataFrame,
    words: Words,
    plot: Callable[..., Figure],
    **how: Any,
) -> Sketch:
    """Return a figure before it is drawn, with what all cells share above it."""
    return Sketch(name, data, words, partial(plot, where=where_text(results.cells), **how))


def sketched(
    name: str,
    frame: Callable[[Results], pd.DataFrame],
    plot: Callable[..., Figure],
    words: Callable[[Results, pd.DataFrame], Words],
    *,
    sized: bool = False,
) -> Callable[[Results], Sketch]:
    """Return what makes a figure before it is drawn of the results; ``sized``: its plot is given the key of all sizes.

    It raises what ``frame`` does.
    """

    def sketch(results: Results) -> Sketch:
        data = frame(results)
        key = {"key": SizeKey.of_all(results.cells)} if sized else {}
        return sketch_of(name, results, data, words(results, data), plot, **key)

    return sketch


def origin(results: Results, shown: Collection[str]) -> tuple[str, str]:
    """Return the line above a figure of whole rows, and in one clause how its pairs ran.

    Of some cells no pause may have been measured: where these differ in what the others share, none of it is said.

    Args:
        results: of the campaign.
        shown: the ids of the cells that it shows.
    """
    trees = [one.cell for one in results.campaign.plan.cells if one.cell_id in shown]
    accels = {str(tree.get("accel")) for tree in trees} & ACCEL_TEXT.keys()
    own = [run.record.cell for run in results.campaign.runs]
    if accels <= set(results.cells.accels) and shared_text([*own, *trees]) == shared_text(own):
        return where_text(results.cells), emulated(results.cells)
    return "", f"Pairs whose pauses were measured ran under {results.cells.under}"


def few_runs(results: Results) -> str:
    """Return what a heading adds when there are too few runs for an interval; empty when there are enough."""
    runs = results.runs.groupby("cell").size()
    if runs.min() >= FEWEST_FOR_INTERVAL:
        return ""
    which = "not everywhere a" if runs.max() >= FEWEST_FOR_INTERVAL else "no"
    return f" (R = {span(runs)}: {which} 95{SPACE}% interval)"


def design_text(
    results: Results, interval: str, *, doubted: str = "kept", outcome: str = "pause", judged: bool = False
) -> str:
    """Return R and N, what a caption says of its interval, what is left out, and how the pairs ran.

    Args:
        results: of the campaign.
        interval: the sentence on intervals.
        doubted: what became of runs whose own check failed; a figure of an estimate does not have them.
        outcome: that they do not count for.
        judged: whether the figure is, as verdicts are, of the blocks that the last look saw.
    """
    campaign, seen = looked_at(results.campaign, results.runs) if judged else (results.campaign, results.runs)
    design = "R = 0 runs."
    if len(seen):
        runs, checkpoints = seen.groupby("cell").size(), seen["checkpoints"]
        design = f"R = {spans(runs, 'run')} per cell, N = {spans(checkpoints, 'checkpoint')} per run."
    lacks = _left_out(campaign, seen, len(results.runs) - len(seen), doubted, outcome)
    return " ".join([design, interval, lacks, f"{emulated(results.cells)}."])


def _left_out(campaign: Campaign, seen: pd.DataFrame, later: int, doubted: str, outcome: str) -> str:
    """Return in one sentence what the figure lacks, and what it holds in spite of a doubt.

    A run that is asked for no checkpoints would be in no such figure, had it not failed.
    """
    baselines = {one.cell_id for one in campaign.plan.cells if one.cell.get("scenario") in BASELINES}

    def asked(runs: Iterable[PlannedRun]) -> int:
        return sum(run.cell_id not in baselines for run in runs)

    counts = (
        (asked(one.planned for one in campaign.failures), "that failed"),
        (asked(one.planned for one in campaign.unread), "that cannot be read"),
        (asked(campaign.unfinished), "not finished"),
        (later, "of blocks after the last look"),
        (len(campaign.without), "of which no checkpoint was asked"),
    )
    lost = [f"{plural(count, 'run')} {why}" for count, why in counts if count]
    warmup = int(seen["warmup"].sum())
    parts = [*([f"warm-up ({plural(warmup, 'checkpoint')})"] if warmup else []), *lost]
    told = doubted_text(seen, outcome)
    return f"Left out: {', '.join(parts) or 'nothing'}{f'; {doubted}: {told}' if told else ''}."


def sound_checkpoints(runs: pd.DataFrame, which: str = "") -> str:
    """Return N of a figure that has those of its runs that passed their check, as a clause; empty where none did."""
    sound = runs.loc[runs["quality_ok"], "checkpoints"]
    return f", N = {spans(sound, 'checkpoint')} per run{which}" if len(sound) else ""


def without_accel(cells: Cells, where: str) -> str:
    """Return under which levels something was estimated, and not what all pairs ran under."""
    return where.removeprefix(f"{accel_text(cells.accels)}, ")


def emulated(cells: Cells) -> str:
    """Return how the pairs ran, as a clause."""
    return f"Pairs ran under {cells.under}"


def spread(row: pd.Series) -> tuple[float, float, str]:
    """Return the ends of a cell's whisker in ms and their kind: the interval where there is one, else the range."""
    if math.isnan(row["pause_low"]):
        return row["pause_min"] * MS, row["pause_max"] * MS, RANGE
    return row["pause_low"] * MS, row["pause_high"] * MS, INTERVAL


def whiskers_text(cells: pd.DataFrame, shown: str = "Whiskers", *, thin: bool = True) -> str:
    """Return what the ends of :func:`spread` are, in one sentence.

    Args:
        cells: that are drawn, of :func:`analysis.runs.cell_table.cell_table`; one of a single run has no ends.
        shown: what the ends are drawn as.
        thin: whether ranges are told from intervals by their look.
    """
    known = cells.loc[cells["runs"] > 1, "pause_low"].notna()
    if known.empty:
        return NO_INTERVAL
    exact = f"the exact 95{SPACE}% order-statistic interval of the median run"
    ranges = f"the range of the runs, since no 95{SPACE}% interval exists below {FEWEST_FOR_INTERVAL} runs"
    if known.all():
        return f"{shown}: {exact}."
    if not known.any():
        return f"{shown}: {ranges}."
    return f"{shown}: {exact}, and {'thin without ends ' if thin else ''}{ranges}."


def duration(hours: float) -> str:
    """Return a duration in one piece, as :func:`analysis.text.duration_text` has it."""
    return duration_text(3600 * hours).replace(" ", SPACE)


def change_over_campaign(log_per_hour: tuple[float, float, float], hours: float) -> str:
    """Return by how much run medians changed from the first run to the last, from a slope of logs with its interval.

    As ``+3.9 % [-1.8, +15.2] over 23 min``, or ``cannot be told over 3 min`` where the ends of the interval are two
    times apart or more. Per hour, a short campaign would say what it never saw.
    """
    middle, low, high = (hours * end for end in log_per_hour)
    if not high - low < math.log(2):
        return f"{CANNOT} over {duration(hours)}"
    return f"{percent_interval(*(math.expm1(end) for end in (middle, low, high)))} over {duration(hours)}"


def signed(number: float, digits: int = 1) -> str:
    """Return a number with its sign: ``+1.2``; infinity where there is no end, a dash where there is no number."""
    if math.isnan(number):
        return DASH
    if math.isinf(number):
        return ("+" if number > 0 else MINUS) + "\N{INFINITY}"
    text = f"{number:+,.{digits}f}"
    # What rounds to nothing has no sign.
    return text.replace("-", MINUS) if float(text.replace(",", "")) else text[1:]


def signed_percent(share: float, bound: float = 0.0) -> str:
    """Return a relative change as ``+1.2 %``, and not as a bound that it does not lie on."""
    return f"{DASH if math.isnan(share) else change_text(100 * share, 100 * bound)}{SPACE}%"


def percent_interval(estimate: float, low: float, high: float, bound: float = 0.0) -> str:
    """Return a relative change with its interval: ``+1.2 % [-0.3, +2.7]``."""
    middle, *ends = (signed_percent(end, bound) for end in (estimate, low, high))
    if math.isnan(low) or math.isnan(high):
        return f"{middle} (no interval)"
    return f"{middle} [{', '.join(end.removesuffix(f'{SPACE}%') for end in ends)}]"


def between(low: float, high: float) -> str:
    """Return two milliseconds as a range."""
    return f"{ms_text(low)}{DASH}{ms_text(high)}"


def full_name(size: str, panel: str) -> str:
    """Return a size with its panel, where there are panels: ``4 GiB, dirty · tcp``."""
    return f"{size}, {panel}" if panel else size
