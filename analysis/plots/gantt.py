"""One checkpoint on both sides, a typical and a slow one: who waits for whom."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from analysis import stats
from analysis.format import phases as table
from analysis.format.table import PHASES
from analysis.plots import axes, phases
from analysis.plots.data import runs_by_cell
from analysis.plots.drawing import NoFigureError, Words
from analysis.plots.style import CATEGORIES, INK, QUIET, SMALL_PT, ink_on, is_wide
from analysis.plots.words import MS, emulated, full_name, sketched
from analysis.runs.counting import doubted_text
from analysis.runs.outcomes import used
from analysis.text import ms_text, percent_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.stats.checks import FloatArray
    from analysis.verdicts.results import Results

NAME = "checkpoint_gantt"
PRIMARY, PARTS, SECONDARY = "primary", "parts of save", "secondary"
_ROWS = (PRIMARY, PARTS, SECONDARY)
_SAVE_PARTS = tuple(part.name for part in table.PARTS if part.side == table.PRIMARY and table.phase_of(part) == "save")
_SECONDARY_PARTS = tuple(part.name for part in table.PARTS if part.side == table.SECONDARY)
_FINER = [f"{part}_s" for part in (*_SAVE_PARTS, *_SECONDARY_PARTS)]
_LOOKS = {
    "device_save": ("#7d4767", "////"),
    "bitmap_sync": (CATEGORIES[6], ""),
    "ram_send": (CATEGORIES[4], ""),
    "ram_receive": ("#cfe8f7", ""),
    "cache_flush": (CATEGORIES[1], "...."),
    "device_load": (CATEGORIES[3], "\\\\\\\\"),
    "restart": (CATEGORIES[7], ""),
}
_OF_OLD = [f"{name}_s" for name in _LOOKS]
"""Without these of a checkpoint there is no figure; what came later is drawn where it is known: older data lacks it."""

_LOOKS |= {part.name: (CATEGORIES[0], "xxxx") for part in table.PARTS if part.name not in _LOOKS}
"""Fill and hatch of each part: what stands side by side differs in lightness or hatch, so in grey too."""

_TEXTS = {part.name: part.words for part in table.PARTS}
"""The parts of both sides in words; the data has the names of the columns that they come from."""

_LEAST_IN = 0.008
"""A narrower bar does not show: half a point."""

_AFTER_MESSAGE = ("save", "load", "resume")
"""Phases of the primary that begin with vmstate-send, vmstate-received and vmstate-loaded."""

_PADDING_IN = 0.1
_TAIL = 0.99
_FLUSHES_LATE_FROM = (5, 1)


def frame(results: Results) -> pd.DataFrame:
    """Return the bars of two checkpoints of the cell with the longest median pause: ``row``, ``from_ms``, ``to_ms``.

    Of one where no other is slower; the cell is one that has checkpoints with the parts of both sides.

    0 is when the VM stopped. The secondary's clock is another one; :func:`timeline` says how its bars are placed.

    Raises:
        NoFigureError: no checkpoint has the parts of both sides.
    """
    median = dict(zip(results.per_cell["cell_id"], results.per_cell["pause"], strict=True))
    names, by_cell = results.cells.names, runs_by_cell(results)
    for place in sorted(by_cell, key=lambda one: (-median[names[one].cell_id], one)):
        every = [used(run).frame() for run in by_cell[place]]
        whole = pd.concat([rows[rows[_OF_OLD].notna().all(axis=1)] for rows in every], ignore_index=True)
        if len(whole):
            said = {"size": names[place].size, "panel": names[place].panel}
            versions = by_cell[place][0].record.versions
            early = _flushes_early(str(versions.get("qemu_secondary") or versions.get("qemu", "")))
            bars = [_bars(which, whole.iloc[at], said, early=early) for which, at in _chosen(whole).items()]
            return pd.concat(bars, ignore_index=True)
    raise NoFigureError("no checkpoint has the parts of both sides")


def _chosen(whole: pd.DataFrame) -> dict[str, int]:
    """Return the places of a typical and a slow checkpoint: nearest to the median, and to the p99 or the longest."""
    pauses: FloatArray = whole["pause_s"].to_numpy()
    enough = stats.quantile_allowed(len(pauses), _TAIL)
    slow = float(np.quantile(pauses, _TAIL)) if enough else float(pauses.max())
    typical, slowest = (int(np.argmin(np.abs(pauses - one))) for one in (np.median(pauses), slow))
    tail = "p99" if enough else "longest"
    if typical == slowest:
        return {f"median and {tail}": typical}
    return {"typical (median)": typical, f"slow ({tail})": slowest}


def _flushes_early(qemu: str) -> bool:
    """Tell whether this QEMU flushes its cache while it still receives, as it did before 5.1."""
    version = re.search(r"(\d+)\.(\d+)", qemu)
    return version is not None and (int(version[1]), int(version[2])) < _FLUSHES_LATE_FROM


def _bars(which: str, checkpoint: pd.Series, said: Mapping[str, str], *, early: bool) -> pd.DataFrame:
    own = {"checkpoint": which, "run_id": checkpoint["run_id"], "index": int(checkpoint["index"])}
    return timeline(checkpoint, flushes_early=early).assign(**said, **own, pause_ms=checkpoint["pause_s"] * MS)


def timeline(checkpoint: pd.Series, *, flushes_early: bool = False) -> pd.DataFrame:
    """Return the bars of one checkpoint in ms from the moment the VM stopped: ``row`` and ``part``, from and to when.

    On the primary everything is known. On the secondary ``restart`` ends when ``vmstate-loaded`` reaches the primary;
    ``device_load`` and ``cache_flush`` come before it without a gap; ``ram_receive`` begins as early as it can: not
    before the primary sent ``vmstate-send``, and not ending before it sent ``vmstate-size``. With ``flushes_early``
    the flush is the end of receiving instead.
    """
    length = {name: float(checkpoint[name]) * MS for name in (*PHASES, *_FINER)}
    bars, at, ends = [], -length["request_s"] - length["stop_s"], {}
    for phase in PHASES:
        bars.append((PRIMARY, phase.removesuffix("_s"), at, at + length[phase]))
        at = ends[phase] = at + length[phase]
    at = ends["prepare_s"]
    for part in _known(_SAVE_PARTS, length):
        bars.append((PARTS, part, at, at + length[f"{part}_s"]))
        at += length[f"{part}_s"]
    received = max(ends["prepare_s"] + length["ram_receive_s"], ends["save_s"])
    bars.append((SECONDARY, "ram_receive", received - length["ram_receive_s"], received))
    at = ends["load_s"]
    for part in reversed(_known(_SECONDARY_PARTS[1:], length)):
        at = received if part == "cache_flush" and flushes_early else at
        bars.append((SECONDARY, part, at - length[f"{part}_s"], at))
        at -= length[f"{part}_s"]
    return pd.DataFrame(bars, columns=["row", "part", "from_ms", "to_ms"])


def _known(parts: tuple[str, ...], length: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(part for part in parts if not math.isnan(length[f"{part}_s"]))


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw a panel per checkpoint, a row per side, and one for the parts of the primary's saving."""
    first = data.drop_duplicates("checkpoint")
    titles = [f"{row.checkpoint}: {ms_text(row.pause_ms)} ms" for row in first.itertuples()]
    low, high = float(data["from_ms"].min()), float(data["to_ms"].max())
    lengths = (data["to_ms"] - data["from_ms"]).groupby(data["part"]).max()
    shown = set(lengths.index[lengths > _LEAST_IN / width_in * (high - low)])
    finer = [Patch(label=_TEXTS[part], **phases.fill(part, *look)) for part, look in _LOOKS.items() if part in shown]
    said = " · ".join(filter(None, [first["size"].iloc[0], first["panel"].iloc[0], where]))
    panels = axes.Panels(
        titles,
        width_in,
        [0.85] * len(titles),
        where=said,
        entries=[*phases.entries(shown), *finer],
        columns=1,
        labels_in=1.0,
        share="x",
    )
    for which, ax in zip(first["checkpoint"], panels.axes, strict=True):
        _sides(ax, data[data["checkpoint"] == which], (high - low) / panels.room_in)
    panels.axes[0].set_xlim(low - 0.01 * (high - low), high + 0.01 * (high - low))
    panels.label("time from the moment the VM stopped [ms]" if is_wide(width_in) else "time since the VM stopped [ms]")
    return panels.figure


