"""The shape of the pause in every cell, with its runs: a second mode shows, and so does a run unlike the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.cbook import violin_stats
from matplotlib.lines import Line2D
from scipy.stats import gaussian_kde

from analysis.plots import axes
from analysis.plots.data import cell_columns, evenly, runs_by_cell, sampled, stacked
from analysis.plots.drawing import Sketch, Words
from analysis.plots.style import CATEGORIES, INK, Look
from analysis.plots.words import (
    MS,
    WHISKERS,
    design_text,
    sketch_of,
    spread,
    whiskers_text,
)
from analysis.runs.outcomes import used_pauses
from analysis.runs.stalls import TCP
from analysis.text import percent_text, plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.collections import FillBetweenPolyCollection
    from matplotlib.figure import Figure

    from analysis.stats.checks import FloatArray
    from analysis.stored.campaign import Run
    from analysis.verdicts.results import Results

NAME = "pause_violin"
MOST_RANKS = 500
"""Checkpoints that stand for a cell's distribution: evenly spaced ranks of all of them."""

MOST_POOLED = 100_000
"""Checkpoints of a cell that are looked at for its shape; of more, a sample of each run's."""

_ROW_IN = 0.29
_LABELS_IN = 1.15
_LANES, _LANE = 3, 0.13
_NARROWER = 0.5
"""Of the usual bandwidth, which is made for one mode and hides a second."""

_POINTS, _WIDTH = 100, 0.86
"""Of the shape of a cell: where its density is told, and how wide it is there where that is largest, in rows."""

_FEWEST_VALUES = 3
_ONE: Look = {"facecolor": CATEGORIES[0], "edgecolor": "white"}
_SEVERAL: Look = {"facecolor": "white", "edgecolor": CATEGORIES[0]}


def sketch(results: Results) -> Sketch:
    """Return the figure before it is drawn."""
    data = frame(results)
    return sketch_of(NAME, results, data, _words(results), plot)


def frame(results: Results) -> pd.DataFrame:
    """Return what is drawn, in ms: ``of`` a checkpoint (evenly spaced ranks), a run (its median), or the cell.

    ``modes`` is how many modes the pauses of a run show.
    """
    runs = runs_by_cell(results)
    parts: list[dict[str, Any]] = []
    pooled = _pooled(results)
    medians = results.runs[["cell", "run_id", "pause"]].assign(modes=results.behaviours["modes"])
    of_cell = dict(iter(medians.groupby("cell")))
    for _, row in results.per_cell.iterrows():
        place = results.cells.places[row["cell_id"]]
        said, own = cell_columns(results.cells, place), of_cell[place]
        share = min(1.0, MOST_POOLED / max(pooled[place], 1))
        every = np.sort(np.concatenate([_some(run, share) for run in runs[place]])) * MS
        low, high, kind = spread(row)
        medians_ms = {"pause_ms": own["pause"].to_numpy() * MS, "modes": own["modes"].to_numpy()}
        whisker = {"low_ms": low, "high_ms": high, "whisker": kind}
        parts += [
            {**said, "of": "checkpoint", "pause_ms": every[evenly(len(every), MOST_RANKS)]},
            {**said, "of": "run", "run_id": own["run_id"].to_numpy(dtype=object), **medians_ms},
            {**said, "of": "cell", "pause_ms": row["pause"] * MS, **whisker},
        ]
    return stacked(parts)


def _pooled(results: Results) -> dict[int, int]:
    """Return how many checkpoints each cell has, by its place."""
    return {int(place): int(count) for place, count in results.runs.groupby("cell")["checkpoints"].sum().items()}


