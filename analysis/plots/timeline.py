"""One run on one time axis: requests as dots, pauses as bands with their phases inside, throughput, dirty pages."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.plots import axes, phases
from analysis.plots.drawing import NoFigureError, Sketch, Words
from analysis.plots.style import BAND_EDGE, CATEGORIES, INK, SMALL_PT, Look, is_wide
from analysis.plots.timeline_rows import ANSWERED, FAILED, MOST_REQUESTS, PAGES, PAUSE, PHASE, RATE, REQUEST, frame
from analysis.plots.words import MS
from analysis.runs.outcomes import too_short_for
from analysis.runs.standing import stood_still_s
from analysis.text import EXPLORATORY, count_text, ms_text, percent_text, plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.stats.checks import FloatArray
    from analysis.stored.campaign import Run

NAME = "timeline"
_PANEL_IN, _ZOOM_IN, _BARE_ZOOM_IN = 0.85, 1.0, 0.32
_MARKS_IN = 1.3
"""As long as an axis has to be that four marks of ours stand on it: at this size they do not touch."""

_THINNEST_PT = 0.6
_BEYOND = 4.0
"""How many times as long as all others the pauses of the warm-up may be that they still lie within the axis."""

_MOST_LINES = 60
_AROUND, _MOST_AROUND, _REQUESTS_AROUND = 1.2, 8.0, 3.0
"""How much is shown beside the longest pause: of its length, at most, and so many requests at each side."""

TOO_FEW_ANSWERS = "a p99 takes 500 answered requests"
"""What the mark of one of fewer means."""

DOT: Look = {"linestyle": "none", "marker": ".", "markersize": 2.6, "markeredgewidth": 0, "color": CATEGORIES[0]}
CROSS: Look = {"linestyle": "none", "marker": "x", "markersize": 3.2, "markeredgewidth": 0.8, "color": CATEGORIES[3]}
_STEP: Look = {"color": INK, "linewidth": 0.8}
_STEM: Look = {"color": CATEGORIES[2], "linewidth": 0.8}


def sketch(run: Run) -> Sketch:
    """Return the time line of one run before it is drawn.

    Raises:
        NoFigureError: it has neither a request nor a checkpoint.
    """
    data = frame(run)
    if data.empty:
        raise NoFigureError("it has neither rows of a client's requests nor checkpoints: there is nothing to draw")
    return Sketch(f"{NAME}-{run.record.run_id}", data, _words(run, data), partial(plot, where=_where(run)))


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw what there is: requests, throughput, pauses by phase, dirty pages, and the longest pause from near."""
    there, pauses = set(data["of"]), data[data["of"] == PAUSE]
    log = ", log scale" if REQUEST in there and axes.ranges_widely(_latencies(data)) else ""
    whole = {
        f"latency of requests [ms]{log}": _requests if REQUEST in there else None,
        "requests answered per second": _throughput if RATE in there else None,
        "VM pauses, by phase [ms]": _bars if PAUSE in there else None,
        "dirty pages per checkpoint": _dirty if PAGES in there else None,
    }
    drawn = {title: draw for title, draw in whole.items() if draw is not None}
    names, heights = list(drawn), [_PANEL_IN] * len(drawn)
    if len(pauses):
        names.append(_zoom_title(pauses, width_in))
        heights.append(_ZOOM_IN if REQUEST in there else _BARE_ZOOM_IN)
    panels = axes.Panels(
        names, width_in, heights, where=where, entries=_entries(there, data), columns=1, labels_in=0.5, share=""
    )
    shared, reach = panels.axes[: len(drawn)], _reach(data)
    for ax, draw in zip(shared, drawn.values(), strict=True):
        draw(ax, data, panels.room_in)
        bands(ax, pauses, reach, panels.room_in)
        seconds_axis(ax, reach, panels.room_in)
        ax.tick_params(labelbottom=ax is shared[-1])
    shared[-1].set_xlabel("time since the first request or checkpoint [s]" if is_wide(width_in) else "time [s]")
    if len(pauses):
        _zoom(panels.axes[-1], data, panels.room_in)
        panels.axes[-1].set_xlabel("time since the VM stopped [ms]")
    return panels.figure


