"""How often launches failed, and how often they may fail without its having shown."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import stats
from analysis.plots import axes
from analysis.plots.data import unmeasured
from analysis.plots.drawing import Sketch, Words
from analysis.plots.style import CATEGORIES, INK, SMALL_PT, Look
from analysis.plots.words import emulated, where_text
from analysis.text import percent_text, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.derived.results import Results

NAME = "failures"
ALL = "all launches"
_LINE_IN, _ROW_IN = 0.12, 0.22


def sketch(results: Results) -> Sketch:
    """Return the figure before it is drawn."""
    data = frame(results)
    return Sketch(NAME, data, _words(results, data), partial(plot, where=where_text(results.cells)))


def frame(results: Results) -> pd.DataFrame:
    """Return ``failed`` of ``attempts``, the ``share`` and its interval, per planned cell and of all launches.

    Where nothing failed, cells of equally many attempts say the same and are one row.
    """
    campaign = results.campaign
    labels = {name.cell_id: name.label for name in results.cells.names}
    labels |= {name.cell_id: name.label for name in unmeasured(results)}
    labels |= {run.cell_id: run.label for run in campaign.plan.runs if run.cell_id not in labels}
    failed = Counter(attempt.planned.cell_id for attempt in campaign.attempts)
    ended = failed + Counter(run.record.cell_id for run in campaign.runs)
    if failed:
        rows = [{"cell": label, **_share(failed[cell], ended[cell])} for cell, label in labels.items() if ended[cell]]
    else:
        alike = sorted(Counter(ended.values()).items())
        rows = [{"cell": _each(cells, len(ended)), **_share(0, attempts)} for attempts, cells in alike]
    return pd.DataFrame([*rows, {"cell": ALL, **_share(failed.total(), ended.total())}])


def _each(cells: int, all_cells: int) -> str:
    if all_cells == 1:
        return "the cell"
    return f"each of {'all ' if cells == all_cells else ''}{plural(cells, 'cell')}"


def _share(failed: int, attempts: int) -> dict[str, Any]:
    found = stats.clopper_pearson(failed, attempts)
    return {"failed": failed, "attempts": attempts, "share": found.estimate, "low": found.low, "high": found.high}


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw the share that failed with its interval, one row per cell, and the counts at the right."""
    texts = [axes.fitting(cell, 0.46 * width_in) for cell in data["cell"]]
    row_in = max(_ROW_IN, *(_LINE_IN * axes.line_count(text) + 0.05 for text in texts))
    panels = axes.Panels([""], width_in, [row_in * len(texts) + 0.1], where=where)
    _rows(panels.axes[0], data, texts)
    panels.label("share of launches that failed [%]")
    return panels.figure


def _rows(ax: Axes, data: pd.DataFrame, texts: list[str]) -> None:
    places = np.arange(len(data))
    share, low, high = (100 * data[name].to_numpy() for name in ("share", "low", "high"))
    halves = np.maximum([share - low, high - share], 0.0)
    ax.errorbar(share, places, xerr=halves, fmt="none", ecolor=INK, elinewidth=0.9, capsize=2.5)
    some = data["failed"].to_numpy() > 0
    for shown, colour, marker in ((some, CATEGORIES[3], "X"), (~some, CATEGORIES[2], "o")):
        look: Look = {"linestyle": "none", "marker": marker, "markersize": 5, "mec": "white", "mew": 0.5, "zorder": 3}
        ax.plot(share[shown], places[shown], color=colour, **look)
    for place, row in zip(places, data.itertuples(), strict=True):
        at: Look = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": SMALL_PT}
        ax.annotate(f"{row.failed}/{row.attempts}", (1.01, place), **at)
    top = max(1.05 * float(high.max()), 5.0)
    ax.set_xlim(-0.02 * top, top)
    ax.set_yticks(places, texts)
    ax.set_ylim(len(data) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")


def _words(results: Results, data: pd.DataFrame) -> Words:
    total = data[data["cell"] == ALL].iloc[0]
    if total["failed"]:
        worst = data[data["cell"] != ALL].sort_values("share", ascending=False, kind="stable").iloc[0]
        most = f"most often {worst['cell']} ({worst['failed']} of {worst['attempts']})"
        heading = f"{total['failed']} of {_launches(total['attempts'])} failed, {most}"
    else:
        unseen = f"a share of up to {percent_text(total['high'])} could have gone unseen"
        heading = f"None of {_launches(total['attempts'])} failed; {unseen}"
    causes = Counter(failure.cause for failure in results.campaign.attempts)
    said = f" Causes: {', '.join(f'{cause} ({count})' for cause, count in causes.most_common())}." if causes else ""
    missing = len(results.campaign.unfinished) + len(results.campaign.unread)
    caption = (
        "Launches that failed, of those that came to an end, with those that were tried again (R at the right; N does "
        f"not enter). Whiskers: exact 95 % interval of Clopper and Pearson.{said} Left out: "
        f"{plural(missing, 'run') if missing else 'no run'} not finished or not readable. {emulated(results.cells)}."
    )
    return Words(heading, caption, f"Share of failed launches with intervals, {plural(len(data), 'row')}. {heading}.")


def _launches(number: int) -> str:
    return f"{number:,} launch{'' if number == 1 else 'es'}"
