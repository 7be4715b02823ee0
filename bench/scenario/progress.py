"""What a run needs, what it tells while it is under way, and what comes out of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.failures.cause import Phase
from bench.plan.estimate import crowding
from bench.vm.preflight import machine_key

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from pathlib import Path

    from bench.config.model import Cell
    from bench.provision.apps import Apps
    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary
    from bench.tune.settings import Change
    from bench.vm.features import Features
    from bench.vm.spec import Second


STAGES = {
    "launch": Phase.LAUNCH,
    "handshake": Phase.HANDSHAKE,
    "boot": Phase.GUEST,
    "serve": Phase.WORKLOAD,
    "colo-start": Phase.COLO_START,
    "workload": Phase.WORKLOAD,
    "measure": Phase.MEASURE,
    "failover": Phase.MEASURE,
    "redundancy": Phase.MEASURE,
    "teardown": Phase.TEARDOWN,
    "store": Phase.STORE,
}
"""The stages of a run in their order, each with the phase that its failures go by."""


_USER_MODE = (
    "the client reached the guest through QEMU's user-mode network: QEMU itself ends the client's connections and "
    "makes others to the guest; under host=bridged they are the guest's own"
)


def phase_of(stage: str) -> Phase:
    """Return the phase that a failure in this stage goes by; before the first stage, that is the launch."""
    return STAGES[stage] if stage else Phase.LAUNCH


@dataclass(frozen=True)
class Progress:
    """News of the run under way.

    Attributes:
        stage: where in its life the run is.
        done: checkpoints that have ended, warm-up included.
        total: checkpoints wanted, warm-up included; 0 outside the measurement.
        pause_s: the latest checkpoint's pause, by the primary's own events.
        note: something a person wants to read, printed as it is.
    """

    stage: str
    done: int = 0
    total: int = 0
    pause_s: float | None = None
    note: str = ""


@dataclass(frozen=True)
class RunOutcome:
    """What a measured run left behind.

    Attributes:
        run_id: which run.
        checkpoints: how many its table holds, without the warm-up.
        quality_ok: whether its data passed the checks.
        message: one line for a person.
    """

    run_id: str
    checkpoints: int
    quality_ok: bool
    message: str


@dataclass(frozen=True)
class Assets:
    """What a run is made with.

    Attributes:
        binary: the QEMU.
        guest: the Linux guest; where no cell runs it, one that a cell does run.
        features: what that QEMU understands.
        campaign: the campaign it belongs to.
        nodelay: the library that sets TCP_NODELAY, where a cell of the campaign asks for it.
        watch: the sides that get a VNC screen on loopback.
        hypotheses_sha256: of what the campaign is to decide, as it was when this run was measured.
        warnings: what QEMU warned of when it built a machine, by :func:`bench.vm.preflight.machine_key`.
        tuned: the host settings that are changed while the run is measured.
        bare: the bare guest, where a cell of the campaign runs it.
        second: the secondary's QEMU, where it is not the primary's.
        antagonist: what uses the host's caches meanwhile, where a cell of the campaign asks for it.
        saved: the folder of the machine that a run begins as, by cell, where it is not to boot.
        nodes: of a cluster, by what of a pair is on each; empty where the machine has no name of that kind.
        apps: the guest with applications, where a cell of the campaign runs it.
        states: what that guest's disk begins with, by what its workloads ask for.
    """

    binary: Binary
    guest: Guest
    features: Features
    campaign: str
    nodelay: Path | None = None
    watch: frozenset[str] = field(default=frozenset())
    hypotheses_sha256: str = ""
    warnings: Mapping[Hashable, tuple[str, ...]] = field(default_factory=dict)
    tuned: tuple[Change, ...] = ()
    bare: Guest | None = None
    second: Second | None = None
    antagonist: Path | None = None
    saved: Mapping[Cell, Path] = field(default_factory=dict)
    nodes: Mapping[str, str] = field(default_factory=dict)
    apps: Apps | None = None
    states: Mapping[str, Path] = field(default_factory=dict)

    def guest_of(self, cell: Cell) -> Guest:
        """Return what a cell's pair boots.

        Raises:
            ProvisionError: the cell asks for a guest that was not built.
        """
        if cell.guest == "linux":
            return self.guest
        built = self.bare if cell.guest == "bare" else self.apps.guest if self.apps else None
        if built is None:
            raise ProvisionError(f"the {cell.guest} guest was not built")
        return built

    def state_of(self, cell: Cell) -> Path | None:
        """Return what a cell's disk begins with; ``None``: it is empty."""
        return self.states[cell.workload.guest_state()] if cell.guest == "apps" else None

    def client_program(self, relative: str) -> tuple[str, ...]:
        """Return what runs a packaged program of the applications outside of the guest.

        Raises:
            ProvisionError: no cell of the campaign runs the applications' guest.
        """
        if self.apps is None:
            raise ProvisionError(f"{relative} comes with guest=apps, which was not built")
        return self.apps.tree.program(relative)

    @property
    def side_features(self) -> Features:
        """Return what both sides' binaries understand, as far as trace events go."""
        if self.second is None:
            return self.features
        common = self.features.trace_events & self.second.features.trace_events
        return replace(self.features, trace_events=common)

    def pair_second(self, cell: Cell) -> Second | None:
        """Return the secondary's QEMU as this cell runs it, where it is another one.

        Raises:
            ProvisionError: as `pair_binary`.
        """
        return replace(self.second, binary=self._as_run(cell, self.second.binary)) if self.second else None

    def remarks(self, cell: Cell) -> tuple[str, ...]:
        """Return what a reader of this cell's runs should know of how they were made, one line each."""
        screens = (f"a screen was open on {' and '.join(sorted(self.watch))}",) if self.watch else ()
        crowded = "" if cell.host.far else crowding(cell, len(os.sched_getaffinity(0)))
        warned = (f"QEMU warned: {line}" for line in self.warnings.get(machine_key(cell), ()))
        forwarded = cell.workload.guest_port() and not cell.host.bridged
        return (*warned, *screens, *filter(None, (crowded, _USER_MODE if forwarded else "")))

    def pair_binary(self, cell: Cell) -> Binary:
        """Return the QEMU as this cell runs it: with the library preloaded under ``link=nodelay``.

        Raises:
            ProvisionError: the cell asks for a library that was not built.
        """
        return self._as_run(cell, self.binary)

    def _as_run(self, cell: Cell, binary: Binary) -> Binary:
        if cell.link.transport != "nodelay":
            return binary
        if self.nodelay is None:
            raise ProvisionError("the TCP_NODELAY library was not built")
        return binary.preloading(self.nodelay)
