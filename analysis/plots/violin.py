"""The shape of the pause in every cell, with its runs: a second mode shows, and so does a run unlike the others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import seaborn as sns

from analysis.plots import axes
from analysis.plots.data import cell_columns, column, evenly, places, runs_by_cell
from analysis.plots.drawing import Sketch, Words
from analysis.plots.style import CATEGORIES, INK, Look
from analysis.plots.words import (
    INTERVAL,
    MS,
    RANGE,
    design_text,
    spread,
    where_text,
    whiskers_text,
)
from analysis.text import percent_text, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.derived.results import Results

NAME = "pause_violin"
MOST_RANKS = 500
"""Checkpoints that stand for a cell's distribution: evenly spaced ranks of all of them."""

_ROW_IN = 0.29
_LABELS_IN = 1.15
_LANES, _LANE = 3, 0.13
_NARROWER = 0.5
"""Of the usual bandwidth, which is made for one mode and hides a second."""

_FEWEST_VALUES = 3


def sketch(results: Results) -> Sketch:
    """Return the figure before it is drawn."""
    data = frame(results)
    return Sketch(NAME, data, _words(results, data), partial(plot, where=where_text(results.cells)))


def frame(results: Results) -> pd.DataFrame:
    """Return what is drawn, in ms: ``of`` a checkpoint (evenly spaced ranks), a run (its median), or the cell."""
    where = places(results.cells)
    runs, parts = runs_by_cell(results), []
    for _, row in results.per_cell.iterrows():
        place = where[row["cell_id"]]
        said = cell_columns(results.cells, place)
        every = np.sort(np.concatenate([column(run, "pause_s") for run in runs[place]])) * MS
        own = results.runs.loc[results.runs["cell"] == place, ["run_id", "pause"]]
        low, high, kind = spread(row)
        cell = {"pause_ms": [row["pause"] * MS], "low_ms": low, "high_ms": high, "whisker": kind}
        parts += [
            pd.DataFrame({**said, "of": "checkpoint", "pause_ms": every[evenly(len(every), MOST_RANKS)]}),
            pd.DataFrame({**said, "of": "run", "run_id": own["run_id"], "pause_ms": own["pause"] * MS}),
            pd.DataFrame({**said, "of": "cell", **cell}),
        ]
    return pd.concat(parts, ignore_index=True)


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw a grey violin of checkpoints per cell, its runs as points, and their median with its whisker."""
    names = axes.panel_names(data)
    counts = [data.loc[data["panel"] == name, "cell"].nunique() for name in names]
    panels = axes.Panels(
        names,
        width_in,
        [_ROW_IN * count + 0.1 for count in counts],
        where=where,
        columns=axes.columns_of_rows(width_in, counts),
        labels_in=_LABELS_IN,
        share="x",
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
    if len(varied):
        sns.violinplot(
            data=varied,
            x="pause_ms",
            y="row",
            orient="h",
            native_scale=True,
            bw_adjust=_NARROWER,
            cut=0,
            density_norm="width",
            inner=None,
            color=".88",
            linecolor=".45",
            linewidth=0.6,
            width=0.86,
            log_scale=(True, False) if log else None,
            ax=ax,
        )


def _runs(ax: Axes, data: pd.DataFrame) -> None:
    """Draw runs in lanes, in the order measured, so that equal ones are seen."""
    lanes = data["row"] + (data.groupby("cell").cumcount() % _LANES - 1) * _LANE
    ax.scatter(
        data["pause_ms"], lanes, s=9, color=CATEGORIES[0], marker="o", linewidth=0.5, edgecolor="white", zorder=3
    )


def _medians(ax: Axes, data: pd.DataFrame) -> None:
    for kind, cap, width in ((INTERVAL, 2.5, 0.9), (RANGE, 0.0, 0.6)):
        some = data[data["whisker"] == kind]
        ends = np.maximum([some["pause_ms"] - some["low_ms"], some["high_ms"] - some["pause_ms"]], 0.0)
        look: Look = {"fmt": "D", "color": CATEGORIES[3], "markersize": 3.2, "mec": INK, "mew": 0.5, "ecolor": INK}
        ax.errorbar(some["pause_ms"], some["row"] + 0.34, xerr=ends, elinewidth=width, capsize=cap, zorder=4, **look)


def _words(results: Results, data: pd.DataFrame) -> Words:
    runs, several = len(results.runs), int((results.runs["modes"] > 1).sum())
    if several:
        heading = f"In {several:,} of {plural(runs, 'run')} the pause has more than one mode"
    else:
        where = "the only run" if runs == 1 else f"any of {runs:,} runs"
        heading = f"No second mode of the pause can be shown in {where}"
    stalled = results.runs["slow_share"].dropna()
    if len(stalled) and stalled.max() > 0:
        heading += f"; over TCP up to {percent_text(stalled.max())} of a run's checkpoints are stalled"
    whiskers = whiskers_text(data.loc[data["of"] == "cell", "whisker"])
    caption = (
        "Grey: shape of the distribution of all checkpoints of a cell (kernel density cut at the extremes, half the "
        f"usual bandwidth, equal widths, from at most {MOST_RANKS} evenly spaced ranks); nothing is inferred from "
        f"it. Dots: run medians; diamond: their median. {design_text(results, whiskers)}"
    )
    alt = f"Violins of the pause of {plural(len(results.per_cell), 'cell')} with run medians as points. {heading}."
    return Words(heading, caption, alt)
