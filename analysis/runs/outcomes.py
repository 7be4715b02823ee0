"""From checkpoints to runs: one row per launched pair, one number per outcome. The run is the unit of all inference."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import stats
from analysis.format.factors import flatten
from analysis.format.outcomes import OUTCOMES, TRIGGERS
from analysis.runs.counting import STANDING
from analysis.runs.stalls import TCP, Free, Stalls, free_cells, own_work, stalls
from analysis.stored.factors import effective, working_set_bytes
from analysis.stored.records import NO_NODE
from analysis.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from analysis.format.outcomes import Outcome
    from analysis.stored.campaign import Run
    from analysis.stored.cells import Cells
    from analysis.stored.columns import Columns

_TAILS = {"p95": 0.95, "p99": 0.99}
_PAGE, _NEARLY = 4096, 0.9


def run_table(runs: Iterable[Run], cells: Cells) -> pd.DataFrame:
    """Return one row per run, in the order measured.

    Columns: where it stands (``run_id``, ``campaign``, ``folder``: which of the study's, ``cell``: its place in
    ``cells.names``, ``block``, ``order``, ``started_at`` Unix s, ``under``: which accelerator, in words,
    ``checkpoints``, ``warmup``, ``short``: fewer checkpoints than were asked for, ``unanswered``: with a client that
    was never answered, ``with_failover``, ``failover_seen``: by a client, ``joining``: with a survivor that was to get
    a new secondary, ``pauses_ok``: nothing speaks against its pauses alone, ``quality_ok``), every factor by its
    dotted path, ``working_set_bytes``, ``set_written`` (:func:`set_written`), ``effective`` (equal for cells that are
    the same machine), every outcome of :data:`OUTCOMES` (NaN where it was not measured),
    ``slow_base_s`` and ``always_stalled`` (over TCP, see :class:`analysis.runs.stalls.Stalls`; else NaN and False),
    ``pause_p95_enough`` (:func:`too_short_for`) and the same of each other quantile; ``node`` where a record names
    one of a cluster (of others :data:`NO_NODE`).
    """
    places = cells.places
    every = list(runs)
    paths = tuple(dict.fromkeys(path for run in every for path in flatten(run.record.cell)))
    rows = [
        _row(run, places[run.record.cell_id], free, paths) for run, free in zip(every, free_cells(every), strict=True)
    ]
    table = pd.DataFrame(rows)
    if any(run.record.nodes for run in every):
        table = table.assign(node=[run.record.node or NO_NODE for run in every])
    return table


def too_short_for(run: Run, outcome: str) -> bool:
    """Tell whether an outcome is a quantile that a run is too short for: then it is about its largest value."""
    one = OUTCOMES[outcome]
    if one.reducer not in _TAILS:
        return False
    counted = len(run.latencies) if one.table == "client" else len(used(run))
    return not stats.quantile_allowed(counted, _TAILS[one.reducer])


def tail_note(runs: Iterable[Run], outcome: str) -> str:
    """Say how many of the runs that have a quantile are too short for it; empty where none is."""
    runs = [run for run in runs if OUTCOMES[outcome].table != "client" or len(run.latencies)]
    short = sum(too_short_for(run, outcome) for run in runs)
    said = f"{short} of {plural(len(runs), 'run')} {'is' if short == 1 else 'are'} too short for {outcome}"
    return f"exploratory: {said}, which takes five or more beyond it" if short else ""


def used(run: Run) -> Columns:
    """Return a run's checkpoints after its warm-up."""
    return run.rows.after_warmup()


def used_pauses(run: Run) -> NDArray[np.float64]:
    """Return a run's pauses after its warm-up, in seconds."""
    return run.column("pause_s")


def _row(run: Run, cell: int, free: Free | None, paths: Sequence[str]) -> dict[str, Any]:
    record, kept = run.record, used(run)
    factors = flatten(record.cell) | {"accel": record.accel}
    return {
        "run_id": record.run_id,
        "campaign": record.campaign,
        "folder": run.folder,
        "cell": cell,
        "cell_id": record.cell_id,
        "block": record.block,
        "order": record.order,
        "started_at": record.started_at,
        "under": record.under,
        "checkpoints": len(kept),
        "warmup": len(run.rows) - len(kept),
        **{name: told(run) for name, told in STANDING.items()},
        **{path: factors.get(path) for path in dict.fromkeys((*paths, *factors))},
        "working_set_bytes": working_set_bytes(factors),
        "set_written": set_written(kept, working_set_bytes(factors)),
        "effective": repr(sorted(effective(factors).items())),
        **outcomes(run, free),
        "transport_bytes_per_s": float(record.transport.get("bytes_per_s", np.nan)),
    }


def set_written(kept: Columns, set_bytes: int | None) -> float:
    """Return the share of a run's checkpoints before which the guest wrote its whole working set; NaN if none tells.

    The bare guest tells. Of another one the dirty pages do: fewer than nine tenths of the set are not the set.

    Args:
        kept: its checkpoints after the warm-up.
        set_bytes: its working set; None without one.
    """
    told = _known(kept.floats("set_rewritten"))
    if len(told):
        return float(told.mean())
    pages = _known(kept.floats("dirty_pages"))
    return float((pages >= _NEARLY * set_bytes / _PAGE).mean()) if len(pages) and set_bytes else np.nan