def _sides(ax: Axes, data: pd.DataFrame, ms_per_in: float) -> None:
    looks = phases.colours() | _LOOKS
    for bar in data.itertuples():
        colour, hatch = looks[bar.part]
        row, length = _ROWS.index(bar.row), bar.to_ms - bar.from_ms
        ax.broken_barh([(bar.from_ms, length)], (row - 0.37, 0.74), **phases.fill(bar.part, colour, hatch))
        text = _TEXTS.get(bar.part, bar.part)
        if length / ms_per_in > axes.text_in(text) + _PADDING_IN and not hatch:
            middle = ((bar.from_ms + bar.to_ms) / 2, row)
            ax.text(*middle, text, ha="center", va="center", fontsize=SMALL_PT, color=ink_on(colour))
    starts = data[(data["row"] == PRIMARY) & data["part"].isin(_AFTER_MESSAGE)]["from_ms"]
    for at in starts:
        ax.axvline(at, color=QUIET, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_yticks(range(len(_ROWS)), _ROWS)
    ax.set_ylim(len(_ROWS) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")


def _words(results: Results, data: pd.DataFrame) -> Words:
    inside = data[(data["row"] == PRIMARY) & data["part"].isin(phases.INSIDE)]
    typical, *slower = (bars.set_index("part") for _, bars in inside.groupby("checkpoint", sort=False))
    lengths = typical["to_ms"] - typical["from_ms"]
    spent = percent_text(lengths.max() / lengths.sum())
    heading = f"A typical checkpoint of {ms_text(typical['pause_ms'].iloc[0])} ms spends {spent} in {lengths.idxmax()}"
    for slow in slower:
        more = slow["to_ms"] - slow["from_ms"] - lengths
        heading += (
            f"; a slow one of {ms_text(slow['pause_ms'].iloc[0])} ms, {ms_text(more.max())} ms more in {more.idxmax()}"
        )
    drawn = "Two checkpoints" if slower else "One checkpoint"
    first = data.drop_duplicates("checkpoint").to_dict("records")
    which = "; ".join(f"{row['checkpoint']}: checkpoint {row['index']} of run {row['run_id']}" for row in first)
    size, panel = first[0]["size"], first[0]["panel"]
    places = [at for at, name in enumerate(results.cells.names) if (name.size, name.panel) == (size, panel)]
    told = doubted_text(results.runs[results.runs["cell"].isin(places)])
    kept = f"; kept: {told}" if told else ""
    caption = (
        f"{drawn} of the cell with the longest median pause ({full_name(size, panel)}), of those with checkpoints "
        f"whose parts are known on both sides. {which}. Examples without an interval: R = 1 run, N = 1 checkpoint "
        f"each, chosen among all such of the cell after warm-up{kept}. The two clocks are never subtracted: the "
        "secondary's row is placed so that it ends when vmstate-loaded reaches the primary, its device load and flush "
        "directly before (before QEMU 5.1 the flush is part of receiving), its receiving as early as the primary's "
        "messages allow. Dashed: vmstate-send, vmstate-received and vmstate-loaded on the primary. "
        f"{emulated(results.cells)}."
    )
    alt = f"Time lines of {drawn.lower()}, with rows for the primary, the parts of save, and the secondary. {heading}."
    return Words(heading, caption, alt)


sketch = sketched(NAME, frame, plot, _words)
