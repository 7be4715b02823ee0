"""Memory by vCPUs: the median pause of every cell, how sure it is, and what failed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize, to_hex
from matplotlib.patches import Patch, Rectangle

from analysis.plots import axes
from analysis.plots.data import cell_columns, name_columns, unmeasured
from analysis.plots.drawing import NoFigureError, Sketch, Words
from analysis.plots.style import LINE_PT, QUIET, SMALL_PT, TEXT_PT, Look, ink_on
from analysis.plots.words import (
    DASH,
    MS,
    between,
    design_text,
    few_runs,
    full_name,
    sketch_of,
    spread,
    whiskers_text,
)
from analysis.text import ms_text, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from analysis.verdicts.results import Results

NAME = "pause_heatmap"
_CELL_IN, _FLAT_IN, _HIGH_IN = 0.8, 0.24, 0.46
"""A cell's width for three lines of text; its height for one line, and for three."""

_TITLE_PAD_PT = 17.0
"""Of the title above the marks of an axis that has them above."""

_LABEL_IN = 0.66
_LOG_FROM = 10.0
_MOST_COLUMNS = 3
_TEXTS = {"smp": "vcpus", "mem_bytes": "memory"}


def sketch(results: Results) -> Sketch:
    """Return the figure before it is drawn.

    Raises:
        NoFigureError: one size only was measured.
    """
    data = frame(results)
    if data["mem_bytes"].nunique() * data["smp"].nunique() == 1:
        raise NoFigureError("memory and vCPUs are the same in every cell that was measured")
    return sketch_of(NAME, results, data, _words(results, data), plot)


def frame(results: Results) -> pd.DataFrame:
    """Return one row per planned cell: ``pause_ms`` with ``low_ms``/``high_ms``, ``runs`` measured in ``attempts``.

    ``attempts`` are launches, those that failed, those that cannot be read and those still missing included; ``short``
    are cells where there are some of these. A cell of which no run was measured is there too, without a pause.
    """
    where, missing, rows = results.cells.places, _missing(results), []
    for _, row in results.per_cell.iterrows():
        low, high, kind = spread(row)
        numbers = {"pause_ms": row["pause"] * MS, "low_ms": low, "high_ms": high, "whisker": kind}
        counts = _counts(int(row["runs"]), int(row["failed"]) + missing[row["cell_id"]])
        rows.append({**cell_columns(results.cells, where[row["cell_id"]]), **numbers, **counts})
    return pd.DataFrame([*rows, *_unmeasured(results)])


def _unmeasured(results: Results) -> list[dict[str, Any]]:
    """Return planned cells without a measured run."""
    failed = Counter(attempt.planned.cell_id for attempt in results.campaign.attempts)
    others = failed + _missing(results)
    return [{**name_columns(name), **_counts(0, others[name.cell_id])} for name in unmeasured(results)]


def _missing(results: Results) -> Counter[str]:
    """Return how many runs of each cell have no record to be read: it cannot be, or they are still to be measured."""
    unread = (one.planned.cell_id for one in results.campaign.unread)
    return Counter([*unread, *(run.cell_id for run in results.campaign.unfinished)])


