"""The COLO procedure as an explicit sequence of QMP steps: values first, carried out by :mod:`bench.vm.pair`.

Source: QEMU docs/COLO-FT.txt and the 2020 test note, sections 4 and 5: secondary first, then primary.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bench.host.links import SECONDARY, Link
from bench.vm.spec import SAVED_RAM, TLS

if TYPE_CHECKING:
    from bench.vm.spec import PairSpec

Side = Literal["primary", "secondary"]

NO_TIMER_MS = 3_600_000
"""The checkpoint delay on demand, where each checkpoint sets it anew: QEMU's own timer never fires within a run."""

_LONGEST_MS = (1 << 32) - 1  # what x-checkpoint-delay can hold: 49 days


@dataclass(frozen=True)
class Step:
    """One QMP command to one side; out of band: not by QEMU's main loop, which may be the one that hangs."""

    side: Side
    command: str
    arguments: tuple[tuple[str, Any], ...] = ()
    out_of_band: bool = False

    def text(self) -> str:
        """Return the step as a person would read it in a plan."""
        arguments = json.dumps(dict(self.arguments)) if self.arguments else ""
        how = " (out of band)" if self.out_of_band else ""
        return f"{self.side:<9} {self.command} {arguments}".rstrip() + how


def step(side: Side, command: str, **arguments: Any) -> Step:
    """Return a step; underscores in argument names become dashes, as QMP spells them."""
    return Step(side, command, tuple((name.replace("_", "-"), value) for name, value in arguments.items()))


def checkpoint_delay_ms(spec: PairSpec) -> int:
    """Return the period of QEMU's own checkpoint timer."""
    checkpoint = spec.cell.checkpoint
    if not spec.cell.takes_checkpoints:  # nothing sets it anew: it has to lie beyond the whole run
        whole_ms = round((checkpoint.warmup + checkpoint.count) * checkpoint.interval * 1000)
        return min(max(NO_TIMER_MS, 2 * whole_ms), _LONGEST_MS)
    return round(checkpoint.interval * 1000) if checkpoint.trigger == "timer" else NO_TIMER_MS


def boot_steps() -> tuple[Step, ...]:
    """Return the step that lets the primary's guest run; both sides start stopped."""
    return (step("primary", "cont"),)


def parallel_ram(*, on: bool) -> tuple[Step, ...]:
    """Return the step by which RAM goes to a file, or comes from one, in several threads, each page in its place."""
    capabilities = [{"capability": name, "state": on} for name in ("mapped-ram", "multifd")]
    return (step("primary", "migrate-set-capabilities", capabilities=capabilities),)


def restore_steps(saved: str) -> tuple[Step, ...]:
    """Return the steps that bring a saved machine in, from its folder."""
    return (*parallel_ram(on=True), step("primary", "migrate-incoming", uri=f"file:{saved}/{SAVED_RAM}"))


def restored_steps() -> tuple[Step, ...]:
    """Return the steps that let a machine that is in run on: COLO's migration is none of mapped RAM."""
    return (*boot_steps(), *parallel_ram(on=False))


def begin_steps(spec: PairSpec) -> tuple[Step, ...]:
    """Return the steps by which the guest comes to its ready line, as a plan shows them."""
    return (*restore_steps(spec.saved), *restored_steps()) if spec.saved else boot_steps()


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
    return (*incoming_steps(spec), *disk_steps(spec), *migrate_steps(spec))


def incoming_steps(spec: PairSpec) -> tuple[Step, ...]:
    """Return the steps by which a secondary waits for its primary, and offers it a disk to copy to."""
    nbd = {"type": "inet", "data": {"host": spec.address(SECONDARY, Link.MIGRATION), "port": str(spec.ports.nbd)}}
    carried = _carried(spec)
    keyed = {"tls-creds": TLS} if spec.cell.link.tls else {}
    return (
        step("secondary", "migrate-set-capabilities", capabilities=_capabilities(spec)),
        *((step("secondary", "migrate-set-parameters", **carried),) if carried else ()),
        step("secondary", "migrate-incoming", uri=spec.migration_uri),
        step("secondary", "nbd-server-start", addr=nbd, **keyed),
        step("secondary", "nbd-server-add", device="parent0", writable=True),
    )


def disk_steps(spec: PairSpec) -> tuple[Step, ...]:
    """Return the steps by which what the primary's disk gets goes to the secondary's too."""
    drive = (
        "drive_add -n buddy driver=replication,mode=primary,file.driver=nbd,"
        f"file.host={spec.address(SECONDARY, Link.MIGRATION)},file.port={spec.ports.nbd},file.export=parent0,"
        "node-name=replication0"
    )
    drive += f",file.tls-creds={TLS}" if spec.cell.link.tls else ""
    return (
        step("primary", "human-monitor-command", command_line=drive),
        step("primary", "x-blockdev-change", parent="colo-disk0", node="replication0"),
    )


def migrate_steps(spec: PairSpec) -> tuple[Step, ...]:
    """Return the steps by which the primary takes both into COLO, ending with ``migrate``."""
    pace = {"x-checkpoint-delay": checkpoint_delay_ms(spec)}
    return (
        step("primary", "migrate-set-capabilities", capabilities=_capabilities(spec)),
        step("primary", "migrate-set-parameters", **_carried(spec), **pace),
        step("primary", "migrate", uri=spec.migration_uri),
    )


def _capabilities(spec: PairSpec) -> list[dict[str, Any]]:
    return [{"capability": name, "state": True} for name in spec.capabilities]


def _carried(spec: PairSpec) -> dict[str, Any]:
    """Return what both sides have to know of the connections that carry the migration."""
    channels, tls = spec.cell.migration.multifd, spec.cell.link.tls
    return {**({"multifd-channels": channels} if channels else {}), **({"tls-creds": TLS} if tls else {})}


def poke() -> Step:
    """Return the step that starts a checkpoint at once: setting the delay in COLO state re-arms and notifies."""
    return step("primary", "migrate-set-parameters", **{"x-checkpoint-delay": NO_TIMER_MS})


def steps(spec: PairSpec) -> tuple[Step, ...]:
    """Return the whole procedure up to the COLO state, as a plan shows it."""
    return (
        *(step(side, "qmp_capabilities") for side in ("secondary", "primary")),
        *begin_steps(spec),
        *trace_steps((*spec.cell.traced.events, *spec.cell.traced.optional)),
        *colo_steps(spec),
    )
