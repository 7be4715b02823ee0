"""The campaign on a cluster: every block that is not measured yet is a job, and what jobs have measured is merged.

Whoever runs the command comes back to where the campaign is: the plan, the ledger and our own list of submissions say
it. What Slurm says of a job is a hint on when to look.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import localtime, sleep
from typing import TYPE_CHECKING

from bench.cluster.slurm import UnreachableError
from bench.cluster.submissions import Submissions
from bench.errors import HostError
from bench.format.folder import CampaignFolder
from bench.plan.estimate import duration_text
from bench.plan.plan import asks, extent
from bench.record.index import true_index, write_index
from bench.record.ledger import Ledger
from bench.run.agreement import agreed, declared
from bench.run.beforehand import require, submitting
from bench.run.cluster_checks import checks, wanted_by
from bench.run.finish import finish, report_later
from bench.run.folder import locked
from bench.run.jobs import Jobs
from bench.run.loop import Loop
from bench.system.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rich.console import Console

    from bench.config.load import Settings
    from bench.config.model import Cell
    from bench.plan.plan import Plan
    from bench.run.tools import Tools

_LOOK_S, _LATER_S = 2.0, 15.0
"""How often Slurm is asked: at first, and once nothing has changed for a while."""

_SETTLES_S = 6.0
"""How long after submission Slurm has said why a job waits."""


def run_on_cluster(
    settings: Settings, cells: Sequence[Cell], name: str, command: str, console: Console, tools: Tools
) -> Exit:
    """Submit what is left of a campaign, wait for it unless told not to, and return the exit status.

    Raises:
        BenchError: nothing was submitted: the plan changed, or the cluster would never start a job.
    """
    has_slurm = next(checks(wanted_by(settings, cells, name)))  # whether its jobs start is asked where one is submitted
    require((*submitting(settings.results / name), has_slurm))
    folder = settings.results / name
    with locked(folder), true_index(folder):
        settings = declared(settings, folder)
        asked = tuple(settings.hypotheses)
        settings, prepared, plan = agreed(settings, cells, folder, command, tools.fetch or tools.prepare, console)
        ledger = Ledger(CampaignFolder(folder).ledger)
        wanted = settings.repeats or plan.repeats
        loop = Loop(plan, prepared, folder, ledger, settings.on_error, tools.measure, console, wanted=wanted)
        ledger.plan(run.run_id for run in plan.runs)
        jobs = Jobs(loop, settings, tuple(cells), asked, command, Submissions(folder))
        front = Front(jobs, settings, console)
        front.jobs.collect(console_say(console))
        front.jobs.afresh()
        loop.recover()
        front.introduce(plan, folder)
        return front.go(tools.report if settings.report else report_later)


def console_say(console: Console) -> Callable[[str], None]:
    """Return what prints a line as it is, at once."""

    def say(text: str) -> None:
        console.print(text, soft_wrap=True)
        console.file.flush()

    return say


@dataclass
class Front:
    """What a person sees of a campaign's jobs, and how long it is waited for them.

    Attributes:
        jobs: of the campaign.
        settings: as asked for.
        console: to show it on.
    """

    jobs: Jobs
    settings: Settings
    console: Console
    _shown: str = field(default="", init=False)

    def introduce(self, plan: Plan, folder: Path) -> None:
        """Say what is to be measured, and where."""
        say = console_say(self.console)
        left, done = self.jobs.loop.remaining(), self.jobs.loop.measured()
        state = f", {done} of them measured already" if done else ""
        each = max((sum(self.jobs.seconds(run) for run in runs) for runs in self.jobs.blocks().values()), default=0.0)
        about = f"; each block is a job of about {duration_text(each)}" if left else ""
        say(f"campaign {plan.campaign}: {extent(plan)}{state}{about}\nresults: {folder}")
        for line in asks(plan.hypotheses):
            say(line)

    def go(self, report: Callable[[Path, Console], bool]) -> Exit:
        """Submit, wait, merge, report."""
        loop, say = self.jobs.loop, console_say(self.console)
        try:
            self._submitted(say, patient=False)
            self._settle()
            self._show()
            if not self.settings.launcher.detach:
                self._wait()
        except KeyboardInterrupt:
            self._leave("left")
            return Exit.INTERRUPTED
        if self.jobs.submissions.open:
            self._leave("submitted")
            return Exit.DONE
        return finish(loop, Exit.RUNS_FAILED if loop.remaining() else Exit.DONE, report)

    def _wait(self) -> None:
        still, silent = 0.0, False
        while self.jobs.submissions.open or silent:
            apart_s = min(_LOOK_S + still / 10, _LATER_S)
            sleep(apart_s)
            say = console_say(self.console)
            before = len(self.jobs.submissions.open)
            self.jobs.collect(say)
            silent = not self._submitted(say, patient=True)
            changed = self._show() or before != len(self.jobs.submissions.open)
            still = 0.0 if changed else still + apart_s

    def _submitted(self, say: Callable[[str], None], *, patient: bool) -> bool:
        """Submit what is left, or take back what ``on_error=stop`` does; return whether Slurm was there for it.

        Args:
            say: tells a person.
            patient: whether to ask again later although no job is out.

        Raises:
            UnreachableError: it was not, and nobody asks again.
        """
        try:
            if self.jobs.failed and self.settings.on_error.stop:
                self.jobs.stop(say)
            self.jobs.submit(say)
        except UnreachableError as error:
            out = any(one.job for one in self.jobs.submissions.open)
            if self.settings.launcher.detach or not (patient or out):
                raise
            say(f"{error.message}: trying again")
            return False
        return True

    def _settle(self) -> None:
        """Wait until Slurm has said why the jobs wait; what will never start is taken back.

        Raises:
            HostError: a job would wait for ever.
        """
        waited = 0.0
        while waited < _SETTLES_S and self.jobs.unsettled():
            sleep(1.0)
            waited += 1.0
        hopeless = self.jobs.hopeless()
        if hopeless:
            reason = next(iter(hopeless.values()))
            self.jobs.withdraw(f"Slurm would never start it: {reason}")
            raise HostError(f"Slurm would never start these jobs: {reason}", cause="job-never-starts")

    def _show(self) -> bool:
        """Show where the blocks are when that is news; return whether it was."""
        now = self.jobs.standing()
        if not now.blocks or now.text == self._shown:
            return False
        self._shown = now.text
        console_say(self.console)(now.with_time(localtime()))
        return True

    def _leave(self, how: str) -> None:
        write_index(self.jobs.loop.folder)
        ids = " ".join(one.job for one in self.jobs.submissions.open if one.job)
        say = console_say(self.console)
        say(f"{how}: the jobs go on without this command, which comes back to them when it is repeated")
        if ids:
            say(f"to end them: scancel {ids}")
