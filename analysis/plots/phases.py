"""Where the time goes: the mean phases of every cell, stacked along time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from analysis.format.table import PAUSE_PHASES, PHASES
from analysis.plots import axes
from analysis.plots.data import cell_columns
from analysis.plots.drawing import Words
from analysis.plots.style import INK, LINE_PT, Look, is_wide, ordered_colours
from analysis.plots.words import (
    FEWEST_FOR_INTERVAL,
    INTERVAL,
    MS,
    NO_INTERVAL,
    RANGE,
    SPACE,
    design_text,
    sketched,
)
from analysis.text import ms_text, percent_text, plural

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.stats.checks import FloatArray
    from analysis.verdicts.results import Results

NAME = "phase_means"
PAUSE = "pause"
NAMES = tuple(phase.removesuffix("_s") for phase in PHASES)
INSIDE = tuple(phase.removesuffix("_s") for phase in PAUSE_PHASES)
OUTSIDE = {"request": ("#ededed", "////"), "stop": ("#c9c9c9", "\\\\\\\\")}
"""Fill and hatch of the phases before the VM stops."""

_ROW_IN = 0.25
_LABELS_IN = 1.45
_BAR = 0.76
_PAUSE_LANE, _LANES = -0.22, (0.0, 0.14, 0.28)
"""Where whiskers lie about the middle of a bar: the pause's, and those of phases that follow each other."""

_LEAST_SHARE = 0.05
"""Phases shorter than this share of the longest bar have no whisker of their own: it would cover them."""


def colours() -> dict[str, tuple[str, str]]:
    """Return the fill and hatch of each phase; inside the pause, time goes from dark to light."""
    return OUTSIDE | dict(zip(INSIDE, ((colour, "") for colour in ordered_colours(len(INSIDE))), strict=True))


def entries(shown: Container[str] = NAMES) -> list[Patch]:
    """Return the legend of the phases that are shown, in the order of time."""
    return [Patch(label=name, **fill(name, *look)) for name, look in colours().items() if name in shown]


def fill(name: str, colour: str, hatch: str) -> dict[str, Any]:
    """Return how a bar of a phase is filled; what lies before the pause is grey with grey hatches."""
    return {
        "facecolor": colour,
        "hatch": hatch,
        "edgecolor": "#8a8a8a" if name in OUTSIDE else "white",
        "linewidth": LINE_PT,
    }


def frame(results: Results) -> pd.DataFrame:
    """Return the mean of every phase and of the pause per cell, in ms, with the ends of its whisker.

    These are the t interval over runs, or their range below :data:`FEWEST_FOR_INTERVAL` runs; ``whisker`` says which.
    """
    where, rows = results.cells.places, []
    for _, row in results.per_cell.iterrows():
        place = where[row["cell_id"]]
        runs = results.runs[results.runs["cell"] == place]
        kind = INTERVAL if len(runs) >= FEWEST_FOR_INTERVAL else RANGE
        said = {**cell_columns(results.cells, place), "runs": len(runs), "whisker": kind}
        for phase in (*NAMES, PAUSE):
            name = "pause_mean" if phase == PAUSE else phase
            low, high = (
                (row[f"{name}_low"], row[f"{name}_high"]) if kind == INTERVAL else (runs[name].min(), runs[name].max())
            )
            rows.append({**said, "phase": phase, "mean_ms": row[name] * MS, "low_ms": low * MS, "high_ms": high * MS})
    return pd.DataFrame(rows)


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw one bar per cell along time: the VM stops at 0; request and stop lie before, the pause's phases after it."""
    names = axes.panel_names(data)
    counts = [data.loc[data["panel"] == name, "cell"].nunique() for name in names]
    panels = axes.Panels.of_rows(names, width_in, counts, _ROW_IN, where=where, entries=entries(), labels_in=_LABELS_IN)
    longest = float(data.loc[data["phase"] == PAUSE, "mean_ms"].max())
    whole = data.loc[data["phase"] == PAUSE, ["mean_ms", "high_ms"]].max(axis=None)
    left, right = _reach(data, [*OUTSIDE][::-1], longest), max(_reach(data, [*INSIDE], longest), float(whole))
    panels.axes[0].set_xlim(-left - 0.03 * right, 1.03 * right)
    for (name, ax), slots in zip(panels.by_name.items(), panels.slots(counts), strict=True):
        _bars(ax, data[data["panel"] == name], longest)
        ax.set_ylim(slots - 0.45, -0.55)
    roomy = is_wide(width_in) and panels.columns == 1
    panels.label("mean time from the moment the VM stopped [ms]" if roomy else "mean time since the VM stopped [ms]")
    return panels.figure


