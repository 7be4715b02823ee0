"""The one table of what a checkpoint is made of: QEMU's trace events, the order they come in, and the phases between.

A phase is a word of ``PhaseName``, part of one a row of ``PARTS``: its column, its side, the marks it lies between, its
words, what of a pause it is. The events that it needs are switched on, read and stored by what is written here;
``docs/data.md`` tells people.

Sources: ``colo_do_checkpoint_transaction`` (primary) and ``colo_incoming_process_checkpoint`` (secondary) in QEMU's
``migration/colo.c``; the arguments in the ``trace-events`` files of ``migration/``, ``net/`` and ``system/``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Literal, NamedTuple, get_args


class SideName(StrEnum):
    """The two sides of a pair."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


PRIMARY, SECONDARY = SideName


class Kind(NamedTuple):
    """What happened: a trace event and the values of its arguments."""

    event: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """A trace event that measuring rests on.

    Attributes:
        name: QEMU's.
        arguments: the pattern of what follows the name; its groups are the values.
        needed: whether nothing is measured without it; the others are switched on where the binary has them.
    """

    name: str
    arguments: str
    needed: bool = False


SENT, GOT, CHANGED = "colo_send_message", "colo_receive_message", "colo_vm_state_change"
SYNC_BEGINS, SYNC_ENDS = "migration_bitmap_sync_start", "migration_bitmap_sync_end"
FLUSH_BEGINS, FLUSH_ENDS = "colo_flush_ram_cache_begin", "colo_flush_ram_cache_end"
RUNSTATE, COMPARED, OLD_PACKET = "runstate_set", "colo_compare_main", "colo_old_packet_check_found"
DROPPED = "colo_compare_drop_packet"

EVENTS = (
    Event(SENT, r" Send '([a-z-]+)' message", needed=True),
    Event(GOT, r" Receive '([a-z-]+)' message", needed=True),
    Event(CHANGED, r" Change '([a-z]+)' => '([a-z]+)'", needed=True),
    Event(FLUSH_BEGINS, r" dirty_pages ([0-9]{1,18})"),
    Event(FLUSH_ENDS, r" ?"),
    Event(SYNC_BEGINS, r" ?"),
    Event(SYNC_ENDS, r" dirty_pages ([0-9]{1,18})"),
    Event(RUNSTATE, r" current_run_state [0-9]+ \([a-z-]+\) new_state [0-9]+ \(([a-z-]+)\)"),
    Event(COMPARED, r" : (.*)"),
    Event(OLD_PACKET, r" (-?[0-9]{1,19})"),
)

BEAT = Event("pci_cfg_write", r" (\S+) \S+ @0x([0-9a-f]{1,4}) <- 0x([0-9a-f]{1,8})")
"""A write to a device's configuration: by which the bare guest beats (``bench/guest/bare/beat.c``). Its alone: firmware
makes many while it boots."""

SAVES_BEGINS, SAVES_ENDS = "savevm_section_start", "savevm_section_end"
LOADS_BEGINS, LOADS_NEXT = "qemu_loadvm_state_section_startfull", "qemu_loadvm_state_section"
DEVICES = (
    Event(SAVES_BEGINS, r" ([^,]{1,80}), section_id [0-9]{1,10}"),
    Event(SAVES_ENDS, r" ([^,]{1,80}), section_id [0-9]{1,10} -> -?[0-9]{1,10}"),
    Event(LOADS_BEGINS, r" [0-9]{1,10}\((.{1,80})\) [0-9]{1,10} [0-9]{1,10}"),
    Event(LOADS_NEXT, r" [0-9]{1,10}"),
)
"""A device's state saved on the primary and loaded on the secondary; read where ``trace=devices`` asked for it."""

COMPARISON, ALIKE = "colo_compare_ip_info", "colo_compare_tcp_info"
PACKETS = (
    Event(DROPPED, r" : ([a-z]{1,16}): .*"),
    Event(COMPARISON, r" .*"),
    Event(ALIKE, r" (pri|sec): .*"),
)
"""What colo-compare says of single packets, beside ``COMPARED`` and ``OLD_PACKET``; read where ``trace=network`` asked
for it (``net/colo-compare.c``)."""

NEEDED = tuple(event.name for event in EVENTS if event.needed)
"""The events without which nothing is measured."""

STOP, START = Kind(CHANGED, ("run", "stop")), Kind(CHANGED, ("stop", "run"))

READY = {PRIMARY: Kind(GOT, ("checkpoint-ready",)), SECONDARY: Kind(SENT, ("checkpoint-ready",))}
"""The message after which a side's checkpoints are counted."""


class P(IntEnum):
    """The primary's events of one checkpoint, in order."""

    REQUEST = 0
    REPLY = 1
    STOPPED = 2
    SEND = 3
    SIZE = 4
    RECEIVED = 5
    LOADED = 6
    RUNNING = 7


class S(IntEnum):
    """The secondary's events of one checkpoint, in order."""

    REQUEST = 0
    STOPPED = 1
    REPLY = 2
    SEND = 3
    SIZE = 4
    RECEIVED = 5
    RUNNING = 6
    LOADED = 7


