"""The dry run: everything a campaign would do, as text, without starting or fetching anything."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import HostError
from bench.format.folder import CampaignFolder
from bench.host.limits import available_memory, free_swap
from bench.plan.binaries import binary_names, rename_cells
from bench.plan.estimate import crowding, duration_text, estimate, gib, require_disk, require_fit
from bench.plan.label import accel_text, flatten
from bench.plan.plan import QemuBuild, asks, extent, guest_build, make_plan
from bench.provision.bare import installed_bare
from bench.provision.guest import installed_guest
from bench.provision.kvm import cached_kvm
from bench.provision.programs import LIBRARY
from bench.provision.qemu import installed_qemu
from bench.record.ledger import read_entries
from bench.run.beforehand import Check
from bench.run.beforehand import checks as beforehand
from bench.scenario.registry import scenario_of
from bench.system.files import nearest
from bench.vm.features import MODERN
from bench.vm.procedure import poke
from bench.vm.spec import Second, planned_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bench.config.load import Settings
    from bench.config.model import Cell
    from bench.plan.plan import Plan, PlannedCell
    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary

    Foresee = Callable[[Settings, Sequence[Cell], float], Sequence[str]]

_NO_QEMU = QemuBuild(version="", sha256="", source="")
_NO_QEMU_TEXT = "not there yet; it is fetched first (python -m bench.provision does it ahead of time)"
_NO_GUEST_TEXT = "not built yet; it is built first"


@dataclass(frozen=True)
class Installed:
    """What is on this machine already.

    Attributes:
        binaries: by what the configuration calls the QEMU; None where it is not there.
        guest: the Linux guest's kernel and initramfs, where they are built.
        bare: the bare guest, where it is compiled.
        available_bytes: host memory; None where the system does not say.
        free_bytes: disk under the results folder.
        available_by: what limits the memory, where it is not the machine.
        checks: what can be known beforehand.
    """

    binaries: Mapping[str, Binary | None]
    guest: Guest | None
    available_bytes: int | None
    free_bytes: int
    available_by: str = ""
    checks: tuple[Check, ...] = ()
    bare: Guest | None = None

    def guest_of(self, cell: Cell) -> Guest | None:
        """Return what a cell's pair boots, where it is there."""
        return self.bare if cell.guest == "bare" else self.guest

    def settles(self, plan: Plan) -> bool:
        """Return whether the ids of a plan's runs are known: they follow from QEMU, guest and accelerator."""
        undecided = any(one.cell.accel == "auto" for one in plan.cells)
        guests = all(self.guest_of(one.cell) for one in plan.cells)
        return guests and all(self.binaries.values()) and not undecided


def look(settings: Settings, cells: Sequence[Cell], campaign: str) -> Installed:
    """Return what is there; nothing is fetched, built or started."""
    names = dict.fromkeys(name for cell in cells for name in cell.binaries)
    available_bytes, available_by = available_memory()
    return Installed(
        binaries={name: installed_qemu(name) for name in names},
        guest=installed_guest(),
        available_bytes=available_bytes,
        available_by=available_by,
        free_bytes=shutil.disk_usage(nearest(settings.results)).free,
        bare=installed_bare(),
        checks=tuple(beforehand(cells, settings.results / campaign)),
    )


def dry_run(settings: Settings, cells: Sequence[Cell], campaign: str, foresee: Foresee) -> str:
    """Return the plan as text: every run in order, command lines, QMP steps, what it all takes and what it may tell."""
    return render(settings, cells, campaign, look(settings, cells, campaign), foresee)