def _some(run: Run, share: float) -> FloatArray:
    pauses = used_pauses(run)
    return sampled(pauses, round(share * len(pauses)), run)


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw a grey violin of checkpoints per cell, its runs as points, and their median with its whisker."""
    names = axes.panel_names(data)
    counts = [data.loc[data["panel"] == name, "cell"].nunique() for name in names]
    panels = axes.Panels.of_rows(
        names, width_in, counts, _ROW_IN, where=where, entries=_entries(data), labels_in=_LABELS_IN
    )
    pauses = data["pause_ms"].to_numpy()
    log = axes.ms_axis(panels.axes[0], "x", pauses, room=panels.room_in)
    for (name, ax), slots in zip(panels.by_name.items(), panels.slots(counts), strict=True):
        mine = data[data["panel"] == name]
        rows = {cell: float(row) for row, cell in enumerate(dict.fromkeys(mine["cell"]))}
        mine = mine.assign(row=mine["cell"].map(rows))
        _violins(ax, mine, log=log)
        _runs(ax, mine[mine["of"] == "run"])
        _medians(ax, mine[mine["of"] == "cell"])
        first = mine.drop_duplicates("cell")
        ax.set_yticks(first["row"], list(first["memory"] + " · " + first["vcpus"]))
        ax.set(xlabel="", ylabel="", ylim=(slots - 0.4, -0.6))
        ax.grid(visible=False, axis="y")
    # Violins bring their own limits and marks.
    axes.ms_axis(panels.axes[0], "x", pauses, room=panels.room_in, log=log)
    panels.label(f"VM pause [ms]{', log scale' if log else ''}")
    return panels.figure


def _violins(ax: Axes, data: pd.DataFrame, *, log: bool) -> None:
    checkpoints = data[data["of"] == "checkpoint"]
    # A density needs a few different values; a cell without them shows as its runs alone.
    varied = checkpoints[checkpoints.groupby("cell")["pause_ms"].transform("nunique") >= _FEWEST_VALUES]
    shapes, rows = [], []
    for row, pauses in varied.groupby("row")["pause_ms"]:
        (shape,) = violin_stats(np.log(pauses) if log else pauses, _density, _POINTS)
        shapes.append({**shape, "coords": np.exp(shape["coords"]) if log else shape["coords"]})
        rows.append(row)
    if shapes:
        drawn = ax.violin(shapes, rows, orientation="horizontal", widths=_WIDTH, showextrema=False)
        for body in cast("list[FillBetweenPolyCollection]", drawn["bodies"]):
            body.set(facecolor=".88", edgecolor=".45", linewidth=0.6, alpha=1)


def _density(values: FloatArray, at: FloatArray) -> FloatArray:
    kernel = gaussian_kde(values)
    kernel.set_bandwidth(kernel.factor * _NARROWER)
    density: FloatArray = kernel(at)
    return density


def _runs(ax: Axes, data: pd.DataFrame) -> None:
    """Draw runs in lanes, in the order measured, so that equal ones are seen; of more than one mode open."""
    lanes = data["row"] + (data.groupby("cell").cumcount() % _LANES - 1) * _LANE
    for several, look in ((False, _ONE), (True, _SEVERAL)):
        mine = (data["modes"] > 1) == several
        edge: Look = {"s": 9, "linewidth": 0.8 if several else 0.5, "zorder": 3}
        ax.scatter(data.loc[mine, "pause_ms"], lanes[mine], marker="o", **look, **edge)


def _entries(data: pd.DataFrame) -> list[Line2D]:
    dot: Look = {"linestyle": "none", "marker": "o", "markersize": 4}
    one = Line2D([], [], mfc=CATEGORIES[0], mec="white", label="median of a run", **dot)
    several = Line2D([], [], mfc="white", mec=CATEGORIES[0], label="of a run with more than one mode", **dot)
    cell: Look = {"linestyle": "none", "marker": "D", "markersize": 4, "mfc": CATEGORIES[3], "mec": INK, "mew": 0.5}
    return [one, *([several] if (data["modes"] > 1).any() else []), Line2D([], [], label="median of the runs", **cell)]


def _medians(ax: Axes, data: pd.DataFrame) -> None:
    for kind, cap, width in WHISKERS:
        some = data[data["whisker"] == kind]
        ends = axes.halves(some["pause_ms"], some["low_ms"], some["high_ms"])
        look: Look = {"fmt": "D", "color": CATEGORIES[3], "markersize": 3.2, "mec": INK, "mew": 0.5, "ecolor": INK}
        ax.errorbar(some["pause_ms"], some["row"] + 0.34, xerr=ends, elinewidth=width, capsize=cap, zorder=4, **look)


def _words(results: Results) -> Words:
    runs, several = len(results.runs), int((results.behaviours["modes"] > 1).sum())
    if several:
        heading = f"In {several:,} of {plural(runs, 'run')} the pause shows more than one mode"
    else:
        where = "the only run" if runs == 1 else f"any of {runs:,} runs"
        heading = f"No second mode of the pause is told apart within {where}, which does not rule one out"
    heading = "; ".join([heading, *_stalled(results.runs)])
    sample = (
        f" Cells with more than {MOST_POOLED:,} checkpoints: a sample of so many, of each run its share, drawn with "
        "the run's id as seed; runs and cells themselves are of all checkpoints."
        if max(_pooled(results).values()) > MOST_POOLED
        else ""
    )
    caption = (
        "Grey: shape of the distribution of all checkpoints of a cell (kernel density cut at the extremes, half the "
        f"usual bandwidth, equal widths, from at most {MOST_RANKS} evenly spaced ranks); nothing is inferred from "
        f"it.{sample} Dots: run medians, open where a run shows more than one mode; diamond: their median. "
        f"{design_text(results, whiskers_text(results.per_cell))}"
    )
    alt = f"Violins of the pause of {plural(len(results.per_cell), 'cell')} with run medians as points. {heading}."
    return Words(heading, caption, alt)


def _stalled(runs: pd.DataFrame) -> list[str]:
    """Return what a heading adds on stalls over TCP: runs that always stall have no band of their own to be seen in."""
    over_tcp = runs[runs["link.transport"].isin(TCP)]
    always = over_tcp["always_stalled"].astype(bool)
    said = []
    if always.any():
        count = "all" if always.all() and len(over_tcp) > 1 else f"{int(always.sum()):,} of"
        stall = "stalls" if always.sum() == 1 else "stall"
        said.append(f"{count} {plural(len(over_tcp), 'run')} over TCP {stall} in every checkpoint")
    rest = over_tcp.loc[~always].sort_values("slow_share", kind="stable", na_position="first")
    most, base_s = rest[["slow_share", "slow_base_s"]].iloc[-1] if len(rest) else (0.0, 0.0)
    if most > 0:
        base = "its own usual pause" if np.isnan(base_s) else "the same cell without TCP's delays"
        others = "of the others" if always.any() else "over TCP"
        said.append(f"{others} up to {percent_text(most)} of a run's checkpoints are stalled relative to {base}")
    return said
