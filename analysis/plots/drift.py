"""Whether the host changed while the campaign ran: each run against its own cell, in the order measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.plots import axes
from analysis.plots.data import cell_columns
from analysis.plots.drawing import NoFigureError, Words
from analysis.plots.style import CATEGORIES, INK, LINE_PT, QUIET, Look, category, is_wide
from analysis.plots.words import CANNOT, SPACE, change_over_campaign, design_text, sketched
from analysis.text import percent_number, plural
from analysis.verdicts.drift import TOO_FEW, drift, outside_block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.verdicts.results import Results

NAME = "run_order"
_HOUR_S = 3600.0
_LEAST_WINDOW, _FEWEST = 9, 3
_WINDOWS = 20
"""Of the rolling median in a long campaign."""

_DASHES = (0, (5, 2))
_MOST_BLOCKS = 25
"""More dashed lines than this would be a grey area."""


def frame(results: Results) -> pd.DataFrame:
    """Return per run its ``place`` (1-based) in the order measured, ``hours`` since the first, and ``residual`` (log).

    The residual is the log of the run median less the median of these in its cell; ``rolling`` is the median residual
    of the runs around, see :func:`window`, and ``trend`` the line of :func:`analysis.verdicts.drift.drift`; NaN where
    there is none. ``late`` are those of :func:`analysis.verdicts.drift.outside_block`.

    Raises:
        NoFigureError: no cell was measured twice.
    """
    runs = results.runs.sort_values("started_at", kind="stable", ignore_index=True)
    again = runs.groupby("cell")["pause"].transform("size") > 1
    if not again.any():
        raise NoFigureError("every cell was measured once, so no run can be compared with its like")
    logs = np.log(runs["pause"])
    said = pd.DataFrame([cell_columns(results.cells, int(place)) for place in runs["cell"]])
    data = said.assign(
        run_id=runs["run_id"],
        campaign=runs["campaign"],
        block=runs["block"],
        late=outside_block(runs),
        place=np.arange(1, len(runs) + 1),
        hours=(runs["started_at"] - runs["started_at"].min()) / _HOUR_S,
        residual=logs - logs.groupby(runs["cell"]).transform("median"),
    )[again].reset_index(drop=True)
    rolling = data["residual"].rolling(window(len(data)), center=True, min_periods=_FEWEST).median()
    found = drift(results.runs)
    trend = np.nan if found is None else found.level + found.per_hour.estimate * data["hours"]
    return data.assign(rolling=rolling, trend=trend)


def window(runs: int) -> int:
    """Return over how many runs the rolling median goes: nine, or a twentieth of a long campaign, odd."""
    return max(_LEAST_WINDOW, runs // _WINDOWS // 2 * 2 + 1)


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw every run's residual in the order measured, their rolling median, and where blocks begin."""
    names, starts = axes.panel_names(data), block_starts(data)
    entries = [
        Line2D([], [], linestyle="none", marker=marker, markersize=4, color=colour, label=name or "run")
        for name, colour, marker in _looks(names)
    ]
    if data["rolling"].notna().any():
        entries.append(Line2D([], [], color=INK, linewidth=1.1, label=f"median of up to {window(len(data))} runs"))
    if data["late"].any():
        ring: Look = {"marker": "o", "markersize": 6, "markerfacecolor": "none", "color": INK, "markeredgewidth": 0.8}
        entries.append(Line2D([], [], linestyle="none", label="after a later block had begun", **ring))
    if data["trend"].notna().any():
        entries.append(Line2D([], [], color=CATEGORIES[3], linewidth=1.1, linestyle=_DASHES, label="trend"))
    if 0 < len(starts) <= _MOST_BLOCKS:
        entries.append(Line2D([], [], color=QUIET, linewidth=LINE_PT, linestyle=(0, (3, 2)), label="a new block"))
    panels = axes.Panels([""], width_in, [1.6], where=where, entries=entries)
    ax = panels.axes[0]
    _points(ax, data, names)
    for place in starts if len(starts) <= _MOST_BLOCKS else ():
        ax.axvline(place - 0.5, color=QUIET, linewidth=LINE_PT, linestyle=(0, (3, 2)))
    ax.xaxis.set_major_locator(MaxNLocator(10 if is_wide(width_in) else 5, integer=True))
    panels.label("run, in the order measured", "change from its cell [%]")
    return panels.figure


def block_starts(data: pd.DataFrame) -> list[int]:
    """Return the places of the first run of each block but the first; runs that are made up for come later."""
    return [int(place) for place in data.groupby(["campaign", "block"])["place"].min().sort_values()][1:]


def _looks(names: Sequence[str]) -> list[tuple[str, str, str]]:
    return [(name, *category(place)) for place, name in enumerate(names)]


def _points(ax: Axes, data: pd.DataFrame, names: Sequence[str]) -> None:
    percent = 100 * np.expm1(data[["residual", "rolling", "trend"]])
    for name, colour, marker in _looks(names):
        mine = data["panel"] == name
        look: Look = {"s": 11, "linewidth": 0, "alpha": 0.85}
        ax.scatter(data.loc[mine, "place"], percent.loc[mine, "residual"], color=colour, marker=marker, **look)
    late: Look = {"s": 34, "facecolor": "none", "edgecolor": INK, "linewidth": 0.8}
    ax.scatter(data.loc[data["late"], "place"], percent.loc[data["late"], "residual"], **late)
    ax.plot(data["place"], percent["rolling"], color=INK, linewidth=1.1)
    ax.plot(data["place"], percent["trend"], color=CATEGORIES[3], linewidth=1.1, linestyle=_DASHES)
    ax.axhline(0, color=QUIET, linewidth=0.6)
    ax.grid(visible=False, axis="x")
    ax.margins(x=0.02)


def _words(results: Results, data: pd.DataFrame) -> Words:
    found = drift(results.runs)
    if found is None:
        most = float(np.expm1(data["residual"]).abs().max())
        heading, said = (
            f"Runs differ from their cell's median by up to {percent_number(most, 1)}{SPACE}%",
            f"{TOO_FEW.capitalize()}: too few for a trend over time with its interval.",
        )
    else:
        slope = found.per_hour
        change = change_over_campaign((slope.estimate, slope.low, slope.high), found.hours)
        drifted = "No drift shows" if slope.low <= 0 <= slope.high else "Pauses drifted"
        untold = change.startswith(CANNOT)
        heading = f"Whether pauses drifted {change}" if untold else f"{drifted}: run medians change by {change}"
        said = (
            f"Dashed: Theil-Sen trend through the median runs of {found.blocks} blocks; the change is along it, with "
            f"its 95{SPACE}% interval over blocks."
        )
    once = len(results.runs) - len(data)
    missing = f"; not shown: {plural(once, 'run')} of cells measured once" if once else ""
    doubted = "kept" if found is None else "kept, but in no trend"
    line = f"Line: rolling median of up to {window(len(data))} runs. " if data["rolling"].notna().any() else ""
    caption = (
        f"Each run's median pause relative to the median of its cell, in the order in which the runs began{missing}. "
        f"{line}{design_text(results, said, doubted=doubted)}"
    )
    blocks = plural(len(block_starts(data)) + 1, "block")
    return Words(
        heading, caption, f"Residuals of {plural(len(data), 'run')} in the order measured, {blocks}. {heading}."
    )


sketch = sketched(NAME, frame, plot, _words)
