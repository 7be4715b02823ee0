"""How a hypothesis is declared: its words and what holds where nothing is said, for who takes it and who judges it."""

from __future__ import annotations

from typing import Literal

Kind = Literal["trend", "contrast", "value"]
"""What is asked: the outcome along an ordered factor, of one level against another, or itself within bounds."""

Direction = Literal["increasing", "decreasing", "none"]
"""What is claimed; ``none``: that it makes no difference."""

Family = Literal["primary", "secondary"]
"""Verdicts of a family are adjusted together."""

SESOI, SESOI_MS = 0.05, 0.5
"""The smallest effect of interest: relative, and in milliseconds."""