YES_OR_NO = frozenset(("survived",))
"""Outcomes that are 1 or 0 in a run: what is told of them is a share of runs, and of no run a size."""


def outcomes(run: Run, free: Free | None = None) -> dict[str, float | bool]:
    """Return the outcomes of one run: of its checkpoints after the warm-up, its client's requests, its record.

    ``slow_share`` has a meaning over TCP, and is measured from ``free``, its cell without stalls, where that is known.
    """
    kept, stalled = used(run), stalls_of(run, free)
    share = stalled.share if stalled else np.nan
    row: dict[str, float | bool] = {
        one.name: share if one.reducer == "slow" else _outcome(run, one, kept) for one in OUTCOMES.values()
    }
    counted = {"checkpoints": len(kept), "client": len(run.latencies)}
    row |= {
        f"{one.name}_enough": stats.quantile_allowed(counted[one.table], _TAILS[one.reducer])
        for one in OUTCOMES.values()
        if one.reducer in _TAILS
    }
    row["slow_base_s"] = stalled.base_s if stalled else np.nan
    row["always_stalled"] = bool(stalled and stalled.always)
    return row


def stalls_of(run: Run, free: Free | None) -> Stalls | None:
    """Return the stalls of a run over TCP; None over anything else, and without a checkpoint."""
    if flatten(run.record.cell).get("link.transport") not in TCP:
        return None
    kept = used(run)
    if not len(kept):
        return None
    return stalls(_known(kept.floats("pause_s")), _known(kept.floats("load_s")), free, own_work(kept))


def outcome_of(run: Run, name: str, free: Free | None = None) -> float:
    """Return one outcome of a run; NaN where it was not measured.

    Args:
        run: whose.
        name: one of :data:`OUTCOMES`.
        free: as in :func:`outcomes`.
    """
    one = OUTCOMES[name]
    if one.reducer == "slow":
        stalled = stalls_of(run, free)
        return stalled.share if stalled else np.nan
    return _outcome(run, one, used(run))


def _outcome(run: Run, one: Outcome, kept: Columns) -> float:
    if one.table == "run":
        return _recorded(run, one.column)
    if one.reducer in OF_TABLE:
        return OF_TABLE[one.reducer](kept)
    values = run.requests.values(one.column) if one.table == "client" else _known(kept.floats(one.column))
    return float(OF_VALUES[one.reducer](values)) if len(values) else np.nan


def _recorded(run: Run, path: str) -> float:
    """Return a number of ``run.json``; NaN where it has none."""
    part, *names = path.split(".")
    value = getattr(run.record, part)
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) else np.nan


OF_VALUES: dict[str, Callable[[NDArray[np.float64]], Any]] = {
    "median": np.median,
    "mean": np.mean,
    "max": np.max,
    **{name: partial(np.quantile, q=share) for name, share in _TAILS.items()},
}
"""Reducers of the values that are known."""


def periods(kept: Columns) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which checkpoints are followed by the next one, and the seconds from each request to the next one.

    A share of time or a rate is told over whole periods: n checkpoints span n - 1 of them, and with three checkpoints
    the time from the first to the last would make half as much again of it.
    """
    followed = np.diff(kept["index"]) == 1
    return followed, np.diff(kept["t_request"])[followed]


def _period(kept: Columns) -> float:
    _, gaps = periods(kept)
    return float(np.median(gaps)) if len(gaps) else np.nan


def _paused(kept: Columns) -> float:
    followed, gaps = periods(kept)
    return float(kept["pause_s"][:-1][followed].sum() / gaps.sum()) if len(gaps) else np.nan


def rates_of(triggers: Sequence[str], kept: Columns) -> dict[str, float]:
    """Return how many checkpoints per second had each trigger, each at the end of its period; NaN without a period."""
    followed, gaps = periods(kept)
    if not len(gaps):
        return dict.fromkeys(triggers, np.nan)
    return {name: float(kept.is_("trigger", name)[1:][followed].sum() / gaps.sum()) for name in triggers}


def rate_of(trigger: str, kept: Columns) -> float:
    """Return the same of one trigger."""
    return rates_of((trigger,), kept)[trigger]


def _share_of(trigger: str, kept: Columns) -> float:
    return float(kept.is_("trigger", trigger).mean()) if len(kept) else np.nan


OF_TABLE: dict[str, Callable[[Columns], float]] = {
    "period": _period,
    "paused": _paused,
    "known": lambda kept: float(np.isfinite(kept.floats("ram_receive_s")).mean()) if len(kept) else np.nan,
    **{f"share of {name}": partial(_share_of, name) for name in TRIGGERS},
    **{f"rate of {name}": partial(rate_of, name) for name in TRIGGERS},
}
"""Reducers of the whole table of checkpoints."""


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known: NDArray[np.float64] = values[np.isfinite(values)]
    return known
