"""What COLO leaves of a service: throughput and latency by those of the same machine without it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from analysis.format.outcomes import OUTCOMES
from analysis.format.scenarios import COMPARED, SCENARIOS
from analysis.plots import axes
from analysis.plots.drawing import NoFigureError, Sketch, Words
from analysis.plots.style import CATEGORIES, INK, MARKERS, SMALL_PT, Look
from analysis.plots.words import SPACE, origin, sound_checkpoints
from analysis.text import plural, spans
from analysis.verdicts.overhead import LATENCY, THROUGHPUT, untold
from analysis.verdicts.overhead_words import multiple_text, one_sided, times_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.stats.checks import FloatArray
    from analysis.verdicts.overhead import Overhead
    from analysis.verdicts.results import Results

NAME = "overhead"
_ROW_IN, _MARK_IN, _LABELS_IN = 0.36, 0.18, 1.5
_COLORS = (CATEGORIES[3], *CATEGORIES[:3], *CATEGORIES[4:])


def looks(scenarios: Sequence[str]) -> dict[str, Look]:
    """Return how each scenario is drawn, none as another.

    Raises:
        ValueError: there are more of them than colours.
    """
    count = len(scenarios)
    return {
        one: {"color": color, "marker": marker}
        for one, color, marker in zip(scenarios, _COLORS[:count], MARKERS[:count], strict=True)
    }


_LOOKS = looks([one for one, _ in COMPARED])
_SAID = {one: f"{SCENARIOS[one].words} / {SCENARIOS[base].words}" for one, base in COMPARED}
_SPREAD = 0.84
"""Share of a machine's row that the marks of its scenarios take."""


def sketch(results: Results) -> Sketch:
    """Return the figure before it is drawn.

    Raises:
        NoFigureError: no machine's sound runs tell throughput or latency with COLO and without in one block.
    """
    found = results.overheads
    data = frame(found)
    where, ran = origin(results, {one.cell_id for one in found})
    return Sketch(NAME, data, _words(results, found, data, ran), partial(plot, where=where))


def frame(found: tuple[Overhead, ...]) -> pd.DataFrame:
    """Return one row per machine, scenario and outcome: ``ratio`` by native with ``low``/``high``, and both values.

    Raises:
        NoFigureError: no machine's sound runs tell throughput or latency with COLO and without in one block.
    """
    rows = [
        {
            "cell": one.label,
            "scenario": one.scenario,
            "base": one.base,
            "panel": panel_text(ratio.outcome),
            **ratio.row(),
        }
        for one in found
        for ratio in one.ratios
    ]
    if not rows:
        raise NoFigureError(
            "no machine's sound runs tell throughput or latency with COLO and without in one block "
            "(scenario=native,colo)"
        )
    return pd.DataFrame(rows)


