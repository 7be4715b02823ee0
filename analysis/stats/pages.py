"""What a dirty page costs within a run, and what size costs beyond its dirty pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.stats.checks import as_codes, as_runs, as_vector, same_length
from analysis.stats.groups import half_width, spread_of_sum

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class PageCost:
    """A cost with its t interval over runs.

    Attributes:
        estimate: seconds per page (``per_page_cost``), or per unit of size (``direct_effect``).
        low: lower end; ``high``: upper end.
        standard_error: from how runs of a group vary; ``df``: its degrees of freedom, see ``spread_of_sum``.
        runs: how many entered.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    standard_error: float
    df: float
    runs: int


@dataclass(frozen=True, slots=True)
class _Sums:
    """What each run contributes: ``sum d*d`` and ``sum d*y`` about its means, and those means."""

    dd: FloatArray
    dy: FloatArray
    pages: FloatArray
    pause: FloatArray


def per_page_cost(
    dirty_pages: Iterable[ArrayLike],
    pause_s: Iterable[ArrayLike],
    group: Iterable[Hashable] | None = None,
    *,
    confidence: float = 0.95,
) -> PageCost:
    """Return the seconds that one more dirty page adds to a pause, from the variation within runs only.

    ``sum d*y / sum d*d`` after centring each run, so that what differs between runs cannot be mistaken for the pages: a
    ratio whose error is that of its linear part. Noise in the page counts pulls the estimate towards 0.

    Args:
        dirty_pages: pages per checkpoint, for each run.
        pause_s: pauses in seconds, for each run, of the same lengths.
        group: label of each run (its size, or cell), within which runs vary alike. None for one group.
        confidence: of the interval.

    Raises:
        ValueError: fewer than two runs in all or in a group, unequal lengths, NaN, or page counts that never vary.
    """
    sums = _sums(dirty_pages, pause_s)
    groups = as_codes(group, "group", len(sums.dd)) if group is not None else np.zeros(len(sums.dd), dtype=np.int64)
    cost, parts = _ratio(sums)
    return _result(cost, parts, groups, confidence)


def direct_effect(
    size: ArrayLike, dirty_pages: Iterable[ArrayLike], pause_s: Iterable[ArrayLike], *, confidence: float = 0.95
) -> PageCost:
    """Return what size costs beyond its dirty pages: the slope of ``mean pause - b * mean pages`` on size.

    ``b`` is the cost per page within runs, whose uncertainty the interval contains. A design that crosses size with an
    assigned dirty set needs none of this and is to be preferred.

    Args:
        size: (R,) size of each run, such as RAM in GiB; at least two runs per size.
        dirty_pages: pages per checkpoint, for each run.
        pause_s: pauses in seconds, for each run.
        confidence: of the interval.

    Raises:
        ValueError: as ``per_page_cost``, or a single size.
    """
    sums, sizes = _sums(dirty_pages, pause_s), as_vector(size, "size", least=2)
    same_length(size=sizes, dirty_pages=sums.dd)
    if np.ptp(sizes) == 0:
        raise ValueError("size is the same for every run: it has no effect to measure")
    cost, cost_parts = _ratio(sums)
    rest = sums.pause - cost * sums.pages
    about = sizes - sizes.mean()
    weights = about / float(about @ about)
    estimate = float(weights @ rest)
    residuals = rest - rest.mean() - estimate * about
    parts = weights * residuals - float(weights @ sums.pages) * cost_parts
    return _result(estimate, parts, as_codes(sizes.tolist(), "size", len(sizes)), confidence)


def _sums(dirty_pages: Iterable[ArrayLike], pause_s: Iterable[ArrayLike]) -> _Sums:
    pages, pauses = as_runs(dirty_pages, "dirty_pages"), as_runs(pause_s, "pause_s")
    same_length(dirty_pages=pages, pause_s=pauses)
    for place, (d, y) in enumerate(zip(pages, pauses, strict=True)):
        if len(d) != len(y):
            raise ValueError(f"run {place} has {len(d)} page counts and {len(y)} pauses")
    deviations = [(d - d.mean(), y - y.mean()) for d, y in zip(pages, pauses, strict=True)]
    dd = np.array([float(d @ d) for d, _ in deviations])
    if dd.sum() == 0:
        raise ValueError("dirty_pages never varies within a run: there is no cost per page to see")
    return _Sums(
        dd=dd,
        dy=np.array([float(d @ y) for d, y in deviations]),
        pages=np.array([d.mean() for d in pages]),
        pause=np.array([y.mean() for y in pauses]),
    )


def _ratio(sums: _Sums) -> tuple[float, FloatArray]:
    """Return the cost per page, and what each run adds to its error."""
    cost = float(sums.dy.sum() / sums.dd.sum())
    return cost, (sums.dy - cost * sums.dd) / sums.dd.sum()


def _result(estimate: float, parts: FloatArray, groups: IntArray, confidence: float) -> PageCost:
    error, df = spread_of_sum(parts, groups)
    half = half_width(error, df, confidence)
    return PageCost(estimate, estimate - half, estimate + half, confidence, error, df, len(parts))
