"""The campaign: prepare, agree on the plan, run what is left of it, then show what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psutil

from bench.config.factors import identity
from bench.errors import StoreError
from bench.exits import Exit, bug_report, tell
from bench.owner import end_with_owner
from bench.pair.ending import how_ended
from bench.places import same_modules
from bench.plan.binaries import binary_names, rename_cells, rename_hypotheses
from bench.plan.dryrun import dry_run
from bench.plan.estimate import require_fit
from bench.plan.plan import GuestBuild, QemuBuild, digest, hypotheses_sha256, make_plan, plan_cells
from bench.provision.cache import file_sha256
from bench.record.index import write_index
from bench.record.ledger import Ledger
from bench.run.folder import agree_on_plan, locked, stored_plan
from bench.run.loop import Loop
from bench.run.reaper import reap
from bench.run.summary import summarise, summary_table
from bench.streams import make_console
from bench.tune.tuner import Tuner, undo_leftovers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from bench.config.load import Settings
    from bench.config.model import Cell
    from bench.plan.plan import Plan
    from bench.run.loop import Measure
    from bench.run.prepare import Prepared
    from bench.run.progress import Assets

_REPORT_DEADLINE_S = 600
_HYPOTHESES_CHANGED = (
    "the hypotheses are not those that this campaign was started with, which stand; "
    "whatever is measured from here on is on record as measured under others, and its verdicts are exploratory"
)


def _tidy(results: Path) -> list[str]:
    """Remove what killed campaigns left, put back what they changed, and say what was done."""
    return [*reap(results), *undo_leftovers()]


@dataclass(frozen=True)
class Tools:
    """What the loop does not do itself."""

    prepare: Callable[[Settings, Sequence[Cell], str, Callable[[str], None]], Prepared]
    measure: Measure
    report: Callable[[Path, Console], bool]
    available_bytes: Callable[[], int]
    tidy: Callable[[Path], list[str]] = _tidy
    tuner: Callable[[], Tuner] = Tuner


def real_tools() -> Tools:
    """Return the tools that measure real pairs."""
    from bench.run.prepare import prepare  # noqa: PLC0415 - a refused or dry run needs none of it
    from bench.run.session import measure_run  # noqa: PLC0415

    return Tools(prepare, measure_run, write_report, lambda: int(psutil.virtual_memory().available))


def campaign_name(settings: Settings, cells: Sequence[Cell]) -> str:
    """Return the campaign's name: as given, the experiment's, or one that the same command always gives."""
    asked = [[identity(cell) for cell in cells], settings.repeats, settings.seed]
    return settings.campaign or settings.experiment or f"sweep-{digest(asked, 8)}"


def run_campaign(settings: Settings, cells: Sequence[Cell], command: str, tools: Tools | None = None) -> Exit:
    """Run, or continue, the campaign that the settings and cells ask for, and return the exit status.

    Raises:
        BenchError: nothing was measured: the plan changed, or this machine cannot.
    """
    console = make_console()
    name = campaign_name(settings, cells)
    planned = plan_cells(cells)
    if settings.dry_run:
        console.out(dry_run(settings, cells, name), highlight=False)
        return Exit.DONE
    tools = tools or real_tools()
    known = _is_there(settings.results / name / "plan.json")
    for line in tools.tidy(settings.results):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not known:
        require_fit(planned, tools.available_bytes())  # before anything is fetched; a known campaign asks again below
    folder = settings.results / name
    with locked(folder):
        prepared = tools.prepare(settings, cells, name, lambda text: console.print(text, markup=False, soft_wrap=True))
        stored = stored_plan(folder)
        settings, prepared = _by_content(settings, prepared, stored.qemu if stored else {})
        plan = agree_on_plan(folder, _plan(settings, prepared, name, command))
        if plan.hypotheses != settings.hypotheses:
            console.print(_HYPOTHESES_CHANGED, markup=False, soft_wrap=True)
        ledger = Ledger(folder / "ledger.jsonl")
        loop = Loop(plan, prepared, folder, ledger, settings.on_error, tools.measure, console, tools.tuner())
        loop.recover()
        left = {run.cell_id for run in loop.remaining()}
        require_fit([one for one in plan.cells if one.cell_id in left], tools.available_bytes())
        loop.tuner.prepare(one.cell.tune for one in plan.cells if one.cell_id in left)
        return _finish(loop, loop.run(), tools.report if settings.report else _report_later)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long, a folder that is not ours: said in words when the folder is made
        return False


def _by_content(settings: Settings, prepared: Prepared, known: Mapping[str, QemuBuild]) -> tuple[Settings, Prepared]:
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


def _plan(settings: Settings, prepared: Prepared, name: str, command: str) -> Plan:
    first = next(iter(prepared.assets.values()))
    guest = first.guest
    return make_plan(
        name,
        prepared.cells,
        repeats=settings.repeats,
        seed=settings.seed,
        qemu={name: _build(assets) for name, assets in prepared.assets.items()},
        guest=GuestBuild(guest.kernel_version, guest.kernel_sha256, guest.initramfs_sha256),
        nodelay_sha256=file_sha256(first.nodelay) if first.nodelay else None,
        command=command,
        experiment=settings.experiment,
        hypotheses=settings.hypotheses,
    )


def _finish(loop: Loop, status: Exit, report: Callable[[Path, Console], bool]) -> Exit:
    write_index(loop.folder)
    measured = len(loop.plan.runs) - len(loop.remaining())
    if status == Exit.INTERRUPTED:
        loop.console.print(
            f"interrupted after {measured} of {len(loop.plan.runs)} runs; the same command continues", markup=False
        )
        return status
    if not measured:
        return status
    loop.console.print(summary_table(loop.plan.campaign, summarise(loop.plan, loop.folder, loop.done)))
    if not report(loop.folder, loop.console):
        tell(bug_report(loop.plan.command))
        return Exit.BUG
    return status


def _report_later(folder: Path, console: Console) -> bool:
    console.print(
        f"no report, as report=false asks; python -m analysis {folder} builds it", markup=False, soft_wrap=True
    )
    return True


def write_report(folder: Path, console: Console) -> bool:
    """Have the report written by the analysis, which knows nothing of this process, and print where it is.

    Raises:
        StoreError: this machine does not let it be written, or not be finished.
    """
    later = f"the data are stored: python -m analysis {folder} builds it"
    try:
        status, said = _run_analysis((sys.executable, "-P", "-m", "analysis", os.fspath(folder)))
    except subprocess.TimeoutExpired:
        words = f"the report took longer than {_REPORT_DEADLINE_S} s"
        raise StoreError(words, cause="report-unfinished", hint=later) from None
    if status == Exit.HOST:
        raise StoreError(said.strip().removeprefix("colo-bench: "), hint=f"make room or access; {later}")
    if status < 0:
        raise StoreError(f"building the report {how_ended(status)}", cause="report-unfinished", hint=later)
    if status:
        console.print(f"the report failed:\n{said.strip()}", markup=False, soft_wrap=True)
        return False
    for verdict in _verdicts(folder / "report" / "verdicts.json"):
        console.print(f"{verdict['id']}: {verdict['sentence']}", markup=False, highlight=False)
    console.print(f"report: {folder / 'report' / 'report.html'}", markup=False, soft_wrap=True)
    return True


def _run_analysis(argv: Sequence[str]) -> tuple[int, str]:
    """Run the analysis, which ends with this process, and return its status and what it said on standard error."""
    with subprocess.Popen(
        argv,
        env={**os.environ, **same_modules()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_owner(),
    ) as child:
        try:
            _, said = child.communicate(timeout=_REPORT_DEADLINE_S)
        except BaseException:
            child.kill()
            raise
    return child.returncode, said


def _verdicts(path: Path) -> list[dict[str, Any]]:
    """Return the verdicts that the analysis came to; none where no hypothesis was declared."""
    try:
        return list(json.loads(path.read_bytes())["verdicts"])
    except (OSError, ValueError, KeyError):
        return []
