"""``python -m bench.doctor``: what this machine can do, one line per check, each failing line with what fixes it.

A warning says that something is missing or may disturb a measurement; a failure says that no pair can be measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from rich.text import Text

from bench.cluster.room import require_possible
from bench.config.model import Cell
from bench.errors import BenchError, ProvisionError
from bench.host.host import HERE
from bench.plan.estimate import estimate
from bench.process.words import Parser
from bench.provision.apps import installed_apps
from bench.provision.bare import build_bare, installed_bare
from bench.provision.cache import cache_folder
from bench.provision.guest import Guest, installed_guest
from bench.provision.kvm import Verdict, cached_kvm, probe_kvm
from bench.provision.mirror import mirror, missing_tools
from bench.provision.qemu import PROVISIONED, Binary, installed_qemu
from bench.run.beforehand import Check, failed
from bench.run.beforehand import checks as beforehand
from bench.run.machine_checks import (
    check_clock,
    check_colo,
    check_disk,
    check_feature,
    check_governor,
    check_guest,
    check_kvm,
    check_load,
    check_python,
    check_qemu,
    check_swap,
    check_thp,
)
from bench.run.needs import FEATURES, try_feature
from bench.system.exits import Exit, last_door, listening
from bench.system.files import nearest
from bench.system.places import results_folder
from bench.system.streams import make_console, require_whole
from bench.workload.idle import Idle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from bench.config.load import Settings
    from bench.guest.protocol import Kind

    Say = Callable[[str], None]

_ABOUT = "What this machine can do, one line per check. The exit status is 3 when no pair can be measured here."
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@dataclass(frozen=True)
class Asked:
    """What a machine is looked at for: what the words of a configuration ask for, or the smallest pair.

    Attributes:
        cells: to be measured.
        settings: of the campaign that they were asked for in.
    """

    cells: tuple[Cell, ...] = (Cell(mem=512 << 20, smp=1, workload=Idle()),)
    settings: Settings | None = None

    @property
    def jobs(self) -> bool:
        """Whether the nodes of a cluster measure them."""
        return self.settings is not None and self.settings.launcher.submits

    @property
    def here(self) -> bool:
        """Whether this machine measures any of them."""
        return not self.jobs and not all(cell.host.far for cell in self.cells)


def checks(qemu: str, say: Say, *, probe: bool, asked: Asked | None = None) -> Iterator[Check]:
    """Look at this machine and give each check as it is done.

    Args:
        qemu: what the configuration key ``qemu`` would be.
        say: told what takes long.
        probe: whether to boot guests to find out about KVM and COLO; otherwise only what is remembered is told.
        asked: what is to be measured, and where; None: the smallest pair, here.
    """
    # Before the probes, which would show in it.
    snapshot, others = HERE.snapshot(), tuple(_other_qemus())
    yield check_python(sys.version_info[:3])
    asked = asked or Asked()
    own = asked.settings
    place, launcher = (own.results, own.launcher) if own else (results_folder(), None)
    yield from beforehand(asked.cells, place, launcher=launcher)  # first: a limit can make a good QEMU look broken
    yield from _provision_checks(qemu, asked, say, probe=probe)
    if own:
        yield from _asked_of_binaries(asked.cells)
    yield _guarded("disk", lambda: check_disk(_free_bytes(place)))
    for feature in FEATURES:
        privileged = os.geteuid() == 0
        yield check_feature(feature, privileged, try_feature(feature) if privileged else None)
    for check in (check_clock, check_thp, check_governor, check_swap):
        yield check(snapshot)
    yield check_load(snapshot, others)


def _provision_checks(qemu: str, asked: Asked, say: Say, *, probe: bool) -> Iterator[Check]:
    binary: Binary | None = None
    tools = missing_tools()
    try:
        binary = installed_qemu(qemu)
        yield check_qemu(binary, tools if qemu == PROVISIONED else (), None if binary else _no_mirror())
    except ProvisionError as error:
        yield failed("QEMU", error)
    for kind in dict.fromkeys(cell.guest for cell in asked.cells):
        guest: Guest | None = None
        try:
            guest = _guest(kind, say, probe=probe)
            yield check_guest(guest, tools, kind)
        except ProvisionError as error:
            yield failed("guest image", error)
        if asked.here:  # what KVM and COLO do elsewhere, this machine does not know
            accels = [cell.accel for cell in asked.cells if cell.guest == kind and not cell.host.far]
            yield from _probed(binary, guest, accels, say, probe=probe)


def _probed(
    binary: Binary | None, guest: Guest | None, accels: Sequence[str], say: Say, *, probe: bool
) -> Iterator[Check]:
    if binary and guest:
        yield from _probe_checks(binary, guest, accels, say, probe=probe)
    else:
        for name in ("KVM probe", "COLO probe"):
            yield Check(name, "warn", "not probed: QEMU or the guest image is missing", "mend what these lack first")


def _guest(kind: Kind, say: Say, *, probe: bool) -> Guest | None:
    """Return the guest of a kind, where it is there; to be probed, the bare one is compiled, which takes a second."""
    if kind == "bare":
        return build_bare(say) if probe else installed_bare()
    return installed_apps() if kind == "apps" else installed_guest()


def _asked_of_binaries(cells: Sequence[Cell]) -> Iterator[Check]:
    from bench.run.binary_checks import event_checks  # noqa: PLC0415 - the pair's modules only when a pair can run

    names = dict.fromkeys(name for cell in cells if not cell.host.far for name in cell.binaries)
    with suppress(ProvisionError):  # of the first, told above; of another, told when it is to be had
        yield from event_checks(cells, {name: installed_qemu(name) for name in names})


def _no_mirror() -> ProvisionError | None:
    try:
        mirror()
    except ProvisionError as error:
        return error
    return None


def _probe_checks(binary: Binary, guest: Guest, accels: Sequence[str], say: Say, *, probe: bool) -> Iterator[Check]:
    from bench.run.probe import Trial, cached_colo, probe_colo  # noqa: PLC0415 - as above

    kvm: Verdict | None = None
    try:
        kvm = probe_kvm(binary, guest, progress=say) if probe else cached_kvm(binary, guest)
        yield check_kvm(kvm)
    except BenchError as error:
        yield failed("KVM probe", error)

    def colo(trial: Trial) -> Check:
        return check_colo(probe_colo(trial, say) if probe else cached_colo(trial), trial.accel)

    auto = "kvm" if kvm and kvm.ok else "tcg"
    for accel in dict.fromkeys(auto if asked == "auto" else asked for asked in accels):
        if accel == "kvm" and kvm and not kvm.ok:
            yield Check("COLO probe", "fail", f"accel=kvm is asked for: {kvm.reason}", "use accel=auto or accel=tcg")
        else:
            yield _guarded("COLO probe", partial(colo, Trial(binary, guest, accel)))


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except BenchError as error:
        return failed(name, error)


def _free_bytes(results: Path) -> dict[str, int]:
    places = {"the cache": cache_folder(), "the results": results}
    return {f"{name} ({path})": shutil.disk_usage(nearest(path)).free for name, path in places.items()}


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
    parser = Parser(prog="python -m bench.doctor", description=_ABOUT)
    parser.add_argument("--qemu", help="what qemu= would be: that of the words, else provisioned, where it is left out")
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help="host=ssh or launcher=slurm ...: look there too")
    parser.add_argument("-cd", "--config-dir", metavar="DIR", help="look in DIR too for what the words name")
    parser.add_argument("--quick", action="store_true", help="boot nothing: tell only what earlier probes found")
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    chosen = parser.parse_args(arguments)
    command = shlex.join(("python", "-m", "bench.doctor", *(sys.argv[1:] if arguments is None else arguments)))
    show = _show_json if chosen.json else _show
    look = partial(_asked, chosen.words, chosen.config_dir)
    return last_door(command, lambda: show(chosen.qemu, look, probe=not chosen.quick))


def _all_checks(qemu: str | None, look: Callable[[], Asked], say: Say, *, probe: bool) -> Iterator[Check]:
    """Look at this machine, and at the hosts or the cluster that the words of a configuration name.

    Where those measure, this one boots no guest.
    """
    asked = look()
    settings, cells = asked.settings, asked.cells
    largest_last = sorted(cells, key=lambda cell: estimate(cell).memory_bytes)
    far = [] if asked.jobs else list({cell.host: cell for cell in largest_last if cell.host.far}.values())
    yield from checks(qemu or cells[0].qemu, say, probe=probe and not far and not asked.jobs, asked=asked)
    for cell in far:
        yield from asyncio.run(_looked_at(cell))
    if settings is not None and asked.jobs:
        yield from _cluster(settings, cells, say, probe=probe)


def _asked(words: Sequence[str], folder: str | None = None) -> Asked:
    if not words and folder is None:
        return Asked()
    from bench.config.load import load_grid  # noqa: PLC0415 - Hydra takes its time, and few ask for it
    from bench.config.sweep import compose  # noqa: PLC0415

    # As in bench.config.commandline: the folder as it was typed, but for what a shell left.
    settings, cells = load_grid(compose(tuple(words), folder and os.path.expanduser(folder)))  # noqa: PTH111
    return Asked(cells, settings)


def _cluster(settings: Settings, cells: Sequence[Cell], say: Say, *, probe: bool) -> Iterator[Check]:
    """Look at a cluster, and where ``probe`` ask one of its nodes, which takes it for some seconds."""
    from bench.run import cluster_checks  # noqa: PLC0415 - as above

    try:
        require_possible(settings, cells)
        yield Check("campaign", "ok", "its blocks can be measured by jobs")
    except BenchError as error:
        yield failed("campaign", error)
    wanted = cluster_checks.wanted_by(settings, cells, settings.campaign or "doctor")
    found = list(cluster_checks.checks(wanted))
    yield from found
    if probe and all(one.status != "fail" for one in found):
        say("asking a node of the cluster")
        yield from cluster_checks.node_checks(wanted)


async def _looked_at(cell: Cell) -> list[Check]:
    from bench.run.far_checks import far_checks  # noqa: PLC0415 - the pair's modules only when a pair can run

    return [check async for check in far_checks(cell)]


def _show(qemu: str | None, look: Callable[[], Asked], *, probe: bool) -> int:
    terminal = make_console()
    count = 0
    for check in _all_checks(qemu, look, lambda text: _say(terminal, text), probe=probe):
        terminal.print(line_text(check), soft_wrap=True)
        count += check.status == "fail"
    terminal.print(f"failed: {count}; no pair can be measured here" if count else "pairs can be measured here")
    require_whole()
    return Exit.HOST if count else Exit.DONE


def _show_json(qemu: str | None, look: Callable[[], Asked], *, probe: bool) -> int:
    found = list(_all_checks(qemu, look, lambda _: None, probe=probe))
    ok = all(check.status != "fail" for check in found)
    sys.stdout.write(json.dumps({"ok": ok, "checks": [asdict(check) for check in found]}, indent=1) + "\n")
    require_whole()
    return Exit.DONE if ok else Exit.HOST


def _say(terminal: Console, text: str) -> None:
    terminal.print(f"      {text}", style="dim", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(listening(main))