def _counts(runs: int, others: int) -> dict[str, int | bool]:
    return {"runs": runs, "attempts": runs + others, "short": others > 0}


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw one heat map per panel, of its own sizes; hatched are cells that lack runs."""
    names = axes.panel_names(data)
    across, down = _directions(data)
    levels = {name: [sorted(set(data.loc[data["panel"] == name, size])) for size in (across, down)] for name in names}
    most = max(len(columns) for columns, _ in levels.values())
    wanted = most * _CELL_IN + _LABEL_IN
    columns = max(min(int(width_in / wanted), len(names), _MOST_COLUMNS), 1)
    roomy = width_in / columns >= wanted
    counts = [len(rows) for _, rows in levels.values()]
    hatched = Patch(facecolor="white", edgecolor=QUIET, hatch="////", label="launches failed, missing or not readable")
    entries = [hatched] if data["short"].any() else []
    panels = axes.Panels(
        names,
        width_in,
        [count * (_HIGH_IN if roomy else _FLAT_IN) for count in counts],
        where=where,
        entries=entries,
        columns=columns,
        labels_in=_LABEL_IN,
        extra_in=0.85,
        share="",
    )
    norm = _norm(data["pause_ms"])
    for (panel, ax), slots in zip(panels.by_name.items(), panels.slots(counts), strict=True):
        own = data[data["panel"] == panel]
        _heat(ax, own, {across: levels[panel][0], down: levels[panel][1]}, norm, roomy=roomy)
        _name_levels(ax, own, across, down)
        # Cells of all panels are equally large, whatever number of them a panel has.
        ax.set(xlim=(0, most), ylim=(slots, 0))
    _bar(panels, norm)
    return panels.figure


def _directions(data: pd.DataFrame) -> tuple[str, str]:
    """Return what runs across and what runs down: the size with fewer levels goes across."""
    across = "smp" if data["smp"].nunique() <= data["mem_bytes"].nunique() else "mem_bytes"
    return across, "mem_bytes" if across == "smp" else "smp"


def _norm(values: pd.Series) -> Normalize:
    low, high = float(values.min()), float(values.max())
    if 0 < low * _LOG_FROM < high:
        return LogNorm(low, high)
    # From 0, so that cells which hardly differ hardly do so in colour.
    return Normalize(0.0, high or 1.0)


def _heat(ax: Axes, data: pd.DataFrame, levels: Mapping[str, list[int]], norm: Normalize, *, roomy: bool) -> None:
    across, down = levels
    table = data.pivot_table(index=down, columns=across, values="pause_ms", dropna=False)
    table = table.reindex(index=levels[down], columns=levels[across])
    sns.heatmap(table.astype(float), cmap="cividis", norm=norm, cbar=False, linewidths=1.0, linecolor="white", ax=ax)
    for y, x in np.argwhere(~_planned(data, levels)):
        look: Look = {"fontsize": SMALL_PT, "color": QUIET, "ha": "center", "va": "center"}
        ax.text(x + 0.5, y + 0.5, "not measured" if roomy else DASH, **look)
    for row in data.to_dict("records"):
        x, y = levels[across].index(row[across]), levels[down].index(row[down])
        colour = to_hex(mpl.colormaps["cividis"](float(norm(row["pause_ms"])))) if row["runs"] else "#ffffff"
        if row["short"]:
            edge = ink_on(colour) if row["runs"] else QUIET
            ax.add_patch(
                Rectangle((x + 0.02, y + 0.03), 0.96, 0.94, fill=False, hatch="////", edgecolor=edge, linewidth=0)
            )
        box: Look | None = (
            {"boxstyle": "square,pad=0.2", "facecolor": colour, "edgecolor": "none"} if row["short"] else None
        )
        look = {"fontsize": SMALL_PT, "color": ink_on(colour), "linespacing": 1.15, "bbox": box}
        ax.text(x + 0.5, y + 0.5, _annotation(row, roomy=roomy), ha="center", va="center", **look)


def _planned(data: pd.DataFrame, levels: Mapping[str, list[int]]) -> NDArray[np.bool_]:
    """Tell which slots of a panel have a cell: a row per level down, a column per level across."""
    across, down = levels
    cells = set(zip(data[down], data[across], strict=True))
    return np.array([[(y, x) in cells for x in levels[across]] for y in levels[down]])


def _annotation(row: Mapping[str, Any], *, roomy: bool) -> str:
    share = f"{row['runs']}/{row['attempts']}"
    if not row["runs"]:
        return f"{DASH}\n{share}" if roomy else DASH
    middle = ms_text(row["pause_ms"])
    if not roomy:
        return middle
    # The range of a single run says nothing.
    ends = f"\n[{between(row['low_ms'], row['high_ms'])}]" if row["runs"] > 1 else ""
    return f"{middle}{ends}\n{share}"


def _name_levels(ax: Axes, data: pd.DataFrame, across: str, down: str) -> None:
    for size, ticks in ((across, ax.set_xticks), (down, ax.set_yticks)):
        names = data[[size, _TEXTS[size]]].drop_duplicates().sort_values(size)[_TEXTS[size]]
        ticks(np.arange(len(names)) + 0.5, list(names), rotation=0)
    ax.set(xlabel="", ylabel="")
    # Above, where they touch the cells also in a panel of fewer rows than the one beside it, and below the title.
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.set_title(ax.get_title("left"), pad=_TITLE_PAD_PT)
    ax.grid(visible=False)


def _bar(panels: axes.Panels, norm: Normalize) -> None:
    mappable = ScalarMappable(norm, "cividis")
    bar = panels.figure.colorbar(mappable, ax=panels.axes, location="bottom", aspect=45, shrink=0.8, pad=0.04)
    bar.set_label(f"median VM pause [ms]{', log scale' if isinstance(norm, LogNorm) else ''}", fontsize=TEXT_PT)
    bar.ax.tick_params(labelsize=SMALL_PT)
    for spine in bar.ax.spines.values():
        spine.set_linewidth(LINE_PT)
    axes.bar_marks(bar, 0.7 * float(panels.figure.get_figwidth()))


def _words(results: Results, data: pd.DataFrame) -> Words:
    known = data[data["runs"] > 0]
    low, high = (known[known["pause_ms"] == end].iloc[0] for end in (known["pause_ms"].min(), known["pause_ms"].max()))
    several = f"Median pauses go from {_said(low)} to {_said(high)}"
    heading = (several if len(known) > 1 else f"The median pause is {_said(low)}") + few_runs(results)
    short = int(data["short"].sum())
    lacking = f" Hatched: {plural(short, 'cell')} of which launches failed, are missing or cannot be read."
    hatched = lacking if short else ""
    brackets = whiskers_text(results.per_cell, "In brackets", thin=False)
    caption = (
        "Median pause in ms over the runs of each cell, with the runs measured of all launches; where cells are "
        f"narrow, the median only.{hatched} {design_text(results, brackets)}"
    )
    alt = f"{plural(data['panel'].nunique(), 'heat map')} of the median pause by memory and vCPUs. {heading}."
    return Words(heading, caption, alt)


def _said(row: pd.Series) -> str:
    return f"{ms_text(row['pause_ms'])} ms ({full_name(row['memory'] + ' and ' + row['vcpus'], row['panel'])})"
