"""From runs to cells, of failovers: how many were survived, how long the outages were, why the others were not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import stats
from analysis.text import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.stored.campaign import Campaign
    from analysis.stored.cells import Cells

    Told = Mapping[str, Any]

STEPS = ("detect", "decide", "takeover", "first_answer")
"""What an outage is made of, in time order."""


def failover_table(campaign: Campaign, cells: Cells) -> pd.DataFrame:
    """Return one row per cell whose runs end in a failover, in the order of ``cells.names``; empty without any.

    Columns: ``cell_id``, ``cell`` (its label); ``struck``: how many runs came to the blow and whose record is sound;
    ``doubtful``: how many more failed their own check, which are in nothing else here but in what was lost;
    ``survived`` of those struck, with ``share`` and its exact interval ``low``/``high`` (Clopper-Pearson, 95 %);
    ``outage_s``: the median of those survived with its order-statistic interval ``outage_low_s``/``outage_high_s``
    (95 %, NaN below six) and ``outage_max_s``; the median of each of :data:`STEPS`, as ``*_s``; ``hit``: which phases
    were hit, and how often each was survived; ``reasons``: why the others were not, each cause with its number. Where
    clients looked on also ``gap_s`` and ``gap_max_s``: the median and the longest time that one got no answer; and,
    summed over the runs, the ``connections`` that they had, ``kept_open`` of them, the ``checked`` acknowledged writes
    and those ``lost``, these two of the doubtful as well. Where survivors were to get a new secondary also ``joining``:
    how many were, ``joined`` of them, the median ``redundancy_s`` of these, and ``alone``: why the others did not.
    """
    told: dict[int, list[tuple[bool, Told]]] = {}
    for run in campaign.runs:
        if run.record.failover is not None:
            told.setdefault(cells.places[run.record.cell_id], []).append((run.record.quality.ok, run.record.failover))
    rows = [
        {"cell_id": cells.names[place].cell_id, "cell": cells.names[place].label, **_row(told[place])}
        for place in sorted(told)
    ]
    return pd.DataFrame([row for row in rows if row["struck"]])


def writes(campaign: Campaign) -> tuple[int, int]:
    """Return how many acknowledged writes were looked for after failovers, and how many of them were lost.

    Of all runs: what makes a record unsound speaks against its times, and none of it gives a write back.
    """
    seen = _clients(run.record.failover for run in campaign.runs if run.record.failover is not None)
    checked, lost = (int(_known(seen, name).sum()) for name in ("checked", "lost"))
    return checked, lost


def _row(told: Sequence[tuple[bool, Told]]) -> dict[str, Any]:
    sound = [one for ok, one in told if ok]
    if not sound:
        return {"struck": 0}
    alive = [one for one in sound if one.get("success") is True]
    share = stats.clopper_pearson(len(alive), len(sound))
    return {
        "struck": len(sound),
        "doubtful": len(told) - len(sound),
        "survived": len(alive),
        "share": share.estimate,
        "low": share.low,
        "high": share.high,
        **_outages(_known(alive, "outage_s")),
        **{f"{name}_s": _median(_known(sound, f"{name}_s")) for name in STEPS},
        **_seen(_clients(sound), _clients(one for _, one in told)),
        **_joined([one for one in alive if one.get("redundancy")]),
        "hit": _hits(sound),
        "reasons": _counted(_cause(one) for one in sound if one not in alive),
    }


def _counted(causes: Iterable[str]) -> str:
    return ", ".join(f"{count} {cause}" for cause, count in Counter(causes).most_common())


def _joined(told: Sequence[Told]) -> dict[str, Any]:
    """Return what became of the survivors that were to get a new secondary; empty without any."""
    if not told:
        return {}
    times_s = _known(told, "redundancy_s")
    alone = (one["redundancy"] for one in told if one.get("redundancy_s") is None)
    return {
        "joining": len(told),
        "joined": len(times_s),
        "redundancy_s": _median(times_s),
        "alone": _counted(_cause(one) for one in alone if isinstance(one, dict)),
    }


def _outages(outages_s: NDArray[np.float64]) -> dict[str, float]:
    names = ("outage_s", "outage_low_s", "outage_high_s", "outage_max_s")
    if not len(outages_s):
        return dict.fromkeys(names, np.nan)
    interval = stats.median_interval(outages_s)
    return dict(zip(names, (interval.estimate, interval.low, interval.high, float(outages_s.max())), strict=True))


def _clients(told: Iterable[Told]) -> list[Told]:
    return [one["client"] for one in told if isinstance(one.get("client"), dict)]


def _seen(told: Sequence[Told], every: Sequence[Told]) -> dict[str, float]:
    """Return what clients saw, and of every run what was lost; empty where none looked on."""
    if not told:
        return {}
    gaps_s = _known(told, "gap_s")
    sums = {"connections": "connections", "kept_open": "survived"}
    return {
        "gap_s": _median(gaps_s),
        "gap_max_s": float(gaps_s.max()) if len(gaps_s) else np.nan,
        **{name: float(_known(told, stored).sum()) for name, stored in sums.items()},
        **{name: float(_known(every, name).sum()) for name in ("checked", "lost")},
    }


def _known(told: Iterable[Told], name: str) -> NDArray[np.float64]:
    values = [one.get(name) for one in told]
    return np.array([value for value in values if isinstance(value, int | float)], dtype=np.float64)


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else np.nan


def _hits(told: Iterable[Told]) -> str:
    struck: Counter[str] = Counter()
    alive: Counter[str] = Counter()
    for one in told:
        phase = _phase(one)
        struck[phase] += 1
        alive[phase] += one.get("success") is True
    return ", ".join(f"{phase} {alive[phase]}/{count}" for phase, count in struck.most_common())


def _phase(one: Told) -> str:
    hit = one.get("hit")
    return str(hit.get("phase", MISSING)) if isinstance(hit, dict) else MISSING


def _cause(one: Told) -> str:
    return str(one.get("cause") or "unknown")
