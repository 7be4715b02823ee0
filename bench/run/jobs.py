"""The jobs of a campaign: which blocks are submitted, which of them are over, and what becomes of what they left."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.cluster import slurm
from bench.cluster.parts import SCRIPT, Order, block_of, parts_folder, starts
from bench.cluster.script import TEXT, Job
from bench.cluster.standing import Running, Standing, ending
from bench.errors import HostError, StoreError
from bench.format.folder import PLAN, CampaignFolder
from bench.plan.estimate import estimate
from bench.plan.plan import plan_json
from bench.record.ledger import read_entries
from bench.run.cluster_checks import Wanted, require_cluster
from bench.run.merge import merge_part
from bench.system.documents import parse_json
from bench.system.files import told, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from bench.cluster.parts import Ended, Start
    from bench.cluster.slurm import Seen
    from bench.cluster.submissions import Submission, Submissions
    from bench.config.hypotheses import Hypothesis
    from bench.config.load import Settings
    from bench.config.model import Cell
    from bench.plan.plan import PlannedRun
    from bench.run.loop import Loop

    Say = Callable[[str], None]

_GONE = slurm.Seen("")
_MOST_TRIES = 3
"""So often one command submits what is left of a block whose jobs die or run into their limit."""


@dataclass
class Jobs:
    """The jobs of one campaign, whose folder this process holds.

    Attributes:
        loop: knows what is measured; it measures nothing here.
        settings: as asked for.
        cells: the configurations as they were typed.
        hypotheses: as they were declared.
        command: that asked for it.
        submissions: our own list of them.
        failed: whether a run has failed for good under this command.
    """

    loop: Loop
    settings: Settings
    cells: tuple[Cell, ...]
    hypotheses: tuple[Hypothesis, ...]
    command: str
    submissions: Submissions
    failed: bool = False
    _given_up: set[int] = field(default_factory=set, init=False)
    _tries: Counter[int] = field(default_factory=Counter, init=False)
    _seen: dict[str, Seen] = field(default_factory=dict, init=False)
    _tried: bool = field(default=False, init=False)
    _seconds: dict[str, float] = field(default_factory=dict, init=False)

    @property
    def parts(self) -> str:
        """The folder that new parts are written to by the nodes, from the campaign's on where it lies in there."""
        return parts_folder(self.loop.folder, self.settings.launcher.workdir)

    def home(self, one: Submission) -> Path:
        """Return the folder of a submission's part."""
        return self.loop.folder / one.parts / one.part

    def __post_init__(self) -> None:
        self._seconds = {one.cell_id: estimate(one.cell).seconds for one in self.loop.plan.cells}

    def afresh(self) -> None:
        """Forget what earlier commands gave up: this one tries again."""
        self._given_up.clear()
        self.failed = False

    def seconds(self, run: PlannedRun) -> float:
        """Return the estimate of a run."""
        return self._seconds[run.cell_id]

    def blocks(self) -> dict[int, list[PlannedRun]]:
        """Return the runs that are left to be measured, by block."""
        left: dict[int, list[PlannedRun]] = {}
        for run in self.loop.remaining():
            left.setdefault(run.block, []).append(run)
        return left

    def collect(self, say: Say) -> None:
        """Merge what the jobs that are over have left, and put on record that they are."""
        try:
            self._seen = slurm.look() if self.submissions.open else {}
            known = True
        except slurm.UnreachableError as error:
            say(f"{error.message}: trying again")
            known = False
        for one in self.submissions.open:
            found = self._adopted(one) if known else one
            if found is None:
                self.submissions.over(one, "it was never submitted")
                continue
            part = self.home(one)
            ended = _last_word(starts(part))
            if (known and self._seen.get(found.job, _GONE).over) or (ended and ended.whole):
                self._merge(found, self._seen.get(found.job, _GONE), say)

    def _adopted(self, one: Submission) -> Submission | None:
        """Return a submission with its job's id, which a kill may have kept from us; None where there is no job."""
        if one.state == "submitted":
            return one
        comment = self._comment(one)
        job = next((job for job, seen in self._seen.items() if seen.comment == comment), "")
        begun = next((start.begun for start in starts(self.home(one)) if start.begun), None)
        job = job or (begun.job if begun else "")
        return self.submissions.submitted(one, job) if job else None

    def _merge(self, one: Submission, seen: Seen, say: Say) -> None:
        part, attempts = self.home(one), self.loop.ledger.attempts
        asked = _asked(part)
        mine = [run for run in self.loop.plan.runs if run.run_id in asked]
        before = {run.run_id: attempts(run.run_id) for run in mine}
        twice = merge_part(self.loop.folder, self.loop.ledger, part)
        self.loop.recover(mine)
        left = [run for run in mine if not self.loop.done(run.run_id)]
        if any(attempts(run.run_id) > before[run.run_id] for run in mine if run not in left):
            self.loop.renew()
        begun = starts(part)
        ended = _last_word(begun)
        where = ", ".join(dict.fromkeys(node for start in begun if start.begun for node in start.begun.nodes))
        message = ended.message if ended else ""
        why = ending(seen.state, seen.reason, where, len(mine) - len(left), len(mine), message)
        self.submissions.over(one, why)
        say(f"block {one.block + 1}: job {one.job} {why}")
        if twice:
            say(f"  {twice} runs were measured twice, as two starts of it ran at once: those in {part} are left")
        if message:
            say(message)
        elif left and not begun:
            say(
                f"  its log, where a node could write one: {part}/slurm-{one.job}.log (do the nodes share that folder?)"
            )
        tried = [run for run in left if attempts(run.run_id) > before[run.run_id]]
        self._decide(one.block, left, tried, seen, ended)

    def _decide(
        self, block: int, left: Sequence[PlannedRun], tried: Sequence[PlannedRun], seen: Seen, ended: Ended | None
    ) -> None:
        """Note whether this command submits the rest of a block again: what failed before its job says nothing."""
        if not left:
            return
        states = [self.loop.ledger.last(run.run_id) for run in tried]
        failed = [one for one in states if one and one.state == "failed" and one.cause != "interrupted"]
        self.failed = self.failed or bool(failed)
        refused = ended is not None and bool(ended.message) and not ended.transient
        stopped = seen.cancelled or (ended is not None and ended.whole)
        if refused or stopped or len(failed) == len(left) or self._tries[block] >= _MOST_TRIES:
            self._given_up.add(block)

    def submit(self, say: Say) -> None:
        """Submit every block that is left, has no job, and was not given up by this command.

        Raises:
            HostError: Slurm would never start such a job, or refuses it.
            ConfigError: a block would not end in its time.
        """
        if self.failed and self.settings.on_error.stop:
            return
        open_ = {one.block for one in self.submissions.open}
        wanted = {
            block: runs for block, runs in self.blocks().items() if block not in open_ and block not in self._given_up
        }
        if not wanted:
            return
        limit = self._limit(wanted.values(), say)
        for block, runs in wanted.items():
            one = self.submissions.ask(block, self.parts)
            try:
                self._submit(one, runs, limit, say)
            except BaseException as error:
                if isinstance(error, HostError) and not isinstance(error, slurm.UnreachableError):
                    self.submissions.over(one, error.message)
                raise
            self._tries[block] += 1

    def _limit(self, blocks: Iterable[Sequence[PlannedRun]], say: Say) -> float:
        """Return the time of a job, once the cluster is known to have what jobs ask for."""
        block_s = max(sum(map(self.seconds, runs)) for runs in blocks)
        wanted = Wanted(self.settings.launcher, block_s, self.loop.folder / self.parts)
        for one in require_cluster(wanted):
            if not self._tried:
                say(f"warning: {one.name}: {one.text}; fix: {one.fix}")
        return wanted.limit_s

    def _submit(self, one: Submission, runs: Sequence[PlannedRun], limit: float, say: Say) -> None:
        part = self.home(one)
        self._write_part(part, one, runs, limit)
        job = Job(
            part, self._name(), self._comment(one), limit, self.settings.launcher.jobs is not None, self._nodes(one)
        )
        if not self._tried:
            why = slurm.never_starts(job, self.settings.launcher)
            if why:
                raise HostError(f"Slurm would never start these jobs: {why}", cause="job-never-starts")
            self._tried = True
        submitted = self.submissions.submitted(one, slurm.submit(job, self.settings.launcher))
        on = f" on {','.join(job.on)}, where the rest of it was measured" if job.on else ""
        say(f"block {one.block + 1}: {len(runs)} runs, submitted as job {submitted.job}{on}")

    def _write_part(self, part: Path, one: Submission, runs: Sequence[PlannedRun], limit: float) -> None:
        settings, plan = self.settings, self.loop.plan
        wanted = [run.run_id for run in runs]
        on_error = settings.on_error
        retries = f"retry:{on_error.retries}" if on_error.retries else "continue"
        order = Order(
            campaign=plan.campaign,
            block=one.block,
            number=one.number,
            command=self.command,
            results=os.fspath(settings.results),
            limit_s=limit,
            nodes=settings.launcher.nodes,
            on_error="stop" if on_error.stop else retries,
            watch=settings.watch,
            cells=self.cells,
            hypotheses=self.hypotheses,
            known=tuple(self._known(wanted)),
        )
        with told(part):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(part / PLAN, plan_json(block_of(plan, one.block, wanted)))
        write_atomic(part / "order.json", order.to_json())
        write_atomic(part / SCRIPT, TEXT)

    def _known(self, run_ids: Sequence[str]) -> Iterator[str]:
        """Yield the ledger's lines on earlier attempts at some runs, so that the next one is counted on."""
        tried = {run_id for run_id in run_ids if self.loop.ledger.attempts(run_id)}
        if tried:
            entries, _ = read_entries(CampaignFolder(self.loop.folder).ledger)
            yield from (one.line() for one in entries if one.run_id in tried)

    def _nodes(self, one: Submission) -> tuple[str, ...]:
        """Return the nodes that a part of this block was measured on, where they are up: a block is one place."""
        if not one.number:
            return ()
        measured = any(run.block == one.block and self.loop.done(run.run_id) for run in self.loop.plan.runs)
        for earlier in reversed(self.submissions.of(one.block) if measured else []):
            for start in reversed(starts(self.home(earlier))):
                nodes = start.begun.nodes if start.begun else ()
                if len(nodes) == self.settings.launcher.nodes and slurm.is_usable(",".join(nodes)):
                    return nodes
        return ()

    def _tag(self) -> str:
        return hashlib.sha256(os.fsencode(self.loop.folder)).hexdigest()[:8]

    def _name(self) -> str:
        """Return the name of the next job; where so many at once are asked for, one of each name runs."""
        lanes = self.settings.launcher.jobs
        base = f"colo-bench-{self._tag()}"
        if lanes is None:
            return base
        taken = Counter(one.block % lanes for one in self.submissions.open)
        return f"{base}-{min(range(lanes), key=lambda lane: (taken[lane], lane))}"

    def _comment(self, one: Submission) -> str:
        return f"colo-bench-{self._tag()}-{one.block}-{one.number}"

    def unsettled(self) -> bool:
        """Return whether Slurm has not yet said of a job that waits why it does."""
        try:
            self._seen = slurm.look() if self.submissions.open else {}
        except slurm.UnreachableError:
            return True
        mine = (self._seen.get(one.job) for one in self.submissions.open)
        return any(seen is not None and seen.waits and not seen.reason for seen in mine)

    def hopeless(self) -> dict[str, str]:
        """Return the jobs that wait for what will not come, each with the reason."""
        found = {one.job: self._seen.get(one.job, _GONE) for one in self.submissions.open}
        return {job: seen.reason for job, seen in found.items() if seen.hopeless}

    def withdraw(self, why: str) -> None:
        """Take every job that has not begun out of the queue again.

        One that has begun meanwhile goes on, and one that waits to be started again has left something: both stay open
        until what they leave is merged.
        """
        waiting = [one for one in self.submissions.open if self._seen.get(one.job, _GONE).waits]
        slurm.cancel_waiting([one.job for one in waiting])
        now = slurm.look() if waiting else {}
        for one in waiting:
            if now.get(one.job, _GONE).over and not starts(self.home(one)):
                self.submissions.over(one, why)

    def stop(self, say: Say) -> None:
        """Take what has not begun out of the queue, as ``on_error=stop`` asks."""
        before = len(self.submissions.open)
        self.withdraw("a run had failed, and on_error=stop")
        taken = before - len(self.submissions.open)
        if taken:
            say(f"a run has failed: {taken} jobs that had not begun are taken back, as on_error=stop asks")

    def standing(self) -> Standing:
        """Return where the blocks stand."""
        running, waiting = [], []
        left_s = sum(self.seconds(run) for run in self.loop.remaining())
        for one in self.submissions.open:
            seen = self._seen.get(one.job, _GONE)
            begun = [start for start in starts(self.home(one)) if start.begun]
            if seen.waits or not begun:
                waiting.append((one.block, seen.reason))
                continue
            asked = _asked(self.home(one))
            done = {run_id for start in begun for run_id in _measured(start) if run_id in asked}
            left_s -= sum(self.seconds(run) for run in self.loop.plan.runs if run.run_id in done)
            running.append(Running(one.block, seen.nodes, len(done), len(asked)))
        wanted = self.loop.plan.repeats if self.loop.wanted is None else self.loop.wanted
        done_blocks = wanted - len(self.blocks())
        return Standing(wanted, done_blocks, tuple(running), tuple(waiting), max(left_s, 0.0))


def _last_word(begun: Sequence[Start]) -> Ended | None:
    return begun[-1].ended if begun else None


def _asked(part: Path) -> frozenset[str]:
    """Return the runs of a part's plan."""
    try:
        return frozenset(run["run_id"] for run in parse_json((part / PLAN).read_bytes())["runs"])
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def _measured(start: Start) -> Iterator[str]:
    """Yield the runs that a start of a job has measured; nothing where the node that writes it lets nobody read."""
    with suppress(StoreError):
        yield from (one.run_id for one in read_entries(CampaignFolder(start.path).ledger)[0] if one.state == "measured")
