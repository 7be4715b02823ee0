"""The figures of the report: what each shows is a pure function of the results, and so is every byte of its files."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, TypeVar

from analysis import surroundings as surroundings  # before anything imports matplotlib
from analysis.parent import end_with_parent, without_ctrl_c
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
from analysis.plots.drawing import Drawing, NoFigureError, Picture, Sketch, Skipped, Words, draw, ready
from analysis.plots.style import STYLES, Style, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    import pandas as pd

    from analysis.verdicts.results import Results

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
    "processors",
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

_LONGEST = (phases.NAME, timelines.NAME, violin.NAME)
"""Begun first: at the end one of them would keep one processor busy and the others idle."""

T = TypeVar("T")
Start = Callable[[Sketch, Style], Callable[[], Drawing]]
"""Begins to draw a figure, and returns what gives it."""


def figures(
    results: Results,
    style: str = "screen",
    *,
    start: Start | None = None,
    calibration: Callable[[], pd.DataFrame] | None = None,
    on_skip: Callable[[Skipped], None] | None = None,
) -> Iterator[Drawing]:
    """Draw every figure that this campaign has data for, in the order of ``NAMES``.

    Args:
        results: what is drawn.
        style: ``screen``, ``acm`` or ``ieee``.
        start: of :func:`processors`, where that began before there were results.
        calibration: asked for the rates of the methods on simulated campaigns (see
            :func:`analysis.plots.pooling.sketch`) while the other figures are being drawn.
        on_skip: called with each figure that is left out, and why.

    Raises:
        ValueError: there is no such style.
    """
    chosen = named(style)
    begun: dict[str, Callable[[], Drawing]] = {}
    skipped: dict[str, Skipped] = {}
    with processors() if start is None else nullcontext(start) as begin:
        for found in sketches(results, calibration, sorted(_FIGURES, key=lambda one: one not in _LONGEST)):
            if isinstance(found, Sketch):
                begun[found.name] = begin(found, chosen)
            else:
                skipped[found.name] = found
        for name in NAMES:
            if name in skipped and on_skip is not None:
                on_skip(skipped[name])
        yield from (begun[name]() for name in NAMES if name in begun)


@contextmanager
def processors() -> Iterator[Start]:
    """Draw on every processor: a report waits for its figures longer than for anything else."""
    pool = _pool()
    if pool is None:
        yield lambda sketch, style: partial(draw, sketch, style)
        return

    def start(sketch: Sketch, style: Style) -> Callable[[], Drawing]:
        with without_ctrl_c():  # it may have a worker begun
            return partial(_drawn, _submitted(pool, draw, sketch, style), sketch, style)

    try:
        with without_ctrl_c():  # what they import takes as long as it takes to read a campaign
            for _ in range(_workers()):
                _submitted(pool, ready)
        yield start
    finally:
        pool.shutdown(cancel_futures=True)  # who is interrupted does not wait for what nobody will see


def _workers() -> int:
    return len(os.sched_getaffinity(0))


def _pool() -> ProcessPoolExecutor | None:
    """Return what draws on every processor, or nothing where there is one, or no room for what processes share."""
    if _workers() == 1:
        return None
    try:
        # Spawned, not forked: the arithmetic libraries hold threads that a fork would not take along.
        return ProcessPoolExecutor(_workers(), get_context("spawn"), end_with_parent)
    except (OSError, ImportError, NotImplementedError):
        return None  # a sandbox whose /dev/shm is absent, full or not to be written to


def _submitted(pool: ProcessPoolExecutor, work: Callable[..., T], *given: Any) -> Future[T] | None:
    try:
        return pool.submit(work, *given)
    except (OSError, RuntimeError):  # no further process is allowed, or the ones there were have been killed
        return None


def _drawn(future: Future[Drawing] | None, sketch: Sketch, style: Style) -> Drawing:
    """Return a figure; what no other process could draw is drawn here."""
    if future is None:
        return draw(sketch, style)
    try:
        return future.result()
    except BrokenProcessPool:
        return draw(sketch, style)


def sketches(
    results: Results, calibration: Callable[[], pd.DataFrame] | None = None, names: Iterable[str] = tuple(_FIGURES)
) -> Iterator[Sketch | Skipped]:
    """Yield data and words of every figure, not drawn, or why there is none; the one on pooling last.

    Args:
        results: what is drawn.
        calibration: as of :func:`figures`.
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
