"""What a far host's kernel tells, read there and made sense of here: by the same functions as for this machine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.system.owner import scratch_folder, temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_CPU = "/sys/devices/system/cpu/cpu[0-9]*"

SURROUNDINGS = (
    "/proc/cpuinfo",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/pressure/*",
    "/proc/stat",
    "/proc/sys/kernel/osrelease",
    "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    "/sys/kernel/mm/transparent_hugepage/*",
    "/sys/class/thermal/thermal_zone*/temp",
    f"{_CPU}/cpufreq/scaling_governor",
    f"{_CPU}/cpufreq/scaling_cur_freq",
    f"{_CPU}/thermal_throttle/core_throttle_count",
)
"""What :func:`bench.host.snapshot.take_snapshot` looks at."""

KVM = ("/proc/cpuinfo", "/sys/module/kvm*/parameters/*")
"""What :func:`bench.host.virtual.read_kvm` looks at."""


@contextmanager
def mirrored(texts: Mapping[str, str]) -> Iterator[Path]:
    """Provide a folder that holds small files under their far paths."""
    with scratch_folder("mirror", temporary_folder()) as root:
        for name, text in texts.items():
            path = root.joinpath(*(part for part in name.split("/") if part not in ("", "..")))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        yield root
