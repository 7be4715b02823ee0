"""What a process has used of its host so far, from ``/proc``: CPU time by thread, memory, bytes on the network."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.host.snapshot import TICKS_PER_S
from bench.system.files import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_USER, _SYSTEM = 11, 12  # of stat, counted from the state
_BYTES_IN, _BYTES_OUT = 0, 8


@dataclass(frozen=True)
class Usage:
    """What a process has used since it was started.

    Attributes:
        cpu_s: CPU time of all its threads, of those that have ended too, in seconds (to 10 ms).
        threads_s: CPU time of each thread that is there, by its id.
        rss_bytes: memory that it holds in RAM; ``peak_rss_bytes``: the most that it has held.
        network: bytes received and sent by each interface of its network namespace, the loopback's too; empty where it
            shares the namespace of this process, as nothing there is its own.
    """

    cpu_s: float
    threads_s: Mapping[int, float] = field(default_factory=dict)
    rss_bytes: int | None = None
    peak_rss_bytes: int | None = None
    network: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def read_usage(pid: int, root: Path = Path("/proc")) -> Usage | None:
    """Return what a process has used; ``None`` when it is gone."""
    home = root / str(pid)
    ticks = _ticks(home / "stat")
    if ticks is None:
        return None
    status = text_of(home / "status")
    return Usage(
        cpu_s=ticks / TICKS_PER_S,
        threads_s=dict(_threads(home / "task")),
        rss_bytes=_kib(status, "VmRSS"),
        peak_rss_bytes=_kib(status, "VmHWM"),
        network=_network(text_of(home / "net/dev")) if _apart(home, root / "self") else {},
    )


def _threads(task: Path) -> Iterator[tuple[int, float]]:
    for home in sorted(task.glob("[0-9]*")):
        # Nanoseconds, where the kernel keeps them; ticks of 10 ms hide a thread that runs seldom.
        on_cpu = re.match(r"([0-9]{1,18}) ", text_of(home / "schedstat"))
        ticks = None if on_cpu else _ticks(home / "stat")
        if on_cpu:
            yield int(home.name), int(on_cpu[1]) / 1e9
        elif ticks is not None:
            yield int(home.name), ticks / TICKS_PER_S


def _ticks(stat: Path) -> int | None:
    fields = text_of(stat).rpartition(")")[2].split()
    with suppress(IndexError, ValueError):
        return int(fields[_USER]) + int(fields[_SYSTEM])
    return None


def _kib(status: str, name: str) -> int | None:
    match = re.search(rf"^{name}:\s+([0-9]{{1,15}}) kB$", status, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _apart(home: Path, own: Path) -> bool:
    """Tell whether a process is in another network namespace than this one."""
    with suppress(OSError):
        return (home / "ns/net").readlink() != (own / "ns/net").readlink()
    return False


def _network(text: str) -> dict[str, tuple[int, int]]:
    found = {}
    for name, rest in re.findall(r"^\s*([^\s:]+):\s*(.*)$", text, re.MULTILINE):
        numbers = rest.split()
        with suppress(IndexError, ValueError):
            found[name] = (int(numbers[_BYTES_IN]), int(numbers[_BYTES_OUT]))
    return found


@dataclass(frozen=True)
class Threads:
    """Which threads of a QEMU do what, by their ids; every other one is QEMU's own (migration, COLO, disk, RCU)."""

    main: int
    vcpus: frozenset[int] = frozenset()
    iothreads: frozenset[int] = frozenset()

    def of(self, thread: int) -> str:
        """Return the group of a thread."""
        if thread == self.main:
            return "main"
        return "vcpus" if thread in self.vcpus else "iothreads" if thread in self.iothreads else "others"


GROUPS = ("vcpus", "main", "iothreads", "others")
"""Of threads: the guest's CPUs; the main loop; iothreads, which compare packets; the rest, migration above all."""


def used_between(before: Usage, after: Usage, threads: Threads, seconds: float) -> dict[str, float | int | None]:
    """Return what a process used between two readings, as stored in ``run.json``.

    ``cpu_s`` and ``cpus`` (how many CPUs that kept busy), ``{group}_s`` for each of :data:`GROUPS`, memory at the end
    and at most, bytes ``sent`` and ``received`` over its own network but the loopback, null where it has none.
    """
    groups = dict.fromkeys(GROUPS, 0.0)
    for thread, used_s in after.threads_s.items():
        groups[threads.of(thread)] += max(used_s - before.threads_s.get(thread, 0.0), 0.0)
    whole_s = max(after.cpu_s - before.cpu_s, 0.0)
    # Threads that ended meanwhile (QEMU's workers come and go) are in the process's own sum alone.
    groups["others"] += max(whole_s - sum(groups.values()), 0.0)
    received, sent = (_moved(before.network, after.network, way) for way in (0, 1))
    return {
        "cpu_s": round(whole_s, 3),
        "cpus": round(whole_s / seconds, 6) if seconds > 0 else None,
        **{f"{name}_s": round(used_s, 6) for name, used_s in groups.items()},
        "rss_bytes": after.rss_bytes,
        "peak_rss_bytes": after.peak_rss_bytes,
        "sent_bytes": sent,
        "received_bytes": received,
    }


def _moved(before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]], way: int) -> int | None:
    names = [name for name in after if name in before and name != "lo"]
    return sum(after[name][way] - before[name][way] for name in names) if names else None
