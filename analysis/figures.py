"""The two figures of the first picture, each at page and at phone width, with the data that is drawn."""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.load import PHASES
from analysis.summary import MEAN_MS
from analysis.text import accel_text, ms_text
from analysis.ticks import log_ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.axes import Axes

    from analysis.cells import Cells

WIDE_IN, NARROW_IN = 7.0, 3.4
"""Widths at which the figures are drawn, in inches: two columns of print, and one (also a phone)."""

MOST_STEPS = 200
"""Steps drawn per run; a longer run is drawn at this many evenly spaced ranks of its own sorted pauses."""

_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.labelsize": 8,
    "figure.constrained_layout.use": True,
    "figure.titlesize": 8,
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "colo-bench",
    "text.parse_math": False,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
}
_METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
_DASHES: tuple[Any, ...] = ("", (4, 1.5), (1, 1), (5, 1, 1, 1), (8, 2), (3, 1, 1, 1, 1, 1))
_OUTSIDE = ("#e3e3e3", "#c4c4c4")
_LEGEND_ROW_IN = 0.2
_CROWDED = 16
_MOST_SVG_BYTES = 250_000


@dataclass(frozen=True)
class Picture:
    """An image that a page can carry."""

    mime: str
    content: bytes


@dataclass(frozen=True)
class Drawing:
    """A figure: its files by kind, the pictures for a page and for a phone, and the data that is drawn."""

    name: str
    files: dict[str, bytes]
    wide: Picture
    narrow: Picture
    data: pd.DataFrame


