"""The end of a campaign: what came of it on the screen, the report, the exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.record.index import write_index
from bench.run.failovers import failover_table, read_failovers
from bench.run.summary import summarise, summary_table
from bench.system.exits import Exit, bug_report, tell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

    from bench.run.loop import Loop


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
