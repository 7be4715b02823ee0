"""What is allowed to us here: the smallest of the machine's own, every control group's above us, and this process's."""

from __future__ import annotations

import os
import re
import resource
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.system.cgroups import UNIFIED, folders
from bench.system.files import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MACHINE = "this machine"

_UNLIMITED = 1 << 62
_NEVER_OVERCOMMIT = 2
_INACTIVE = {"memory": "total_inactive_file", UNIFIED: "inactive_file"}
_MEMORY = {
    "memory": (("memory.limit_in_bytes",), "memory.usage_in_bytes"),
    UNIFIED: (("memory.max", "memory.high"), "memory.current"),
}


@dataclass(frozen=True)
class Limit:
    """How much there is of something, and who says so: a control group's file, this process's limit, the machine."""

    amount: float
    by: str


@dataclass(frozen=True)
class Limits:
    """What is left for us of what can be limited; ``None`` where nothing limits it or nobody says.

    Attributes:
        memory: bytes that can be had without swapping or being killed.
        cpus: how many CPUs' time may be used.
        processes: processes and threads that may still be made.
        open_files: descriptors that one process may have open.
        file_bytes: how large one file may grow.
        address_bytes: how much address space one process may have, or private memory.
        cpu_s: how many seconds of CPU time one process may use before it is ended.
    """

    memory: Limit | None = None
    cpus: Limit | None = None
    processes: Limit | None = None
    open_files: Limit | None = None
    file_bytes: Limit | None = None
    address_bytes: Limit | None = None
    cpu_s: Limit | None = None

    def to_json(self) -> dict[str, Any]:
        """Return them as stored in ``run.json``."""
        return asdict(self)


def read_limits(root: Path = Path("/"), pid: int | str = "self") -> Limits:
    """Read every limit above a process.

    Args:
        root: the folder that holds ``proc`` and ``sys``.
        pid: the process; its own limits (rlimits) are read where it is this one.
    """
    own = pid == "self"
    return Limits(
        memory=_smallest(_memory(root, pid)),
        cpus=_smallest(_cpus(root, pid, own=own)),
        processes=_smallest(_processes(root, pid, own=own)),
        open_files=_own(resource.RLIMIT_NOFILE, "ulimit -n") if own else None,
        file_bytes=_own(resource.RLIMIT_FSIZE, "ulimit -f") if own else None,
        address_bytes=_smallest(_spaces()) if own else None,
        cpu_s=_own(resource.RLIMIT_CPU, "ulimit -t") if own else None,
    )


def available_memory() -> tuple[int | None, str]:
    """Return the bytes of memory that can be had now, and what limits them where it is not the machine.

    None where nobody says.
    """
    memory = read_limits().memory
    return (int(memory.amount), "" if memory.by == MACHINE else memory.by) if memory else (None, "")


def free_swap(root: Path = Path("/")) -> int:
    """Return the swap that is free, in bytes; 0 where nobody says."""
    return (_keyed(root / "proc/meminfo", "SwapFree:") or 0) * 1024


def throttled_s(root: Path = Path("/"), pid: int | str = "self") -> float | None:
    """Return for how long CPU quotas have held back the control groups of a process, in s; ``None`` without any."""
    found: list[float] = []
    for controller, key, unit in (("cpu", "throttled_time", 1e9), (UNIFIED, "throttled_usec", 1e6)):
        for folder in folders(controller, pid, root):
            value = _keyed(folder / "cpu.stat", key)
            if value is not None:
                found.append(value / unit)
    return max(found, default=None)


def _smallest(limits: Iterator[Limit]) -> Limit | None:
    return min(limits, key=lambda limit: limit.amount, default=None)


def _spaces() -> Iterator[Limit]:
    # A guest's RAM is private memory of its QEMU: it counts as address space and as data.
    for kind, by in ((resource.RLIMIT_AS, "ulimit -v"), (resource.RLIMIT_DATA, "ulimit -d")):
        if (limit := _own(kind, by)) is not None:
            yield limit


def _memory(root: Path, pid: int | str) -> Iterator[Limit]:
    kib = _keyed(root / "proc/meminfo", "MemAvailable:")
    if kib is not None:
        yield Limit(kib * 1024, MACHINE)
    if _number(root / "proc/sys/vm/overcommit_memory") == _NEVER_OVERCOMMIT:
        most, promised = (_keyed(root / "proc/meminfo", key) for key in ("CommitLimit:", "Committed_AS:"))
        if most is not None and promised is not None:
            yield Limit(max(0, most - promised) * 1024, "vm.overcommit_memory=2")
    for controller, (names, usage) in _MEMORY.items():
        for folder in folders(controller, pid, root):
            # Files that are cached and not in use go when memory is wanted.
            reclaimable = _keyed(folder / "memory.stat", _INACTIVE[controller]) or 0
            used = max(0, (_number(folder / usage) or 0) - reclaimable)
            for name in names:
                limit = _number(folder / name)
                if limit is not None and limit < _UNLIMITED:
                    yield Limit(max(0, limit - used), str(folder / name))


def _cpus(root: Path, pid: int | str, *, own: bool) -> Iterator[Limit]:
    if own:
        yield Limit(len(os.sched_getaffinity(0)), "the CPUs that this process may run on")
    for folder in folders("cpu", pid, root):
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota and period:
            yield Limit(quota / period, str(folder / "cpu.cfs_quota_us"))
    for folder in folders(UNIFIED, pid, root):
        match = re.fullmatch(r"([0-9]{1,18}) ([1-9][0-9]{0,17})", text_of(folder / "cpu.max").strip())
        if match:
            yield Limit(int(match[1]) / int(match[2]), str(folder / "cpu.max"))


def _processes(root: Path, pid: int | str, *, own: bool) -> Iterator[Limit]:
    for controller in ("pids", UNIFIED):
        for folder in folders(controller, pid, root):
            most, now = _number(folder / "pids.max"), _number(folder / "pids.current")
            if most is not None:
                yield Limit(max(0, most - (now or 0)), str(folder / "pids.max"))
    most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if own and most != resource.RLIM_INFINITY and not _is_root(root):  # root is not held to it
        yield Limit(max(0, most - _threads_of_user(root)), "ulimit -u")


def _is_root(root: Path) -> bool:
    """Return whether this process is the machine's root, and not that of a user namespace alone."""
    mapped = text_of(root / "proc/self/uid_map").split()
    return os.geteuid() == 0 and mapped[:2] == ["0", "0"]


def _threads_of_user(root: Path) -> int:
    count = 0
    for status in (root / "proc").glob("[0-9]*/status"):
        text = text_of(status)
        if re.search(rf"^Uid:\s+{os.getuid()}\s", text, re.MULTILINE):
            count += int(_keyed(status, "Threads:") or 0)
    return count


def _own(kind: int, by: str) -> Limit | None:
    soft, _ = resource.getrlimit(kind)
    return None if soft == resource.RLIM_INFINITY else Limit(soft, by)


def _keyed(path: Path, key: str) -> int | None:
    """Return the number behind a word at the beginning of a line."""
    match = re.search(rf"^{re.escape(key)}\s+([0-9]{{1,18}})", text_of(path), re.MULTILINE)
    return int(match[1]) if match else None


def _number(path: Path) -> int | None:
    text = text_of(path).strip()
    return int(text) if re.fullmatch(r"[0-9]{1,19}", text) else None
