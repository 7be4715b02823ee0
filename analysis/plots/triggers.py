"""Why checkpoints began, and how often: by workload and network card."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from analysis.format.scenarios import BASELINES
from analysis.plots import axes
from analysis.plots.drawing import NoFigureError, Sketch, Words
from analysis.plots.style import CATEGORIES, INK, LINE_PT, Look
from analysis.plots.words import SPACE, origin, sound_checkpoints
from analysis.runs.causes import CAUSES, EVIDENCE
from analysis.text import figures_text, plural, span

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.verdicts.results import Results

NAME = "triggers"
_ROW_IN, _LABELS_IN = 0.3, 1.9
_BAR = 0.66
_PER_MINUTE = 60.0
_LOOKS: dict[str, tuple[str, str]] = {
    "demand": ("#c9c9c9", ""),
    "timer": (CATEGORIES[5], ""),
    "old_packet": (CATEGORIES[3], "////"),
    "different": (CATEGORIES[1], "...."),
    "unseen": (CATEGORIES[6], ""),
}
WORDS = {
    "demand": "asked for",
    "timer": "QEMU's timer",
    "old_packet": "mismatch: a packet waited too long",
    "different": "mismatch: output differed",
    "unseen": "mismatch, by exclusion",
}
"""Causes for people."""


def sketch(results: Results) -> Sketch:
    """Return the figure before it is drawn.

    Raises:
        NoFigureError: every checkpoint of sound runs was asked for, or no run of a pair has passed its check.
    """
    data = frame(results)
    where, ran = origin(results, set(results.causes["cell_id"]))
    return Sketch(NAME, data, _words(results, data, ran), partial(plot, where=where))


def frame(results: Results) -> pd.DataFrame:
    """Return one row per cell and cause: ``per_minute``, and of all mismatches ``mismatch``, ``low`` and ``high``.

    Raises:
        NoFigureError: every checkpoint of sound runs was asked for, or no run of a pair has passed its check.
    """
    table = results.causes
    if table.empty:
        raise NoFigureError("no run of a pair has passed its check")
    if not (table[["timer_per_s", "mismatch_per_s"]].to_numpy() > 0).any():
        raise NoFigureError(
            "in runs that passed their check every checkpoint was asked for: neither a timer nor differing output "
            "began one"
        )
    rows = [
        {
            "cell": row["cell"],
            "scenario": row["scenario"],
            "workload": row["workload"],
            "nic": row["nic"],
            "runs": row["runs"],
            "cause": cause,
            "per_minute": row[f"{cause}_per_s"] * _PER_MINUTE,
            "mismatch": row["mismatch_per_s"] * _PER_MINUTE,
            "low": row["mismatch_low"] * _PER_MINUTE,
            "high": row["mismatch_high"] * _PER_MINUTE,
        }
        for row in table.to_dict("records")
        for cause in CAUSES
    ]
    return pd.DataFrame(rows)


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw a bar per cell, stacked by cause; at the right the rate of mismatches with its interval."""
    cells = list(dict.fromkeys(data["cell"]))
    shown = [cause for cause in CAUSES if (data.loc[data["cause"] == cause, "per_minute"] > 0).any()]
    entries = [Patch(label=WORDS[cause], **_fill(cause)) for cause in shown]
    labels_in = min(_LABELS_IN, 0.42 * width_in)
    texts = [axes.fitting(cell, labels_in - 0.1) for cell in cells]
    row_in = axes.row_in(texts, _ROW_IN)
    panels = axes.Panels.of_rows(
        [""], width_in, [len(texts)], row_in, where=where, entries=entries, labels_in=labels_in
    )
    ax = panels.axes[0]
    start, rows = np.zeros(len(cells)), np.arange(len(cells))
    for cause in shown:
        values = data[data["cause"] == cause].set_index("cell").loc[cells, "per_minute"].to_numpy()
        ax.barh(rows, values, left=start, height=_BAR, **_fill(cause))
        start = start + values
    whole = data.drop_duplicates("cell").set_index("cell").loc[cells]
    for row, mismatch in zip(rows, whole["mismatch"], strict=True):
        axes.say_beside(ax, row, figures_text(mismatch) if mismatch else "0")
    axes.ms_axis(ax, "x", np.append(start, 0.0), room=panels.room_in, log=False)
    axes.name_rows(ax, texts)
    ax.axvline(0, color=INK, linewidth=0.8)
    panels.label("checkpoints per minute")
    return panels.figure


def _fill(cause: str) -> Look:
    colour, hatch = _LOOKS[cause]
    return {"facecolor": colour, "hatch": hatch, "edgecolor": "white", "linewidth": LINE_PT}


def _words(results: Results, data: pd.DataFrame, ran: str) -> Words:
    cells = data.drop_duplicates("cell")
    most = cells.loc[cells["mismatch"].idxmax()]
    if most["mismatch"] > 0:
        low, middle, high = (figures_text(max(most[name], 0.0)) for name in ("low", "mismatch", "high"))
        rate = middle if math.isnan(most["low"]) else f"{middle} [{low}, {high}]"
        heading = f"Mismatches make up to {rate} checkpoints a minute ({most['cell']})"
    else:
        heading = "No mismatch made a checkpoint"
    seen = (data.loc[data["cause"].isin(EVIDENCE[:2]), "per_minute"] > 0).any()
    traced = seen or results.causes["compared_per_s"].notna().any()
    how = (
        "Seen in colo-compare's trace events: a packet that waited longer than compare_timeout, or a comparison that "
        "came out otherwise; by exclusion: neither a poke nor the timer can have been the cause."
        if traced
        else "Mismatches are told by exclusion: trace=network would show what colo-compare saw."
    )
    asked = " that is asked for them" if BASELINES & set(data["scenario"]) else ""
    told = most["mismatch"] > 0 and not math.isnan(most["low"])
    interval = f", in the heading with Student's 95{SPACE}% interval over runs" if told else ""
    caption = (
        f"Checkpoints per minute by their cause, means over runs (R = {span(data['runs'])} per cell"
        f"{sound_checkpoints(results.runs, asked)}); at the right mismatches per minute"
        f"{interval}. {how} Left out: runs whose own check failed. {ran}."
    )
    return Words(heading, caption, f"Stacked bars of checkpoints per minute, {plural(len(cells), 'cell')}. {heading}.")
