"""The dry run: everything a campaign would do, as text, without starting or fetching anything."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cluster.room import jobs_text
from bench.errors import HostError
from bench.format.folder import CampaignFolder
from bench.format.hosts import APART
from bench.host.limits import available_memory, free_swap
from bench.plan.binaries import binary_names, rename_cells
from bench.plan.estimate import crowding, duration_text, estimate, gib, require_disk, require_fit
from bench.plan.label import accel_text, factor_texts
from bench.plan.plan import QemuBuild, asks, extent, guest_build, make_plan
from bench.provision.apps import installed_apps
from bench.provision.bare import installed_bare
from bench.provision.cache import file_sha256
from bench.provision.guest import installed_guest
from bench.provision.kvm import cached_kvm
from bench.provision.mirror import missing_tools, tools_hint
from bench.provision.programs import LIBRARY, installed_nodelay
from bench.provision.qemu import installed_qemu
from bench.record.ledger import read_entries
from bench.run.beforehand import Check
from bench.run.beforehand import checks as beforehand
from bench.run.binary_checks import event_checks, remembered_checks
from bench.run.cluster_checks import checks as cluster_checks
from bench.run.cluster_checks import wanted_by
from bench.scenario.registry import scenario_of
from bench.system.files import is_folder, nearest
from bench.vm.features import MODERN
from bench.vm.spec import Second, planned_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bench.config.load import Settings
    from bench.config.model import Cell
    from bench.guest.protocol import Kind
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
        apps: the guest with applications, where it is built.
        nodelay: the library that is preloaded, where it is compiled.
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
    apps: Guest | None = None
    nodelay: Path | None = None

    def guest_of(self, cell: Cell) -> Guest | None:
        """Return what a cell's pair boots, where it is there."""
        return self.of_kind(cell.guest)

    def of_kind(self, kind: Kind) -> Guest | None:
        """Return the guest of a kind, where it is there."""
        return {"linux": self.guest, "bare": self.bare, "apps": self.apps}[kind]

    def settles(self, plan: Plan) -> bool:
        """Return whether the ids of a plan's runs are known: they follow from QEMU, guest, library and accelerator."""
        undecided = any(one.cell.accel == "auto" for one in plan.cells)
        guests = all(self.guest_of(one.cell) for one in plan.cells)
        library = self.nodelay or not any(_preloads(one.cell) for one in plan.cells)
        return guests and all(self.binaries.values()) and bool(library) and not undecided


def look(settings: Settings, cells: Sequence[Cell], campaign: str) -> Installed:
    """Return what is there; nothing is fetched, built or started."""
    names = dict.fromkeys(name for cell in cells for name in cell.binaries)
    # The nodes of a cluster have memory of their own, which each looks at.
    available_bytes, available_by = (None, "") if settings.launcher.submits else available_memory()
    found = Installed(
        binaries={name: installed_qemu(name) for name in names},
        guest=installed_guest(),
        available_bytes=available_bytes,
        available_by=available_by,
        free_bytes=shutil.disk_usage(nearest(settings.results)).free,
        bare=installed_bare(),
        apps=installed_apps() if any(cell.guest == "apps" for cell in cells) else None,
        nodelay=installed_nodelay() if any(map(_preloads, cells)) else None,
        checks=(
            *beforehand(cells, settings.results / campaign, launcher=settings.launcher),
            *(cluster_checks(wanted_by(settings, cells, campaign)) if settings.launcher.submits else ()),
        ),
    )
    remembered = () if settings.launcher.submits else remembered_checks(cells, found.binaries, found.guest_of)
    known = (*_making(found, cells), *event_checks(cells, found.binaries), *remembered)
    return replace(found, checks=(*found.checks, *known))


def _preloads(cell: Cell) -> bool:
    return cell.link.transport == "nodelay"


def _making(found: Installed, cells: Sequence[Cell]) -> Iterator[Check]:
    """Yield what is wrong with this machine where something has to be fetched or built first; nothing where it is."""
    absent = [f"qemu={name}" for name, binary in found.binaries.items() if binary is None]
    absent += [f"guest={cell.guest}" for cell in cells if cell.guest != "bare" and found.guest_of(cell) is None]
    missing = missing_tools() if absent else ()
    if missing:
        text = f"{', '.join(dict.fromkeys(absent))} cannot be made: {', '.join(missing)} missing"
        yield Check("provision", "fail", text, tools_hint(missing), cause="tools-missing")


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
        apps_sha256=installed.apps.digest if installed.apps else None,
        nodelay_sha256=file_sha256(installed.nodelay) if installed.nodelay else None,
    )
    block_s = sum(estimate(cell).seconds for cell in resolved)
    foreseen = foresee(settings, resolved, block_s) if foresee else ()
    sections = [_head(plan, settings, installed, foreseen), _order(plan, installed)]
    sections += [_cell(planned, installed, settings) for planned in plan.cells]
    return "\n\n".join("\n".join(section) for section in sections)


def _measured(folder: Path) -> int:
    """Return how many runs of a campaign are there already; none where no folder can be, which is a check's to say."""
    if not is_folder(folder):
        return 0
    last = {entry.run_id: entry.state for entry in read_entries(CampaignFolder(folder).ledger)[0]}
    return sum(state == "measured" for state in last.values())


def _resolved(cell: Cell, installed: Installed) -> Cell:
    """Return the cell as it would run where that is known without booting anything: on other hosts it is not."""
    binary = installed.binaries[cell.qemu]
    guest = installed.guest_of(cell)
    verdict = cached_kvm(binary, guest) if binary and guest else None
    if cell.accel != "auto" or cell.host.far or verdict is None:
        return cell
    return cell.model_copy(update={"accel": "kvm" if verdict.ok else "tcg"})


