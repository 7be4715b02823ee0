"""What a run will take: seconds, host memory, disk. The coefficients come from real pairs under emulation, 2 cores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import HostError
from bench.format.factors import size_text
from bench.format.phases import PRIMARY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.config.model import Cell
    from bench.plan.plan import PlannedCell

_MIB = 1 << 20
_GIB = 1 << 30

_GUEST_TOUCHES = {"linux": 200 * _MIB, "bare": 2 * _MIB, "apps": 260 * _MIB}  # what the booted guest has written to
_QEMU_OVERHEAD = 150 * _MIB  # one QEMU process beside its guest's RAM
_BOOT_S = 6.0  # at 1 vCPU; 12 s at 8 vCPUs and 4 GiB
_BARE_BOOT_S = 1.0  # whatever its size
_BOOT_S_PER_VCPU = 0.8
_BOOT_S_PER_GIB = 0.3
_COLO_S_PER_GIB = 3.0  # the secondary handles every page once and copies it into its cache, touched or not
_HANDSHAKE_S = 1.5  # both QEMUs up, disks joined, traces on, and everything down again
_TAKEOVER_S = 0.8
_PAUSE_S = 0.06
_PAUSE_S_PER_PAGE = 2.3e-6
_PAGE = 4096
_RUN_FOLDER = 4 * _MIB  # images, records and logs
_TRACE_BYTES_PER_EVENT_NAME = 1024  # per checkpoint, both sides together


@dataclass(frozen=True)
class Estimate:
    """What one run is expected to take.

    Attributes:
        seconds: from boot to teardown.
        memory_bytes: both QEMU processes together, at their largest.
        disk_bytes: what stays in the run's folder.
    """

    seconds: float
    memory_bytes: int
    disk_bytes: int


def estimate(cell: Cell) -> Estimate:
    """Return what one run of a cell is expected to take."""
    return Estimate(_seconds(cell), primary_bytes(cell) + secondary_bytes(cell), _disk_bytes(cell))


def primary_bytes(cell: Cell) -> int:
    """Return the primary's host memory: what its guest touched, QEMU itself, and what sweeps the cache beside it.

    One that was the secondary before a failover has all of the RAM under KVM, and its new secondary has it twice.
    """
    swept = cell.cache.buffer + cell.cache.chase if cell.cache.beside else 0
    return (cell.mem if _joined_whole(cell) else _touched(cell)) + _QEMU_OVERHEAD + swept


def secondary_bytes(cell: Cell) -> int:
    """Return the secondary's host memory: all of the guest's RAM (its COLO cache), what was touched, QEMU itself.

    Under KVM the RAM itself too: its dirty log begins with every page marked, and the first checkpoint copies them all
    from the cache (``docs/findings.md``, section 14).
    """
    if not cell.paired:
        return 0
    return cell.mem + _touched(cell) + _QEMU_OVERHEAD + cold_bytes(cell)


def cold_bytes(cell: Cell) -> int:
    """Return what the first checkpoint under KVM writes and nothing needs afterwards: it may as well lie in swap."""
    return cell.mem - _touched(cell) if cell.accel == "kvm" and cell.paired else 0


def require_fit(cells: Iterable[PlannedCell], available_bytes: int | None, by: str = "", swap_bytes: int = 0) -> None:
    """Return when every cell fits into the memory that is left to us; ``by`` says what limits it beside the machine.

    Args:
        cells: of the plan.
        available_bytes: what can be had without swapping; None, where the system does not say, holds everything.
        by: what limits that, where it is not the machine.
        swap_bytes: free swap of the machine, for what is written once and not needed again; below another limit it
            counts for nothing, as that one may allow no swap.

    Raises:
        HostError: a cell does not; the message has the numbers.
    """
    if available_bytes is None:
        return
    for planned in (one for one in cells if not one.cell.host.far):  # what other hosts have is asked there
        primary, secondary = primary_bytes(planned.cell), secondary_bytes(planned.cell)
        cold = cold_bytes(planned.cell)
        if primary + secondary - (0 if by else min(cold, swap_bytes)) > available_bytes:
            held = "the whole RAM twice, under KVM" if cold else "the whole RAM plus what is touched"
            swap = f", or add swap: {gib(cold)} of it are written once and not needed again" if cold else ""
            limited, free = (f" by {by}", f"raise {by}") if by else ("", "free memory on this host")
            raise HostError(
                f"{planned.label} does not fit: it needs {gib(primary + secondary)} of memory, {gib(available_bytes)} "
                f"available{limited} (primary {gib(primary)}; secondary {gib(secondary)}: {held})",
                hint=f"choose mem={largest_mem(planned.cell, available_bytes)} or less, or {free}{swap}",
                cause="host-memory",
            )


def require_side(name: str, cell: Cell, available_bytes: int | None, swap_bytes: int) -> str:
    """Say how a side fits into the memory of a host of its own.

    Args:
        name: of the side.
        cell: what it is a side of, with ``accel`` resolved.
        available_bytes: what can be had there without swapping; None where that system does not say.
        swap_bytes: free swap there, for what is written once and not needed again.

    Raises:
        HostError: it does not fit.
    """
    if available_bytes is None:
        return "that system does not say how much is available"
    needed = primary_bytes(cell) if name == PRIMARY else secondary_bytes(cell) - min(cold_bytes(cell), swap_bytes)
    said = f"{gib(available_bytes)} available, a {name} of {size_text(cell.mem)} needs {gib(needed)}"
    if available_bytes < needed:
        fix = "choose a smaller mem=, or free memory there"
        raise HostError(f"the {name}'s host: {said}", hint=fix, cause="host-memory")
    return said


def require_disk(estimates: Sequence[Estimate], free_bytes: int) -> None:
    """Return when the results of these runs fit on the disk.

    Raises:
        HostError: they do not; the message has the numbers.
    """
    needed = sum(one.disk_bytes for one in estimates)
    if needed > free_bytes:
        raise HostError(
            f"{len(estimates)} runs need {gib(needed)} of disk, {gib(free_bytes)} free",
            hint="choose another results=DIR, or free space",
            cause="host-disk",
        )


def crowding(cell: Cell, cpus: int) -> str:
    """Return a note on vCPUs that have to take turns; empty where each has a CPU of the host."""
    if cell.smp <= cpus:
        return ""
    return f"{cell.smp} vCPUs on {cpus} CPU{'' if cpus == 1 else 's'} of this host: they take turns"


def largest_mem(cell: Cell, available_bytes: int) -> str:
    """Return the largest guest memory that would fit, as the configuration spells it."""
    times = 1 + bool(cold_bytes(cell)) + _joined_whole(cell)
    room = (available_bytes - 2 * (_touched(cell) + _QEMU_OVERHEAD)) // times
    return f"{max(room // _MIB, 64)}M"


def gib(size_bytes: int) -> str:
    """Return a size for a person: ``16.7 GiB``, rounded, and below one GiB in whole MiB, cut."""
    if size_bytes < _GIB:
        return size_text(size_bytes // _MIB * _MIB) if size_bytes >= _MIB else size_text(size_bytes)
    return f"{size_bytes / _GIB:.1f} GiB"


def duration_text(seconds: float) -> str:
    """Return a duration for a person: ``45 s``, ``4 min 10 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _joined_whole(cell: Cell) -> bool:
    """Return whether a side that checkpoints under KVM have filled gets a secondary of its own."""
    asked = cell.failover
    return asked is not None and asked.redundancy and asked.victim == PRIMARY and cell.accel == "kvm"