def _reach(data: pd.DataFrame) -> float:
    return max(float(data["to_s"].max()), 1e-3)


def seconds_axis(ax: Axes, reach: float, room_in: float) -> None:
    """Give an axis of seconds round marks from 0 on."""
    ax.set_xlim(-0.01 * reach, 1.01 * reach)
    marks = axes.round_marks(0.0, reach, max(int(room_in / 0.5), 2))
    ax.set_xticks(marks, [f"{mark:g}" for mark in marks])


def bands(ax: Axes, pauses: pd.DataFrame, reach: float, room_in: float, *, pixels: bool = False) -> None:
    """Shade each pause over the whole height; the shortest as wide as print keeps a line."""
    least = _THINNEST_PT / axes.POINTS_PER_IN / room_in * reach
    left = pauses["from_s"].to_numpy(dtype=np.float64)
    right = left + (pauses["to_s"].to_numpy(dtype=np.float64) - left).clip(min=least)
    look: Look = {"facecolor": BAND_EDGE, "edgecolor": "none", "alpha": 0.55, "zorder": 0.5}
    whole = axes.boxes(left, right, 0.0, 1.0, transform=ax.get_xaxis_transform(), rasterized=pixels, **look)
    ax.add_collection(whole, autolim=False)


def requests_of(data: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the requests that were answered, and those that were not."""
    asked = data[data["of"] == REQUEST]
    return asked[asked["part"] == ANSWERED], asked[asked["part"] == FAILED]


def _requests(ax: Axes, data: pd.DataFrame, room_in: float) -> None:
    del room_in
    answered, failed = requests_of(data)
    ax.plot(answered["from_s"], answered["value"], rasterized=len(answered) > MOST_REQUESTS // 2, **DOT)
    ax.plot(failed["from_s"], failed["value"], **CROSS)
    axes.ms_axis(ax, "y", _latencies(data), room=_MARKS_IN)


def _latencies(data: pd.DataFrame) -> FloatArray:
    """Return the latencies that an axis of them has to show; one that may be logarithmic has no 0."""
    shown: FloatArray = np.maximum(data.loc[data["of"] == REQUEST, "value"].to_numpy(dtype=np.float64), 1e-3)
    return shown


def _throughput(ax: Axes, data: pd.DataFrame, room_in: float) -> None:
    del room_in
    rates = data[data["of"] == RATE]
    edges = np.append(rates["from_s"].to_numpy(), rates["to_s"].iloc[-1])
    ax.stairs(rates["value"].to_numpy(), edges, **_STEP)
    _from_zero(ax, float(rates["value"].max()))


def _bars(ax: Axes, data: pd.DataFrame, room_in: float) -> None:
    """Draw each pause as a stack of its phases, where it was in time; its height is its length."""
    pauses = data[data["of"] == PAUSE]
    colours, inside = phases.colours(), data[data["of"] == PHASE]
    thick = min(max(0.5 * axes.POINTS_PER_IN * room_in / len(pauses), 0.8), 4.0)
    base = np.zeros(len(pauses))
    for name in phases.INSIDE:
        height = inside.loc[inside["part"] == name, "value"].to_numpy()
        at = pauses["from_s"].to_numpy()
        ax.vlines(at, base, base + height, colors=colours[name][0], linewidth=thick, zorder=2)
        base = base + height
    _from_zero(ax, _top(pauses))


def _dirty(ax: Axes, data: pd.DataFrame, room_in: float) -> None:
    del room_in
    pages = data[data["of"] == PAGES]
    ax.vlines(pages["from_s"], 0, pages["value"], zorder=2, colors=_STEM["color"], linewidth=_STEM["linewidth"])
    ax.plot(pages["from_s"], pages["value"], linestyle="none", marker=".", markersize=3, color=_STEM["color"])
    _from_zero(ax, _top(pages))


def _top(rows: pd.DataFrame) -> float:
    """Return what has to be seen: under KVM the first checkpoint carries all of RAM, and dwarfs all others."""
    most, usual = float(rows["value"].max()), rows.loc[~rows["warmup"].astype(bool), "value"].max()
    return float(usual) if most > _BEYOND * usual else most


def _from_zero(ax: Axes, most: float) -> None:
    top = 1.1 * most or 1.0
    marks = axes.round_marks(0.0, top, 4)
    ax.set_ylim(0.0, top)
    ax.set_yticks(marks, [f"{mark:,.0f}" if mark.is_integer() else f"{mark:g}" for mark in marks])


def longest(pauses: pd.DataFrame) -> pd.Series:
    """Return the longest pause after the warm-up, of several the first; of a run without any the longest of all."""
    measured = pauses[~pauses["warmup"].astype(bool)]
    return pauses.loc[(measured if len(measured) else pauses)["value"].idxmax()]


def _zoom_title(pauses: pd.DataFrame, width_in: float) -> str:
    one = longest(pauses)
    which = "the longest pause" + (" after the warm-up" if one["value"] < pauses["value"].max() else "")
    said = f"{which}: {ms_text(one['value'])} ms"
    return f"{said}, checkpoint {int(one['index'])} ({one['part']})" if is_wide(width_in) else said


def _zoom(ax: Axes, data: pd.DataFrame, room_in: float) -> None:
    """Draw the surroundings of the longest pause: its phases as bands, each request from its sending to its answer."""
    one, asked = longest(data[data["of"] == PAUSE]), data[data["of"] == REQUEST]
    length, zero = float(one["value"]), float(one["from_s"])
    gap = float(asked["from_s"].diff().median()) * MS if len(asked) > 1 else 0.0
    beside = min(max(_AROUND * length, _REQUESTS_AROUND * gap), _MOST_AROUND * length)
    low, high = -0.5 * beside, length + beside
    inside = data[(data["of"] == PHASE) & (data["index"] == one["index"])]
    for phase in inside.itertuples():
        begin = (phase.from_s - zero) * MS
        colour = phases.colours()[phase.part][0]
        ax.axvspan(begin, begin + phase.value, facecolor=colour, alpha=0.75, edgecolor="none", zorder=0.5)
    near = asked[((asked["from_s"] - zero) * MS < high) & ((asked["to_s"] - zero) * MS > low)]
    if len(near) > _MOST_LINES:  # a service that does not follow: of hundreds under way those that are due here
        near = near[(near["from_s"] - zero) * MS > low]
    if len(near):
        begin, end = ((near[name].to_numpy() - zero) * MS for name in ("from_s", "to_s"))
        ax.hlines(near["value"], begin, end, colors=INK, linewidth=0.7, zorder=2)
        for part, look in ((ANSWERED, DOT), (FAILED, CROSS)):
            own = (near["part"] == part).to_numpy()
            marker = look | {"markersize": 4.5, "color": INK} if part == ANSWERED else look
            ax.plot(begin[own], near["value"].to_numpy()[own], zorder=3, **marker)
        log = axes.ms_axis(ax, "y", _latencies(near), room=_MARKS_IN, head=0.06)
        ax.set_ylabel("latency [ms]" + ",\nlog scale" * log, fontsize=SMALL_PT)
    else:
        ax.set_yticks([])
    ax.grid(visible=False, axis="x")
    ax.set_xlim(low, high)
    marks = axes.round_marks(low, high, max(int(room_in / 0.5), 2))
    ax.set_xticks(marks, [f"{mark:,g}".replace("-", "\N{MINUS SIGN}") for mark in marks])


def _entries(there: set[str], data: pd.DataFrame) -> list[Any]:
    entries: list[Any] = []
    if REQUEST in there:
        entries.append(Line2D([], [], label="request, when due", **DOT | {"markersize": 5}))
        if len(requests_of(data)[1]):
            entries.append(Line2D([], [], label="no good answer", **CROSS))
    if PAUSE in there:
        entries.append(Patch(label="pause", facecolor=BAND_EDGE, alpha=0.55))
        entries += phases.entries(phases.INSIDE)
    return entries


def _where(run: Run) -> str:
    return f"{run.record.label} · run {run.record.run_id} · {run.record.under}"


def told(run: Run) -> dict[str, float]:
    """Return what a time line says in numbers; NaN: not known.

    ``pauses``, ``longest_ms``, ``requests``, ``p50_ms``, ``p99_ms``, ``met``: the share of requests part of whose life
    lay in a pause.
    """
    pauses, latency_ms = run.rows["pause_s"] * MS, run.requests.latencies * MS
    met = stood_still_s(run) > 0
    return {
        "pauses": float(len(pauses)),
        "longest_ms": float(pauses.max()) if len(pauses) else math.nan,
        "requests": float(len(run.requests)),
        "p50_ms": float(np.quantile(latency_ms, 0.5)) if len(latency_ms) else math.nan,
        "p99_ms": float(np.quantile(latency_ms, 0.99)) if len(latency_ms) else math.nan,
        "met": float(met.mean()) if len(met) else math.nan,
    }


def _words(run: Run, data: pd.DataFrame) -> Words:
    said = told(run)
    parts: list[str] = []
    if said["pauses"]:
        parts.append(f"{plural(int(said['pauses']), 'pause')}, the longest {ms_text(said['longest_ms'])} ms")
    else:
        parts.append("no pause")
    if said["requests"]:
        parts.append(f"{plural(int(said['requests']), 'request')}, p50 {ms_text(said['p50_ms'])} ms")
        short = bool(len(run.latencies)) and too_short_for(run, "client_p99")
        parts[-1] += f", p99 {ms_text(said['p99_ms'])} ms{EXPLORATORY * short}"
        parts.append(f"{percent_text(said['met'])} of them met a pause")
    heading = f"Run {run.record.run_id}: {'; '.join(parts)}"
    drawn = int((data["of"] == REQUEST).sum())
    caption = _caption(run, drawn) + _cut_off(data)
    caption += f" {EXPLORATORY} exploratory: {TOO_FEW_ANSWERS}." if EXPLORATORY in heading else ""
    return Words(heading, caption, f"Time line of one run: {_rows_said(data)}. {heading}.")


def _cut_off(data: pd.DataFrame) -> str:
    """Return what a caption adds where a checkpoint of the warm-up goes beyond an axis; empty where all are within."""
    rows = {what: data[data["of"] == what] for what in (PAUSE, PAGES)}
    beyond = [f"{own['value'].max():,.0f} {own['unit'].iloc[0]}" for own in rows.values() if len(own) and _is_cut(own)]
    return f" Beyond its axis, of the warm-up: up to {' and '.join(beyond)}." if beyond else ""


def _is_cut(rows: pd.DataFrame) -> bool:
    return _top(rows) < float(rows["value"].max())


def _rows_said(data: pd.DataFrame) -> str:
    names = {REQUEST: "requests", RATE: "throughput", PAUSE: "pauses by phase", PAGES: "dirty pages"}
    return ", ".join(said for of, said in names.items() if of in set(data["of"]))


def _caption(run: Run, drawn: int) -> str:
    record = run.record
    counted = plural(len(run.rows), "checkpoint")
    said = [f"One run, R = 1, N = {counted}: an example without an interval. {record.label}."]
    if len(run.requests):
        said.append(
            "A dot is a request, at the moment when it was due and with its latency from then to the whole answer."
        )
        if drawn < len(run.requests):
            some = f"{count_text(drawn)} of {count_text(len(run.requests))}"
            said.append(f"{some} are drawn: the slowest, all that failed, and every n-th of the others.")
        shift, unsure = _offset(run)
        said.append(
            f"Requests are shifted by {shift * MS:+.3f} ms onto the primary's clock, known to {unsure * MS:.3f} ms."
            if shift or unsure
            else "Requests and pauses go by one clock."
        )
    if len(run.rows):
        after = "" if run.rows["warmup"].all() else " after the warm-up"
        said.append(
            f"Bands are pauses, the warm-up's too, at least half a point wide; below, the longest one{after} "
            "with its phases"
            + (", requests as lines from when they were due to their answers." if len(run.requests) else ".")
        )
    said.append(f"Ran under {record.under}.")
    return " ".join(said)


def _offset(run: Run) -> tuple[float, float]:
    """Return the primary's clock minus the client's, and how sure that is, in seconds: a host they share has one."""
    client, primary = (run.record.clocks.get(node, (0.0, 0.0)) for node in ("client", "primary"))
    unsure = 0.0 if client == primary else client[1] + primary[1]
    return run.record.clock_between("client", "primary"), unsure
