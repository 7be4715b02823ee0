"""The worst run of each cell on its time axis: what a client felt, and where the pauses were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.plots import axes
from analysis.plots.data import cell_columns, runs_by_cell, sampled
from analysis.plots.drawing import NoFigureError, Sketch, Words
from analysis.plots.style import BAND_EDGE, INK, Look
from analysis.plots.timeline import CROSS, DOT, TOO_FEW_ANSWERS, bands, requests_of, seconds_axis
from analysis.plots.timeline_rows import MOST_REQUESTS, PAUSE, REQUEST
from analysis.plots.timeline_rows import frame as one_run
from analysis.plots.words import MS, emulated, sketch_of
from analysis.runs.counting import counts
from analysis.runs.outcomes import too_short_for, used_pauses
from analysis.text import EXPLORATORY, ms_text, plural, spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from analysis.stored.campaign import Run
    from analysis.verdicts.results import Results

NAME = "timelines"
MOST_CELLS = 12
"""Cells that are drawn: those with the worst runs."""

MOST_DOTS = 1000
"""More requests or pauses than this are drawn as pixels: in a vector file each would be an object of its own."""

MOST_PAUSES, _LONGEST = 2000, 400
"""Pauses of a run that are drawn, the longest among them: a panel has fewer points across."""

_PANEL_IN = 0.72
_TAIL = 0.99


def sketch(results: Results) -> Sketch:
    """Return the figure before it is drawn.

    Raises:
        NoFigureError: no run that is asked for checkpoints has passed its check, with pauses that are not in doubt.
    """
    worst = _worst_runs(results)
    data = _drawn(results, worst)
    words = _words(results, data, [run for _, _, run in worst])
    return sketch_of(NAME, results, data, words, plot)


def frame(results: Results) -> pd.DataFrame:
    """Return requests and pauses of the worst run of each cell, as :func:`analysis.plots.timeline_rows.frame` has them.

    The worst run is that with the largest p99 of its client's latency; without an answer that with the longest pause
    after the warm-up.

    Raises:
        NoFigureError: no run that is asked for checkpoints has passed its check, with pauses that are not in doubt.
    """
    return _drawn(results, _worst_runs(results))


def _worst_runs(results: Results) -> list[tuple[float, int, Run]]:
    """Return how bad it is, its cell's place and the worst run itself, of the cells that are drawn, in their order."""
    found: list[tuple[float, int, Run]] = []
    for place, runs in runs_by_cell(results).items():
        sound = [(badness(run), run) for run in runs if _ranked(run)]
        if sound:
            bad, worst = max(sound, key=lambda one: one[0])
            found.append((bad, place, worst))
    if not found:
        doubted = any(run.record.quality.ok for run in results.campaign.runs)
        but = ", with pauses that are not in doubt" if doubted else ""
        raise NoFigureError(f"no run that is asked for checkpoints has passed its check{but}")
    return sorted(sorted(found, key=lambda one: -one[0])[:MOST_CELLS], key=lambda one: one[1])


def _ranked(run: Run) -> bool:
    """Tell whether a run may be a cell's worst: its check passed, and pauses that rank it are not in doubt."""
    return run.record.quality.ok if len(run.latencies) else counts(run)


def _drawn(results: Results, worst: Sequence[tuple[float, int, Run]]) -> pd.DataFrame:
    rows = (_shown(run, cell_columns(results.cells, place), bad) for bad, place, run in worst)
    return pd.concat(rows, ignore_index=True)


def _shown(run: Run, cell: dict[str, Any], bad: float) -> pd.DataFrame:
    """Return the requests and pauses of a run that are drawn: of many pauses the longest, and some of the others."""
    data = one_run(run)
    shown = data[data["of"].isin((REQUEST, PAUSE))]
    pauses = shown[shown["of"] == PAUSE]
    if len(pauses) > MOST_PAUSES:
        order = pauses.index.to_numpy()[np.argsort(pauses["value"].to_numpy(), kind="stable")]
        others = order[:-_LONGEST]
        kept = sampled(others.astype(np.float64), MOST_PAUSES - _LONGEST, run).astype(np.int64)
        shown = shown.drop(index=np.setdiff1d(others, kept))
    return shown.assign(**cell, run_id=run.record.run_id, worst_ms=bad * MS)


