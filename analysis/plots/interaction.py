"""Run medians against size, one line per level of the other size: whether growth depends on something else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.lines import Line2D

from analysis.plots import axes
from analysis.plots.data import cell_columns
from analysis.plots.drawing import NoFigureError, Sketch, Words
from analysis.plots.sizes import SizeKey
from analysis.plots.style import Look, category, line_style
from analysis.plots.words import (
    MS,
    WHISKERS,
    design_text,
    few_runs,
    full_name,
    signed_percent,
    sketch_of,
    spread,
    whiskers_text,
)
from analysis.text import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.verdicts.results import Results


@dataclass(frozen=True)
class Axis:
    """Which size runs along the axis.

    Attributes:
        name: of the figure.
        size: the column along the axis; ``text``: its levels in words.
        line: the other size in words, one line per level.
        label: of the axis; ``noun``: what grows.
    """

    name: str
    size: str
    text: str
    line: str
    label: str
    noun: str


MEMORY = Axis("pause_by_memory", "mem_bytes", "memory", "vcpus", "memory of the VM", "memory")
VCPUS = Axis("pause_by_vcpus", "smp", "vcpus", "memory", "number of vCPUs", "the number of vCPUs")
_DODGE_IN, _ASIDE_IN, _MARK_IN = 0.09, 0.05, 0.05
"""Between lines at the same size, between a cell and its runs, and half of what a mark covers, in inches."""

_ALONE = "while everything else stays the same"


def sketch(results: Results, axis: Axis) -> Sketch:
    """Return the figure before it is drawn.

    Raises:
        NoFigureError: that size does not vary among the cells that were measured.
    """
    data = frame(results)
    varies = data.groupby(["panel", axis.line])[axis.size].nunique().groupby("panel").max() > 1
    if not varies.any():
        raise NoFigureError(f"{axis.noun} never varies among measured cells {_ALONE}")
    data = data[data["panel"].map(varies)].reset_index(drop=True)
    cells = results.per_cell[results.per_cell["panel"].map(varies)]
    runs = results.runs[results.runs["cell_id"].isin(cells["cell_id"])]
    words = _words(replace(results, runs=runs), cells, data, axis)
    return sketch_of(axis.name, results, data, words, plot, axis=axis, key=SizeKey.of_all(results.cells))


def frame(results: Results) -> pd.DataFrame:
    """Return the run medians (``of`` is ``run``) and the cells' medians with the ends of their whiskers, in ms."""
    runs = [
        {**cell_columns(results.cells, int(place)), "of": "run", "run_id": run_id, "pause_ms": pause * MS}
        for place, run_id, pause in results.runs[["cell", "run_id", "pause"]].itertuples(index=False)
    ]
    where, cells = results.cells.places, []
    for _, row in results.per_cell.iterrows():
        low, high, kind = spread(row)
        numbers = {"pause_ms": row["pause"] * MS, "low_ms": low, "high_ms": high, "whisker": kind, "runs": row["runs"]}
        cells.append({**cell_columns(results.cells, where[row["cell_id"]]), "of": "cell", **numbers})
    return pd.DataFrame([*runs, *cells])


def plot(
    data: pd.DataFrame, width_in: float, *, axis: Axis = MEMORY, where: str = "", key: SizeKey | None = None
) -> Figure:
    """Draw runs as points, cells as medians with whiskers; lines run along the size axis only."""
    looks, names = _looks((key or SizeKey.of(data)).within(data), axis), axes.panel_names(data)
    entries = [
        Line2D([], [], color=colour, linestyle=line_style(dashes), marker=marker, markersize=4.5, label=text)
        for text, (colour, dashes, marker) in looks.items()
    ]
    panels = axes.Panels.of_curves(names, width_in, 1.45 if len(names) > 1 else 2.0, where=where, entries=entries)
    seen = data[["pause_ms", "low_ms", "high_ms"]].to_numpy(dtype=np.float64).ravel()
    log = axes.ms_axis(panels.axes[0], "y", seen, room=panels.heights_in[0])
    marks = data[[axis.size, axis.text]].drop_duplicates().sort_values(axis.size)
    texts = [text.partition(" vCPU")[0] for text in marks[axis.text]]
    dodge_in = min(_DODGE_IN, panels.room_in / 3 / len(looks))
    beside_in = dodge_in * (len(looks) - 1) / 2 + _ASIDE_IN + _MARK_IN
    sizes = list(marks[axis.size])
    per_doubling_in = axes.size_axis(panels.axes[0], sizes, texts, panels.room_in, beside=beside_in)
    dodge, aside = dodge_in / per_doubling_in, _ASIDE_IN / per_doubling_in
    shifts = {text: dodge * (place - (len(looks) - 1) / 2) for place, text in enumerate(looks)}
    for panel, ax in panels.by_name.items():
        own = data[data["panel"] == panel]
        # Runs stand beside the whisker of their cell, which would hide them.
        shift = own[axis.line].map(shifts) - aside * (own["of"] == "run")
        _draw(ax, own.assign(x=own[axis.size] * 2**shift).sort_values(axis.size), looks, axis)
    panels.label(axis.label, f"VM pause [ms]{', log scale' if log else ''}")
    return panels.figure


