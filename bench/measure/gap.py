"""What a client saw of a failover: how long nothing was answered, and which of its connections lived on."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HTTP_ERROR = 400
"""The lowest HTTP status that is no good answer."""


def client_course(
    answers: Mapping[str, Sequence[Any]], struck_at: float, taken_at: float | None, kept: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what a client saw.

    The gap is the longest time between two good answers of those times that a blow or a takeover falls into: it holds
    what the service needs to come back to speed, a retransmission for instance. Without an answer after the takeover
    there is none.

    Args:
        answers: the columns of the client's requests.
        struck_at: when the blow had fallen, Unix s by the client's clock.
        taken_at: when the last step of the takeover was done, by the same; ``None``: it never was.
        kept: what became of what was acknowledged, where that was looked at.
    """
    rows = list(zip(*(answers[name] for name in ("t_send", "latency_s", "error", "status", "connection")), strict=True))
    good = sorted((sent + took, place) for sent, took, error, status, place in rows if _is_good(error, status))
    before = {place for ended, place in good if ended <= struck_at}
    after = {place for ended, place in good if taken_at is not None and ended > taken_at}
    told = {"gap_s": _gap_s([ended for ended, _ in good], struck_at, taken_at)}
    kept_open = before - {None}
    if kept_open:
        told |= {"connections": len(kept_open), "survived": len(kept_open & after)}
        told["survived_share"] = len(kept_open & after) / len(kept_open)
    told["errors_after"] = sum(
        sent + took > struck_at and not _is_good(error, status) for sent, took, error, status, _ in rows
    )
    if kept is not None:
        told |= {"checked": kept["checked"], "lost": kept["lost"] if kept["checked"] else None}
        told |= {name: kept[name] for name in ("examples", "error") if kept[name]}
    return told


def _is_good(error: str | None, status: int) -> bool:
    return error is None and status < HTTP_ERROR


def _gap_s(ends: Sequence[float], struck_at: float, taken_at: float | None) -> float | None:
    if taken_at is None or not ends or ends[-1] <= taken_at or ends[0] > struck_at:
        return None
    gaps = [late - early for early, late in pairwise(ends) if late > struck_at and early <= taken_at]
    return round(max(gaps), 6)