def _touched(cell: Cell) -> int:
    return min(cell.mem, _GUEST_TOUCHES[cell.guest] + cell.workload.guest_memory_bytes(cell.mem))


def _seconds(cell: Cell) -> float:
    size_gib = cell.mem / _GIB
    linux_boot = _BOOT_S + _BOOT_S_PER_VCPU * (cell.smp - 1) + _BOOT_S_PER_GIB * size_gib
    boot = linux_boot if cell.guest != "bare" and cell.start == "booted" else _BARE_BOOT_S
    pause = _PAUSE_S + _PAUSE_S_PER_PAGE * cell.workload.guest_memory_bytes(cell.mem) / _PAGE
    checkpoints = cell.taken.count + cell.taken.warmup
    apart = cell.checkpoint.interval + pause if cell.checkpoint.trigger == "demand" else cell.checkpoint.interval
    started = boot + _HANDSHAKE_S + (_COLO_S_PER_GIB * size_gib if cell.paired else 0)
    took_over = _TAKEOVER_S + cell.failover.heartbeat + cell.failover.timeout if cell.failover else 0
    if cell.failover and cell.failover.redundancy:
        took_over += _HANDSHAKE_S + _COLO_S_PER_GIB * size_gib + pause
    each = max(apart, pause) if cell.takes_checkpoints else cell.checkpoint.interval
    return started + checkpoints * each + took_over


def _disk_bytes(cell: Cell) -> int:
    names = sum(8 if "*" in glob or "?" in glob else 1 for glob in (*cell.traced.events, *cell.traced.optional))
    checkpoints = cell.taken.count + cell.taken.warmup
    return _RUN_FOLDER + checkpoints * names * _TRACE_BYTES_PER_EVENT_NAME
