"""The far hosts of a run while it lasts: their state before and after, their clocks, what runs on them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from bench.host.clock import settled
from bench.host.far_machine import FarState
from bench.host.links import SIDES, Link

if TYPE_CHECKING:
    from bench.host.topology import Topology
    from bench.scenario.base import Notes
    from bench.vm.pair import Pair

_STEP_S = 0.002
"""A beat whose stamp lies further from the run's offset than its own round trip explains shows a clock that was set."""


class Surroundings:
    """Looks at the far hosts of a pair now, and once more when the pair has been measured."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._began = time.monotonic()
        self._states = {name: FarState(remote) for name, remote in pair.topology.far.items()}

    async def note(self, notes: Notes) -> None:
        """Put the hosts on record, and how far their clocks went from ours between the hand-shake and now."""
        if not self._states:
            return
        topology = self._pair.topology
        after = await topology.clocks()
        notes.clocks, faults = settled(notes.clocks, after, time.monotonic() - self._began)
        notes.clock_faults = (*faults, *_steps(topology, notes))
        for name, state in self._states.items():
            node, binary = topology.nodes[name], self._pair.binaries.get(name)
            names: dict[str, Any] = {"address": node.addresses[Link.MIGRATION]} if name in SIDES else {}
            if node.qemu and binary:
                names["qemu"] = {"path": node.qemu, "version": binary.version, "sha256": binary.sha256}
            notes.hosts[name] = state.record(**names)


def _steps(topology: Topology, notes: Notes) -> tuple[str, ...]:
    """Return which clocks were set and set back in between, one line each."""
    found = []
    for name, remote in topology.far.items():
        offset = notes.clocks.of(name)
        beyond_s = [
            abs(there - (before + after) / 2 - offset.seconds) - (after - before) / 2 - offset.uncertainty_s
            for before, there, after in remote.stamps
        ]
        if beyond_s and max(beyond_s) > _STEP_S:
            found.append(f"the clock of the {name}'s host was off by {max(beyond_s):.6f} s in between")
    return tuple(found)
