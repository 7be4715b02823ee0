"""How the pauses of each run are distributed: one line per run, never one over pooled checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.plots import axes
from analysis.plots.data import cell_columns, evenly, runs_by_cell, stacked
from analysis.plots.drawing import Words
from analysis.plots.sizes import SizeKey
from analysis.plots.style import QUIET, line_style
from analysis.plots.words import MS, NO_INTERVAL, design_text, few_runs, full_name, sketched
from analysis.runs.outcomes import used_pauses
from analysis.text import ms_text, plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.stats.checks import FloatArray
    from analysis.verdicts.results import Results

NAME = "pause_ecdf"
MOST_STEPS = 200
"""Steps drawn per line; a longer run is drawn at this many evenly spaced ranks of its own sorted pauses."""

MOST_LINES = 60
"""Runs in a panel that are drawn one by one; with more, a line is the median over the runs of a cell at each share.

Unless each cell has a single one.
"""

_CROWDED = 16
_QUARTERS = {0: "0", 0.25: "", 0.5: "0.5", 0.75: "", 1: "1"}


def frame(results: Results) -> pd.DataFrame:
    """Return the steps of every line: ``share`` (0 to 1) and ``pause_ms``, ``low_ms``/``high_ms`` over the runs.

    A ``line`` is ``of`` a run, or of a cell where a panel has too many runs; only then has it a range over the runs.
    """
    by_cell = runs_by_cell(results)
    per_panel: dict[str, int] = {}
    for place, runs in by_cell.items():
        panel = results.cells.names[place].panel
        per_panel[panel] = per_panel.get(panel, 0) + len(runs)
    # Of cells with a single run a line each would be no fewer lines.
    together = max(per_panel.values()) > MOST_LINES and len(results.runs) > len(by_cell)
    # Campaigns of one seed hold runs of one id: then the campaign's place tells them apart.
    twice = bool(results.runs["run_id"].duplicated().any())
    parts: list[dict[str, Any]] = []
    for place, runs in by_cell.items():
        said = {**cell_columns(results.cells, place), "runs": len(runs)}
        pauses = (np.sort(used_pauses(run)) * MS for run in runs)  # one run's at a time
        if together:
            steps = [_of_cell(results.cells.names[place].cell_id, pauses)]
        else:
            names = (f"{run.record.run_id}.{run.folder}" if twice else run.record.run_id for run in runs)
            steps = [_of_run(name, own) for name, own in zip(names, pauses, strict=True)]
        parts += [{**said, **step} for step in steps]
    return stacked(parts)


def _of_run(name: str, ordered: FloatArray) -> dict[str, Any]:
    ranks = evenly(len(ordered), MOST_STEPS)
    return {
        "line": name,
        "of": "run",
        "share": np.concatenate([[0.0], (ranks + 1) / len(ordered)]),
        "pause_ms": np.concatenate([ordered[:1], ordered[ranks]]),
        "low_ms": np.nan,
        "high_ms": np.nan,
    }


def _of_cell(cell_id: str, runs: Iterable[FloatArray]) -> dict[str, Any]:
    shares = np.linspace(0, 1, MOST_STEPS + 1)
    each = np.array([np.quantile(ordered, shares, method="inverted_cdf") for ordered in runs])
    return {
        "line": cell_id,
        "of": "cell",
        "share": shares,
        "pause_ms": np.median(each, axis=0),
        "low_ms": each.min(axis=0),
        "high_ms": each.max(axis=0),
    }


def plot(data: pd.DataFrame, width_in: float, *, where: str = "", key: SizeKey | None = None) -> Figure:
    """Draw one thin line per run: colour is memory, dashes are vCPUs, a panel is everything else that differs."""
    key, names = (key or SizeKey.of(data)).within(data), axes.panel_names(data)
    panels = axes.Panels.of_curves(names, width_in, 1.4 if len(names) > 1 else 1.9, where=where, entries=key.entries())
    log = axes.ms_axis(panels.axes[0], "x", data["pause_ms"].to_numpy(), room=panels.room_in, log=True)
    for name, ax in panels.by_name.items():
        _lines(ax, data[data["panel"] == name], key)
        ax.set_ylim(-0.02, 1.02)
        ax.set_yticks(list(_QUARTERS), list(_QUARTERS.values()))
    panels.label(f"VM pause [ms]{', log scale' if log else ''}", "share of checkpoints")
    return panels.figure


def _lines(ax: Axes, data: pd.DataFrame, key: SizeKey) -> None:
    ax.axhline(0.5, color=QUIET, linewidth=0.6, linestyle=(0, (1, 2)))
    width = 0.6 if data["line"].nunique() > _CROWDED else 0.9
    for _, line in data.groupby("line", sort=False):
        first = line.iloc[0]
        colour = key.colours[first["memory"]]
        if first["of"] == "cell":
            ax.fill_betweenx(line["share"], line["low_ms"], line["high_ms"], color=colour, alpha=0.15, linewidth=0)
        ax.plot(
            line["pause_ms"],
            line["share"],
            color=colour,
            linestyle=line_style(key.dashes[first["vcpus"]]),
            linewidth=width,
            drawstyle="steps-post" if first["of"] == "run" else "default",
        )


def _words(results: Results, data: pd.DataFrame) -> Words:
    cells = results.per_cell
    low, high = (cells.loc[cells["pause"] == end].iloc[0] for end in (cells["pause"].min(), cells["pause"].max()))
    if len(cells) == 1:
        heading = f"The median pause is {ms_text(low['pause'] * MS)} ms"
    else:
        ends = (f"{ms_text(row['pause'] * MS)} ms ({_said(results, row)})" for row in (low, high))
        heading = f"Median pauses go from {' to '.join(ends)}"
    heading += few_runs(results)
    lines = (
        "Each line is a cell: the median over its runs of the pause at each share; shaded, the range over its runs."
        if (data["of"] == "cell").any()
        else f"Each line is one run ({plural(len(results.runs), 'run')})."
    )
    caption = (
        f"Empirical distribution of the VM pause. {lines} Colour: memory; line style: vCPUs; dotted: one half. "
        f"At most {MOST_STEPS} steps a line. {design_text(results, NO_INTERVAL)}"
    )
    panels = plural(data["panel"].nunique(), "panel")
    return Words(heading, caption, f"Cumulative distribution of the pause, {panels}. {heading}.")


def _said(results: Results, row: pd.Series) -> str:
    name = next(name for name in results.cells.names if name.cell_id == row["cell_id"])
    return full_name(name.size, name.panel)


sketch = sketched(NAME, frame, plot, _words, sized=True)