ORDER = {
    PRIMARY: (
        Kind(SENT, ("checkpoint-request",)),
        Kind(GOT, ("checkpoint-reply",)),
        STOP,
        Kind(SENT, ("vmstate-send",)),
        Kind(SENT, ("vmstate-size",)),
        Kind(GOT, ("vmstate-received",)),
        Kind(GOT, ("vmstate-loaded",)),
        START,
    ),
    SECONDARY: (
        Kind(GOT, ("checkpoint-request",)),
        STOP,
        Kind(SENT, ("checkpoint-reply",)),
        Kind(GOT, ("vmstate-send",)),
        Kind(GOT, ("vmstate-size",)),
        Kind(SENT, ("vmstate-received",)),
        START,
        Kind(SENT, ("vmstate-loaded",)),
    ),
}
"""The events of one checkpoint on each side: each comes once, in this order."""

PhaseName = Literal["request", "stop", "prepare", "save", "deliver", "load", "resume"]

PHASES: tuple[str, ...] = get_args(PhaseName)
"""What lies between two neighbours of the primary's order; these add up to the whole checkpoint."""

STOPPED_PHASES = PHASES[P.STOPPED :]
"""The phases inside the pause; they add up to it."""


@dataclass(frozen=True)
class Marker:
    """Events that come between two of the order, and that parts are bounded by.

    Attributes:
        name: in words, for an account of what could not be used.
        side: whose trace it is in.
        kinds: what is looked for, in the order it comes in; values that are left out may be any.
        before: the events of the order that they come right before.
        often: whether the whole may come several times in one checkpoint.
    """

    name: str
    side: SideName
    kinds: tuple[Kind, ...]
    before: tuple[int, ...]
    often: bool = False


SYNC = Marker("bitmap sync", PRIMARY, (Kind(SYNC_BEGINS), Kind(SYNC_ENDS)), (P.SIZE,), often=True)
# Before QEMU 5.1 the cache is flushed while RAM is received, since then after vmstate-received was sent.
FLUSH = Marker("cache flush", SECONDARY, (Kind(FLUSH_BEGINS), Kind(FLUSH_ENDS)), (S.SIZE, S.RUNNING))
RUNNING = Marker("change to running", SECONDARY, (Kind(RUNSTATE, ("running",)),), (S.RUNNING,))
# QEMU says run => stop when the disks are drained too; the vCPUs stop when the run state changes.
STOPPING = Marker("change from running", PRIMARY, (Kind(RUNSTATE),), (P.STOPPED,))
# QMP's RESUME is sent at this moment, before devices and vCPUs start.
RESUMING = Marker("change to running", PRIMARY, (Kind(RUNSTATE, ("running",)),), (P.RUNNING,))
MARKERS = (SYNC, FLUSH, RUNNING, STOPPING, RESUMING)

DIRTY_PAGES, DEVICE_STATE = "dirty pages", "device state"
"""What a pause is made of, beside the transport: what is left of the time that the primary waits for the secondary."""


@dataclass(frozen=True)
class Part:
    """Part of a phase, or of the secondary's work: the sum of the times from a beginning to the next end.

    Of several beginnings before one end the last counts; it is null where one of its markers was not traced or came
    otherwise than a marker comes.

    Attributes:
        name: the column without its unit.
        side: whose clock.
        begins: where it begins: a place in the side's order, or an event of a marker.
        ends: where it ends.
        words: for people.
        of_pause: what of a pause it is, :data:`DIRTY_PAGES` or :data:`DEVICE_STATE`; empty for what another part tells.
    """

    name: str
    side: SideName
    begins: tuple[int | Kind, ...]
    ends: tuple[int | Kind, ...]
    words: str
    of_pause: str = ""


PARTS = (
    Part("device_save", PRIMARY, (P.SEND,), (SYNC.kinds[0],), "devices saved", DEVICE_STATE),
    Part("bitmap_sync", PRIMARY, (SYNC.kinds[0],), (SYNC.kinds[1],), "bitmap synced", DIRTY_PAGES),
    Part("ram_send", PRIMARY, (SYNC.kinds[1],), (SYNC.kinds[0], P.SIZE), "RAM sent", DIRTY_PAGES),
    Part("ram_receive", SECONDARY, (S.SEND,), (S.SIZE,), "RAM received"),
    Part("cache_flush", SECONDARY, (FLUSH.kinds[0],), (FLUSH.kinds[1],), "cache flushed", DIRTY_PAGES),
    Part("device_load", SECONDARY, (FLUSH.kinds[1], S.RECEIVED), (RUNNING.kinds[0],), "devices loaded", DEVICE_STATE),
    Part("restart", SECONDARY, (RUNNING.kinds[0],), (S.LOADED,), "VM restarted", DEVICE_STATE),
)
"""What is measured within phases, in the order of the columns."""


def phase_of(part: Part) -> str:
    """Return which phase a part on the primary's side is part of: the one that it begins in."""
    first = part.begins[0]
    before = {kind: marker.before[0] for marker in MARKERS if marker.side == part.side for kind in marker.kinds}
    return PHASES[first if isinstance(first, int) else before[first] - 1]
