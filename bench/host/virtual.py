"""Which KVM this host has: a pause under one that has no hardware virtualization is not a pause of a server's."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bench.format.hosts import KvmKind

_PARAMETERS = {
    "kvm": ("tdp_mmu", "eager_page_split", "nx_huge_pages", "halt_poll_ns", "mmio_caching"),
    "kvm_intel": ("ept", "pml", "unrestricted_guest", "enable_apicv", "nested", "ple_gap"),
    "kvm_amd": ("npt", "avic", "nested", "pause_filter_count"),
}
"""What decides how memory is tracked and how a guest is left and entered."""


@dataclass(frozen=True)
class Kvm:
    """What lies under ``/dev/kvm``.

    Attributes:
        kind: ``hardware``: the CPU's vmx or svm; ``nested``: those, but of a CPU that is virtual itself; ``software``:
            none, guest code is emulated or confined by the kernel's module, without hardware page tables or exits.
        module: the kernel's module that does it, such as ``kvm_intel``; empty where none shows.
        parameters: of the modules, those that matter, by ``MODULE.NAME``.
        dirty_pages: how QEMU is told of them: ``log``, the bitmap, as long as no command line asks for the ring.
    """

    kind: KvmKind
    module: str
    parameters: dict[str, str]
    dirty_pages: Literal["log", "ring"] = "log"

    def to_json(self) -> dict[str, Any]:
        """Return it as ``run.json`` keeps it."""
        return asdict(self)


def read_kvm(cpuinfo: Path = Path("/proc/cpuinfo"), modules: Path = Path("/sys/module")) -> Kvm:
    """Read it from what the kernel tells; what cannot be read is left out."""
    flags = _flags(cpuinfo)
    found = sorted(path.name for path in modules.glob("kvm_*")) if modules.is_dir() else []
    wanted = {"kvm": _PARAMETERS["kvm"], **{name: _PARAMETERS.get(name, ()) for name in found}}
    parameters: dict[str, str] = {}
    for module, names in wanted.items():
        for name in names:
            with suppress(OSError):
                parameters[f"{module}.{name}"] = (modules / module / "parameters" / name).read_text().strip()
    hardware: KvmKind = "nested" if "hypervisor" in flags else "hardware"
    return Kvm(hardware if flags & {"vmx", "svm"} else "software", " ".join(found), parameters)


@lru_cache(maxsize=1)
def this_kvm() -> Kvm:
    """Return what this host has, read once."""
    return read_kvm()


def _flags(cpuinfo: Path) -> set[str]:
    with suppress(OSError):
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("flags"):
                return set(line.partition(":")[2].split())
    return set()
