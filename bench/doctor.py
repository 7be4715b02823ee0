"""``python -m bench.doctor``: what this machine can do, one line per check, each failing line with what fixes it.

A warning says that something is missing or may disturb a measurement; a failure says that no pair can be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil
from rich.text import Text

from bench.config.model import Cell
from bench.errors import BenchError, ProvisionError
from bench.host.host import HERE
from bench.host.netns import TOOLS
from bench.plan.estimate import gib
from bench.provision import commands
from bench.provision.cache import cache_folder
from bench.provision.guest import Guest, installed_guest
from bench.provision.kvm import Verdict, cached_kvm, probe_kvm
from bench.provision.mirror import mirror, missing_tools, tools_hint
from bench.provision.qemu import PROVISIONED, Binary, installed_qemu
from bench.run.beforehand import Check
from bench.run.beforehand import checks as beforehand
from bench.system.exits import Exit, last_door, listening
from bench.system.files import nearest
from bench.system.places import results_folder
from bench.system.software import install_hint
from bench.system.streams import make_console
from bench.workload.idle import Idle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console

    from bench.host.snapshot import Snapshot

    Say = Callable[[str], None]

_ABOUT = "What this machine can do, one line per check. The exit status is 3 when no pair can be measured here."
_FETCH = "python -m bench.provision"
_GIB = 1 << 30
_DISK_FAIL_BYTES = _GIB // 2
_DISK_WARN_BYTES = 5 * _GIB
_LOAD_PER_CPU = 0.3
_STEADY_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter")
_COMMAND_DEADLINE_S = 10.0
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@dataclass(frozen=True)
class Feature:
    """Something of the kernel that ``host=netns`` uses, found out by doing it in a namespace that ends with the try."""

    name: str
    argv: tuple[str, ...]
    fix: str


FEATURES = (
    Feature("namespaces", ("ip", "link", "add", "c0", "type", "veth", "peer", "name", "c1"), "sudo modprobe veth"),
    Feature("tap", ("ip", "tuntap", "add", "dev", "t0", "mode", "tap"), "sudo modprobe tun"),
    Feature(
        "tc tbf",
        ("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "1gbit", "burst", "65536", "latency", "50ms"),
        "sudo modprobe sch_tbf, or install the kernel's extra modules (only link.bandwidth needs it)",
    ),
    Feature(
        "tc netem",
        ("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"),
        "sudo modprobe sch_netem, or install the kernel's extra modules (only link.delay and loss_percent need it)",
    ),
)


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
        return _failed("QEMU", no_mirror)
    return _not_made("QEMU", "not fetched yet (the first run does it)", tools)


def check_guest(guest: Guest | None, tools: Sequence[str]) -> Check:
    """Return which guest there is; ``tools`` are the packages that building it still needs."""
    if guest:
        return Check("guest image", "ok", f"kernel {guest.kernel_version}, {guest.kernel.parent}")
    return _not_made("guest image", "not built yet (the first run does it)", tools)


def _not_made(name: str, text: str, tools: Sequence[str]) -> Check:
    if tools:
        return Check(name, "fail", f"it cannot be made: {', '.join(tools)} missing", tools_hint(tools))
    return Check(name, "warn", text, _FETCH)


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
    return Check("COLO probe", "fail", f"not under {accel}: {verdict.reason}", "use qemu=provisioned")


def check_disk(free_bytes: Mapping[str, int]) -> Check:
    """Return whether there is room; the mapping says how much is free where results and cache are."""
    place, free = min(free_bytes.items(), key=lambda item: item[1])
    text = f"{gib(free)} free for {place}"
    if free < _DISK_WARN_BYTES:
        status: Literal["warn", "fail"] = "fail" if free < _DISK_FAIL_BYTES else "warn"
        return Check("disk", status, text, "free space, or set COLO_BENCH_CACHE and results=DIR to another disk")
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


def checks(qemu: str, say: Say, *, probe: bool) -> Iterator[Check]:
    """Look at this machine and give each check as it is done.

    Args:
        qemu: what the configuration key ``qemu`` would be.
        say: told what takes long.
        probe: whether to boot guests to find out about KVM and COLO; otherwise only what is remembered is told.
    """
    # Before the probes, which would show in it.
    snapshot, others = HERE.snapshot(), tuple(_other_qemus())
    yield check_python(sys.version_info[:3])
    yield from _provision_checks(qemu, say, probe=probe)
    yield from beforehand([Cell(mem=512 << 20, smp=1, workload=Idle())], results_folder())
    yield _guarded("disk", lambda: check_disk(_free_bytes()))
    for feature in FEATURES:
        privileged = os.geteuid() == 0
        yield check_feature(feature, privileged, _try_feature(feature) if privileged else None)
    for check in (check_clock, check_thp, check_governor, check_swap):
        yield check(snapshot)
    yield check_load(snapshot, others)


def _provision_checks(qemu: str, say: Say, *, probe: bool) -> Iterator[Check]:
    binary: Binary | None = None
    guest: Guest | None = None
    tools = missing_tools()
    try:
        binary = installed_qemu(qemu)
        yield check_qemu(binary, tools if qemu == PROVISIONED else (), None if binary else _no_mirror())
    except ProvisionError as error:
        yield _failed("QEMU", error)
    try:
        guest = installed_guest()
        yield check_guest(guest, tools)
    except ProvisionError as error:
        yield _failed("guest image", error)
    if binary and guest:
        yield from _probe_checks(binary, guest, say, probe=probe)
    else:
        for name in ("KVM probe", "COLO probe"):
            yield Check(name, "warn", "not probed: QEMU or the guest image is missing", _FETCH)


def _no_mirror() -> ProvisionError | None:
    try:
        mirror()
    except ProvisionError as error:
        return error
    return None


def _probe_checks(binary: Binary, guest: Guest, say: Say, *, probe: bool) -> Iterator[Check]:
    from bench.run.probe import cached_colo, probe_colo  # noqa: PLC0415 - the pair's modules only when a pair can run

    kvm: Verdict | None = None
    try:
        kvm = probe_kvm(binary, guest, progress=say) if probe else cached_kvm(binary, guest)
        yield check_kvm(kvm)
    except BenchError as error:
        yield _failed("KVM probe", error)
    accel = "kvm" if kvm and kvm.ok else "tcg"
    yield _guarded(
        "COLO probe",
        lambda: check_colo(
            probe_colo(binary, guest, accel, say) if probe else cached_colo(binary, guest, accel),
            accel,
        ),
    )


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except BenchError as error:
        return _failed(name, error)


def _failed(name: str, error: BenchError) -> Check:
    logs = tuple(f"log: {path}" for path in error.logs)
    return Check(name, "fail", "; ".join((error.message, *error.evidence[-3:], *logs)), error.hint)


def _free_bytes() -> dict[str, int]:
    places = {"the cache": cache_folder(), "the results": results_folder()}
    return {f"{name} ({path})": shutil.disk_usage(nearest(path)).free for name, path in places.items()}


def _try_feature(feature: Feature) -> str | None:
    try:
        finished = commands.run(("unshare", "--net", "--", *feature.argv), deadline_s=_COMMAND_DEADLINE_S)
    except ProvisionError as error:
        return error.message
    return None if finished.status == 0 else (finished.lines or ("no reason given",))[-1]


def _other_qemus() -> Iterator[int]:
    with suppress(IndexError, OSError, psutil.Error):  # /proc is empty, or not the kernel's
        for process in psutil.process_iter(["pid", "cmdline"]):
            # The provisioned one is started through a loader, so its name stands further back.
            words = (process.info["cmdline"] or [])[:8]
            if any(Path(word).name.startswith("qemu-system-") for word in words):
                yield process.info["pid"]


def line_text(check: Check) -> Text:
    """Return a check as it is shown: status, name and finding, and the fix on a line of its own."""
    text = Text.assemble((f"{check.status:<4}", _STYLES[check.status]), f"  {check.name:<13} {check.text}")
    return text.append(f"\n      {'':<13} fix: {check.fix}") if check.fix else text


def main(arguments: Sequence[str] | None = None) -> int:
    """Show every check and return the exit status: `Exit.HOST` when one failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.doctor", description=_ABOUT)
    parser.add_argument("--qemu", default=PROVISIONED, help="provisioned (default), system, or an executable's path")
    parser.add_argument("--quick", action="store_true", help="boot nothing: tell only what earlier probes found")
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    chosen = parser.parse_args(arguments)
    command = shlex.join(("python", "-m", "bench.doctor", *(sys.argv[1:] if arguments is None else arguments)))
    show = _show_json if chosen.json else _show
    return last_door(command, lambda: show(chosen.qemu, probe=not chosen.quick))


def _show(qemu: str, *, probe: bool) -> int:
    terminal = make_console()
    failed = 0
    for check in checks(qemu, lambda text: _say(terminal, text), probe=probe):
        terminal.print(line_text(check), soft_wrap=True)
        failed += check.status == "fail"
    terminal.print(f"failed: {failed}; no pair can be measured here" if failed else "pairs can be measured here")
    return Exit.HOST if failed else Exit.DONE


def _show_json(qemu: str, *, probe: bool) -> int:
    found = list(checks(qemu, lambda _: None, probe=probe))
    ok = all(check.status != "fail" for check in found)
    sys.stdout.write(json.dumps({"ok": ok, "checks": [asdict(check) for check in found]}, indent=1) + "\n")
    return Exit.DONE if ok else Exit.HOST


def _say(terminal: Console, text: str) -> None:
    terminal.print(f"      {text}", style="dim", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(listening(main))
