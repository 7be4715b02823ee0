"""How checkpoints of a run resemble those before them: whether they are independent measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis import stats
from analysis.plots import axes
from analysis.plots.data import cell_columns, runs_by_cell, stacked
from analysis.plots.drawing import NoFigureError, Words
from analysis.plots.sizes import SizeKey
from analysis.plots.style import BAND, QUIET, line_style
from analysis.plots.words import MINUS, design_text, sketched
from analysis.runs.outcomes import used_pauses
from analysis.text import plural, ratio_text, short_text

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.stats.checks import FloatArray
    from analysis.stored.campaign import Run
    from analysis.verdicts.results import Results

NAME = "autocorrelation"
MOST_LAGS = 20
_FEWEST = 8
_BAND = 1.96
_MARGIN = 0.1


def frame(results: Results) -> pd.DataFrame:
    """Return per cell and ``lag`` the mean over its runs of the ``correlation``.

    Means of independent checkpoints lie within ``expected`` plus or minus ``band`` 19 times of 20; ``correlated`` are
    cells whose neighbouring checkpoints (lag 1) do not.

    Raises:
        NoFigureError: every run is too short or constant.
    """
    # Runs by how many checkpoints they have, not the checkpoints: those are looked at one run after another.
    lengths: dict[int, list[tuple[Run, int]]] = {}
    for place, runs in runs_by_cell(results).items():
        if varied := [(run, count) for run in runs if (count := _varied(run)) >= _FEWEST]:
            lengths[place] = varied
    if not lengths:
        raise NoFigureError(f"no run has {_FEWEST} checkpoints that differ")
    lags = min(MOST_LAGS, min(count for every in lengths.values() for _, count in every) // 2)
    parts = []
    for place, every in lengths.items():
        found = np.array([_correlation(run, lags) for run, _ in every])
        length = float(np.mean([count for _, count in every]))
        expected, band, mean = -1 / length, _BAND / np.sqrt(length * len(every)), found.mean(axis=0)
        numbers = {
            "runs": len(every),
            "lag": np.arange(1, lags + 1),
            "correlation": mean,
            "expected": expected,
            "band": band,
            "correlated": abs(mean[0] - expected) > band,
        }
        parts.append({**cell_columns(results.cells, place), **numbers})
    return stacked(parts)


def _varied(run: Run) -> int:
    """Return how many pauses a run has; 0 when they are all equal."""
    values = used_pauses(run)
    return len(values) if len(values) and np.ptp(values) > 0 else 0


def _correlation(run: Run, lags: int) -> FloatArray:
    return np.array(stats.autocorrelation(used_pauses(run), lags=lags))


def plot(data: pd.DataFrame, width_in: float, *, where: str = "", key: SizeKey | None = None) -> Figure:
    """Draw the mean correlation against the lag, one line per cell, over the band of independent checkpoints."""
    key, names = (key or SizeKey.of(data)).within(data), axes.panel_names(data)
    entries: list[Artist] = [*key.entries(markers=True), Patch(facecolor=BAND, label="independent checkpoints")]
    if data["correlated"].any():
        entries.append(Line2D([], [], color=QUIET, linewidth=2.2, label="thick: correlated cell"))
    panels = axes.Panels.of_curves(names, width_in, 1.2 if len(names) > 1 else 1.6, where=where, entries=entries)
    for name, ax in panels.by_name.items():
        _lines(ax, data[data["panel"] == name], key)
    seen = pd.concat([data["correlation"], data["expected"] + data["band"], data["expected"] - data["band"]])
    room = _MARGIN * float(seen.max() - seen.min())
    panels.axes[0].set_ylim(float(seen.min()) - room, float(seen.max()) + room)
    panels.axes[0].set_xlim(0.4, float(data["lag"].max()) + 0.6)
    panels.axes[0].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    panels.axes[0].yaxis.set_major_locator(MaxNLocator(4, steps=list(axes.STEPS)))
    panels.label("lag [checkpoints]", "autocorrelation")
    return panels.figure


def _lines(ax: Axes, data: pd.DataFrame, key: SizeKey) -> None:
    widest = data.loc[data["band"].idxmax()]
    ax.axhspan(widest["expected"] - widest["band"], widest["expected"] + widest["band"], color=BAND, linewidth=0)
    ax.axhline(0, color=QUIET, linewidth=0.6)
    for _, line in data.groupby("cell", sort=False):
        memory, vcpus = line["memory"].iloc[0], line["vcpus"].iloc[0]
        ax.plot(
            line["lag"],
            line["correlation"],
            color=key.colours[memory],
            marker=key.markers[memory],
            markersize=2.6,
            linestyle=line_style(key.dashes[vcpus]),
            linewidth=1.6 if line["correlated"].iloc[0] else 0.6,
        )


def _words(results: Results, data: pd.DataFrame) -> Words:
    first = data[data["lag"] == 1]
    # One of few data may lie further away, within a wider band.
    outside, cells = first[first["correlated"]], plural(len(first), "cell")
    away = (outside["correlation"] - outside["expected"]).abs()
    chance = short_text(0.05 * len(first), 1)
    heading = (
        f"Successive checkpoints are correlated in {len(outside)} of {cells} (about {chance} by chance), "
        f"by up to {ratio_text(outside['correlation'][away.idxmax()], decimals=2)}"
        if len(outside)
        else f"No dependence of successive checkpoints shows in {'any of ' if len(first) > 1 else ''}{cells}"
    ).replace("-", MINUS)
    left = len(results.runs) - int(first["runs"].sum())
    short = f"; not shown: {plural(left, 'run')} of fewer than {_FEWEST} checkpoints or of equal ones" if left else ""
    interval = (
        "Shaded: where 95 % of such means lie when checkpoints are independent, for the cell with the fewest data."
    )
    caption = (
        f"Autocorrelation of the pauses within a run, mean over the runs of a cell{short}.{_which(first)} "
        f"{design_text(results, interval)}"
    )
    alt = f"Autocorrelation up to lag {int(data['lag'].max())} of {cells}. {heading}."
    return Words(heading, caption, alt)


def _which(first: pd.DataFrame) -> str:
    named = list(first.loc[first["correlated"], "cell"])
    return f" Correlated, and thick: {'; '.join(named)}." if named else ""


sketch = sketched(NAME, frame, plot, _words, sized=True)
