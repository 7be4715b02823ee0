"""How a hypothesis is declared: its words and what holds where nothing is said, for who takes it and who judges it."""

from __future__ import annotations

from typing import Any, Literal

from .outcomes import OF_REQUESTS

Kind = Literal["trend", "contrast", "value"]
"""What is asked: the outcome along an ordered factor, of one level against another, or itself within bounds."""

Direction = Literal["increasing", "decreasing", "none"]
"""What is claimed; ``none``: that it makes no difference."""

Family = Literal["primary", "secondary"]
"""Verdicts of a family are adjusted together."""

SESOI, SESOI_MS = 0.05, 0.5
"""The smallest effect of interest: relative, and in milliseconds."""


def with_sesoi_ms(declared: Any) -> Any:
    """Return a hypothesis as it was declared; of requests no milliseconds count that it does not declare.

    Half a millisecond is little of a pause. A request may take less as a whole, and no growth of it would ever matter.
    """
    if isinstance(declared, dict) and str(declared.get("outcome")) in OF_REQUESTS:
        return {"sesoi_ms": 0.0, **declared}
    return declared
