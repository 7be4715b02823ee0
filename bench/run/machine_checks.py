"""What this machine can do: each fact about it turned into a line, with what fixes it where something does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.host.netns import TOOLS
from bench.plan.estimate import gib
from bench.provision.mirror import tools_hint
from bench.run.beforehand import Check, failed
from bench.system.software import install_hint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.errors import ProvisionError
    from bench.guest.protocol import Kind
    from bench.host.snapshot import Snapshot
    from bench.provision.guest import Guest
    from bench.provision.kvm import Verdict
    from bench.provision.qemu import Binary
    from bench.run.needs import Feature

FETCH = "python -m bench.provision"
"""What fetches QEMU and the guest."""

_GIB = 1 << 30
_DISK_FAIL_BYTES = _GIB // 2
_DISK_WARN_BYTES = 5 * _GIB
_LOAD_PER_CPU = 0.3
_STEADY_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter")


def check_python(version: tuple[int, int, int]) -> Check:
    """Return whether Python is new enough."""
    text = ".".join(map(str, version))
    if version < (3, 11, 0):
        return Check("Python", "fail", f"{text}; 3.11 or newer is needed", "install Python 3.11, then: make setup")
    return Check("Python", "ok", text)


def check_qemu(binary: Binary | None, tools: Sequence[str], no_mirror: ProvisionError | None = None) -> Check:
    """Return which QEMU there is, or what fetching it lacks: packages (``tools``), or a mirror (``no_mirror``)."""
    if binary:
        return Check("QEMU", "ok", f"{binary.version}, {binary.source}, {binary.path}")
    if no_mirror and not tools:
        return failed("QEMU", no_mirror)
    return _not_made("QEMU", "not fetched yet (the first run does it)", tools)


def check_guest(guest: Guest | None, tools: Sequence[str], kind: Kind = "linux") -> Check:
    """Return which guest of a kind there is; ``tools`` are the packages that a packaged one still needs to be built."""
    if guest:
        return Check("guest image", "ok", f"kernel {guest.kernel_version}, {guest.kernel.parent}")
    text = "not built yet (the first run does it)"
    # The bare one is compiled and needs nothing of what is fetched, which not every machine can fetch.
    fetch = {"apps": f"{FETCH} --apps", "bare": "python -m bench.doctor guest=bare"}.get(kind, FETCH)
    return _not_made("guest image", text, () if kind == "bare" else tools, fetch)


def _not_made(name: str, text: str, tools: Sequence[str], fetch: str = FETCH) -> Check:
    if tools:
        return Check(name, "fail", f"it cannot be made: {', '.join(tools)} missing", tools_hint(tools))
    return Check(name, "warn", text, fetch)


def check_kvm(verdict: Verdict | None) -> Check:
    """Return whether KVM runs the guest. Emulation always works, so this is never a failure."""
    if verdict is None:
        return Check("KVM probe", "warn", "not probed yet", "python -m bench.doctor")
    if verdict.ok:
        return Check("KVM probe", "ok", verdict.reason)
    fix = 'sudo usermod -aG kvm "$USER", then log in again' if "group kvm" in verdict.reason else ""
    return Check("KVM probe", "warn", f"emulation (TCG) is used: {verdict.reason}", fix)


def check_colo(verdict: Verdict | None, accel: str) -> Check:
    """Return whether the binary can do COLO under the accelerator that would be used."""
    if verdict is None:
        return Check("COLO probe", "warn", f"not probed yet under {accel}", "python -m bench.doctor")
    if verdict.ok:
        return Check("COLO probe", "ok", f"under {accel}: {verdict.reason}")
    fix = "use qemu=provisioned, or another QEMU by its path"
    return Check("COLO probe", "fail", f"not under {accel}: {verdict.reason}", fix)


def check_disk(free_bytes: Mapping[str, int]) -> Check:
    """Return whether there is room; the mapping says how much is free where results and cache are."""
    place, free = min(free_bytes.items(), key=lambda item: item[1])
    text = f"{gib(free)} free for {place}"
    if free < _DISK_WARN_BYTES:
        fix = "free space, or set COLO_BENCH_CACHE and results=DIR to another disk"
        return Check("disk", "fail" if free < _DISK_FAIL_BYTES else "warn", text, fix)
    return Check("disk", "ok", text)


def check_feature(feature: Feature, privileged: bool, said: str | None) -> Check:  # noqa: FBT001 - two facts, one line
    """Return whether a kernel feature works; ``said`` is what the try said when it failed, None when it worked."""
    if not privileged:
        return Check(feature.name, "warn", "host=netns needs root", "run it as root; host=local works without")
    if said is None:
        return Check(feature.name, "ok", "works")
    fix = install_hint(*TOOLS) if "cannot be started" in said else feature.fix
    return Check(feature.name, "warn", f"not here: {said}", fix)


def check_clock(snapshot: Snapshot) -> Check:
    """Return whether the clock source is one that is read without leaving the CPU."""
    source = snapshot.clock_source
    if source is None or source in _STEADY_CLOCKS:
        return Check("clock source", "ok", source or "not shown")
    folder = "/sys/devices/system/clocksource/clocksource0"
    fix = f"see {folder}/available_clocksource; if it has tsc: echo tsc | sudo tee {folder}/current_clocksource"
    return Check("clock source", "warn", f"{source}: slow to read, timestamps cost more", fix)


def check_thp(snapshot: Snapshot) -> Check:
    """Return the policy of transparent huge pages: recorded with each run, no policy is wrong."""
    return Check("THP", "ok", snapshot.thp or "not shown")


def check_governor(snapshot: Snapshot) -> Check:
    """Return whether the CPUs keep their frequency."""
    governors = snapshot.governors
    if not governors or governors == ("performance",):
        return Check("CPU governor", "ok", "performance" if governors else "none (the host above decides, if any)")
    fix = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return Check("CPU governor", "warn", f"{', '.join(governors)}: the frequency changes under way", fix)


def check_swap(snapshot: Snapshot) -> Check:
    """Return whether anything is swapped out: a page that has to come back makes a pause longer."""
    used = snapshot.swap_used_bytes
    if not used:
        return Check("swap", "ok", "none in use")
    return Check("swap", "warn", f"{gib(used)} in use", "sudo swapoff -a (needs as much free memory)")


def check_load(snapshot: Snapshot, others: Sequence[int]) -> Check:
    """Return whether the machine is quiet; ``others`` are the ids of QEMU processes that run already."""
    if others:
        ids = ",".join(map(str, others))
        text = f"{len(others)} other QEMU running (process {ids})"
        return Check("other load", "warn", text, f"look at it: ps -fp {ids}; end a leftover one: kill -9 {others[0]}")
    load, cpus = snapshot.load, snapshot.cpus or 1
    if load is None:
        return Check("other load", "ok", "not shown")
    text = f"load {load[0]:.2f} on {cpus} CPUs in the last minute"
    if load[0] > _LOAD_PER_CPU * cpus:
        return Check("other load", "warn", text, "wait, or stop: ps -eo pid,pcpu,comm --sort=-pcpu | head")
    return Check("other load", "ok", text)
