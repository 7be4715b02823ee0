"""Where the time goes: the mean phases of every cell, stacked along time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from analysis.plots import axes
from analysis.plots.data import cell_columns, places
from analysis.plots.drawing import Sketch, Words
from analysis.plots.style import INK, LINE_PT, SMALL_PT, Look, is_wide, ordered_colours
from analysis.plots.words import MS, design_text, where_text
from analysis.stored.load import PAUSE_PHASES, PHASES
from analysis.text import ms_text, percent_text, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.derived.results import Results

NAME = "phase_means"
PAUSE = "pause"
NAMES = tuple(phase.removesuffix("_s") for phase in PHASES)
INSIDE = tuple(phase.removesuffix("_s") for phase in PAUSE_PHASES)
OUTSIDE = {"request": ("#ededed", "////"), "stop": ("#c9c9c9", "\\\\\\\\")}
"""Fill and hatch of the phases before the VM stops."""

_ROW_IN = 0.25
_LABELS_IN = 1.15
_LEAST_SHARE = 0.05
"""Phases shorter than this share of the longest bar have no whisker of their own: it would cover them."""


def colours() -> dict[str, tuple[str, str]]:
    """Return the fill and hatch of each phase; inside the pause, time goes from dark to light."""
    return OUTSIDE | dict(zip(INSIDE, ((colour, "") for colour in ordered_colours(len(INSIDE))), strict=True))


def entries() -> list[Patch]:
    """Return the legend of the phases in the order of time."""
    return [Patch(label=name, **fill(name, *look)) for name, look in colours().items()]


def fill(name: str, colour: str, hatch: str) -> dict[str, Any]:
    """Return how a bar of a phase is filled; what lies before the pause is grey with grey hatches."""
    return {
        "facecolor": colour,
        "hatch": hatch,
        "edgecolor": "#8a8a8a" if name in OUTSIDE else "white",
        "linewidth": LINE_PT,
    }


def sketch(results: Results) -> Sketch:
    """Return the figure before it is drawn."""
    data = frame(results)
    return Sketch(NAME, data, _words(results, data), partial(plot, where=where_text(results.cells)))


def frame(results: Results) -> pd.DataFrame:
    """Return the mean of every phase and of the pause per cell, in ms, with its t interval over runs."""
    where, rows = places(results.cells), []
    for _, row in results.per_cell.iterrows():
        said = {**cell_columns(results.cells, where[row["cell_id"]]), "runs": row["runs"]}
        for phase in (*NAMES, PAUSE):
            name = "pause_mean" if phase == PAUSE else phase
            ends = {"low_ms": row[f"{name}_low"] * MS, "high_ms": row[f"{name}_high"] * MS}
            rows.append({**said, "phase": phase, "mean_ms": row[name] * MS, **ends})
    return pd.DataFrame(rows)


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw one bar per cell along time: the VM stops at 0; request and stop lie before, the pause's phases after it."""
    names = axes.panel_names(data)
    counts = [data.loc[data["panel"] == name, "cell"].nunique() for name in names]
    columns = axes.columns_of_rows(width_in, counts)
    panels = axes.Panels(
        names,
        width_in,
        [_ROW_IN * count + 0.1 for count in counts],
        where=where,
        entries=entries(),
        columns=columns,
        labels_in=_LABELS_IN,
        share="x",
    )
    pause = data[data["phase"] == PAUSE]
    right = float(np.nanmax(pause[["mean_ms", "high_ms"]].to_numpy()))
    left = float(data[data["phase"].isin(list(OUTSIDE))].groupby("cell")["mean_ms"].sum().max())
    # Room for the number after the longest bar.
    room = 1.04 + 0.34 / panels.room_in
    panels.axes[0].set_xlim(-left - 0.03 * right, right * room)
    for (name, ax), slots in zip(panels.by_name.items(), panels.slots(counts), strict=True):
        _bars(ax, data[data["panel"] == name], right)
        ax.set_ylim(slots - 0.45, -0.55)
    roomy = is_wide(width_in) and columns == 1
    panels.label("mean time from the moment the VM stopped [ms]" if roomy else "mean time since the VM stopped [ms]")
    return panels.figure


def _by_phase(data: pd.DataFrame, values: str) -> pd.DataFrame:
    """Return a column per phase and a row per cell, in the order of the data."""
    table = data.pivot_table(index="cell", columns="phase", values=values, sort=False, dropna=False)
    return table.reindex(columns=[*NAMES, PAUSE])


def _bars(ax: Axes, data: pd.DataFrame, longest: float) -> None:
    table = _by_phase(data, "mean_ms")
    lows, highs = (_by_phase(data, end) for end in ("low_ms", "high_ms"))
    rows = np.arange(len(table))
    starts = -table[list(OUTSIDE)].sum(axis=1).to_numpy()
    for phase, look in colours().items():
        means = table[phase].to_numpy()
        ax.barh(rows, means, left=starts, height=0.72, **fill(phase, *look))
        starts = starts + means
        halves = np.array([means - lows[phase], highs[phase] - means])
        own = (means > _LEAST_SHARE * longest) & (halves[0] > 0)
        if phase in INSIDE and own.any():
            halo = [withStroke(linewidth=1.6, foreground="white")]
            thin: Look = {"fmt": "none", "ecolor": INK, "elinewidth": 0.6, "capsize": 1.2, "path_effects": halo}
            ax.errorbar(starts[own], rows[own] + 0.22, xerr=halves[:, own], **thin)
    total = table[PAUSE].to_numpy()
    halves = np.nan_to_num(np.array([total - lows[PAUSE], highs[PAUSE] - total]))
    ax.errorbar(total, rows, xerr=halves, fmt="none", ecolor=INK, elinewidth=0.9, capsize=2.5)
    for row, (mean, half) in enumerate(zip(total, halves[1], strict=True)):
        near: Look = {"textcoords": "offset points", "va": "center", "fontsize": SMALL_PT}
        ax.annotate(ms_text(mean), (mean + half, row), (4, 0), **near)
    first = data.drop_duplicates("cell")
    ax.set_yticks(rows, list(first["memory"] + " · " + first["vcpus"]))
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.grid(visible=False, axis="y")


def _words(results: Results, data: pd.DataFrame) -> Words:
    inside = data[data["phase"].isin(INSIDE)].reset_index(drop=True)
    inside = inside.assign(share=inside["mean_ms"] / inside.groupby("cell")["mean_ms"].transform("sum"))
    longest = inside.loc[inside.groupby("cell", sort=False)["share"].idxmax()]
    counts = longest["phase"].value_counts()
    phase, count, cells = str(counts.index[0]), int(counts.iloc[0]), len(longest)
    shares = longest.loc[longest["phase"] == phase, "share"]
    low, high = percent_text(shares.min()), percent_text(shares.max())
    share = low if low == high else f"{low} to {high}"
    where = "" if cells == 1 else f" in all {cells} cells" if count == cells else f" in {count} of {cells} cells"
    heading = f"The {phase} phase is the longest part of the pause{where}: {share} of it"
    single = bool((results.runs.groupby("cell").size() == 1).any())
    interval = (
        "Whiskers: 95 % t interval over runs, of the mean pause at the end of a bar and, thin, of each longer phase"
        f"{'; a cell of one run has none' if single else ''}."
    )
    caption = (
        "Mean duration of each phase over the runs of a cell; means, because they add up. The VM stops at 0; request "
        f"and stop lie before it. The number is the mean pause in ms. {design_text(results, interval)}"
    )
    return Words(heading, caption, f"Stacked bars of the mean phases of {plural(cells, 'cell')}. {heading}.")