def _reach(data: pd.DataFrame, names: Sequence[str], longest: float) -> float:
    """Return how far from 0 these phases, the nearest one first, and their whiskers go in any cell."""
    mean, high = (data.pivot_table(of, "cell", "phase")[list(names)] for of in ("mean_ms", "high_ms"))
    more = (high - mean).where((mean > _LEAST_SHARE * longest) & (high > mean), 0.0)
    return float((mean.cumsum(axis=1) + more).max(axis=None))


def _whiskered(phase: pd.DataFrame, longest: float) -> pd.Series:
    return (phase["mean_ms"] > _LEAST_SHARE * longest) & (phase["high_ms"] > phase["low_ms"])


def _shown(data: pd.DataFrame) -> pd.Series:
    """Tell of which rows of :func:`frame` a whisker is drawn."""
    pause = data["phase"] == PAUSE
    return pause | _whiskered(data, float(data.loc[pause, "mean_ms"].max()))


def _bars(ax: Axes, data: pd.DataFrame, longest: float) -> None:
    cells = data.drop_duplicates("cell")
    rows = np.arange(len(cells))
    by_phase = {name: own.set_index("cell").loc[cells["cell"]] for name, own in data.groupby("phase")}
    starts = -np.sum([by_phase[phase]["mean_ms"].to_numpy() for phase in OUTSIDE], axis=0)
    for phase, look in colours().items():
        means = by_phase[phase]["mean_ms"].to_numpy()
        ax.add_collection(
            axes.boxes(starts, starts + means, rows - _BAR / 2, rows + _BAR / 2, **fill(phase, *look)), autolim=False
        )
        own = _whiskered(by_phase[phase], longest).to_numpy()
        if own.any():
            # At the end of a bar; before the pause at its beginning, where it grows.
            at, step = (starts, -1) if phase in OUTSIDE else (starts + means, 1)
            lane = _LANES[NAMES.index(phase) % len(_LANES)]
            halo = [withStroke(linewidth=1.6, foreground="white")]
            thin: Look = {"ecolor": INK, "elinewidth": 0.6, "capsize": 1.2, "path_effects": halo}
            ends = _halves(by_phase[phase])[::step, own]
            ax.errorbar(at[own], rows[own] + lane, xerr=ends, fmt="none", **thin)
        starts = starts + means
    total = by_phase[PAUSE]
    look_of_pause: Look = {"ecolor": INK, "elinewidth": 0.9, "capsize": 2.0}
    ax.errorbar(total["mean_ms"], rows + _PAUSE_LANE, xerr=_halves(total), fmt="none", **look_of_pause)
    for row, mean in enumerate(total["mean_ms"]):
        axes.say_beside(ax, row, ms_text(mean))
    ax.set_yticks(rows, list(cells["memory"] + " · " + cells["vcpus"]))
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.grid(visible=False, axis="y")


def _halves(phase: pd.DataFrame) -> FloatArray:
    mean, low, high = (phase[name].to_numpy(dtype=np.float64) for name in ("mean_ms", "low_ms", "high_ms"))
    return np.nan_to_num(axes.halves(mean, np.maximum(low, 0.0), high))


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
    exact = f"the 95{SPACE}% t interval over runs"
    few = f"the range of the runs, since an interval from fewer than {FEWEST_FOR_INTERVAL} runs says little"
    kinds = set(data.loc[data["runs"] > 1, "whisker"])
    ends = exact if kinds == {INTERVAL} else few if kinds == {RANGE} else f"{exact}; in cells of few runs {few}"
    interval = f"Whiskers: {ends}; thick, of the mean pause, thin, of each longer phase at its end away from 0."
    if not kinds:
        interval = NO_INTERVAL
    elif ((data["low_ms"] < 0) & _shown(data)).any():
        interval += " One cut off at 0 is of a mean that a few long ones make up."
    caption = (
        "Mean duration of each phase over the runs of a cell; means, because they add up. The VM stops at 0; request "
        f"and stop lie before it. At the right the mean pause in ms. {design_text(results, interval)}"
    )
    return Words(heading, caption, f"Stacked bars of the mean phases of {plural(cells, 'cell')}. {heading}.")


sketch = sketched(NAME, frame, plot, _words)
