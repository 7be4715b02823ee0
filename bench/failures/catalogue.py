"""Every cause by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.failures import before, live, stored

if TYPE_CHECKING:
    from bench.failures.cause import Cause

CAUSES: tuple[Cause, ...] = (
    *before.PLAN,
    *before.HOST,
    *before.PROVISION,
    *live.LAUNCH,
    *live.HANDSHAKE,
    *live.GUEST,
    *live.COLO_START,
    *live.WORKLOAD,
    *live.MEASURE,
    *live.TEARDOWN,
    *stored.STORE,
    *stored.ANY,
)
"""The catalogue, in the order of the document."""

CATALOGUE: dict[str, Cause] = {cause.name: cause for cause in CAUSES}
"""The same by name."""
