"""What a dirty page costs within a run."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from analysis.stats.checks import as_codes, as_vector
from analysis.stats.groups import half_width, spread_of_sum

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray


_FEWEST_RUNS = 2


@dataclass(frozen=True, slots=True)
class PageCost:
    """A cost with its 95 % t interval over runs.

    Attributes:
        estimate: seconds per page.
        low: lower end; ``high``: upper end.
    """

    estimate: float
    low: float
    high: float


def per_page_cost(
    dirty_pages: Iterable[ArrayLike], pause_s: Iterable[ArrayLike], group: Iterable[Hashable] | None = None
) -> PageCost:
    """Return the seconds that one more dirty page adds to a pause, from the variation within runs only.

    ``sum d*y / sum d*d`` after centring each run, so that what differs between runs cannot be mistaken for the pages: a
    ratio whose error is that of its linear part. Noise in the page counts pulls the estimate towards 0.

    Args:
        dirty_pages: pages per checkpoint, for each run.
        pause_s: pauses in seconds, for each run, of the same lengths.
        group: label of each run (its size, or cell), within which runs vary alike. None for one group.

    Raises:
        ValueError: fewer than two runs in all or in a group, unequal lengths, NaN, or page counts that never vary.
    """
    dd, dy = _sums(dirty_pages, pause_s)
    groups = as_codes(group, "group", len(dd)) if group is not None else np.zeros(len(dd), dtype=np.int64)
    cost = float(dy.sum() / dd.sum())
    error, df = spread_of_sum((dy - cost * dd) / dd.sum(), groups)
    half = half_width(error, df, 0.95)
    return PageCost(cost, cost - half, cost + half)


def _sums(dirty_pages: Iterable[ArrayLike], pause_s: Iterable[ArrayLike]) -> tuple[FloatArray, FloatArray]:
    """Return what each run contributes, ``sum d*d`` and ``sum d*y``; it is looked at once, and given up then."""
    found = [_sums_of(place, *both) for place, both in enumerate(_in_step(dirty_pages, pause_s))]
    if len(found) < _FEWEST_RUNS:
        raise ValueError(f"dirty_pages needs at least {_FEWEST_RUNS} runs and has {len(found)}")
    dd, dy = (np.array(each) for each in zip(*found, strict=True))
    if dd.sum() == 0:
        raise ValueError("dirty_pages never varies within a run: there is no cost per page to see")
    return dd, dy


def _in_step(dirty_pages: Iterable[ArrayLike], pause_s: Iterable[ArrayLike]) -> Iterator[tuple[ArrayLike, ArrayLike]]:
    counts = [0, 0]
    for d, y in zip_longest(dirty_pages, pause_s):
        counts = [count + (one is not None) for count, one in zip(counts, (d, y), strict=True)]
        if d is not None and y is not None:
            yield d, y
    if counts[0] != counts[1]:
        raise ValueError(f"lengths differ: dirty_pages has {counts[0]}, pause_s has {counts[1]}")


def _sums_of(place: int, dirty_pages: ArrayLike, pause_s: ArrayLike) -> tuple[float, float]:
    pages = as_vector(dirty_pages, f"dirty_pages[{place}]", least=2)
    pause = as_vector(pause_s, f"pause_s[{place}]", least=2)
    if len(pages) != len(pause):
        raise ValueError(f"run {place} has {len(pages)} page counts and {len(pause)} pauses")
    d, y = pages - pages.mean(), pause - pause.mean()
    return float(d @ d), float(d @ y)