def render(
    settings: Settings, cells: Sequence[Cell], campaign: str, installed: Installed, foresee: Foresee | None = None
) -> str:
    """Return the text of a dry run from what is known."""
    names = binary_names({name: _build(binary) for name, binary in installed.binaries.items()}, {})
    installed = replace(installed, binaries={names[name]: binary for name, binary in installed.binaries.items()})
    resolved = tuple(_resolved(cell, installed) for cell in rename_cells(cells, names))
    plan = make_plan(
        campaign,
        resolved,
        repeats=settings.blocks,
        seed=settings.seed,
        qemu={name: _build(binary) for name, binary in installed.binaries.items()},
        guest=guest_build(installed.guest),
        bare_sha256=installed.bare.kernel_sha256 if installed.bare else None,
    )
    block_s = sum(estimate(cell).seconds for cell in resolved)
    foreseen = foresee(settings, resolved, block_s) if foresee else ()
    sections = [_head(plan, settings, installed, foreseen), _order(plan, installed)]
    sections += [_cell(planned, installed, settings.watched) for planned in plan.cells]
    return "\n\n".join("\n".join(section) for section in sections)


def _measured(folder: Path) -> int:
    """Return how many runs of a campaign are there already."""
    last = {entry.run_id: entry.state for entry in read_entries(CampaignFolder(folder).ledger)[0]}
    return sum(state == "measured" for state in last.values())


def _resolved(cell: Cell, installed: Installed) -> Cell:
    """Return the cell as it would run where that is known without booting anything."""
    binary = installed.binaries[cell.qemu]
    guest = installed.guest_of(cell)
    verdict = cached_kvm(binary, guest) if binary and guest else None
    if cell.accel != "auto" or verdict is None:
        return cell
    return cell.model_copy(update={"accel": "kvm" if verdict.ok else "tcg"})


def _head(plan: Plan, settings: Settings, installed: Installed, foreseen: Iterable[str]) -> Iterator[str]:
    estimates = [estimate(plan.cell(run)) for run in plan.runs]
    under = ", ".join(dict.fromkeys(accel_text(one.cell.accel) for one in plan.cells))
    yield f"campaign {plan.campaign}: a dry run, nothing is started"
    yield f"  runs     {extent(plan)}, seed {plan.seed}"
    yield from (f"  {line.replace(': ', '     ', 1)}" for line in asks(settings.hypotheses))
    yield f"  time     about {duration_text(sum(one.seconds for one in estimates))}"
    if settings.until_known:
        most = f"{duration_text(settings.budget)} of measuring (budget) and {settings.max_blocks} blocks (max_blocks)"
        yield f"  blocks   further ones like this until all that is asked is decided, at most {most}"
    yield from (f"  sees     {line}" for line in foreseen)
    largest = max(one.memory_bytes for one in estimates)
    available = "unknown" if installed.available_bytes is None else gib(installed.available_bytes)
    yield f"  memory   up to {gib(largest)}, {available} available"
    yield f"  disk     {gib(sum(one.disk_bytes for one in estimates))}, {gib(installed.free_bytes)} free"
    yield f"  results  {settings.results / plan.campaign}"
    measured = _measured(settings.results / plan.campaign)
    if measured:
        there = f"{measured} run{'s' * (measured != 1)} measured already"
        yield f"  there    {there}: the same command without dry_run continues it"
    yield f"  pairs    {under}"
    for name, binary in installed.binaries.items():
        yield f"  QEMU     {name}: {f'{binary.version}, {binary.path}' if binary else _NO_QEMU_TEXT}"
    for one in dict.fromkeys(planned.cell.guest for planned in plan.cells):
        yield f"  guest    {_guest_text(installed.bare if one == 'bare' else installed.guest)}"
    for check in installed.checks:
        if check.status != "ok" and check.cause != "host-memory":
            fix = f"; fix: {check.fix}" if check.fix else ""
            yield f"  {'refused' if check.status == 'fail' else 'warning'}  {check.name}: {check.text}{fix}"
    try:
        require_disk(estimates, installed.free_bytes)
    except HostError as error:
        yield f"  refused  {error.message}"
    try:
        require_fit(plan.cells, installed.available_bytes, installed.available_by, free_swap())
    except HostError as error:
        yield f"  refused  {error.message}"


