"""The campaign: prepare, agree on the plan, run what is left of it, then show what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.cluster.room import require_possible
from bench.cluster.submissions import Submissions
from bench.config.factors import identity
from bench.errors import ConfigError
from bench.format.folder import CampaignFolder
from bench.host.limits import available_memory, free_swap
from bench.plan.binaries import binary_names, rename_cells, rename_hypotheses
from bench.plan.estimate import estimate, require_fit
from bench.plan.plan import QemuBuild, digest, guest_build, hypotheses_sha256, make_plan, plan_cells
from bench.provision.cache import file_sha256
from bench.record.index import true_index, write_index
from bench.record.ledger import Ledger
from bench.run.beforehand import checks as beforehand
from bench.run.beforehand import require
from bench.run.dryrun import dry_run
from bench.run.failovers import failover_table, read_failovers
from bench.run.folder import agree_on_plan, locked, stored_plan
from bench.run.loop import Loop
from bench.run.preview import preview
from bench.run.reaper import reap
from bench.run.report import verdicts_so_far, write_report
from bench.run.summary import summarise, summary_table
from bench.run.until import Until
from bench.system.exits import Exit, bug_report, tell
from bench.system.files import is_there
from bench.system.streams import make_console, require_whole
from bench.tune.tuner import Tuner, undo_leftovers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from rich.console import Console

    from bench.config.load import Settings
    from bench.config.model import Cell
    from bench.plan.plan import Plan, PlannedCell
    from bench.run.beforehand import Check
    from bench.run.loop import Measure
    from bench.run.prepare import Prepared
    from bench.scenario.progress import Assets

    Prepare = Callable[[Settings, Sequence[Cell], str, Callable[[str], None]], Prepared]

HYPOTHESES_CHANGED = (
    "the hypotheses are not those that this campaign was started with, which stand; "
    "whatever is measured from here on is on record as measured under others, and its verdicts are exploratory"
)


def _tidy(results: Path) -> list[str]:
    """Remove what killed campaigns left, put back what they changed, and say what was done."""
    return [*reap(results), *undo_leftovers()]


@dataclass(frozen=True)
class Tools:
    """What the loop does not do itself."""

    prepare: Prepare
    measure: Measure
    report: Callable[[Path, Console], bool]
    available_bytes: Callable[[], int | None]
    tidy: Callable[[Path], list[str]] = _tidy
    checks: Callable[[Sequence[Cell], Path], Iterable[Check]] = beforehand
    tuner: Callable[[], Tuner] = Tuner
    verdicts: Callable[[Path], Awaitable[Sequence[Mapping[str, Any]]]] = verdicts_so_far
    preview: Callable[[Settings, Sequence[Cell], float], Sequence[str]] = preview
    fetch: Prepare | None = None
    """What prepares only so far that a plan can be made; None: as ``prepare`` does."""


def real_tools() -> Tools:
    """Return the tools that measure real pairs."""
    from bench.run.prepare import fetch, prepare  # noqa: PLC0415 - a refused or dry run needs none of it
    from bench.run.session import measure_run  # noqa: PLC0415

    return Tools(prepare, measure_run, write_report, lambda: available_memory()[0], fetch=fetch)


def campaign_name(settings: Settings, cells: Sequence[Cell]) -> str:
    """Return the campaign's name: as given, the experiment's, or one that the same cells and seed always give.

    How many blocks are asked for is no part of it: more of them continue the campaign.
    """
    if settings.campaign or settings.experiment:
        return str(settings.campaign or settings.experiment)
    asked = [identity(cell) for cell in cells]
    before = f"sweep-{digest([asked, settings.blocks, settings.seed], 8)}"  # of names that told the blocks
    return (
        before
        if is_there(CampaignFolder(settings.results / before).plan)
        else f"sweep-{digest([asked, settings.seed], 8)}"
    )


def run_campaign(settings: Settings, cells: Sequence[Cell], command: str, tools: Tools | None = None) -> Exit:
    """Run, or continue, the campaign that the settings and cells ask for, and return the exit status.

    Raises:
        BenchError: nothing was measured: the plan changed, or this machine cannot.
    """
    console = make_console()
    name = campaign_name(settings, cells)
    planned = plan_cells(cells)
    if settings.launcher.submits:
        require_possible(settings, cells)
    if settings.dry_run:
        console.out(dry_run(settings, cells, name, preview), highlight=False)
        require_whole()
        return Exit.DONE
    tools = tools or real_tools()
    if settings.launcher.submits:
        from bench.run.cluster import run_on_cluster  # noqa: PLC0415 - it stands on this module

        return run_on_cluster(settings, cells, name, command, console, tools)
    return _run_here(settings, planned, name, command, console, tools)


def _run_here(
    settings: Settings, planned: Sequence[PlannedCell], name: str, command: str, console: Console, tools: Tools
) -> Exit:
    cells = tuple(one.cell for one in planned)
    folder = settings.results / name
    known = is_there(CampaignFolder(folder).plan)
    look_around(tools, cells, folder, console)
    _, by = available_memory()
    if not known:
        # Before anything is fetched; a known campaign asks again below.
        require_fit(planned, tools.available_bytes(), by, free_swap())
    with locked(folder), true_index(folder):
        _require_no_jobs(folder)
        settings, prepared, plan = agreed(declared(settings, folder), cells, folder, command, tools.prepare, console)
        ledger = Ledger(CampaignFolder(folder).ledger)
        until = Until(settings.budget, settings.max_blocks, tools.verdicts) if settings.until_known else None
        wanted = settings.repeats or plan.repeats
        loop = Loop(
            plan, prepared, folder, ledger, settings.on_error, tools.measure, console, tools.tuner(), wanted, until
        )
        loop.recover()
        left = {run.cell_id for run in loop.remaining()}
        require_fit([one for one in plan.cells if one.cell_id in left], tools.available_bytes(), by, free_swap())
        if until and not any(loop.done(run.run_id) for run in plan.runs):
            for line in tools.preview(settings, prepared.cells, sum(estimate(cell).seconds for cell in prepared.cells)):
                console.print(f"sees: {line}", soft_wrap=True)
        loop.tuner.prepare(one.cell.tuning for one in plan.cells if one.cell_id in left)
        return finish(loop, loop.run(), tools.report if settings.report else report_later)


def look_around(tools: Tools, cells: Sequence[Cell], folder: Path, console: Console) -> None:
    """Put away what killed runs left beside a folder of runs, and return when this machine can measure there.

    Raises:
        BenchError: it cannot, for another reason than its memory, which is asked for cell by cell.
    """
    for line in tools.tidy(folder.parent):
        console.print(line, soft_wrap=True)
    found = tuple(tools.checks(cells, folder))
    for one in found:
        if one.status == "warn":
            console.print(f"warning: {one.name}: {one.text}", soft_wrap=True)
    require([one for one in found if one.cause != "host-memory"])


def declared(settings: Settings, folder: Path) -> Settings:
    """Return the settings with what the campaign was started with: it stands where nobody asked for others."""
    stored = stored_plan(folder) if settings.by_size else None
    return settings.model_copy(update={"hypotheses": stored.hypotheses}) if stored else settings


def agreed(
    settings: Settings, cells: Sequence[Cell], folder: Path, command: str, prepare: Prepare, console: Console
) -> tuple[Settings, Prepared, Plan]:
    """Have prepared what a campaign runs with; return all of it by its content, and the plan to follow."""
    stored = stored_plan(folder)
    prepared = prepare(settings, cells, folder.name, lambda text: console.print(text, soft_wrap=True))
    settings, prepared = by_content(settings, prepared, stored.qemu if stored else {})
    plan = agree_on_plan(folder, campaign_plan(settings, prepared, folder.name, command))
    if plan.hypotheses != settings.hypotheses:
        console.print(HYPOTHESES_CHANGED, soft_wrap=True)
    return settings, prepared, plan


def _require_no_jobs(folder: Path) -> None:
    out = Submissions(folder).open
    if out:
        raise ConfigError(
            f"jobs of this campaign are out: {len(out)} blocks were submitted and not merged yet",
            hint="repeat the command with launcher=slurm, which takes over what they have measured",
            cause="campaign-locked",
        )


def by_content(settings: Settings, prepared: Prepared, known: Mapping[str, QemuBuild]) -> tuple[Settings, Prepared]:
    """Return both with every binary called by what it is instead of by its path.

    Args:
        settings: what holds for the campaign.
        prepared: the campaign, with the binaries as the configuration calls them.
        known: what the plan of a campaign that is continued calls its binaries.
    """
    names = binary_names({name: _build(assets) for name, assets in prepared.assets.items()}, known)
    hypotheses = rename_hypotheses(settings.hypotheses, names)
    declared = hypotheses_sha256(hypotheses)
    assets = {names[name]: replace(one, hypotheses_sha256=declared) for name, one in prepared.assets.items()}
    return (
        settings.model_copy(update={"hypotheses": hypotheses}),
        replace(prepared, cells=rename_cells(prepared.cells, names), assets=assets),
    )


def _build(assets: Assets) -> QemuBuild:
    return QemuBuild(assets.binary.version, assets.binary.sha256, assets.binary.source)


def campaign_plan(settings: Settings, prepared: Prepared, name: str, command: str) -> Plan:
    """Return the plan of what was asked for, with what it is measured with."""
    first = next(iter(prepared.assets.values()))
    return make_plan(
        name,
        prepared.cells,
        repeats=settings.blocks,
        seed=settings.seed,
        qemu={name: _build(assets) for name, assets in prepared.assets.items()},
        guest=guest_build(first.guest if first.guest.kind == "linux" else None),
        bare_sha256=first.bare.kernel_sha256 if first.bare else None,
        apps_sha256=first.apps.guest.digest if first.apps else None,
        nodelay_sha256=file_sha256(first.nodelay) if first.nodelay else None,
        command=command,
        experiment=settings.experiment,
        hypotheses=settings.hypotheses,
    )


def finish(loop: Loop, status: Exit, report: Callable[[Path, Console], bool]) -> Exit:
    """Show what came of a campaign, have its report written, and return the exit status of the command."""
    index = write_index(loop.folder)
    measured = loop.measured()
    if status == Exit.INTERRUPTED:
        loop.console.print(f"interrupted after {measured} of {len(loop.plan.runs)} runs; the same command continues")
        for line in loop.until.so_far(loop.folder) if loop.until else ():
            loop.console.print(line, soft_wrap=True)
        return status
    if not measured:
        return status
    if loop.plan.hypotheses and report is not report_later and loop.tried():
        loop.look()
    cells = summarise(loop.plan, loop.folder, loop.done, index.pauses)
    loop.console.print(summary_table(loop.plan.campaign, cells))
    if failovers := read_failovers(loop.plan, loop.folder, loop.done):
        loop.console.print(failover_table(loop.plan.campaign, failovers))
    if not any(one.cell.takes_checkpoints for one in loop.plan.cells):
        loop.console.print(
            f"no report, as no run takes checkpoints: run.json has what was seen, {loop.folder}/runs", soft_wrap=True
        )
        return status
    if not report(loop.folder, loop.console):
        tell(bug_report(loop.plan.command))
        return Exit.BUG
    return status


def report_later(folder: Path, console: Console) -> bool:
    """Say that there is no report, and what builds it."""
    console.print(f"no report, as report=false asks; python -m analysis {folder} builds it", soft_wrap=True)
    return True