@contextmanager
def style() -> Iterator[None]:
    """Set matplotlib to the style of the report, whatever the user's own settings are, and set it back."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(cast("Any", _STYLE))
        yield


def draw(name: str, data: pd.DataFrame, cells: Cells, plot: Callable[[pd.DataFrame, Cells, float], Figure]) -> Drawing:
    """Draw ``data`` at both widths. The same data gives the same bytes: no dates, fixed identifiers."""
    with style():
        files = {kind: _save(plot(data, cells, WIDE_IN), kind) for kind in ("svg", "pdf", "png")}
        narrow = {kind: _save(plot(data, cells, NARROW_IN), kind) for kind in ("svg", "png")}
    return Drawing(name, files, _picture(files), _picture(narrow), data)


def _picture(files: dict[str, bytes]) -> Picture:
    if len(files["svg"]) <= _MOST_SVG_BYTES:
        return Picture("image/svg+xml", files["svg"])
    return Picture("image/png", files["png"])


def ecdf_points(used: pd.DataFrame, cells: Cells) -> pd.DataFrame:
    """Return the steps of each run's empirical distribution: pause_ms, share (0 to 1), the names of run and cell."""
    parts = []
    for (cell, run_id), run in used.groupby(["cell", "run_id"], sort=True):
        pauses = np.sort(run["pause_ms"].to_numpy())
        ranks = np.unique(np.linspace(1, len(pauses), min(len(pauses), MOST_STEPS)).round().astype(int))
        name = cells.names[cell]
        parts.append(
            pd.DataFrame(
                {
                    "panel": name.panel,
                    "cell": name.label,
                    "accel": name.accel,
                    "memory": name.memory,
                    "vcpus": name.vcpus,
                    "run_id": run_id,
                    "pause_ms": np.concatenate([pauses[:1], pauses[ranks - 1]]),
                    "share": np.concatenate([[0.0], ranks / len(pauses)]),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def plot_ecdf(data: pd.DataFrame, cells: Cells, width_in: float) -> Figure:
    """Draw one thin line per run: colour is memory, dashes are vCPUs, a panel is everything else that differs."""
    legend = _size_legend(cells)
    columns = min(2 if width_in > NARROW_IN else 1, len(cells.panels))
    legend_columns = min(len(legend.entries), 6 if width_in > NARROW_IN else 3)
    rows, legend_rows = (-(-len(cells.panels) // columns)), (-(-len(legend.entries) // legend_columns))
    height = 0.75 + _LEGEND_ROW_IN * legend_rows + rows * (1.9 if rows > 1 else 2.4)
    figure = Figure(figsize=(width_in, height))
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for panel, ax in zip(cells.panels, axes.flat, strict=False):
        _run_lines(ax, data[data["panel"] == panel], legend)
        ax.set(title=panel, xlabel="", ylabel="", ylim=(-0.02, 1.02), yticks=[0, 0.25, 0.5, 0.75, 1])
    _log_axis(axes[0, 0], data["pause_ms"], 10 if columns == 1 and width_in > NARROW_IN else 6)
    for spare in axes.flat[len(cells.panels) :]:
        spare.set_visible(False)
    for lowest in axes.flat[len(cells.panels) - columns : len(cells.panels)]:
        # Shared axes hide the tick labels above a spare panel.
        lowest.tick_params(labelbottom=True)
        lowest.set_xlabel("VM pause [ms]")
    figure.supylabel("share of checkpoints", fontsize=8)
    figure.suptitle(_where(cells), x=0.01, ha="left")
    figure.legend(handles=legend.entries, loc="outside lower center", ncols=legend_columns)
    return figure


@dataclass(frozen=True)
class _SizeLegend:
    memories: list[str]
    vcpus: list[str]
    colours: dict[str, Any]
    dashes: dict[str, Any]

    @property
    def entries(self) -> list[Line2D]:
        by_colour = [Line2D([], [], color=self.colours[text], linewidth=2, label=text) for text in self.memories]
        by_dashes = [Line2D([], [], color="#333333", linewidth=1.2, label=text) for text in self.vcpus]
        for line, text in zip(by_dashes, self.vcpus, strict=True):
            line.set_dashes(self.dashes[text] or (None, None))
        return by_colour + by_dashes


def _size_legend(cells: Cells) -> _SizeLegend:
    memories = list(dict.fromkeys(name.memory for name in sorted(cells.names, key=lambda name: name.mem_bytes)))
    vcpus = list(dict.fromkeys(name.vcpus for name in sorted(cells.names, key=lambda name: name.smp)))
    colours = dict(zip(memories, _ordered_colours(len(memories)), strict=True))
    return _SizeLegend(memories, vcpus, colours, {text: _DASHES[n % len(_DASHES)] for n, text in enumerate(vcpus)})


def _run_lines(ax: Axes, data: pd.DataFrame, legend: _SizeLegend) -> None:
    sns.lineplot(
        data=data,
        x="pause_ms",
        y="share",
        hue="memory",
        hue_order=legend.memories,
        palette=legend.colours,
        style="vcpus",
        style_order=legend.vcpus,
        dashes=legend.dashes,
        units="run_id",
        estimator=None,
        drawstyle="steps-post",
        linewidth=1.0 if data["run_id"].nunique() <= _CROWDED else 0.6,
        legend=False,
        ax=ax,
    )


def phase_means(per_cell: pd.DataFrame) -> pd.DataFrame:
    """Return what the bars show of the cell table, in ms: mean phases, mean pause and its range over runs."""
    shown = ["panel", "cell", "accel", "runs", "checkpoints", *MEAN_MS.values()]
    return per_cell[[*shown, "mean_pause_ms", "low_mean_pause_ms", "high_mean_pause_ms"]]


def plot_phases(data: pd.DataFrame, cells: Cells, width_in: float) -> Figure:
    """Draw one bar per cell along time: the VM stops at 0; request and stop lie before, the pause's phases after it."""
    counts = [sum(name.panel == panel for name in cells.names) for panel in cells.panels]
    wide = width_in > NARROW_IN
    legend_rows = 1 if wide else 3
    height = 0.75 + _LEGEND_ROW_IN * legend_rows + 0.3 * len(counts) + 0.27 * sum(counts)
    figure = Figure(figsize=(width_in, height))
    ratios = [count + 0.6 for count in counts]
    axes = figure.subplots(len(counts), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": ratios})[:, 0]
    colours = (*_OUTSIDE, *map(mpl.colors.to_hex, _ordered_colours(len(PHASES) - len(_OUTSIDE))))
    for panel, ax in zip(cells.panels, axes, strict=True):
        _bars(ax, data[data["panel"] == panel], colours)
        ax.set_yticks(range(counts.pop(0)), [name.size for name in cells.names if name.panel == panel])
        ax.set_title(panel)
    axes[-1].set_xlabel(
        "mean time from the moment the VM stopped [ms]" if wide else "mean time since the VM stopped [ms]"
    )
    figure.suptitle(_where(cells), x=0.01, ha="left")
    entries = [
        Patch(facecolor=colour, edgecolor="#555555", linewidth=0.4, label=phase.removesuffix("_s"))
        for phase, colour in zip(PHASES, colours, strict=True)
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(PHASES) if wide else 3)
    return figure


def _bars(ax: Axes, rows: pd.DataFrame, colours: tuple[str, ...]) -> None:
    widths = rows[list(MEAN_MS.values())].to_numpy()
    lefts = widths.cumsum(axis=1) - widths - widths[:, : len(_OUTSIDE)].sum(axis=1, keepdims=True)
    places = np.arange(len(rows))
    for phase, colour in enumerate(colours):
        ax.barh(
            places, widths[:, phase], left=lefts[:, phase], color=colour, edgecolor="white", linewidth=0.4, height=0.68
        )
    mean = rows["mean_pause_ms"].to_numpy()
    spread = np.maximum([mean - rows["low_mean_pause_ms"], rows["high_mean_pause_ms"] - mean], 0.0)
    ax.errorbar(mean, places, xerr=spread, fmt="none", ecolor="#111111", elinewidth=0.9, capsize=2.5, capthick=0.9)
    for place, value, right in zip(places, mean, rows["high_mean_pause_ms"], strict=True):
        ax.annotate(ms_text(value), (right, place), (4, 0), textcoords="offset points", va="center", fontsize=7.5)
    ax.axvline(0, color="#111111", linewidth=0.8)
    ax.grid(visible=False, axis="y")
    ax.invert_yaxis()
    ax.use_sticky_edges = False
    ax.margins(x=0.09)


def _log_axis(ax: Axes, values: pd.Series, most: int) -> None:
    low, high = float(values.min()) / 1.06, float(values.max()) * 1.06
    ticks = log_ticks(low, high, most)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)


def _ordered_colours(count: int) -> list[Any]:
    """Return colours whose order shows in grey too: viridis without its palest end."""
    return [mpl.colormaps["viridis"](place) for place in np.linspace(0.0, 0.88, count)]


def _where(cells: Cells) -> str:
    accels = accel_text(cells.accels)
    said = f"pairs under {accels}" + (", as said above each panel" if len(cells.accels) > 1 else "")
    return " · ".join(filter(None, [cells.shared, said]))


def _save(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A workload may be named in a script that the bundled font lacks: a box in the figure, not a failed report.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(buffer, format=kind, dpi=200, metadata=_METADATA[kind])
    return buffer.getvalue()


def figures(used: pd.DataFrame, per_cell: pd.DataFrame, cells: Cells) -> Iterator[Drawing]:
    """Return the figures of the report in the order in which it shows them."""
    yield draw("pause_ecdf", ecdf_points(used, cells), cells, plot_ecdf)
    yield draw("phase_means", phase_means(per_cell), cells, plot_phases)
