"""The figure of a series: a panel a cell, a point a run, and a line where the cost of a checkpoint changed."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from analysis.compare.judging import REGRESSED
from analysis.plots.style import CATEGORIES, INK, QUIET, SMALL_PT, look
from analysis.text import ratio_text

if TYPE_CHECKING:
    from analysis.compare.tracking import Track

_WIDTH_IN, _PANEL_IN, _MARGIN_IN = 7.0, 1.4, 0.9
_TITLE = 92
"""Characters of a panel's title that the width has room for."""

_WORSE, _BETTER = CATEGORIES[3], CATEGORIES[2]


def figure_of(track: Track, kind: str, *, unit: str = "ms", scale: float = 1e3) -> bytes:
    """Return the figure as ``svg``, ``pdf`` or ``png``."""
    with look():
        figure = Figure(figsize=(_WIDTH_IN, _MARGIN_IN + _PANEL_IN * len(track.cells)), dpi=200)
        panels = figure.subplots(len(track.cells), 1, sharex=True, squeeze=False)[:, 0]
        for axes, series in zip(panels, track.cells, strict=True):
            for place, point in enumerate(series.points):
                spread = np.linspace(-0.12, 0.12, len(point.values)) if len(point.values) > 1 else np.zeros(1)
                heights = scale * np.array(point.values)
                axes.plot(place + spread[: len(heights)], heights, "o", ms=2.5, color=QUIET, mew=0)
                axes.plot([place - 0.25, place + 0.25], [scale * point.median] * 2, color=INK)
                if point.change:
                    colour = _WORSE if point.word == REGRESSED else _BETTER
                    axes.axvline(place - 0.5, color=colour, ls="--")
                    axes.annotate(
                        f"{point.word} \N{MULTIPLICATION SIGN}{ratio_text(point.ratio, decimals=2)}",
                        (place - 0.5, 1.0),
                        xycoords=("data", "axes fraction"),
                        xytext=(3, -2),
                        textcoords="offset points",
                        va="top",
                        fontsize=SMALL_PT,
                        color=colour,
                    )
            axes.set_title(textwrap.fill(f"{series.cell} \N{MIDDLE DOT} {series.under}", _TITLE))
            axes.set_ylabel(f"{track.outcome} ({unit})" if unit else track.outcome)
            # Where nothing was lost, or no checkpoint stalled, every value is 0, and an axis needs two ends.
            axes.set_ylim(0, 1.15 * scale * max(value for point in series.points for value in point.values) or 1.0)
        panels[-1].set_xticks(range(len(track.names)), track.names, rotation=20, ha="right")
        panels[-1].set_xlim(-0.6, len(track.names) - 0.4)
        out = io.BytesIO()
        figure.savefig(out, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return out.getvalue()
