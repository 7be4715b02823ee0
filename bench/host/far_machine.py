"""What a far machine tells of itself: its ports, its state, its clock."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from bench.errors import HostError
from bench.host.clock import Offset
from bench.host.far_end import FarEnd
from bench.host.far_state import KVM, SURROUNDINGS, mirrored
from bench.host.limits import free_swap
from bench.host.ports import sampled_ports
from bench.host.snapshot import drift, take_snapshot
from bench.host.virtual import read_kvm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.host.snapshot import Snapshot

_STAMPS = 20
_STAMPS_S = 2.0


class FarMachine(FarEnd):
    """What is asked of the machine."""

    def free_ports(self, addresses: Sequence[str], count: int) -> tuple[int, ...]:
        """Return TCP ports, all different, that are free on all of these addresses of the host now.

        Raises:
            HostError: an address is not one of that host.
        """
        try:
            ports = self.wire.call("ports", addresses=list(addresses), ports=sampled_ports(), count=count).value
        except OSError as error:
            words = f"the {self.name}'s host {self.reach.title} has no such address: {error.strerror}"
            raise HostError(words, cause="far-address") from error
        return tuple(ports)

    def snapshot(self) -> Snapshot:
        """Return the host's state, read there and made sense of here."""
        texts = self.texts(SURROUNDINGS)
        now = float(self.wire.call("clock").value)
        with mirrored(texts) as root:
            return take_snapshot(root, now)

    def memory(self) -> tuple[int | None, int]:
        """Return the bytes that can be had there without swapping, None if nobody says, and those of free swap."""
        texts = self.texts(SURROUNDINGS)
        with mirrored(texts) as root:
            return take_snapshot(root).memory_available_bytes, free_swap(root)

    def texts(self, globs: Sequence[str]) -> dict[str, str]:
        """Return the content of small files of the host's kernel, by path; what cannot be read is left out."""
        return dict(self.wire.call("texts", globs=list(globs)).value)

    def usage_s(self) -> float:
        """Return the CPU time that the agent and all that it started have used, in s."""
        return float(self.wire.call("usage").value)

    async def clock_offset(self) -> Offset:
        """Return the host's wall clock minus this process's: of 20 exchanges, the one that took the shortest."""
        give_up = time.monotonic() + _STAMPS_S
        best = Offset(0.0, float("inf"))
        for _ in range(_STAMPS):
            before = time.time()
            there = float(self.wire.call("clock").value)
            after = time.time()
            half = max(0.0, after - before) / 2
            if half < best.uncertainty_s:
                best = Offset(there - (before + after) / 2, half)
            if time.monotonic() > give_up:
                break
            await asyncio.sleep(0)
        return best


class FarState:
    """A far host before and after a run.

    What the run itself used of its CPUs is asked of the agent, whose children everything is.
    """

    def __init__(self, machine: FarMachine) -> None:
        self._machine = machine
        self._before, self._used_s = machine.snapshot(), machine.usage_s()

    def record(self, **names: Any) -> dict[str, Any]:
        """Return what ``run.json`` keeps of the host, once the run is over and its machines still there."""
        machine = self._machine
        after, used_s = machine.snapshot(), machine.usage_s() - self._used_s
        with mirrored(machine.texts(KVM)) as root:
            kvm = read_kvm(root / "proc/cpuinfo", root / "sys/module")
        return {
            **names,
            "reached": machine.reach.title,
            **{key: machine.facts[key] for key in ("node", "boot", "kernel", "python")},
            "before": self._before.to_json(),
            "after": after.to_json(),
            "used_s": round(used_s, 6),
            "drift": drift(self._before, after, used_s),
            "kvm": kvm.to_json(),
        }