def panel_text(outcome: str) -> str:
    """Return the title of an outcome's panel."""
    if outcome in LATENCY:
        return f"{outcome.removeprefix('client_')} latency"
    return OUTCOMES[outcome].words.removeprefix("the ")


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw a panel per outcome, a row per machine, a mark per scenario; the line at 1 is the machine without COLO."""
    order = [panel_text(name) for name in (*THROUGHPUT, *LATENCY)]
    names = [name for name in order if name in set(data["panel"])]
    cells = list(dict.fromkeys(data["cell"]))
    texts = [axes.fitting(cell, _LABELS_IN) for cell in cells]
    columns = axes.columns_beside(width_in, names)
    shown = [scenario for scenario in _LOOKS if scenario in set(data["scenario"])]
    entries = [Line2D([], [], linestyle="none", markersize=4.5, label=_SAID[one], **_LOOKS[one]) for one in shown]
    panels = axes.Panels(
        names,
        width_in,
        [axes.row_in(texts, max(_ROW_IN, _MARK_IN * len(shown))) * len(cells) + 0.15] * len(names),
        where=where,
        entries=entries,
        columns=columns,
        labels_in=_LABELS_IN / columns if columns > 1 else _LABELS_IN,
        share="y",
    )
    log = axes.ranges_widely(_reach(data))
    for name, ax in panels.by_name.items():
        _draw(ax, data[data["panel"] == name], cells, shown, panels.room_in, log=log)
    first = panels.axes[0]
    first.set_ylim(len(cells) - 0.5, -0.5)
    first.set_yticks(range(len(cells)), texts, fontsize=SMALL_PT)
    panels.label("by that without COLO, log scale" if log else "by that without COLO (1: the same)")
    return panels.figure


def _reach(data: pd.DataFrame) -> FloatArray:
    """Return everything that an axis of ratios has to show, the machine without COLO too."""
    values = data[["ratio", "low", "high"]].to_numpy(dtype=np.float64).ravel()
    return np.append(values[np.isfinite(values) & (values > 0)], 1.0)


def _draw(ax: Axes, data: pd.DataFrame, cells: list[str], shown: list[str], room_in: float, *, log: bool) -> None:
    for scenario in shown:
        own = data[data["scenario"] == scenario]
        shift = _SPREAD * ((shown.index(scenario) + 0.5) / len(shown) - 0.5)
        rows = np.array([cells.index(cell) for cell in own["cell"]], dtype=float) + shift
        ratio, low, high = (own[name].to_numpy() for name in ("ratio", "low", "high"))
        ends = np.nan_to_num(axes.halves(ratio, low, high))
        look: Any = {"elinewidth": 0.9, "capsize": 1.8, "markersize": 4.0, "linestyle": "none"}
        ax.errorbar(ratio, rows, xerr=ends, zorder=3, **look, **_LOOKS[scenario])
        for row, value in zip(rows, ratio, strict=True):
            axes.say_beside(ax, row, multiple_text(value))
    axes.ms_axis(ax, "x", _reach(data), room=room_in, log=log, head=0.02)
    ax.axvline(1.0, color=INK, linewidth=0.8, zorder=1)
    ax.grid(visible=False, axis="y")


def _words(results: Results, found: tuple[Overhead, ...], data: pd.DataFrame, ran: str) -> Words:
    heading = _heading(found)
    compared = results.runs[results.runs["cell_id"].isin([one.cell_id for one in found])]
    blocks, checkpoints = spans(data["blocks"], "block"), sound_checkpoints(compared, " under COLO")
    interval = (
        f"Whiskers: 95{SPACE}% interval of the geometric mean over blocks of the ratio within each (Student's t of the "
        "logs); none from fewer than three blocks. At the right the ratio."
    )
    short = int(data["exploratory"].sum())
    doubt = f" {plural(short, 'tail')} of runs too short for it, exploratory." if short else ""
    none = "".join(f" {said}" for said in (*one_sided(found), *untold(results.campaign)))
    caption = (
        "Throughput and latency of a run by those of the native run of the same block: the same machine, workload and "
        f"client, without COLO. R = {blocks} with both{checkpoints}. "
        f"{interval}{doubt} Left out: runs whose own check failed, and blocks in which one of the two is missing."
        f"{none} {ran}."
    )
    cells, panels = (plural(data[name].nunique(), name) for name in ("cell", "panel"))
    intervals = " with intervals" if data["low"].notna().any() else ""
    alt = f"Ratios{intervals} for {cells}, {panels}."
    return Words(heading, caption, f"{alt} {heading}.")


def _heading(found: tuple[Overhead, ...]) -> str:
    # Of one scenario, and COLO's where there is any: another one's worst ratio would be none of it.
    scenario = next(name for name, _ in COMPARED if any(one.scenario == name for one in found))
    own = [one for one in found if one.scenario == scenario]
    rates = [ratio for one in own if (ratio := one.throughput) is not None]
    tails = [
        ratio.ratio.estimate for one in own if (ratio := one.of("client_p99")) is not None and not ratio.exploratory
    ]
    parts = []
    what = SCENARIOS[scenario].heading
    if rates:
        worst = min(rates, key=lambda one: one.ratio.estimate)
        parts.append(f"leaves {times_text(worst.ratio)} of native's {panel_text(worst.outcome)}")
    if tails:
        parts.append(f"makes p99 latency {multiple_text(max(tails))} times as long")
    at_worst = " at worst" if len({one.label for one in own}) > 1 else ""
    if not parts:
        return f"{what}: what a service feels, against native"
    return f"{what} {' and '.join(parts)}{at_worst}"
