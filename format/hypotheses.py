"""How a hypothesis is declared: its words and what holds where nothing is said, for who takes it and who judges it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .factors import Level
from .outcomes import OF_REQUESTS

Kind = Literal["trend", "contrast", "value"]
"""What is asked: the outcome along an ordered factor, of one level against another, or itself within bounds."""

Direction = Literal["increasing", "decreasing", "none"]
"""What is claimed; ``none``: that it makes no difference."""

Family = Literal["primary", "secondary"]
"""Verdicts of a family are adjusted together."""

SESOI, SESOI_MS = 0.05, 0.5
"""The smallest effect of interest: relative, and in milliseconds."""


class Declared(BaseModel):
    """One question with its rule for an answer.

    Attributes:
        id: its short name in tables and figures.
        claim: the claim in a sentence; the verdict is about this sentence.
        kind: ``trend``: the outcome against an ordered factor. ``contrast``: one level of a factor against another.
            ``value``: the outcome itself lies within ``low`` and ``high``.
        outcome: which number of a run.
        factor: dotted path of the configuration, such as ``mem`` or ``link.transport`` (not for ``value``).
        levels: for ``contrast``: the base, then what is compared with it.
        where: the levels that other factors must have for a cell to count.
        direction: ``increasing``, ``decreasing``, or ``none`` where the claim is that it makes no difference.
        family: verdicts of a family are adjusted together: ``primary`` by Holm, ``secondary`` by Benjamini-Hochberg.
        sesoi: smallest relative effect of interest, per doubling for a trend.
        sesoi_ms: the same in milliseconds; the larger of the two counts. Not declared it is 0 for a client's requests:
            half a millisecond is little of a pause, and a request may take less as a whole.
        low: of a ``value``, in the outcome's unit (s, pages, or a share).
        high: the same.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    id: str
    claim: str
    kind: Kind = "trend"
    outcome: str = "pause"
    factor: str | None = None
    levels: tuple[Level, ...] = ()
    where: dict[str, tuple[Level, ...]] = {}
    direction: Direction = "increasing"
    family: Family = "primary"
    sesoi: Annotated[float, Field(gt=0, lt=10)] = SESOI
    sesoi_ms: Annotated[float, Field(ge=0)] = SESOI_MS
    low: float | None = None
    high: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _in_milliseconds(cls, declared: Any) -> Any:
        if isinstance(declared, dict) and str(declared.get("outcome")) in OF_REQUESTS:
            return {"sesoi_ms": 0.0, **declared}
        return declared
