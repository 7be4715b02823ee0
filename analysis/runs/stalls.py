"""Stalls over TCP: what a pause is without any, and whether a run has one in every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.format.factors import flatten
from analysis.format.phases import PARTS, SECONDARY
from analysis.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.stored.campaign import Run
    from analysis.stored.columns import Columns

    Floats = NDArray[np.float64]

TCP = ("tcp", "nodelay")
"""Transports of which a share of stalled checkpoints is told."""

_FREE = {"tcp": ("unix", "nodelay"), "nodelay": ("unix",)}
_BUSY = 0.7
"""The share of a delayed acknowledgement from which on the secondary's own work may be what took so long."""

_APART = {"link.transport", "replica"}

_OWN = [f"{part.name}_s" for part in PARTS if part.side == SECONDARY and part.of_pause]
"""What the secondary itself does while the primary waits for it to load."""

_OWN_OF_OLD = ["cache_flush_s", "device_load_s"]
"""Without these that is not known; what came later counts where it is known: older data lacks it."""


@dataclass(frozen=True)
class Stalls:
    """The stalls of one run over TCP.

    Attributes:
        share: of its checkpoints, that lie in the band of one or two delayed acknowledgements above ``base_s``.
        base_s: the pause of the same cell over a transport without them; NaN where the campaign has none. Then the
            band is above the run's own usual pause, and a stall that every checkpoint has does not show in ``share``.
        always: whether the ``load`` phase, which waits for the secondary's answer, took as long as a delayed
            acknowledgement in every checkpoint, and neither does over the other transport where there is one nor by
            what the secondary does in it.
    """

    share: float
    base_s: float
    always: bool


@dataclass(frozen=True)
class Free:
    """Medians over the runs of a cell without delayed acknowledgements: its ``pause_s``, its ``load_s``."""

    pause_s: float
    load_s: float


_UNKNOWN = Free(float("nan"), float("nan"))


def stalls(pause: Floats, load: Floats, free: Free | None = None, work: Floats | None = None) -> Stalls:
    """Return the stalls of one run over TCP from its checkpoints after the warm-up.

    Args:
        pause: (n,) seconds.
        load: (n,) seconds, of the phase of that name.
        free: the same cell without delayed acknowledgements, where known.
        work: (n,) seconds that the secondary takes for its own work in that phase, NaN where that was not traced.
    """
    known_work = work[np.isfinite(work)] if work is not None else np.empty(0)
    busy = float(np.median(known_work)) if len(known_work) else 0.0
    known = free or _UNKNOWN
    base = known.pause_s if known.pause_s > 0 else None
    slow = stats.slow_mode_share(pause, base_s=base)
    threshold = stats.DELAYED_ACK_S[0]
    return Stalls(
        share=slow.share if slow.usable else float("nan"),
        base_s=known.pause_s,
        always=float(load.min()) >= threshold and not known.load_s >= threshold and busy < _BUSY * threshold,
    )


def free_cells(runs: Sequence[Run]) -> list[Free | None]:
    """Return for each run what its cell takes over a transport without delayed acknowledgements; None where unknown.

    For TCP that is the same configuration over a unix socket or TCP without delay, for the latter over a unix socket.
    """
    keys = [_key(run) for run in runs]
    found: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    needed = {(free, rest) for transport, rest in keys for free in _FREE.get(transport, ())}
    for key, run in zip(keys, runs, strict=True):
        if key in needed:
            kept = run.rows.after_warmup()
            middles = (float(np.median(kept[name])) if len(kept) else np.nan for name in ("pause_s", "load_s"))
            found.setdefault(key, []).append(tuple(middles))
    medians = []
    for transport, rest in keys:
        same = [each for free in _FREE.get(transport, ()) for each in found.get((free, rest), ())]
        medians.append(Free(*(float(middle) for middle in np.median(same, axis=0))) if same else None)
    return medians


def always_note(runs: Sequence[Run]) -> str:
    """Say how many runs over TCP stall in every checkpoint (``Stalls.always``); empty where none does."""
    over_tcp = [(run, free) for run, free in zip(runs, free_cells(runs), strict=True) if _key(run)[0] in TCP]
    always = 0
    for run, free in over_tcp:
        kept = run.rows.after_warmup()
        always += stalls(kept["pause_s"], kept["load_s"], free, own_work(kept)).always
    if not always:
        return ""
    return (
        f"in {always} of {plural(len(over_tcp), 'run')} over TCP every checkpoint waits about 40 ms for a delayed "
        "acknowledgement: that is part of their pause here, and makes what varies a smaller share of it"
    )


def own_work(kept: Columns) -> Floats:
    """Return what the secondary itself does in the ``load`` phase of each checkpoint; NaN where that is not known."""
    work = np.column_stack([kept.floats(name) for name in _OWN])
    known = np.logical_and.reduce([np.isfinite(kept.floats(name)) for name in _OWN_OF_OLD])
    return np.where(known, np.nan_to_num(work).sum(axis=1), np.nan)


def _key(run: Run) -> tuple[str, str]:
    """Return a run's transport, and the rest of its configuration."""
    factors = flatten(run.record.cell)
    rest = sorted((path, repr(level)) for path, level in factors.items() if path not in _APART)
    return str(factors.get("link.transport")), repr((run.record.accel, rest))