def _head(plan: Plan, settings: Settings, installed: Installed, foreseen: Iterable[str]) -> Iterator[str]:
    estimates = [estimate(plan.cell(run)) for run in plan.runs]
    jobs = settings.launcher.submits
    said = (accel_text(one.cell.accel, elsewhere=jobs or one.cell.host.far) for one in plan.cells)
    under = ", ".join(dict.fromkeys(said))
    yield f"campaign {plan.campaign}: a dry run, nothing is started"
    yield f"  runs     {extent(plan)}, seed {plan.seed}"
    yield from (f"  {line.replace(': ', '     ', 1)}" for line in asks(settings.hypotheses))
    yield f"  time     about {duration_text(sum(one.seconds for one in estimates))}"
    if settings.until_known:
        most = f"{duration_text(settings.budget)} of measuring (budget) and {settings.max_blocks} blocks (max_blocks)"
        yield f"  blocks   further ones like this until all that is asked is decided, at most {most}"
    yield from (f"  sees     {line}" for line in foreseen)
    if jobs:
        yield f"  jobs     {jobs_text(settings.launcher, sum(one.seconds for one in estimates) / plan.repeats)}"
    yield f"  memory   up to {gib(max(one.memory_bytes for one in estimates))}, {_room(plan, installed, jobs=jobs)}"
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
        yield f"  guest    {_guest_text(installed.of_kind(one))}"
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


def _room(plan: Plan, installed: Installed, *, jobs: bool) -> str:
    """Return where that much memory has to be, and what there is where that is here."""
    if all(one.cell.host.far for one in plan.cells):
        return "on both sides' hosts together"
    if jobs:
        return "on a node"
    return f"{'unknown' if installed.available_bytes is None else gib(installed.available_bytes)} available"


def _order(plan: Plan, installed: Installed) -> Iterator[str]:
    settled = installed.settles(plan)
    yield "runs, in order" + ("" if settled else " (ids follow from QEMU, guest, library and accelerator, once known)")
    width = len(str(len(plan.runs)))
    for run in plan.runs:
        needs = estimate(plan.cell(run))
        run_id = run.run_id if settled else "-" * 12
        yield (
            f"  {run.order + 1:>{width}}/{len(plan.runs)}  block {run.block + 1}  run {run_id}  cell {run.cell_id}"
            f"  {duration_text(needs.seconds):>11}  memory {gib(needs.memory_bytes):>8}"
            f"  disk {gib(needs.disk_bytes):>8}  {run.label}"
        )


def _cell(planned: PlannedCell, installed: Installed, settings: Settings) -> Iterator[str]:
    cell = planned.cell
    undecided = cell.accel == "auto"
    shown = cell.model_copy(update={"accel": "tcg"}) if undecided else cell
    binary = installed.binaries[cell.qemu]
    if binary and _preloads(cell):
        binary = binary.preloading(Path(LIBRARY))
    other = installed.binaries[cell.qemu_secondary or cell.qemu]
    second = Second(other, MODERN) if other and cell.qemu_secondary else None
    spec = planned_spec(shown, binary, installed.guest_of(cell), watch=settings.watched, second=second)
    yield f"cell {planned.cell_id}: {planned.label}"
    tuned = [
        (path, text) for path, text in factor_texts(cell).items() if path.startswith("tune.") and text != str(None)
    ]
    if tuned:
        yield f"  tune: {', '.join(f'{path}={text}' for path, text in tuned)}; put back afterwards"
    if cell.cache.ways:
        yield f"  tune: cache.ways={cell.cache.ways}; put back afterwards"
    if cell.cache.beside:
        asked = [f"{path}={text}" for path, text in factor_texts(cell).items() if path.startswith("cache.")]
        yield f"  beside the pair: {', '.join(asked)}"
    here = not cell.host.far and not settings.launcher.submits
    crowded = crowding(cell, len(os.sched_getaffinity(0))) if here else ""
    if crowded:
        yield f"  note: {crowded}"
    if undecided:
        yield "  accel=auto: shown for emulation (TCG); KVM is used if the guest boots under it"
    scenario = scenario_of(cell)
    for side, argv in ((name, machine.argv(spec)) for name, machine in scenario.sides.items()):
        yield f"  {side}{_place(cell, side)}"
        runs = second.binary if second and side == "secondary" else binary
        yield from (f"    {name}={shlex.quote(value)} \\" for name, value in (runs.env if runs else ()))
        yield from (f"    {line}" for line in _shell_lines(spec.program(side), argv))
    yield "  QMP steps (as a current QEMU takes them; the binary is asked before the first run)"
    yield from (f"    {number:>2}. {one.text()}" for number, one in enumerate(scenario.steps(spec), start=1))
    yield from (f"  {line}" for line in scenario.then(spec))


def _place(cell: Cell, side: str) -> str:
    """Return where a side runs, where that is not simply here."""
    if cell.host.kind in APART:
        return " in a network namespace of its own"
    far = getattr(cell.host, side)
    return f" on {far.title}, with our paths, where it has its own" if far else ""


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


def _build(binary: Binary | None) -> QemuBuild:
    return QemuBuild(binary.version, binary.sha256, binary.source) if binary else _NO_QEMU


def _guest_text(guest: Guest | None) -> str:
    if guest is None:
        return _NO_GUEST_TEXT
    if guest.kind == "bare":
        return f"bare, {guest.kernel}"
    more = f", applications {guest.approot}" if guest.approot else ""
    return f"Linux {guest.kernel_version}, {guest.initramfs}{more}"
