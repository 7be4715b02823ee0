"""What dirty pages cost: within runs, across runs, and what the transport alone would take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.lines import Line2D

from analysis.plots import axes
from analysis.plots.data import cell_columns, runs_by_cell
from analysis.plots.drawing import NoFigureError, Words
from analysis.plots.sizes import SizeKey
from analysis.plots.style import CATEGORIES, INK, SMALL_PT, Look
from analysis.plots.words import MS, NOT_USED, SPACE, design_text, sketched, without_accel
from analysis.runs.counting import counts
from analysis.text import figures_text, plural
from analysis.verdicts.claims import Effect
from analysis.verdicts.effects import (
    PAGE_BYTES,
    PAGES_APART,
    across_runs,
    beside,
    counted,
    in_step,
    levels_of,
    page_strata,
    pages_apart,
    within_runs,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.stored.campaign import Run
    from analysis.verdicts.results import Results

NAME = "pause_by_pages"
MOST_POINTS = 4000
"""About how many checkpoints are drawn: every n-th of each run."""

WITHIN, WITHIN_ALL, ACROSS, BOUND = "within", "within all", "across", "bound"
_US = 1e6
_FEWEST = 2
"""Checkpoints with their pages that a run is drawn from."""

_LINES: dict[str, dict[str, Any]] = {
    WITHIN: {"color": CATEGORIES[3], "linewidth": 1.3, "linestyle": "-", "label": "slope within runs"},
    ACROSS: {"color": INK, "linewidth": 1.0, "linestyle": (0, (4, 1.5)), "label": "slope across runs"},
    BOUND: {"color": CATEGORIES[0], "linewidth": 1.3, "linestyle": (0, (1, 1)), "label": "transport alone"},
}
_LINE_COLUMNS = ("us_per_page", "low", "high", "runs", "from_pages", "to_pages", "from_ms", "to_ms")
_SAID = {WITHIN_ALL: "within runs", ACROSS: "across runs", BOUND: "transport alone"}
_PANEL_IN, _TEXT_LINE_IN = 1.75, 0.13


@dataclass(frozen=True)
class _Run:
    """A run, and of its checkpoints whose pages were counted the mean pages and pause, the least and the most pages."""

    place: int
    run_id: str
    alike: str
    beside: str
    bytes_per_s: float
    run: Run
    count: int
    pages: float
    pause_ms: float
    reach: tuple[float, float]


def frame(results: Results) -> pd.DataFrame:
    """Return what is drawn: points ``of`` a checkpoint, and lines.

    Lines go from (``from_pages``, ``from_ms``) to (``to_pages``, ``to_ms``) and have their slope ``us_per_page`` with
    ``low``/``high``: :data:`WITHIN` the runs of one memory size, :data:`WITHIN_ALL` runs of a panel (said, not drawn),
    :data:`ACROSS` the means of the runs of a panel, and the :data:`BOUND` of the transport.

    Raises:
        NoFigureError: no sound run has counted the dirty pages of two checkpoints.
    """
    runs = _runs(results)
    if not runs:
        raise NoFigureError("no run whose check and pauses are sound has counted the dirty pages of two checkpoints")
    step = -(-sum(run.count for run in runs) // MOST_POINTS)
    parts = [_points(results, runs, step)]
    for panel in results.cells.panels:
        mine = [run for run in runs if results.cells.names[run.place].panel == panel]
        parts.append(pd.DataFrame(_lines(results, mine)).assign(panel=panel))
    data = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return data.reindex(columns=[*dict.fromkeys([*data.columns, *_LINE_COLUMNS])])


def _points(results: Results, runs: Sequence[_Run], step: int) -> pd.DataFrame:
    """Return every n-th checkpoint of each run whose pages were counted."""
    shown = [[values[::step] for values in counted(run.run)] for run in runs]
    pages, pauses = (np.concatenate(each) for each in zip(*shown, strict=True))
    said = pd.DataFrame([{**cell_columns(results.cells, run.place), "run_id": run.run_id} for run in runs])
    each = said.loc[said.index.repeat([len(own) for own, _ in shown])].reset_index(drop=True)
    return each.assign(of="checkpoint", dirty_pages=pages, pause_ms=pauses * MS)


def _runs(results: Results) -> list[_Run]:
    found = []
    table = results.runs
    told = zip(page_strata(table), levels_of(table, beside(table)), table["transport_bytes_per_s"], strict=True)
    # Campaigns of one seed hold runs of one id.
    known = dict(zip(zip(table["folder"], table["run_id"], strict=True), told, strict=True))
    for place, runs in runs_by_cell(results).items():
        for run in filter(counts, runs):
            run_id, (pages, pauses) = run.record.run_id, counted(run)
            if len(pages) >= _FEWEST:
                means = (float(pages.mean()), float((pauses * MS).mean()))
                reach = (float(pages.min()), float(pages.max()))
                found.append(_Run(place, run_id, *known[run.folder, run_id], run, len(pages), *means, reach))
    return found


def _lines(results: Results, runs: Sequence[_Run]) -> list[dict[str, Any]]:
    if not runs:
        return []
    lines = []
    for mem in sorted({results.cells.names[run.place].mem_bytes for run in runs}):
        own = [run for run in runs if results.cells.names[run.place].mem_bytes == mem]
        said = {"memory": results.cells.names[own[0].place].memory, "mem_bytes": mem}
        lines += [{**said, **line} for line in _within(own, WITHIN)]
    lines += [*_within(runs, WITHIN_ALL), *_across(runs)]
    known = [run.bytes_per_s for run in runs if np.isfinite(run.bytes_per_s)]
    if known:
        slope = Effect(PAGE_BYTES / float(np.median(known)) * _US, np.nan, np.nan)
        lines.append(_line(BOUND, (0.0, max(run.reach[1] for run in runs)), slope, (0.0, 0.0), len(known)))
    return lines


def _within(runs: Sequence[_Run], of: str) -> list[dict[str, Any]]:
    cost = within_runs(*in_step([run.run for run in runs]), [run.place for run in runs])
    if np.isnan(cost.estimate):
        return []
    reach = (min(run.reach[0] for run in runs), max(run.reach[1] for run in runs))
    weights = [run.count for run in runs]
    middle = (
        float(np.average([run.pages for run in runs], weights=weights)),
        float(np.average([run.pause_ms for run in runs], weights=weights)),
    )
    return [_line(of, reach, cost, middle, len(runs))]


def _across(runs: Sequence[_Run]) -> list[dict[str, Any]]:
    pages, pause = (np.array(each) for each in zip(*((run.pages, run.pause_ms) for run in runs), strict=True))
    cost = across_runs(pages, pause / MS, [run.place for run in runs], [run.alike for run in runs])
    if cost is None or len({run.beside for run in runs}) > 1:  # one line would be of no configuration
        return []
    reach = (float(pages.min()), float(pages.max()))
    return [_line(ACROSS, reach, cost, (float(pages.mean()), float(pause.mean())), len(runs))]


def _line(
    of: str,
    reach: tuple[float, float],
    slope: Effect,
    through: tuple[float, float],
    runs: int,
) -> dict[str, Any]:
    from_ms, to_ms = (through[1] + slope.estimate * MS / _US * (end - through[0]) for end in reach)
    named = {"us_per_page": slope.estimate, "low": slope.low, "high": slope.high}
    ends = {"from_pages": reach[0], "to_pages": reach[1], "from_ms": from_ms, "to_ms": to_ms}
    return {"of": of, **named, "runs": runs, **ends}


def plot(data: pd.DataFrame, width_in: float, *, where: str = "", key: SizeKey | None = None) -> Figure:
    """Draw checkpoints as points coloured by memory, the slopes through them, and the bound of the transport."""
    points = data[data["of"] == "checkpoint"]
    key, names = (key or SizeKey.of(points)).within(points), axes.panel_names(points)
    dots = [
        Line2D([], [], linestyle="none", marker=key.markers[text], markersize=4, color=key.colours[text], label=text)
        for text in key.memories
    ]
    drawn = {of for name in names for of in _drawn(data[data["panel"] == name])["of"]}
    kinds = [Line2D([], [], **look) for of, look in _LINES.items() if of in drawn]
    panels = axes.Panels.of_curves(
        names, width_in, _PANEL_IN, where=where, entries=[*dots, *kinds], share="y", extra_in=0.5
    )
    height_in = panels.heights_in[0]
    texts = {name: _said(data[data["panel"] == name]) for name in names}
    head = _TEXT_LINE_IN * max(map(axes.line_count, texts.values())) / height_in
    # The text takes its share of the whole axis, so that much more of the data's reach.
    axes.ms_axis(
        panels.axes[0], "y", points["pause_ms"].to_numpy(), room=height_in, log=False, head=1.12 / (1 - head) - 1
    )
    for name, ax in panels.by_name.items():
        _draw(ax, data[data["panel"] == name], key, panels.room_in)
        look: Look = {"ha": "left", "va": "top", "fontsize": SMALL_PT, "linespacing": 1.2}
        box: Look = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        ax.text(0.015, 0.99, texts[name], transform=ax.transAxes, bbox=box, zorder=5, **look)
    panels.label("dirty pages", "VM pause [ms]")
    return panels.figure


def _draw(ax: Axes, data: pd.DataFrame, key: SizeKey, room: float) -> None:
    points = data[data["of"] == "checkpoint"]
    sns.scatterplot(
        data=points,
        x="dirty_pages",
        y="pause_ms",
        hue="memory",
        hue_order=key.memories,
        palette=key.colours,
        style="memory",
        style_order=key.memories,
        markers=key.markers,
        s=7,
        alpha=0.5,
        linewidth=0,
        rasterized=True,
        legend=False,
        ax=ax,
    )
    for line in _drawn(data).itertuples():
        ax.plot([line.from_pages, line.to_pages], [line.from_ms, line.to_ms], **_LINES[line.of], zorder=3)
    least, most = float(points["dirty_pages"].min()), float(points["dirty_pages"].max())
    # Counts that hardly differ would be a blob at the far end of an axis from 0.
    bottom = 0.0 if _apart(points) else least - 0.1 * ((most - least) or 1.0)
    top = most + (0.05 * most if _apart(points) else least - bottom)
    # Half a page would be read as another count.
    marks = axes.round_marks(bottom, top, max(int(room / 0.62), 2), whole=True)
    whole = [round(mark) for mark in marks if math.isclose(mark, round(mark), abs_tol=1e-9)]
    ax.set_xlim(bottom, top)
    ax.set_xticks(whole, [f"{mark:,}" for mark in whole])
    ax.set(xlabel="", ylabel="")


def _apart(points: pd.DataFrame) -> bool:
    return pages_apart(points["dirty_pages"].to_numpy(dtype=np.float64))


def _drawn(data: pd.DataFrame) -> pd.DataFrame:
    """Return the lines that are drawn: the bound, and slopes that are told from 0."""
    known = data["low"].isna() | (data["low"] > 0) | (data["high"] < 0)
    slopes = _apart(data[data["of"] == "checkpoint"])
    return data[data["of"].isin(list(_LINES) if slopes else [BOUND]) & known]


def _said(data: pd.DataFrame) -> str:
    """Return what is written in a panel: costs that are told from 0, and why others are not said."""
    lines = []
    for line in data[data["of"].isin(list(_SAID))].to_dict("records"):
        if line["of"] == WITHIN_ALL and not _apart(data[data["of"] == "checkpoint"]):
            continue
        told = line["of"] == BOUND or line["low"] > 0 or line["high"] < 0
        lines.append(f"{_SAID[line['of']]}: {_cost(line, 'µs/page') if told else 'not told from 0'}")
    if not _apart(data[data["of"] == "checkpoint"]):
        lines.insert(0, "page counts hardly differ: no slope")
    return "\n".join(lines)


def _cost(line: dict[str, Any], unit: str) -> str:
    text = f"{figures_text(line['us_per_page'])}{SPACE}{unit}"
    if np.isfinite(line["low"]):
        text += f" [{figures_text(line['low'])}, {figures_text(line['high'])}]"
    return text


def _words(results: Results, data: pd.DataFrame) -> Words:
    rows = results.effects.pages
    across = [row for row in rows if _told(row.across)]
    meant = across or [row for row in rows if row.apart and _told(row.within)]
    costs, how = (
        ([row.across for row in meant], "across runs") if across else ([row.within for row in meant], "within runs")
    )
    if not costs:
        heading = "What one more dirty page costs cannot be told from this campaign"
    elif len(costs) == 1:
        ends = {"us_per_page": costs[0].estimate, "low": costs[0].low, "high": costs[0].high}
        heading = f"One more dirty page costs {_cost(ends, 'µs')} {how}"
    else:
        heading = f"One more dirty page costs {_range([cost.estimate for cost in costs])} µs {how}"
    if len(costs) == 1 and len(set(data["panel"])) > 1:
        heading += f" (all of {without_accel(results.cells, meant[0].where)})"
    bounds = [row.bound for row in meant or rows if np.isfinite(row.bound)]
    if bounds:
        heading += f"; the transport alone takes {_range(bounds)} µs"
    shown = int((data["of"] == "checkpoint").sum())
    interval = (
        "Within runs: slope after centring each run, so that nothing that differs between runs enters. Across runs: "
        "least squares of run means, each against those that differ in nothing but what makes pages, only where page "
        f"counts differ by a factor of {PAGES_APART:g}; of sizes that differ, one slope for all. "
        "Both with Welch's 95 % t interval from the runs of each cell (of all where a cell has one). "
        "A slope whose interval holds 0 is not drawn, and none where all page counts of a panel differ by less; its "
        "axis then does not begin at 0. "
        f"Transport alone: {PAGE_BYTES:,} bytes a page at the rate measured without COLO, or at the bandwidth that the "
        "link was given where that is less."
    )
    drawn = f"{plural(shown, 'checkpoint')} drawn, evenly chosen; the slope in a panel is that of its runs alone"
    lacking = sum(len(counted(run)[0]) < _FEWEST for run in results.campaign.runs if counts(run))
    drawn += f"; {plural(lacking, 'run')} without the pages of two checkpoints not drawn" if lacking else ""
    caption = f"Pause against dirty pages; {drawn}. {design_text(results, interval, doubted=NOT_USED)}"
    alt = f"Scatter of pause against dirty pages, {plural(data['panel'].nunique(), 'panel')}. {heading}."
    return Words(heading, caption, alt)


def _told(cost: Effect) -> bool:
    return cost.low > 0 or cost.high < 0


def _range(values: Sequence[float]) -> str:
    low, high = figures_text(min(values)), figures_text(max(values))
    return low if low == high else f"{low} to {high}"


sketch = sketched(NAME, frame, plot, _words, sized=True)
