"""Why pooling lies: how often a method finds an effect where none is, when checkpoints are taken for measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Patch

from analysis.plots import axes
from analysis.plots.drawing import NoFigureError, Sketch, Words
from analysis.plots.style import CATEGORIES, INK, LINE_PT, SMALL_PT, Look, is_wide
from analysis.plots.words import SPACE
from analysis.text import plural, span
from analysis.verdicts.claims import ALPHA

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "pooling"
POOLED, RUN = "pooled", "run"
_LOOKS = {POOLED: (CATEGORIES[3], "////", "pooled checkpoints"), RUN: (CATEGORIES[0], "", "one number per run")}
_ROW_IN = 0.25


def sketch(calibration: pd.DataFrame | None) -> Sketch:
    """Return the figure before it is drawn.

    Args:
        calibration: ``method``, ``level`` (``pooled`` or ``run``), ``type_one`` with its interval ``low``/``high``,
            as shares; a test at 5 % each; ``studies``: how many campaigns were simulated, and ``assumed``: whether of
            a design that is not the campaign's own, where that is known.

    Raises:
        NoFigureError: there is no calibration.
    """
    if calibration is None or not len(calibration):
        raise NoFigureError("the methods were not calibrated on this design")
    data = frame(calibration)
    return Sketch(NAME, data, _words(data), plot)


def frame(calibration: pd.DataFrame) -> pd.DataFrame:
    """Return the rates in the order drawn: the pooled ones first, the worst first."""
    known = calibration.reindex(columns=["method", "level", "type_one", "low", "high", "studies", "assumed"])
    return known.sort_values(["level", "type_one", "method"], ascending=[True, False, True], ignore_index=True)


def plot(data: pd.DataFrame, width_in: float) -> Figure:
    """Draw a bar per method with its interval, and the 5 % that each promises."""
    entries = [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", linewidth=LINE_PT, label=label)
        for level, (colour, hatch, label) in _LOOKS.items()
        if level in set(data["level"])
    ]
    texts = [axes.fitting(method, 0.4 * width_in) for method in data["method"]]
    panels = axes.Panels.of_rows([""], width_in, [len(texts)], axes.row_in(texts, _ROW_IN), entries=entries)
    _bars(panels.axes[0], data, texts)
    wide = "campaigns without an effect in which one is found [%]"
    panels.label(wide if is_wide(width_in) else "effects found where none is [%]")
    return panels.figure


def _bars(ax: Axes, data: pd.DataFrame, texts: list[str]) -> None:
    places = np.arange(len(data))
    share, low, high = (100 * data[name].to_numpy(dtype=np.float64) for name in ("type_one", "low", "high"))
    known = np.isfinite(low) & np.isfinite(high)
    for place, level, rate, end in zip(places, data["level"], share, np.where(known, high, share), strict=True):
        colour, hatch, _ = _LOOKS[level]
        ax.barh(place, rate, height=0.66, color=colour, hatch=hatch, edgecolor="white", linewidth=LINE_PT)
        near: Look = {"textcoords": "offset points", "va": "center", "fontsize": SMALL_PT}
        ax.annotate(f"{rate:.1f}", (max(end, 100 * ALPHA), place), (4, 0), **near)
    ends = axes.halves(share, low, high)[:, known]
    ax.errorbar(share[known], places[known], xerr=ends, fmt="none", ecolor=INK, elinewidth=0.9, capsize=2.0)
    ax.axvline(100 * ALPHA, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    ax.set_xlim(0, max(1.18 * float(np.nanmax([share, high])), 10.0))
    axes.name_rows(ax, texts)


def _words(data: pd.DataFrame) -> Words:
    pooled, run = (data.loc[data["level"] == level, "type_one"] for level in (POOLED, RUN))
    if len(pooled) and len(run):
        heading = (
            f"Pooled checkpoints find an effect that is not there in {_range(pooled)} of campaigns, "
            f"one number per run in {_range(run)}"
        )
    else:
        heading = f"An effect that is not there is found in {_range(data['type_one'])} of campaigns"
    studies = data["studies"].dropna()
    several = f"{span(studies)} simulated campaigns" if len(studies) else "simulated campaigns"
    assumed = any(one is True for one in data["assumed"].tolist())
    own = "this design (with two sizes where it has none)"
    design = "an assumed design (no cell here has two runs that tell how they vary)" if assumed else own
    caption = (
        f"Type I error of tests at 5{SPACE}% (dashed) on {several} of {design} without any effect; R and N are "
        "those of the design. Hatched: methods that take every checkpoint for a measurement. Whiskers: 95 % "
        "interval of the simulated rate. Nothing is excluded. Simulated: neither KVM nor emulation (TCG) is involved."
    )
    return Words(heading, caption, f"Bars of the type I error of {plural(len(data), 'method')} against 5 %. {heading}.")


def _range(shares: pd.Series) -> str:
    low, high = f"{100 * shares.min():.1f}", f"{100 * shares.max():.1f}"
    return f"{low}{SPACE}%" if low == high else f"{low} to {high}{SPACE}%"
