"""What a guest got done while it was watched: totals that it told, and when they arrived by the harness's own clock.

A guest's clock stands still in a pause, so no rate is made from it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bench.system.units import is_amount

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHORTEST_S = 0.5


def progress_figures(reports: Sequence[Mapping[str, Any]], arrived: Sequence[float]) -> dict[str, Any]:
    """Return the rate between the first and the last total; empty where fewer than two were told.

    Args:
        reports: what the guest reported; one with a ``total`` so far and its ``unit`` counts.
        arrived: when each came, in seconds of a monotonic clock.
    """
    told = [
        (when, float(one["total"]), str(one["unit"]))
        for one, when in zip(reports, arrived, strict=True)
        if is_amount(one.get("total")) and isinstance(one.get("unit"), str)
    ]
    if len(told) < 2:  # noqa: PLR2004 - a first and a last
        return {}
    (begin, first, unit), (end, last, _) = told[0], told[-1]
    if end - begin < _SHORTEST_S or last < first:
        return {}
    gaps = (later[0] - earlier[0] for earlier, later in pairwise(told))
    return {
        "reports": len(told),
        "unit": unit,
        "done": last - first,
        "seconds": round(end - begin, 6),
        "per_second": round((last - first) / (end - begin), 6),
        "longest_gap_s": round(max(gaps), 6),
    }
