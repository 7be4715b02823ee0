"""The COLO procedure as an explicit sequence of QMP steps: values first, carried out by :mod:`bench.vm.pair`.

Source: QEMU docs/COLO-FT.txt and the 2020 test note, sections 4 and 5: secondary first, then primary.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bench.host.links import SECONDARY, Link

if TYPE_CHECKING:
    from bench.vm.spec import PairSpec

Side = Literal["primary", "secondary"]

NO_TIMER_MS = 3_600_000
"""The checkpoint delay under ``trigger=demand``: QEMU's own timer then never fires within a run."""


@dataclass(frozen=True)
class Step:
    """One QMP command to one side."""

    side: Side
    command: str
    arguments: tuple[tuple[str, Any], ...] = ()

    def text(self) -> str:
        """Return the step as a person would read it in a plan."""
        arguments = json.dumps(dict(self.arguments)) if self.arguments else ""
        return f"{self.side:<9} {self.command} {arguments}".rstrip()


def step(side: Side, command: str, **arguments: Any) -> Step:
    """Return a step; underscores in argument names become dashes, as QMP spells them."""
    return Step(side, command, tuple((name.replace("_", "-"), value) for name, value in arguments.items()))


def checkpoint_delay_ms(spec: PairSpec) -> int:
    """Return the period of QEMU's own checkpoint timer."""
    checkpoint = spec.cell.checkpoint
    return round(checkpoint.interval * 1000) if checkpoint.trigger == "timer" else NO_TIMER_MS


def boot_steps() -> tuple[Step, ...]:
    """Return the step that lets the primary's guest run; both sides start stopped."""
    return (step("primary", "cont"),)


def trace_steps(events: tuple[str, ...]) -> tuple[Step, ...]:
    """Return the steps that send each side's log to its file and switch the events on."""
    sides: tuple[Side, ...] = ("secondary", "primary")
    return tuple(
        entry
        for side in sides
        for entry in (
            step(side, "human-monitor-command", command_line="logfile trace.log"),
            *(step(side, "trace-event-set-state", name=event, enable=True) for event in events),
        )
    )


def colo_steps(spec: PairSpec) -> tuple[Step, ...]:
    """Return the steps that turn two VMs into a COLO pair, ending with ``migrate``."""
    far = spec.address(SECONDARY, Link.MIGRATION)
    nbd = {"type": "inet", "data": {"host": far, "port": str(spec.ports.nbd)}}
    capabilities = [{"capability": name, "state": True} for name in spec.capabilities]
    drive = (
        "drive_add -n buddy driver=replication,mode=primary,file.driver=nbd,"
        f"file.host={far},file.port={spec.ports.nbd},file.export=parent0,node-name=replication0"
    )
    channels = spec.cell.migration.multifd
    spread = {"multifd-channels": channels} if channels else {}
    return (
        step("secondary", "migrate-set-capabilities", capabilities=capabilities),
        *((step("secondary", "migrate-set-parameters", **spread),) if spread else ()),
        step("secondary", "migrate-incoming", uri=spec.migration_uri),
        step("secondary", "nbd-server-start", addr=nbd),
        step("secondary", "nbd-server-add", device="parent0", writable=True),
        step("primary", "human-monitor-command", command_line=drive),
        step("primary", "x-blockdev-change", parent="colo-disk0", node="replication0"),
        step("primary", "migrate-set-capabilities", capabilities=capabilities),
        step("primary", "migrate-set-parameters", **spread, **{"x-checkpoint-delay": checkpoint_delay_ms(spec)}),
        step("primary", "migrate", uri=spec.migration_uri),
    )


def poke() -> Step:
    """Return the step that starts a checkpoint at once: setting the delay in COLO state re-arms and notifies."""
    return step("primary", "migrate-set-parameters", **{"x-checkpoint-delay": NO_TIMER_MS})


def steps(spec: PairSpec) -> tuple[Step, ...]:
    """Return the whole procedure up to the COLO state, as a plan shows it."""
    return (
        *(step(side, "qmp_capabilities") for side in ("secondary", "primary")),
        *boot_steps(),
        *trace_steps((*spec.cell.traced.events, *spec.cell.traced.optional)),
        *colo_steps(spec),
    )