def _order(plan: Plan, installed: Installed) -> Iterator[str]:
    settled = installed.settles(plan)
    yield "runs, in order" + ("" if settled else " (ids follow from QEMU, guest and accelerator, once known)")
    width = len(str(len(plan.runs)))
    for run in plan.runs:
        needs = estimate(plan.cell(run))
        run_id = run.run_id if settled else "-" * 12
        yield (
            f"  {run.order + 1:>{width}}/{len(plan.runs)}  block {run.block + 1}  run {run_id}  cell {run.cell_id}"
            f"  {duration_text(needs.seconds):>11}  memory {gib(needs.memory_bytes):>8}"
            f"  disk {gib(needs.disk_bytes):>8}  {run.label}"
        )


def _cell(planned: PlannedCell, installed: Installed, watch: frozenset[str]) -> Iterator[str]:
    cell = planned.cell
    undecided = cell.accel == "auto"
    shown = cell.model_copy(update={"accel": "tcg"}) if undecided else cell
    binary = installed.binaries[cell.qemu]
    if binary and cell.link.transport == "nodelay":
        binary = binary.preloading(Path(LIBRARY))
    other = installed.binaries[cell.qemu_secondary or cell.qemu]
    second = Second(other, MODERN) if other and cell.qemu_secondary else None
    spec = planned_spec(shown, binary, installed.guest_of(cell), watch=watch, second=second)
    yield f"cell {planned.cell_id}: {planned.label}"
    tuned = [(path, text) for path, text in flatten(cell).items() if path.startswith("tune.") and text != str(None)]
    if tuned:
        yield f"  tune: {', '.join(f'{path}={text}' for path, text in tuned)}; put back afterwards"
    if cell.cache.kind != "none":
        asked = [f"{path}={text}" for path, text in flatten(cell).items() if path.startswith("cache.")]
        yield f"  beside the pair: {', '.join(asked)}"
    crowded = crowding(cell, len(os.sched_getaffinity(0)))
    if crowded:
        yield f"  note: {crowded}"
    if undecided:
        yield "  accel=auto: shown for emulation (TCG); KVM is used if the guest boots under it"
    scenario = scenario_of(cell)
    for side, argv in ((name, machine.argv(spec)) for name, machine in scenario.sides.items()):
        yield f"  {side}{' in a network namespace of its own' if cell.host.kind == 'netns' else ''}"
        runs = second.binary if second and side == "secondary" else binary
        yield from (f"    {name}={shlex.quote(value)} \\" for name, value in (runs.env if runs else ()))
        yield from (f"    {line}" for line in _shell_lines(spec.program(side), argv))
    yield "  QMP steps (as a current QEMU takes them; the binary is asked before the first run)"
    yield from (f"    {number:>2}. {one.text()}" for number, one in enumerate(scenario.steps(spec), start=1))
    yield f"  then {_checkpoints(cell)}"


def _shell_lines(program: Sequence[str], argv: Sequence[str]) -> Iterator[str]:
    """Yield the command line, one option to a line, as a shell would take it."""
    lines = [shlex.join(program)]
    for word in argv[len(program) :]:
        if word.startswith("-"):
            lines.append(shlex.quote(word))
        else:
            lines[-1] += f" {shlex.quote(word)}"
    yield from (f"{line} \\" for line in lines[:-1])
    yield lines[-1]


def _checkpoints(cell: Cell) -> str:
    checkpoint = cell.checkpoint
    if not scenario_of(cell).checkpoints:
        return f"{(checkpoint.warmup + checkpoint.count) * checkpoint.interval:g} s of its workload, and no checkpoint"
    wanted = f"{checkpoint.warmup} + {checkpoint.count} checkpoints"
    if checkpoint.trigger == "timer":
        return f"{wanted} by QEMU's own timer, {checkpoint.interval:g} s from request to request"
    return f"{wanted}, each {checkpoint.interval:g} s after the last one ended: {' '.join(poke().text().split())}"


def _build(binary: Binary | None) -> QemuBuild:
    return QemuBuild(binary.version, binary.sha256, binary.source) if binary else _NO_QEMU


def _guest_text(guest: Guest | None) -> str:
    if guest is None:
        return _NO_GUEST_TEXT
    return f"bare, {guest.kernel}" if guest.kind == "bare" else f"Linux {guest.kernel_version}, {guest.initramfs}"
