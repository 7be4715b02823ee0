"""How a side takes over when it has lost the other: QMP steps, values first, carried out by :mod:`bench.scenario`.

Source: QEMU docs/system/qemu-colo.rst ("Failover procedure") and, for the yank, qapi/yank.json.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench.vm.procedure import step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bench.vm.procedure import Side, Step

PRIMARY_FILTERS = ("comp0", "iothread1", "m0", "redire0", "redire1")
SECONDARY_FILTERS = ("f2", "f1")
SECONDARY_SOCKETS = ("red1", "red0")
SWITCHED = "client's switch: the port to the primary down, the one to the secondary up"
"""What is done between the documented steps and the announcement, where the client reaches the guests by a switch."""

HARMLESS = "Failed flush"
"""What QEMU says when it lets go of a disk that nobody can be asked to flush any more."""

_BROKEN = ("migration", "block-node")
"""The kinds of connections to the lost side whose end is not waited for: checkpoints and the disk's copy."""

PLANNED = ({"type": "migration"}, {"type": "block-node", "node-name": "<NBD's>"})
"""What a plan assumes that can be yanked."""


def instances_step(survivor: Side) -> Step:
    """Return the question which of a survivor's connections can be yanked; its answer shows too that it lives."""
    return replace(step(survivor, "query-yank"), out_of_band=True)


def yank_step(survivor: Side, instances: Iterable[Mapping[str, Any]]) -> Step | None:
    """Return the step that breaks the connections to the lost side, so that nothing waits for it; None without any."""
    broken = [dict(one) for one in instances if one.get("type") in _BROKEN]
    return replace(step(survivor, "yank", instances=broken), out_of_band=True) if broken else None


def takeover_steps(survivor: Side) -> tuple[Step, ...]:
    """Return the steps that follow the yank, in the documented order."""
    heartbeat = step(survivor, "x-colo-lost-heartbeat")
    if survivor == "secondary":
        return (
            step(survivor, "nbd-server-stop"),
            heartbeat,
            *(step(survivor, "object-del", id=name) for name in SECONDARY_FILTERS),
            *(step(survivor, "chardev-remove", id=name) for name in SECONDARY_SOCKETS),
        )
    return (
        step(survivor, "x-blockdev-change", parent="colo-disk0", child="children.1"),
        step(survivor, "human-monitor-command", command_line="drive_del replication0"),
        *(step(survivor, "object-del", id=name) for name in PRIMARY_FILTERS),
        heartbeat,
    )


def announce_step(survivor: Side) -> Step:
    """Return the step by which a guest's card tells a real network that it is elsewhere now."""
    return step(survivor, "announce-self", initial=50, max=550, rounds=5, step=50)


def planned_steps(survivor: Side) -> tuple[Step, ...]:
    """Return the whole takeover as a plan shows it."""
    known = PLANNED if survivor == "primary" else PLANNED[:1]
    return tuple(
        one for one in (instances_step(survivor), yank_step(survivor, known), *takeover_steps(survivor)) if one
    )


def planned_texts(survivor: Side, *, switched: bool = False) -> tuple[str, ...]:
    """Return the whole takeover in words; ``switched``: where the client reaches the guests by a switch."""
    more = (SWITCHED, announce_step(survivor).text()) if switched and survivor == "secondary" else ()
    return (*(one.text() for one in planned_steps(survivor)), *more)
