"""Clocks of several hosts: times of two are compared only through the offset between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.system.units import is_amount

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST_S = 1e11
SLEW = 0.0005
"""How fast a clock may part from another: the kernel slews by at most 500 parts per million."""


@dataclass(frozen=True)
class Offset:
    """A clock minus the harness's, in seconds.

    Attributes:
        seconds: the offset.
        uncertainty_s: half the time that asking took: the offset lies no further from ``seconds``.
    """

    seconds: float = 0.0
    uncertainty_s: float = 0.0

    def span(self, begin: float, end: float) -> tuple[float, float]:
        """Return the time in which something lay by this clock that lay between two times by the other."""
        return begin + self.seconds - self.uncertainty_s, end + self.seconds + self.uncertainty_s


SAME_CLOCK = Offset()


@dataclass(frozen=True)
class Clocks:
    """The clocks of a run's hosts by node; a node that is not named goes by the harness's clock."""

    offsets: Mapping[str, Offset] = field(default_factory=dict)

    def of(self, node: str) -> Offset:
        """Return a node's offset."""
        return self.offsets.get(node, SAME_CLOCK)

    def between(self, node: str, other: str) -> Offset:
        """Return ``other``'s clock minus ``node``'s."""
        own, its = self.of(node), self.of(other)
        return Offset(its.seconds - own.seconds, its.uncertainty_s + own.uncertainty_s)

    def to_json(self) -> dict[str, Any]:
        """Return it as stored: seconds and uncertainty by node."""
        return {node: [offset.seconds, offset.uncertainty_s] for node, offset in self.offsets.items()}


def settled(before: Clocks, after: Clocks, took_s: float) -> tuple[Clocks, tuple[str, ...]]:
    """Return the clocks of a run by their offsets before and after it, and what is wrong with them, one line each.

    A clock that went faster or slower than ours makes the offset as unsure as it has moved. One that moved by more than
    two looks err and a kernel slews in that time was set, or runs wild: times by it are false.
    """
    offsets, wrong = {}, []
    for node, first in before.offsets.items():
        last = after.of(node)
        moved_s = last.seconds - first.seconds
        allowed_s = first.uncertainty_s + last.uncertainty_s + SLEW * max(0.0, took_s)
        if abs(moved_s) > allowed_s:
            wrong.append(
                f"the clock of the {node}'s host moved by {moved_s:+.6f} s against ours during the run; looking and "
                f"slewing explain {allowed_s:.6f} s: times by it are false"
            )
        unsure_s = max(first.uncertainty_s, last.uncertainty_s) + abs(moved_s) / 2
        offsets[node] = Offset((first.seconds + last.seconds) / 2, unsure_s)
    return Clocks(offsets), tuple(wrong)


def read_clocks(tree: object) -> Clocks:
    """Return the clocks that :meth:`Clocks.to_json` wrote; what is no offset is left out."""
    entries = tree.items() if isinstance(tree, dict) else ()
    return Clocks({str(node): Offset(*pair) for node, pair in entries if _is_offset(pair)})


def _is_offset(pair: object) -> bool:
    return (
        isinstance(pair, list)
        and [type(one) for one in pair] == [float, float]
        and is_amount(abs(pair[0]), _LARGEST_S)
        and is_amount(pair[1], _LARGEST_S)
    )
