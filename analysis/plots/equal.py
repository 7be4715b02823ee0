"""A/A: cells that are the same machine under two names. What differs between them is noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.plots import axes
from analysis.plots.drawing import NoFigureError, Words
from analysis.plots.style import BAND, BAND_EDGE, CATEGORIES, INK, LINE_PT, Look
from analysis.plots.words import NOT_USED, design_text, sketched
from analysis.text import decimals_apart, percent_number, plural, short_text
from analysis.verdicts.equals import aa_logs, equals, noise_floor
from analysis.verdicts.looks import looked_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.stored.cells import CellName
    from analysis.verdicts.results import Results

NAME = "equal_cells"
_ROW_IN = 0.34
_LANES = 3
_DASHES = (0, (4, 2))


def frame(results: Results) -> pd.DataFrame:
    """Return per pair of equal cells and block the ``ratio`` of their run medians, and the noise ``floor``.

    As verdicts are, both are of the blocks of the last look.

    ``sesoi`` is the smallest effect of interest that a hypothesis on the pause declares, relative, from one end of its
    factor to the other, as equals are compared; unknown without one.

    Raises:
        NoFigureError: no two cells are the same machine, or they share no block in which both count.
    """
    _, seen = looked_at(results.campaign, results.runs)
    pairs = [pair for pair in equals(seen) if aa_logs(seen, pair)]
    cells = [tuple(results.cells.names[place] for place in pair) for pair in pairs]
    rows = []
    for pair, name, (one, other) in zip(pairs, _numbered([_pair_name(*own) for own in cells]), cells, strict=True):
        said = {"pair": name, "one": one.panel or one.label, "other": other.panel or other.label}
        rows += [{**said, "ratio": float(np.exp(log))} for log in aa_logs(seen, pair)]
    if not rows:
        raise NoFigureError("no two cells are the same machine under two names and have sound runs in the same block")
    on_pause = [one for one in results.findings if one.hypothesis.outcome == "pause" and np.isfinite(one.span)]
    sesois = [one.sesoi_over_span for one in on_pause]
    return pd.DataFrame(rows).assign(floor=noise_floor(seen), sesoi=min(sesois, default=np.nan))


def _numbered(names: Sequence[str]) -> list[str]:
    """Return the names; pairs of one name, as of four equal cells, with their number."""
    return [
        name if names.count(name) == 1 else f"{name} ({names[: place + 1].count(name)})"
        for place, name in enumerate(names)
    ]


def _pair_name(one: CellName, other: CellName) -> str:
    """Return the size and what the names of both panels have in common."""
    parts, others = one.panel.split(" · "), other.panel.split(" · ")
    return " · ".join([one.size, *(part for part in parts if part and part in others)])


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw a row per pair: the difference in every block, over the noise floor, between what would be of interest."""
    edge: Look = {"edgecolor": BAND_EDGE, "linewidth": LINE_PT}
    entries = [
        Line2D([], [], linestyle="none", marker="o", markersize=4, color=CATEGORIES[0], label="one block"),
        Line2D([], [], linestyle="none", marker="D", markersize=4, color=INK, label="median"),
        Patch(facecolor=BAND, label="noise floor", **edge),
    ]
    if data["sesoi"].notna().all():
        label = "smallest effect of interest, from end to end of its factor"
        entries.append(Line2D([], [], color=CATEGORIES[3], linestyle=_DASHES, label=label))
    names = list(dict.fromkeys(data["pair"]))
    texts = [axes.fitting(name, 0.38 * width_in) for name in names]
    row_in = axes.row_in(texts, _ROW_IN)
    panels = axes.Panels.of_rows([""], width_in, [len(texts)], row_in, where=where, entries=entries)
    ax = panels.axes[0]
    _bands(ax, data)
    for row, name in enumerate(names):
        percent = 100 * (data.loc[data["pair"] == name, "ratio"].to_numpy() - 1)
        lanes = row - 0.14 + (np.arange(len(percent)) % _LANES - 1) * 0.12
        ax.scatter(percent, lanes, s=14, color=CATEGORIES[0], alpha=0.8, linewidth=0, zorder=3)
        ax.plot(np.median(percent), row + 0.26, marker="D", color=INK, markersize=3.5, zorder=3)
    axes.name_rows(ax, texts)
    panels.label("difference of the median pause [%]")
    return panels.figure


def _bands(ax: Axes, data: pd.DataFrame) -> None:
    floor, sesoi = (100 * float(data[name].iloc[0]) for name in ("floor", "sesoi"))
    # So much above the other, either way: seen from the other one that is less below it.
    below = 100 * (1 / (1 + floor / 100) - 1)
    ax.axvspan(below, floor, facecolor=BAND, edgecolor=BAND_EDGE, linewidth=LINE_PT)
    ax.axvline(0, color=INK, linewidth=0.8)
    for at in (-sesoi, sesoi) if np.isfinite(sesoi) else ():
        ax.axvline(at, color=CATEGORIES[3], linewidth=1.0, linestyle=_DASHES)
    reach = 1.12 * float(np.nanmax([floor, sesoi, *(100 * (data["ratio"] - 1).abs())]))
    ax.set_xlim(-reach, reach)


def _words(results: Results, data: pd.DataFrame) -> Words:
    floor, sesoi = float(data["floor"].iloc[0]), float(data["sesoi"].iloc[0])
    differ = percent_number(floor, decimals_apart(100 * floor, 100 * sesoi))
    heading = f"Equal cells could differ by up to {differ} %, the noise floor"
    if np.isfinite(sesoi):
        side = "less" if floor < sesoi else "not less"
        declared = f"the smallest effect of interest, {short_text(100 * sesoi)} % from end to end of its factor"
        heading += f": {side} than {declared}"
    pairs = data[["pair", "one", "other"]].drop_duplicates().to_dict("records")
    which = "; ".join(f"{pair['pair']}: {pair['other']} against {pair['one']}" for pair in pairs)
    interval = (
        "Shaded: as far as what is known of their difference reaches (the far end of its 95 % Hodges-Lehmann interval, "
        "the middle difference of a pair, or the largest seen where there are too few)."
    )
    design = design_text(results, interval, doubted=NOT_USED, judged=True)
    caption = (
        "Difference of the run medians of two cells that are the same machine, in each block "
        f"({plural(len(data), 'comparison')} in all). {which}. {design}"
    )
    alt = f"{plural(len(pairs), 'pair')} of equal cells, their differences by block. {heading}."
    return Words(heading, caption, alt)


sketch = sketched(NAME, frame, plot, _words)
