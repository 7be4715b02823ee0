"""The host before and after a run, from ``/proc`` and ``/sys``, and what changed in between.

Everything is optional: what a machine does not show is ``None``.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.system.files import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_CPU = "sys/devices/system/cpu"
_TICKS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
TICKS_PER_S = 100
"""``USER_HZ``: fixed in Linux's interface to programs, whatever the kernel's own tick."""

LARGEST_STEAL = 0.02
LARGEST_FREQUENCY_DROP = 0.10
LARGEST_WARMING_C = 15.0
HOT_C = 90.0
LARGEST_OTHER_LOAD = 0.10


@dataclass(frozen=True)
class Snapshot:
    """The state of a host at one moment.

    Attributes:
        t: Unix seconds.
        kernel: the kernel's release.
        cpu_model: the first CPU's name.
        cpus: how many are online.
        virtual: whether the host is itself a virtual machine.
        mhz: the mean frequency of the CPUs now.
        governors: the distinct frequency governors.
        clock_source: what the kernel tells time by.
        load: load averages over 1, 5 and 15 minutes.
        ticks: the CPUs' time since boot by use, in hundredths of a second.
        memory_total_bytes: physical memory.
        memory_available_bytes: what could be had without swapping.
        swap_used_bytes: swap in use.
        thp: the chosen policy of transparent huge pages.
        thp_defrag: how hard the kernel works for one.
        temperature_c: the hottest thermal zone.
        throttled: how often the cores were throttled for heat since boot.
        pressure_us: for how long since boot something waited for a CPU, memory or a disk (``cpu_some``), or everything
            that could run did (``memory_full``), in microseconds: the kernel's pressure stall information.
    """

    t: float
    kernel: str | None = None
    cpu_model: str | None = None
    cpus: int | None = None
    virtual: bool | None = None
    mhz: float | None = None
    governors: tuple[str, ...] | None = None
    clock_source: str | None = None
    load: tuple[float, float, float] | None = None
    ticks: dict[str, int] | None = None
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    swap_used_bytes: int | None = None
    thp: str | None = None
    thp_defrag: str | None = None
    temperature_c: float | None = None
    throttled: int | None = None
    pressure_us: dict[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as stored in ``run.json``."""
        return asdict(self)


def take_snapshot(root: Path = Path("/"), now: float | None = None) -> Snapshot:
    """Read the host's state.

    Args:
        root: the folder that holds ``proc`` and ``sys``.
        now: the time to write down, in Unix seconds; the clock's when ``None``.
    """
    cpuinfo = _text(root / "proc/cpuinfo") or ""
    memory = _memory(root)
    thp = root / "sys/kernel/mm/transparent_hugepage"
    return Snapshot(
        t=time.time() if now is None else now,
        kernel=_text(root / "proc/sys/kernel/osrelease"),
        cpu_model=_first(r"^model name\s*:\s*(.+)$", cpuinfo),
        cpus=len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or None,
        virtual=" hypervisor" in (_first(r"^flags\s*:(.*)$", cpuinfo) or "") if cpuinfo else None,
        mhz=_mhz(root, cpuinfo),
        governors=tuple(sorted(set(_texts(root, f"{_CPU}/cpu[0-9]*/cpufreq/scaling_governor")))) or None,
        clock_source=_text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        load=_load(root),
        ticks=_ticks(root),
        memory_total_bytes=memory.get("MemTotal"),
        memory_available_bytes=memory.get("MemAvailable"),
        swap_used_bytes=_difference(memory.get("SwapTotal"), memory.get("SwapFree")),
        thp=_first(r"\[(\w+)\]", _text(thp / "enabled") or ""),
        thp_defrag=_first(r"\[([\w+]+)\]", _text(thp / "defrag") or ""),
        temperature_c=_temperature(root),
        throttled=_sum(_texts(root, f"{_CPU}/cpu[0-9]*/thermal_throttle/core_throttle_count")),
        pressure_us=_pressure(root),
    )


def drift(before: Snapshot, after: Snapshot, own_cpu_s: float | None = None) -> list[str]:
    """Return what changed on the host in a way that may have changed what was measured, one line each.

    What was busy beyond ``own_cpu_s``, the run's own CPU time, is the load of others.
    """
    found = [
        f"{name} changed from {was} to {now}"
        for name, was, now in (
            ("the clock source", before.clock_source, after.clock_source),
            ("the CPU governor", _words(before.governors), _words(after.governors)),
            ("transparent huge pages", before.thp, after.thp),
            ("the number of CPUs online", before.cpus, after.cpus),
        )
        if was is not None and now is not None and was != now
    ]
    return [*found, *_cpu_drift(before, after, own_cpu_s), *_heat_drift(before, after)]


