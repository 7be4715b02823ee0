"""How often launches failed, and how often they may fail without its having shown."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from analysis import stats
from analysis.plots import axes
from analysis.plots.data import unmeasured
from analysis.plots.drawing import Sketch, Words
from analysis.plots.style import CATEGORIES, INK, Look
from analysis.plots.words import SPACE, origin
from analysis.text import percent_text, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.stored.cells import CellName
    from analysis.verdicts.results import Results

NAME = "failures"
ALL = "all launches"
_ROW_IN = 0.2
_LABELS_IN = 1.55
_LOOKS = {False: (CATEGORIES[2], "o", "none failed"), True: (CATEGORIES[3], "X", "some failed")}


def sketch(results: Results) -> Sketch:
    """Return the figure before it is drawn."""
    data = frame(results)
    where, ran = origin(results, _ended(results))
    return Sketch(NAME, data, _words(results, data, ran), partial(plot, where=where))


def frame(results: Results) -> pd.DataFrame:
    """Return ``failed`` of ``attempts``, the ``share`` and its interval, per planned cell and of all launches.

    ``text`` is a row's name within its ``panel``. Where nothing failed, cells of equally many attempts say the same and
    are one row.
    """
    failed, ended = _failed(results), _ended(results)
    where, _ = origin(results, ended)
    # Where no line above says what all have in common, each row has to: the plan's names do.
    names = {name.cell_id: name for name in (*results.cells.names, *unmeasured(results)) if where}
    labels = {run.cell_id: run.label for run in results.campaign.plan.runs}
    if failed:
        own = [cell for cell in dict.fromkeys([*names, *labels]) if ended[cell]]
        rows = [{**_named(names.get(cell), labels.get(cell, "")), **_share(failed[cell], ended[cell])} for cell in own]
    else:
        alike = sorted(Counter(ended.values()).items())
        every = ((_each(cells, len(ended)), attempts) for attempts, cells in alike)
        rows = [{"panel": "", "cell": each, "text": each, **_share(0, attempts)} for each, attempts in every]
    together = "all cells" if any(row["panel"] for row in rows) else ""
    all_of_them = {"panel": together, "cell": ALL, "text": ALL, **_share(failed.total(), ended.total())}
    return pd.DataFrame([*sorted(rows, key=lambda row: str(row["panel"])), all_of_them])


def _failed(results: Results) -> Counter[str]:
    return Counter(attempt.planned.cell_id for attempt in results.campaign.attempts)


def _ended(results: Results) -> Counter[str]:
    """Return how many launches of each cell came to an end."""
    measured = (*results.campaign.runs, *results.campaign.without)
    return _failed(results) + Counter(run.record.cell_id for run in measured)


def _named(name: CellName | None, label: str) -> dict[str, str]:
    if name is None:
        return {"panel": "", "cell": label, "text": label}
    return {"panel": name.panel, "cell": name.label, "text": name.size}


def _each(cells: int, all_cells: int) -> str:
    if all_cells == 1:
        return "the cell"
    return f"each of {'the ' if cells == all_cells else ''}{plural(cells, 'cell')}"


def _share(failed: int, attempts: int) -> dict[str, Any]:
    found = stats.clopper_pearson(failed, attempts)
    return {"failed": failed, "attempts": attempts, "share": found.estimate, "low": found.low, "high": found.high}


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw the share that failed with its interval, one row per cell, and the counts at the right."""
    names = list(dict.fromkeys(data["panel"]))
    texts = {
        name: [axes.fitting(text, 0.4 * width_in) for text in data.loc[data["panel"] == name, "text"]] for name in names
    }
    row_in = axes.row_in(chain.from_iterable(texts.values()), _ROW_IN)
    dot: Look = {"linestyle": "none", "markersize": 5, "mec": "white", "mew": 0.5}
    entries = [
        Line2D([], [], color=colour, marker=marker, label=label, **dot)
        for some, (colour, marker, label) in _LOOKS.items()
        if some in set(data["failed"] > 0)
    ]
    entries.append(Line2D([], [], color=INK, marker="|", markersize=5, linewidth=0.9, label=f"95{SPACE}% interval"))
    counts = [len(texts[name]) for name in names]
    panels = axes.Panels.of_rows(names, width_in, counts, row_in, where=where, entries=entries, labels_in=_LABELS_IN)
    top = max(1.05 * 100 * float(data["high"].max()), 5.0)
    panels.axes[0].set_xlim(-0.02 * top, top)
    for (name, ax), slots in zip(panels.by_name.items(), panels.slots(counts), strict=True):
        _rows(ax, data[data["panel"] == name], texts[name])
        ax.set_ylim(slots - 0.4, -0.6)
    panels.label("share of launches that failed [%]")
    return panels.figure


def _rows(ax: Axes, data: pd.DataFrame, texts: list[str]) -> None:
    places = np.arange(len(data))
    share, low, high = (100 * data[name].to_numpy() for name in ("share", "low", "high"))
    ax.errorbar(share, places, xerr=axes.halves(share, low, high), fmt="none", ecolor=INK, elinewidth=0.9, capsize=2.5)
    some = data["failed"].to_numpy() > 0
    for several, (colour, marker, _) in _LOOKS.items():
        shown = some == several
        look: Look = {"linestyle": "none", "marker": marker, "markersize": 5, "mec": "white", "mew": 0.5, "zorder": 3}
        ax.plot(share[shown], places[shown], color=colour, **look)
    for place, row in zip(places, data.itertuples(), strict=True):
        axes.say_beside(ax, place, f"{row.failed}/{row.attempts}")
    ax.set_yticks(places, texts)
    ax.grid(visible=False, axis="y")


def _words(results: Results, data: pd.DataFrame, ran: str) -> Words:
    total = data[data["cell"] == ALL].iloc[0]
    if total["failed"]:
        heading = (
            f"{total['failed']} of {_launches(total['attempts'])} failed, {_most_often(data[data['cell'] != ALL])}"
        )
    else:
        unseen = f"a share of up to {percent_text(total['high'])} could have gone unseen"
        heading = f"None of {_launches(total['attempts'])} failed; {unseen}"
    causes = Counter(failure.cause for failure in results.campaign.attempts)
    said = f" Causes: {', '.join(f'{cause} ({count})' for cause, count in causes.most_common())}." if causes else ""
    counts = ((len(results.campaign.unfinished), "not finished"), (len(results.campaign.unread), "not readable"))
    missing = ", ".join(f"{plural(count, 'run')} {why}" for count, why in counts if count)
    caption = (
        "Launches that failed, of those that came to an end, with those that were tried again (R at the right; N does "
        f"not enter). Whiskers: exact 95 % interval of Clopper and Pearson.{said} Left out: "
        f"{missing or 'nothing'}. {ran}."
    )
    return Words(heading, caption, f"Share of failed launches with intervals, {plural(len(data), 'row')}. {heading}.")


def _most_often(data: pd.DataFrame) -> str:
    """Return which cell failed most often, or how many do alike."""
    worst = data[data["share"] == data["share"].max()]
    first = worst.iloc[0]
    share = f"{first['failed']} of {first['attempts']}"
    if len(worst) == 1:
        return f"most often {first['cell']} ({share})"
    return f"no cell more often than {share}, as in {'all' if len(worst) == len(data) else len(worst)} cells"


def _launches(number: int) -> str:
    return f"{number:,} launch{'' if number == 1 else 'es'}"
