"""What a server acknowledged has to be there afterwards: each write is told from every other by what it wrote.

A key's value at the end is acceptable where some order of the writes that fits what the client saw leaves it there: the
value of a write that no acknowledged one is known to have followed, or of one whose answer never came. (The last read
of a register that is linearizable: Herlihy & Wing, 1990.)
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALLEST_BYTES = _DIGITS = 12
"""How large a value has to be to tell which write it is of."""

_SHOWN = 5


def value_of(number: int, size: int) -> bytes:
    """Return what the write of a number writes: the number, where there is room for it, and filling."""
    own = b"%0*d" % (_DIGITS, number) if size >= _DIGITS else b""
    return own + b"x" * (size - len(own))


def number_in(value: bytes) -> int | None:
    """Return which write wrote a value; ``None`` where it does not say."""
    digits = value[:_DIGITS]
    return int(digits) if len(digits) == _DIGITS and digits.isdigit() else None


@dataclass(frozen=True)
class Verdict:
    """What became of the keys that something was acknowledged of.

    Attributes:
        checked: how many there are.
        lost: of how many an acknowledged write is gone.
        examples: the first of those, in words.
        error: why nothing could be checked; empty where it could.
    """

    checked: int = 0
    lost: int = 0
    examples: tuple[str, ...] = ()
    error: str = ""


@dataclass
class Writes:
    """The writes that were acknowledged: for each when it was sent and when its answer was there (monotonic)."""

    acknowledged: dict[int, tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, number: int, sent: float, answered: float) -> None:
        """Take note of an acknowledgement; from any thread."""
        with self._lock:
            self.acknowledged[number] = (sent, answered)

    def copy(self) -> Writes:
        """Return what is there now: a request that is still under way may be answered at any moment."""
        with self._lock:
            return Writes(dict(self.acknowledged))

    def by_key(self, keys: int) -> dict[int, list[int]]:
        """Return the numbers of the acknowledged writes of each key; a number's key is its remainder by ``keys``."""
        found: dict[int, list[int]] = {}
        for number in sorted(self.acknowledged):
            found.setdefault(number % keys, []).append(number)
        return found

    def judge(self, keys: int, found: Mapping[int, int | None]) -> Verdict:
        """Return what is lost.

        Args:
            keys: how many keys there are.
            found: of keys that something was acknowledged of, which write its value is of; ``None``: it is gone.
        """
        lost, by_key = [], self.by_key(keys)
        for key, last in found.items():
            numbers = by_key[key]
            if last is None:
                lost.append(f"key {key} is gone, write {numbers[-1]} of it was acknowledged")
            elif last in self.acknowledged:
                later = [one for one in numbers if self.acknowledged[one][0] > self.acknowledged[last][1]]
                if later:
                    lost.append(f"key {key} has write {last}, write {later[-1]} of it was acknowledged later")
        return Verdict(len(found), len(lost), tuple(lost[:_SHOWN]))