def _looks(key: SizeKey, axis: Axis) -> dict[str, tuple[str, Any, str]]:
    """Return colour, dashes and marker of each line: lightness is an order only where memory is the line."""
    if axis.line == "memory":
        return {text: (key.colours[text], "", key.markers[text]) for text in key.memories}
    looks = ((text, category(place)) for place, text in enumerate(key.vcpus))
    return {text: (colour, key.dashes[text], marker) for text, (colour, marker) in looks}


def _draw(ax: Axes, data: pd.DataFrame, looks: dict[str, tuple[str, Any, str]], axis: Axis) -> None:
    sns.scatterplot(
        data=data[data["of"] == "run"],
        x="x",
        y="pause_ms",
        hue=axis.line,
        palette={text: colour for text, (colour, _, _) in looks.items()},
        style=axis.line,
        markers={text: marker for text, (_, _, marker) in looks.items()},
        s=9,
        alpha=0.6,
        linewidth=0,
        zorder=3,
        legend=False,
        ax=ax,
    )
    for text, (colour, dashes, marker) in looks.items():
        cells = data[(data["of"] == "cell") & (data[axis.line] == text)]
        # Through the sizes themselves: lines through points that stand aside would cross where the data do not.
        ax.plot(cells[axis.size], cells["pause_ms"], color=colour, linestyle=line_style(dashes), linewidth=1.1)
        for kind, cap, width in WHISKERS:
            some = cells[cells["whisker"] == kind]
            ends = axes.halves(some["pause_ms"], some["low_ms"], some["high_ms"])
            ax.errorbar(
                some["x"], some["pause_ms"], yerr=ends, fmt="none", ecolor=colour, elinewidth=width, capsize=cap
            )
        dots: Look = {"linestyle": "none", "marker": marker, "markersize": 4.5, "mec": "white", "mew": 0.5}
        ax.plot(cells["x"], cells["pause_ms"], color=colour, **dots)
    ax.set(xlabel="", ylabel="")


def growth(data: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """Return per line its ``change`` (a share) from its smallest to its largest size, least first, and these sizes."""
    found = []
    for (panel, level), line in data[data["of"] == "cell"].groupby(["panel", axis.line]):
        ends = line.sort_values(axis.size).iloc[[0, -1]]
        if len(set(ends[axis.size])) > 1:
            small, large = ends["pause_ms"]
            name, steps = full_name(str(level), str(panel)), " to ".join(ends[axis.text])
            found.append({"line": name, "change": large / small - 1, "steps": steps})
    return pd.DataFrame(found).sort_values("change", kind="stable", ignore_index=True)


def _words(results: Results, cells: pd.DataFrame, data: pd.DataFrame, axis: Axis) -> Words:
    """Return the words of a figure.

    Args:
        results: with those runs alone that are drawn.
        cells: that are drawn, of its own.
        data: of the figure.
        axis: along which they are drawn.
    """
    lines = growth(data, axis)
    least, most = lines.iloc[0], lines.iloc[-1]
    same = len(set(lines["steps"])) == 1
    start = (
        f"From {most['steps']} the median pause changes by" if same else f"With {axis.noun} the median pause changes by"
    )
    if len(lines) == 1:
        heading = f"{start} {signed_percent(most['change'])}"
    else:
        ends = (f"{signed_percent(line['change'])} ({line['line']})" for line in (least, most))
        heading = f"{start} {' to '.join(ends)}"
    heading += few_runs(results)
    left = len(results.cells.names) - len(cells)
    others = f" Not drawn: {plural(left, 'cell')} of panels in which {axis.noun} never varies {_ALONE}." if left else ""
    caption = (
        f"Median pause of each run (small points) and of each cell (large), against {axis.noun} on a scale of "
        "doublings; lines join cells that differ in nothing else and are no model. Points side by side have the "
        f"same size, runs stand at the left of their cell.{others} "
        f"{design_text(results, whiskers_text(cells))}"
    )
    alt = f"{plural(len(lines), 'line')} of the median pause against {axis.noun}. {heading}."
    return Words(heading, caption, alt)
