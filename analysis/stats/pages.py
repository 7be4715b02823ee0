"""What a dirty page costs within a run, and what size costs beyond its dirty pages."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from analysis.stats.checks import as_codes, as_vector, same_length
from analysis.stats.groups import half_width, spread_of_sum

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray, IntArray


_FEWEST_RUNS = 2


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
    """Return what the runs contribute; each is looked at once, and given up before the next one."""
    found = [_sums_of(place, *both) for place, both in enumerate(_in_step(dirty_pages, pause_s))]
    if len(found) < _FEWEST_RUNS:
        raise ValueError(f"dirty_pages needs at least {_FEWEST_RUNS} runs and has {len(found)}")
    dd, dy, pages, pause = (np.array(each) for each in zip(*found, strict=True))
    if dd.sum() == 0:
        raise ValueError("dirty_pages never varies within a run: there is no cost per page to see")
    return _Sums(dd=dd, dy=dy, pages=pages, pause=pause)


def _in_step(dirty_pages: Iterable[ArrayLike], pause_s: Iterable[ArrayLike]) -> Iterator[tuple[ArrayLike, ArrayLike]]:
    counts = [0, 0]
    for d, y in zip_longest(dirty_pages, pause_s):
        counts = [count + (one is not None) for count, one in zip(counts, (d, y), strict=True)]
        if d is not None and y is not None:
            yield d, y
    if counts[0] != counts[1]:
        raise ValueError(f"lengths differ: dirty_pages has {counts[0]}, pause_s has {counts[1]}")


def _sums_of(place: int, dirty_pages: ArrayLike, pause_s: ArrayLike) -> tuple[float, float, float, float]:
    pages = as_vector(dirty_pages, f"dirty_pages[{place}]", least=2)
    pause = as_vector(pause_s, f"pause_s[{place}]", least=2)
    if len(pages) != len(pause):
        raise ValueError(f"run {place} has {len(pages)} page counts and {len(pause)} pauses")
    d, y = pages - pages.mean(), pause - pause.mean()
    return float(d @ d), float(d @ y), float(pages.mean()), float(pause.mean())


def _ratio(sums: _Sums) -> tuple[float, FloatArray]:
    """Return the cost per page, and what each run adds to its error."""
    cost = float(sums.dy.sum() / sums.dd.sum())
    return cost, (sums.dy - cost * sums.dd) / sums.dd.sum()


def _result(estimate: float, parts: FloatArray, groups: IntArray, confidence: float) -> PageCost:
    error, df = spread_of_sum(parts, groups)
    half = half_width(error, df, confidence)
    return PageCost(estimate, estimate - half, estimate + half, confidence, error, df, len(parts))
