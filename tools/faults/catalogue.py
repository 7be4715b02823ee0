"""All faults, by name."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tools.faults import cluster, far, harness, people, provision, sides, sockets, storage, surroundings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.faults.fault import Fault

CATALOGUE: dict[str, Fault] = {
    fault.name: fault
    for module in (sides, harness, provision, storage, sockets, surroundings, people, far, cluster)
    for fault in module.faults()
}
"""In the order in which they are injected."""


def chosen(patterns: Sequence[str], *, slow: bool) -> list[Fault]:
    """Return the faults that patterns name (all when there are none), without the slow ones unless asked for.

    Raises:
        KeyError: a pattern names none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in CATALOGUE):
            raise KeyError(pattern)
    if not patterns:
        return [fault for fault in CATALOGUE.values() if slow or not fault.slow]
    return [fault for name, fault in CATALOGUE.items() if any(fnmatchcase(name, one) for one in patterns)]
