"""What colo-compare did with packets, where ``trace=network`` recorded it: compared, released, held, dropped.

Source: QEMU's ``net/colo-compare.c`` (5.1 to 11.1). What its events say and what they leave unsaid:

- ``colo_compare_ip_info`` comes with each comparison of data; of TCP's only those that came out alike are followed by
  ``colo_compare_tcp_info``. So a TCP comparison that is followed by anything else asked for a checkpoint: the data
  differed, or the secondary had not acknowledged what the primary had. It is repeated with every packet that comes
  until the checkpoint, which is why repeats without anything between them count once.
- The other protocols say ``compare udp`` (``icmp``, ``other``) before, and ``packet different`` where they differ.
- A packet's arrival is in no event. ``colo_old_packet_check_found`` tells when one arrived that has waited longer than
  ``compare_timeout``: of those alone is it known how long they were held, which is until the next checkpoint has
  received ``vmstate-received`` and lets everything go.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.format.phases import ALIKE, COMPARED, COMPARISON, DROPPED, OLD_PACKET, PACKETS, P

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.measure.checkpoints import Checkpoint
    from bench.measure.trace import Trace

PACKET_EVENTS = frozenset((COMPARED, OLD_PACKET, *(event.name for event in PACKETS)))
"""The primary's trace events that tell of packets."""

_OTHERS = frozenset(("compare udp", "compare icmp", "compare other"))
_RELEASED, _DIFFERENT, _UNSUPPORTED = "packet same and release packet", "packet different", "unsupported packet in"
_US = 1_000_000
_AT_ONCE_US = 1_000
_EVER_US = 1 << 62


@dataclass(frozen=True)
class Packets:
    """What became of the packets of one run.

    Attributes:
        seconds: from when the primary first ran under COLO to the last event.
        compared: comparisons of data, repeats of one that differed counted once.
        released: packets of the primary that were let go as the secondary had sent the same.
        differing_us: when a comparison asked for a checkpoint, in microseconds since the epoch.
        old_us: when a packet was found that had waited too long, at every look until a checkpoint lets it go.
        held_us: how long each different one of these was held, to that checkpoint.
        dropped: packets that found the queue full, by the side that had sent them.
        unsupported: packets of either side that are not compared: the primary's are passed on, the secondary's are not.
    """

    seconds: float
    compared: int
    released: int
    differing_us: tuple[int, ...]
    old_us: tuple[int, ...]
    held_us: tuple[int, ...]
    dropped: dict[str, int]
    unsupported: int

    def to_json(self) -> dict[str, Any]:
        """Return it as stored in ``run.json``."""
        held = [time_us / _US for time_us in self.held_us]
        return {
            "seconds": self.seconds,
            "compared": self.compared,
            "released": self.released,
            "differed": len(self.differing_us),
            "held": len(self.held_us),
            "hold_median_s": median(held) if held else None,
            "hold_max_s": max(held, default=None),
            "dropped": sum(self.dropped.values()),
            "dropped_primary": self.dropped.get("primary", 0),
            "dropped_secondary": self.dropped.get("secondary", 0),
            "unsupported": self.unsupported,
            **{f"{name}_per_s": _rate(count, self.seconds) for name, count in self._counts()},
        }

    def _counts(self) -> Iterable[tuple[str, int]]:
        yield "compared", self.compared
        yield "released", self.released
        yield "differed", len(self.differing_us)
        yield "held", len(self.held_us)
        yield "dropped", sum(self.dropped.values())


def _rate(count: int, seconds: float) -> float | None:
    return round(count / seconds, 6) if seconds > 0 else None


def read_packets(trace: Trace, checkpoints: Sequence[Checkpoint], since_us: int | None) -> Packets:
    """Return what became of packets, from the primary's trace.

    Args:
        trace: with :data:`PACKET_EVENTS`; other events in between change nothing.
        checkpoints: the run's complete ones.
        since_us: when the primary first ran under COLO; ``None``: from the first event on.
    """
    events = [(time_us, kind) for time_us, kind in trace if since_us is None or time_us >= since_us]
    ours = [(time_us, kind.event, kind.values) for time_us, kind in events if kind.event in PACKET_EVENTS]
    count = _Count()
    for one in ours:
        count.take(*one)
    count.close(_EVER_US)
    found = count.found
    arrived = {int(values[0]): time_us for time_us, event, values in reversed(ours) if event == OLD_PACKET}
    begin = since_us if since_us is not None else (events[0][0] if events else 0)
    return Packets(
        seconds=max((events[-1][0] - begin) / _US, 0.0) if events else 0.0,
        compared=found["alike"] + found["others"] + found["unlike"],
        released=found[_RELEASED],
        differing_us=tuple(count.differing_us),
        old_us=tuple(time_us for time_us, event, _ in ours if event == OLD_PACKET),
        held_us=tuple(_held_us(arrived, checkpoints)),
        dropped={side: found[f"dropped {side}"] for side in ("primary", "secondary")},
        unsupported=found[_UNSUPPORTED],
    )


class _Count:
    """What happened, event after event, and when a comparison asked for a checkpoint."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.differing_us: list[int] = []
        self._open_us: list[int] = []  # TCP comparisons that have not been said to have come out alike
        self._other = False  # whether the next comparison is of another protocol

    def take(self, time_us: int, event: str, values: tuple[str, ...]) -> None:
        """Count an event."""
        if event == COMPARISON:
            if not self._other:
                self._open_us.append(time_us)
            self._other = False
        elif event == ALIKE:
            # QEMU says so at once: what was compared long before had come out otherwise.
            self.close(time_us - _AT_ONCE_US)
            self._open_us.clear()
            self.found["alike"] += values[0] == "pri"
        else:
            self.close(time_us)
            self._count(time_us, event, values)

    def close(self, before_us: int) -> None:
        """Count the comparisons that were open before a moment as one that came out otherwise."""
        if self._open_us and self._open_us[0] <= before_us:
            self.found["unlike"] += 1
            self.differing_us.append(self._open_us[0])
            self._open_us.clear()

    def _count(self, time_us: int, event: str, values: tuple[str, ...]) -> None:
        if event == DROPPED:
            self.found[f"dropped {values[0]}"] += 1
        elif event == COMPARED:
            self._other = values[0] in _OTHERS
            self.found["others"] += self._other
            self.found[_UNSUPPORTED if _UNSUPPORTED in values[0] else values[0]] += 1
            if values[0] == _DIFFERENT:
                self.differing_us.append(time_us)


def _held_us(arrived: dict[int, int], checkpoints: Sequence[Checkpoint]) -> Iterable[int]:
    """Yield how long each old packet was held: from its arrival (ms) to the checkpoint after it was found."""
    ends = [one.times_us[P.RECEIVED] for one in checkpoints]
    for arrived_ms, found_us in sorted(arrived.items()):
        end_us = next((end for end in ends if end >= found_us), None)
        if end_us is not None:
            yield end_us - 1000 * arrived_ms
