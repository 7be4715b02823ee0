"""The campaign: prepare, agree on the plan, run what is left of it, then show what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.cluster.room import require_possible
from bench.cluster.submissions import Submissions
from bench.config.factors import identity
from bench.errors import ConfigError
from bench.format.folder import CampaignFolder
from bench.host.limits import available_memory, free_swap
from bench.plan.estimate import estimate, require_fit
from bench.plan.plan import digest, plan_cells
from bench.record.index import true_index
from bench.record.ledger import Ledger
from bench.run.agreement import agreed, declared
from bench.run.beforehand import require
from bench.run.cluster import run_on_cluster
from bench.run.dryrun import dry_run
from bench.run.finish import finish, report_later
from bench.run.folder import locked
from bench.run.loop import Loop
from bench.run.preview import preview
from bench.run.tools import real_tools
from bench.run.until import Until
from bench.system.exits import Exit
from bench.system.files import is_there
from bench.system.streams import make_console, require_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from bench.config.load import Settings
    from bench.config.model import Cell
    from bench.plan.plan import PlannedCell
    from bench.run.tools import Tools


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


def _require_no_jobs(folder: Path) -> None:
    out = Submissions(folder).open
    if out:
        raise ConfigError(
            f"jobs of this campaign are out: {len(out)} blocks were submitted and not merged yet",
            hint="repeat the command with launcher=slurm, which takes over what they have measured",
            cause="campaign-locked",
        )
