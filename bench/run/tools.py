"""What a campaign's loop does not do itself: preparing, measuring, reporting; others in a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.host.limits import available_memory
from bench.run.beforehand import checks as beforehand
from bench.run.preview import preview
from bench.run.reaper import reap
from bench.run.report import verdicts_so_far, write_report
from bench.tune.tuner import Tuner, undo_leftovers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from bench.config.load import Settings
    from bench.config.model import Cell
    from bench.run.beforehand import Check
    from bench.run.loop import Measure
    from bench.run.prepare import Prepared

    Prepare = Callable[[Settings, Sequence[Cell], str, Callable[[str], None]], Prepared]


def _tidy(results: Path) -> list[str]:
    """Remove what killed campaigns left, put back what they changed, and say what was done."""
    return [*reap(results), *undo_leftovers()]


@dataclass(frozen=True)
class Tools:
    """What the loop does not do itself."""

    prepare: Prepare
    measure: Measure
    report: Callable[[Path, Console], bool]
    available_bytes: Callable[[], int | None]
    tidy: Callable[[Path], list[str]] = _tidy
    checks: Callable[[Sequence[Cell], Path], Iterable[Check]] = beforehand
    tuner: Callable[[], Tuner] = Tuner
    verdicts: Callable[[Path], Awaitable[Sequence[Mapping[str, Any]]]] = verdicts_so_far
    preview: Callable[[Settings, Sequence[Cell], float], Sequence[str]] = preview
    fetch: Prepare | None = None
    """What prepares only so far that a plan can be made; None: as ``prepare`` does."""


def real_tools() -> Tools:
    """Return the tools that measure real pairs."""
    from bench.run.prepare import fetch, prepare  # noqa: PLC0415 - a refused or dry run needs none of it
    from bench.run.session import measure_run  # noqa: PLC0415

    return Tools(prepare, measure_run, write_report, lambda: available_memory()[0], fetch=fetch)
