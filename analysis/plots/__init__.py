"""The figures of the report: what each shows is a pure function of the results, and so is every byte of its files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from analysis import surroundings as surroundings  # before anything imports matplotlib
from analysis.plots import (
    autocorrelation,
    drift,
    ecdf,
    equal,
    failures,
    forest,
    gantt,
    heatmap,
    interaction,
    overhead,
    pages,
    phases,
    pooling,
    timelines,
    triggers,
    violin,
)
from analysis.plots.drawing import Drawing, NoFigureError, Picture, Sketch, Skipped, Words, draw
from analysis.plots.style import STYLES, named
from analysis.workers import workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd

    from analysis.verdicts.results import Results
    from analysis.workers import Begin

__all__ = [
    "NAMES",
    "STYLES",
    "Drawing",
    "NoFigureError",
    "Picture",
    "Sketch",
    "Skipped",
    "Words",
    "draw",
    "figures",
    "figures_begun",
    "sketches",
]

_FIGURES: dict[str, Callable[[Results], Sketch]] = {
    forest.NAME: forest.sketch,
    overhead.NAME: overhead.sketch,
    interaction.MEMORY.name: partial(interaction.sketch, axis=interaction.MEMORY),
    interaction.VCPUS.name: partial(interaction.sketch, axis=interaction.VCPUS),
    ecdf.NAME: ecdf.sketch,
    heatmap.NAME: heatmap.sketch,
    phases.NAME: phases.sketch,
    gantt.NAME: gantt.sketch,
    timelines.NAME: timelines.sketch,
    triggers.NAME: triggers.sketch,
    pages.NAME: pages.sketch,
    violin.NAME: violin.sketch,
    failures.NAME: failures.sketch,
    drift.NAME: drift.sketch,
    autocorrelation.NAME: autocorrelation.sketch,
    equal.NAME: equal.sketch,
}

NAMES = (*_FIGURES, pooling.NAME)
"""The figures in the order of the report; a campaign need not have data for each."""

_LONGEST = (phases.NAME, timelines.NAME, violin.NAME, heatmap.NAME, ecdf.NAME, autocorrelation.NAME)
"""Begun first: at the end one of them would keep one processor busy and the others idle."""


def figures(
    results: Results,
    style: str = "screen",
    *,
    calibration: Callable[[], pd.DataFrame] | None = None,
    on_skip: Callable[[Skipped], None] | None = None,
) -> Iterator[Drawing]:
    """Draw every figure that this campaign has data for, in the order of ``NAMES``; as :func:`figures_begun`."""
    with workers() as begin:
        yield from figures_begun(results, style, begin, calibration=calibration, on_skip=on_skip)


def figures_begun(
    results: Results,
    style: str,
    begin: Begin,
    *,
    calibration: Callable[[], pd.DataFrame] | None = None,
    on_skip: Callable[[Skipped], None] | None = None,
) -> Iterator[Drawing]:
    """Begin to draw every figure that this campaign has data for, and return what yields them in their order.

    Args:
        results: what is drawn.
        style: ``screen``, ``acm`` or ``ieee``.
        begin: of :func:`analysis.workers.workers`.
        calibration: asked for the rates of the methods on simulated campaigns (see
            :func:`analysis.plots.pooling.sketch`) while the other figures are being drawn.
        on_skip: called with each figure that is left out, and why.

    Raises:
        ValueError: there is no such style.
    """
    chosen = named(style)
    begun: dict[str, Callable[[], Drawing]] = {}
    skipped: dict[str, Skipped] = {}
    for found in sketches(results, calibration, sorted(_FIGURES, key=lambda one: one not in _LONGEST)):
        if isinstance(found, Sketch):
            begun[found.name] = begin(draw, found, chosen)
        else:
            skipped[found.name] = found
    for name in NAMES:
        if name in skipped and on_skip is not None:
            on_skip(skipped[name])
    return (begun[name]() for name in NAMES if name in begun)


def sketches(
    results: Results, calibration: Callable[[], pd.DataFrame] | None = None, names: Iterable[str] = tuple(_FIGURES)
) -> Iterator[Sketch | Skipped]:
    """Yield data and words of every figure, not drawn, or why there is none; the one on pooling last.

    Args:
        results: what is drawn.
        calibration: as of :func:`figures_begun`.
        names: of the others, in their order.
    """
    for name in names:
        yield _sketch_or_reason(name, partial(_FIGURES[name], results))
    yield _sketch_or_reason(pooling.NAME, partial(pooling.sketch, calibration() if calibration else None))


def _sketch_or_reason(name: str, make: Callable[[], Sketch]) -> Sketch | Skipped:
    try:
        return make()
    except NoFigureError as error:
        return Skipped(name, str(error))
