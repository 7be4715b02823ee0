"""What the figures have in common: panels, axes with round marks, titles that fit, legends, and the line of origin."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.plots.style import QUIET, SMALL_PT, TEXT_PT, is_wide
from analysis.plots.ticks import log_ticks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray

LOG_FROM = 12.0
"""From this ratio of the largest to the smallest value on, an axis is logarithmic and says so."""

POINTS_PER_IN = 72.0
SEPARATOR = " · "
"""Between the parts of a cell's or a panel's name."""

STEPS = (1, 2, 2.5, 5, 10)
"""Round steps between the marks of a linear axis."""

_CHARACTER, _BOLD = 0.57, 0.60
_LINE_IN, _TITLE_LINE_IN, _LEGEND_LINE_IN = 0.125, 0.15, 0.165
_HANDLE_PT, _GAP_PT = 26.0, 12.0
_TICK_GAP_IN, _ROW_GAP_IN = 0.03, 0.06
_COLUMN_IN = 7.5
"""How high a figure in a column may be, so that its caption stands below it on the same page."""

_AROUND_IN, _BETWEEN_IN, _LEAST_IN = 1.3, 0.48, 0.7
"""Of a figure: for its legend, label and origin; between its rows; and the lowest axes that can be read."""

_MARGIN = 0.02
_APART_IN = 0.12
"""Of the width, kept free at the left and the right: browsers without our font set texts some 5 % wider."""

_MANY_ROWS = 14
_MOST_BESIDE = 3


def text_in(text: str) -> float:
    """Return about how wide a small text is, in inches, by the average width of a letter."""
    return max(map(len, text.split("\n"))) * _CHARACTER * SMALL_PT / POINTS_PER_IN


def fitting(text: str, width_in: float, size_pt: float = SMALL_PT, *, bold: bool = False) -> str:
    """Break a text into lines that fit a width, between its parts rather than within them, and never before a %."""
    text = text.replace(" %", "\N{NO-BREAK SPACE}%")
    letters = max(int(width_in * POINTS_PER_IN / ((_BOLD if bold else _CHARACTER) * size_pt)), 8)
    lines: list[str] = []
    for part in text.split(SEPARATOR):
        if lines and len(lines[-1]) + len(SEPARATOR) + len(part) <= letters:
            lines[-1] += f"{SEPARATOR}{part}"
        else:
            lines += textwrap.wrap(part, letters)
    return "\n".join(lines)


def line_count(text: str) -> int:
    """Return how many lines a text has; none when it is empty."""
    return text.count("\n") + 1 if text else 0


def panel_names(data: pd.DataFrame) -> list[str]:
    """Return the panels of a frame in the order of the cells."""
    return sorted(set(data["panel"]))


def columns_of_rows(width_in: float, counts: Sequence[int]) -> int:
    """Return in how many columns panels of rows stand: two over the page, where one would be long."""
    return 2 if is_wide(width_in) and len(counts) > 1 and sum(counts) > _MANY_ROWS else 1


def row_in(texts: Iterable[str], least_in: float) -> float:
    """Return how high each row is, in inches: as high as the longest of their names, which are broken into lines."""
    return max(least_in, *(_LINE_IN * line_count(text) + _ROW_GAP_IN for text in texts))


def columns_beside(width_in: float, names: Sequence[str]) -> int:
    """Return in how many columns panels of curves stand: three over the page where that fills the row, else two."""
    if not is_wide(width_in):
        return 1
    return _MOST_BESIDE if len(names) == _MOST_BESIDE else 2


def halves(middle: ArrayLike, low: ArrayLike, high: ArrayLike) -> FloatArray:
    """Return how far whiskers reach below and above, as error bars take it; not below 0 by the last bit of an end."""
    middle, low, high = (np.asarray(one, dtype=np.float64) for one in (middle, low, high))
    return np.maximum([middle - low, high - middle], 0.0)


def say_beside(ax: Axes, row: SupportsFloat, text: str) -> None:
    """Write a number at the right of its row, beside the axes: at the end of a whisker it would be taken for it."""
    ax.annotate(text, (1.01, float(row)), xycoords=("axes fraction", "data"), va="center", fontsize=SMALL_PT)


def name_rows(ax: Axes, texts: Sequence[str]) -> None:
    """Name the rows of an axis, the first one at the top."""
    ax.set_yticks(range(len(texts)), list(texts))
    ax.set_ylim(len(texts) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")


class Panels:
    """A figure of equal panels, one per ``panel`` of the data, with a line of origin above and a legend below.

    Attributes:
        figure: it.
        by_name: the axes of each panel, in order.
        columns: of panels; ``rows``: the same.
        room_in: about how wide the axes of one panel are; ``heights_in``: how high those of each row.
    """

    @classmethod
    def of_curves(cls, names: Sequence[str], width_in: float, wanted_in: float, **given: Any) -> Panels:
        """Lay out panels of curves: beside each other, and as high as wanted, or as a page column has room for."""
        columns = columns_beside(width_in, names)
        room_in = (_COLUMN_IN - _AROUND_IN) / -(-len(names) // columns) - _BETWEEN_IN
        height_in = max(min(wanted_in, room_in), _LEAST_IN)
        return cls(names, width_in, [height_in] * len(names), columns=columns, **given)

    @classmethod
    def of_rows(
        cls, names: Sequence[str], width_in: float, counts: Sequence[int], row_in: float, **given: Any
    ) -> Panels:
        """Lay out panels of so many rows each, all of one height and along one axis."""
        heights_in = [row_in * count + 0.1 for count in counts]
        return cls(names, width_in, heights_in, columns=columns_of_rows(width_in, counts), share="x", **given)

    def __init__(
        self,
        names: Sequence[str],
        width_in: float,
        heights_in: Sequence[float],
        *,
        where: str = "",
        entries: Sequence[Artist] = (),
        columns: int | None = None,
        labels_in: float = 0.55,
        extra_in: float = 0.45,
        share: str = "xy",
    ) -> None:
        """Lay the panels out.

        Args:
            names: of the panels; ``""`` for the only one.
            width_in: of the figure.
            heights_in: of each panel's axes, in inches; a row takes the largest.
            where: what is written above everything.
            entries: of the legend.
            columns: how many; None for two over the page and one in a column.
            labels_in: how wide the tick labels at the left of a panel are.
            extra_in: for the axis label and the margins.
            share: ``x``, ``y``, ``xy`` or nothing: the axes that panels have in common.
        """
        self.columns = min(columns or (2 if is_wide(width_in) else 1), len(names))
        self.rows = -(-len(names) // self.columns)
        self.room_in = (1 - 2 * _MARGIN) * width_in / self.columns - labels_in
        titles = [fitting(name, self.room_in, TEXT_PT, bold=True) if name else "" for name in names]
        rows = [range(row * self.columns, min((row + 1) * self.columns, len(names))) for row in range(self.rows)]
        self.heights_in = bare = [max(heights_in[place] for place in row) for row in rows]
        above = _TITLE_LINE_IN * sum(max(line_count(titles[place]) for place in row) for row in rows)
        origin = fitting(where, width_in - 0.1) if where else ""
        height = extra_in + sum(bare) + above + _LINE_IN * line_count(origin) + 0.28 * (self.rows - 1)
        self.figure = Figure(figsize=(width_in, height + legend_in(entries, width_in)))
        # Panels of rows have counts at their right, which the names of the rows beside them would touch.
        apart = {"w_pad": _APART_IN} if share == "x" and self.columns > 1 else {}
        self.figure.set_layout_engine("constrained", rect=(_MARGIN, 0, 1 - 2 * _MARGIN, 1), **apart)
        axes = self.figure.subplots(
            self.rows,
            self.columns,
            sharex="x" in share,
            sharey="y" in share,
            squeeze=False,
            gridspec_kw={"height_ratios": bare},
        )
        for spare in axes.flat[len(names) :]:
            spare.set_visible(False)
        self.by_name: dict[str, Axes] = dict(zip(names, axes.flat, strict=False))
        for ax, title in zip(self.axes, titles, strict=True):
            ax.set_title(title)
        if origin:
            self.figure.suptitle(origin, x=0.01, ha="left", fontsize=SMALL_PT, color=QUIET)
        _legend(self.figure, entries, width_in)

    def slots(self, counts: Sequence[int]) -> list[int]:
        """Return how many rows each panel has room for, so that all are as thick: the most of those beside it."""
        begin = [place - place % self.columns for place in range(len(counts))]
        return [max(counts[at : at + self.columns]) for at in begin]

    @property
    def axes(self) -> list[Axes]:
        """Return the axes in order."""
        return list(self.by_name.values())

    def label(self, x: str, y: str = "") -> None:
        """Name the axes: x below the lowest panels, in lines that do not reach the panel beside; y once at the left."""
        if self.columns > 1:
            x = fitting(x, self.room_in, TEXT_PT)
            self.figure.set_figheight(self.figure.get_figheight() + _TITLE_LINE_IN * (line_count(x) - 1))
        for ax in self.axes[-self.columns :]:
            # Shared axes hide the tick labels above a spare panel.
            ax.tick_params(labelbottom=True)
            # Labels of axes without tick labels have been hidden by seaborn.
            ax.set_xlabel(x, visible=True)
        if y and self.rows == 1:
            self.axes[0].set_ylabel(y, visible=True)
        elif y:
            self.figure.supylabel(y, fontsize=TEXT_PT)


def boxes(left: Any, right: Any, low: Any, high: Any, **look: Any) -> PolyCollection:
    """Return rectangles as one: each by itself takes as long to draw as hundreds, of which there may be as many."""
    left, right, low, high = np.broadcast_arrays(left, right, low, high)
    corners = [np.column_stack(each) for each in ((left, low), (right, low), (right, high), (left, high))]
    return PolyCollection(list(np.stack(corners, axis=1)), **look)


def legend_in(entries: Sequence[Artist], width_in: float) -> float:
    """Return how high the legend below a figure is, in inches."""
    labels = _labels(entries, width_in)
    columns = _legend_columns(labels, width_in)
    rows = [labels[place::columns] for place in range(columns)]
    return _LEGEND_LINE_IN * max((sum(map(line_count, column)) for column in rows), default=0) + (0.06 if labels else 0)


def _legend(figure: Figure, entries: Sequence[Artist], width_in: float) -> None:
    if entries:
        labels = _labels(entries, width_in)
        columns = _legend_columns(labels, width_in)
        figure.legend(
            list(entries), labels, loc="outside lower center", ncols=columns, columnspacing=_GAP_PT / SMALL_PT
        )


def _labels(entries: Sequence[Artist], width_in: float) -> list[str]:
    return [fitting(str(entry.get_label()), width_in - 0.6) for entry in entries]


def _legend_columns(labels: Sequence[str], width_in: float) -> int:
    """Return how many entries stand beside each other, so that the rows are as full as they can be."""
    widest = max(map(text_in, labels), default=1.0) + (_HANDLE_PT + _GAP_PT) / POINTS_PER_IN
    count = max(len(labels), 1)
    fits = min(max(int(((1 - 2 * _MARGIN) * width_in + _GAP_PT / POINTS_PER_IN) / widest), 1), count)
    return -(-count // -(-count // fits))


def ranges_widely(values: FloatArray) -> bool:
    """Tell whether an axis of these values is logarithmic, which it has to say: of those with a 0 none is."""
    known = values[np.isfinite(values)]
    return bool(0 < known.min() * LOG_FROM < known.max())


def ms_axis(
    ax: Axes, which: str, values: FloatArray, *, room: float, log: bool | None = None, head: float = 0.0
) -> bool:
    """Give an axis of milliseconds round marks: from zero, or logarithmic where values range widely.

    Args:
        ax: the axes; those that share the axis follow.
        which: ``x`` or ``y``.
        values: everything that has to be seen.
        room: inches that the axis is long, for the number of marks.
        log: whether it is logarithmic, where no value is 0; None: by the range of the values.
        head: what is left free at its upper end, as a share of the values' reach.

    Returns:
        Whether the axis is logarithmic.
    """
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    logarithmic = low > 0 and (ranges_widely(known) if log is None else log)
    most = max(int(room / (0.38 if which == "x" else 0.3)), 2)
    if logarithmic:
        bottom, top = low / 1.08, high * 1.08 * (high / low) ** head
        marks = log_ticks(bottom, top, most)
    else:
        bottom, top = 0.0, high * (1.06 + head) if high > 0 else 1.0
        marks = round_marks(bottom, top, most)
    set_scale, set_limits, set_ticks = (
        (ax.set_xscale, ax.set_xlim, ax.set_xticks) if which == "x" else (ax.set_yscale, ax.set_ylim, ax.set_yticks)
    )
    set_scale("log" if logarithmic else "linear")
    set_limits(bottom, top)
    set_ticks(marks, [f"{mark:,g}" for mark in marks])
    set_ticks([], minor=True)
    return logarithmic


def round_marks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """Return at most about ``most`` round numbers within a range, ``whole`` ones where it holds two of these."""
    marks = MaxNLocator(most, steps=list(STEPS), integer=whole).tick_values(low, high)
    return [float(mark) for mark in marks if low <= mark <= high]


def size_axis(ax: Axes, sizes: Sequence[int], texts: Sequence[str], room: float, *, beside: float = 0.0) -> float:
    """Give the x axis a mark per size on a scale of doublings; names that would touch are left out.

    Args:
        ax: the axes; those that share the axis follow.
        sizes: of the marks.
        texts: their names.
        room: inches that the axis is long.
        beside: how far from its size something stands, in inches, at most: also at the first and the last one.

    Returns:
        How many inches a doubling is.
    """
    low, high = min(sizes), max(sizes)
    doublings = math.log2(high / low)
    pad = max(doublings * 0.08, 0.35)
    if doublings:
        pad = max(pad, beside * doublings / (room - 2 * beside))
    per_doubling = room / (doublings + 2 * pad)
    shown, reached = [], -math.inf
    for size, text in zip(sizes, texts, strict=True):
        at, half = math.log2(size / low) * per_doubling, text_in(text) / 2
        fits = at - half >= reached
        shown.append(text if fits else "")
        reached = at + half + _TICK_GAP_IN if fits else reached
    ax.set_xscale("log", base=2)
    ax.set_xlim(low / 2**pad, high * 2**pad)
    ax.set_xticks(list(sizes), shown)
    ax.set_xticks([], minor=True)
    return per_doubling


def bar_marks(bar: Colorbar, room: float) -> None:
    """Give a horizontal colour bar round marks that do not touch."""
    low, high = float(bar.norm.vmin or 0.0), float(bar.norm.vmax or 1.0)
    most = max(int(room / 0.45), 2)
    marks = log_ticks(low, high, most) if isinstance(bar.norm, LogNorm) else round_marks(low, high, min(most, 6))
    bar.set_ticks(marks, labels=[f"{mark:,g}" for mark in marks])
    bar.minorticks_off()