def quota_drift(before_s: float | None, after_s: float | None, took_s: float) -> list[str]:
    """Return what to say when a CPU quota held our control group back for more than 2 % of a run."""
    if before_s is None or after_s is None or took_s <= 0 or (after_s - before_s) / took_s <= LARGEST_STEAL:
        return []
    return [f"a CPU quota held the programs of this control group back for {after_s - before_s:.1f} s"]


def _cpu_drift(before: Snapshot, after: Snapshot, own_cpu_s: float | None) -> Iterable[str]:
    if before.mhz and after.mhz and after.mhz < before.mhz * (1 - LARGEST_FREQUENCY_DROP):
        yield f"the CPU frequency fell from {before.mhz:.0f} to {after.mhz:.0f} MHz"
    if before.ticks and after.ticks:
        spent = {name: after.ticks[name] - before.ticks[name] for name in before.ticks if name in after.ticks}
        total = sum(spent.values())
        if total > 0 and spent.get("steal", 0) / total > LARGEST_STEAL:
            yield f"{spent['steal'] / total:.1%} of the CPU time was stolen by other virtual machines"
        busy = total - spent.get("idle", 0) - spent.get("iowait", 0) - spent.get("steal", 0)
        others = (busy - own_cpu_s * TICKS_PER_S) / total if own_cpu_s is not None and total > 0 else 0.0
        if others > LARGEST_OTHER_LOAD:
            yield f"other programs used {others:.1%} of the CPU time"
    swapped = (before.swap_used_bytes, after.swap_used_bytes)
    if swapped[0] is not None and swapped[1] is not None and swapped[1] > swapped[0]:
        yield "memory was swapped out"


def _heat_drift(before: Snapshot, after: Snapshot) -> Iterable[str]:
    if after.temperature_c is not None:
        warming = after.temperature_c - (after.temperature_c if before.temperature_c is None else before.temperature_c)
        if warming > LARGEST_WARMING_C:
            yield f"the temperature rose by {warming:.0f} to {after.temperature_c:.0f} degrees Celsius"
        elif after.temperature_c >= HOT_C:
            yield f"the temperature was {after.temperature_c:.0f} degrees Celsius"
    if before.throttled is not None and after.throttled is not None and after.throttled > before.throttled:
        yield f"the cores were throttled for heat {after.throttled - before.throttled} times"


def _text(path: Path) -> str | None:
    return text_of(path).strip() or None


def _texts(root: Path, pattern: str) -> list[str]:
    return [text for path in sorted(root.glob(pattern)) if (text := _text(path)) is not None]


def _first(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1].strip() if match else None


def _numbers(texts: Iterable[str]) -> list[float]:
    return [float(text) for text in texts if re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text)]


def _sum(texts: list[str]) -> int | None:
    return round(sum(numbers)) if (numbers := _numbers(texts)) else None


def _mhz(root: Path, cpuinfo: str) -> float | None:
    khz = _numbers(_texts(root, f"{_CPU}/cpu[0-9]*/cpufreq/scaling_cur_freq"))
    mhz = [one / 1000 for one in khz] or _numbers(re.findall(r"^cpu MHz\s*:\s*(\S+)$", cpuinfo, re.MULTILINE))
    return round(sum(mhz) / len(mhz), 3) if mhz else None


def _load(root: Path) -> tuple[float, float, float] | None:
    numbers = _numbers((_text(root / "proc/loadavg") or "").split()[:3])
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None  # noqa: PLR2004 - 1, 5 and 15 minutes


def _ticks(root: Path) -> dict[str, int] | None:
    line = _first(r"^cpu +(.*)$", _text(root / "proc/stat") or "")
    return dict(zip(_TICKS, map(int, _numbers((line or "").split())), strict=False)) or None


def _pressure(root: Path) -> dict[str, int] | None:
    found = {}
    for what in ("cpu", "memory", "io"):
        lines = _text(root / f"proc/pressure/{what}") or ""
        for who, total in re.findall(r"^(some|full) .* total=([0-9]{1,18})$", lines, re.MULTILINE):
            found[f"{what}_{who}"] = int(total)
    return found or None


def _memory(root: Path) -> dict[str, int]:
    found = re.findall(r"^(\w+):\s+([0-9]{1,15}) kB$", _text(root / "proc/meminfo") or "", re.MULTILINE)
    return {name: int(kib) * 1024 for name, kib in found}


def _difference(total: int | None, free: int | None) -> int | None:
    return None if total is None or free is None else total - free


def _temperature(root: Path) -> float | None:
    millidegrees = _numbers(_texts(root, "sys/class/thermal/thermal_zone*/temp"))
    return round(max(millidegrees) / 1000, 1) if millidegrees else None


def _words(names: tuple[str, ...] | None) -> str | None:
    return ", ".join(names) if names else None
