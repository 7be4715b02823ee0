"""Tables that are read when they are asked for, and held only as far as there is room for them.

A campaign's memory does not grow with its checkpoints then: beyond the room, what a run holds is read again each time.
What was read first stays, since whoever goes over all runs, goes over them again in the same order.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MOST_BYTES = 256 << 20
"""Of the tables of one campaign: some millions of checkpoints, and nobody reads twice. As many for single columns."""


_LATEST = 4
"""Of what has no room, so many are held until others were asked for: whoever looks at a run looks more than once."""


class Room:
    """So many bytes for the tables of a campaign, and for columns of others, beside the few that were read last."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._left = {"tables": most_bytes, "columns": most_bytes}
        self._latest: deque[tuple[object, Any]] = deque(maxlen=_LATEST)

    def take(self, size_bytes: int, kind: str = "tables") -> bool:
        """Return whether there is room for something of a kind, which from then on has it."""
        if size_bytes > self._left[kind]:
            return False
        self._left[kind] -= size_bytes
        return True

    def latest(self, key: object, read: Callable[[], T]) -> T:
        """Return what was read last for a key, or read it."""
        for known, value in self._latest:
            if known is key:
                found: T = value
                return found
        value = read()
        self._latest.append((key, value))
        return value


class Stored(Generic[T]):
    """A value on disk.

    Args:
        value: as it was just read.
        size_bytes: what it takes.
        again: reads it again, the same.
        room: to hold it in.
    """

    def __init__(self, value: T, size_bytes: int, again: Callable[[], T], room: Room) -> None:
        self._value = value if room.take(size_bytes) else None
        self._again = again
        self._room = room

    @property
    def held(self) -> bool:
        """Tell whether it has room."""
        return self._value is not None

    def get(self) -> T:
        """Return the value."""
        return self._room.latest(self, self._again) if self._value is None else self._value


class Reading(Generic[T]):
    """A field of a frozen dataclass: given as a value, or as one that is on disk; always read as a value."""

    def __init__(self, default: T | None = None) -> None:
        self._default = default
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, instance: object | None, owner: type) -> T:
        if instance is None:  # a dataclass asks for the field's default
            if self._default is None:
                raise AttributeError(self._name)
            return self._default
        kept: T | Stored[T] = instance.__dict__[self._name]
        return kept.get() if isinstance(kept, Stored) else kept

    def __set__(self, instance: object, value: T | Stored[T]) -> None:
        instance.__dict__[self._name] = value


def unread(instance: object, name: str) -> Any:
    """Return what such a field was given, without reading it."""
    return instance.__dict__[f"_{name}"]
