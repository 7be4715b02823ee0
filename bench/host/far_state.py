"""What a far host's kernel tells, read there and made sense of here: by the same functions as for this machine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench.host.snapshot import drift
from bench.host.virtual import read_kvm
from bench.system.owner import scratch_folder, temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bench.host.remote import Remote

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


class FarState:
    """A far host before and after a run.

    What the run itself used of its CPUs is asked of the agent, whose children everything is.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._before, self._used_s = remote.snapshot(), remote.usage_s()

    def record(self, **names: Any) -> dict[str, Any]:
        """Return what ``run.json`` keeps of the host, once the run is over and its machines still there."""
        remote = self._remote
        after, used_s = remote.snapshot(), remote.usage_s() - self._used_s
        with mirrored(remote.texts(KVM)) as root:
            kvm = read_kvm(root / "proc/cpuinfo", root / "sys/module")
        return {
            **names,
            "reached": remote.reach.title,
            **{key: remote.facts[key] for key in ("node", "boot", "kernel", "python")},
            "before": self._before.to_json(),
            "after": after.to_json(),
            "used_s": round(used_s, 6),
            "drift": drift(self._before, after, used_s),
            "kvm": kvm.to_json(),
        }