def badness(run: Run) -> float:
    """Return by what the runs of a cell are ranked, in seconds."""
    if len(run.requests.latencies):
        return float(np.quantile(run.requests.latencies, _TAIL))
    return float(used_pauses(run).max()) if len(used_pauses(run)) else 0.0


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw a panel per cell: requests as dots over time, pauses as bands; without requests pauses as stems."""
    names = list(dict.fromkeys(data["cell"]))
    panels = axes.Panels.of_curves(
        names, width_in, _PANEL_IN, where=where, entries=_entries(data), labels_in=0.5, share="y", extra_in=0.5
    )
    values = data["value"].to_numpy()
    log = axes.ms_axis(panels.axes[0], "y", np.maximum(values, 1e-3), room=panels.heights_in[0])
    floor = panels.axes[0].get_ylim()[0]
    for name, ax in panels.by_name.items():
        own = data[data["cell"] == name]
        pauses, (answered, failed) = own[own["of"] == PAUSE], requests_of(own)
        reach = max(float(own["to_s"].max()), 1e-3)
        many = len(pauses) > MOST_DOTS
        bands(ax, pauses, reach, panels.room_in, pixels=many)
        if len(answered) or len(failed):
            ax.plot(answered["from_s"], answered["value"], rasterized=len(answered) > MOST_DOTS, **DOT)
            ax.plot(failed["from_s"], failed["value"], **CROSS)
        else:
            ax.add_collection(_stems(pauses, floor, rasterized=many), autolim=False)
            dot: Look = {"linestyle": "none", "marker": ".", "markersize": 3, "color": INK}
            ax.plot(pauses["from_s"], pauses["value"], rasterized=many, **dot)
        seconds_axis(ax, reach, panels.room_in)
    shown = (("latency", (data["of"] == REQUEST).any()), ("pause", _without_requests(data)))
    what = " or\n".join(name for name, some in shown if some)
    panels.label("time since the first request or checkpoint [s]", f"{what} [ms]" + ",\nlog scale" * log)
    return panels.figure


def _stems(pauses: pd.DataFrame, floor: float, **look: Any) -> LineCollection:
    """Return a line per pause from the floor to its length: ``vlines`` takes as long as all else of the figure."""
    at, top = pauses["from_s"].to_numpy(), pauses["value"].to_numpy()
    ends = (np.column_stack((at, height)) for height in (np.full(len(at), floor), top))
    return LineCollection(list(np.stack(list(ends), axis=1)), colors=INK, linewidths=0.8, zorder=2, **look)


def _entries(data: pd.DataFrame) -> list[Line2D | Patch]:
    answered, failed = requests_of(data)
    entries: list[Line2D | Patch] = [Patch(label="pause", facecolor=BAND_EDGE, alpha=0.55)]
    if len(answered):
        entries.append(Line2D([], [], label="request, when due", **DOT | {"markersize": 5}))
    if len(failed):
        entries.append(Line2D([], [], label="no good answer", **CROSS))
    if _without_requests(data):
        entries.append(
            Line2D([], [], label="length of a pause, without requests", marker=".", color=INK, linewidth=0.8)
        )
    return entries


def _without_requests(data: pd.DataFrame) -> Sequence[str]:
    """Return the cells without a client, and those whose client tells of no single request."""
    asked = set(data.loc[data["of"] == REQUEST, "cell"])
    return [cell for cell in dict.fromkeys(data["cell"]) if cell not in asked]


def _words(results: Results, data: pd.DataFrame, runs: Sequence[Run]) -> Words:
    answered, _ = requests_of(data)
    worst = data.loc[(answered if len(answered) else data)["worst_ms"].idxmax()]
    own = data[(data["of"] == PAUSE) & (data["cell"] == worst["cell"])]
    after = " after the warm-up" if (own["value"] > worst["worst_ms"]).any() else ""
    what = "the p99 latency is" if len(answered) else f"the longest pause{after} is"
    cells = data["cell"].nunique()
    heading = f"In the worst run of {worst['cell']}, {what} {ms_text(worst['worst_ms'])} ms"
    by_cell = dict(zip(dict.fromkeys(data["cell"]), runs, strict=True))
    short = len(answered) and too_short_for(by_cell[worst["cell"]], "client_p99")
    heading += EXPLORATORY * bool(short)
    pauses = [len(run.rows) for run in runs]
    drawn = data[data["of"] == PAUSE].groupby("cell").size()
    thinned = (
        f" Of a run with more than {MOST_PAUSES:,} pauses the {_LONGEST} longest are drawn, and of the others a sample "
        "with the run's id as seed."
        if len(drawn) and drawn.max() < max(pauses)
        else ""
    )
    if any(len(run.requests) > MOST_REQUESTS for run in runs):
        thinned += (
            f" Of a run with more than {MOST_REQUESTS:,} requests the slowest are drawn, all that failed, and every "
            "n-th of the others."
        )
    named = ", ".join(dict.fromkeys(data["run_id"]))
    more = len(results.cells.names) - cells
    are = "is" if more == 1 else "are"
    others = f" {plural(more, 'cell')} with better ones or none {are} not drawn." if more else ""
    alone = any(run.record.quality.ok and not _ranked(run) for run in results.campaign.runs)
    doubted = ", and without an answer those whose pauses alone are in doubt" if alone else ""
    caption = (
        "Of each cell the run with the largest p99 latency (where no answer is on record: with the longest pause "
        f"after the warm-up): {named}. "
        f"Examples without an interval, R = 1 run each, N = {spans(pauses, 'checkpoint')}, warm-up included. Requests "
        "at the moment when they were due, with their latency; bands are pauses, at least half a point wide."
        f"{thinned}{others} `python -m analysis timeline CAMPAIGN RUN` draws any run by itself, phases and pages too. "
        f"Left out: the other runs of each cell, those whose own check failed among them{doubted}. "
        f"{emulated(results.cells)}." + (f" {EXPLORATORY} exploratory: {TOO_FEW_ANSWERS}." if short else "")
    )
    alt = f"Time lines of the worst runs of {plural(cells, 'cell')}. {heading}."
    return Words(heading, caption, alt)
