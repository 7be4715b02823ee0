"""What a person sees while a campaign runs: a live display on a terminal, plain lines anywhere else."""

from __future__ import annotations

import statistics
import time
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.plan.estimate import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from rich.console import Console

    from bench.plan.plan import Plan, PlannedRun
    from bench.scenario.progress import Progress

_REFRESHES_PER_SECOND = 2  # more would be load on the machine that is being measured


@dataclass(frozen=True)
class Status:
    """Where a campaign stands.

    Attributes:
        campaign: its name.
        runs: how many the plan holds.
        blocks: how many the plan holds.
        finished: how many runs are over, failed ones included.
        failed: how many of them failed.
        run: the run under way.
        accel: how its pair runs, for a person.
        stage: where in its life it is.
        done: its checkpoints that have ended.
        total: its checkpoints wanted.
        pauses_s: its pauses so far.
        remaining_s: the estimate of what is still to go when this run began.
        began: when it began, on the display's clock.
        grows: whether further blocks may follow: then what is to go is that of the block under way.
        orders: the places of these runs in the campaign, where they are only some of its runs.
    """

    campaign: str
    runs: int
    blocks: int
    finished: int = 0
    failed: int = 0
    run: PlannedRun | None = None
    accel: str = ""
    stage: str = ""
    done: int = 0
    total: int = 0
    pauses_s: tuple[float, ...] = ()
    remaining_s: float = 0.0
    began: float = 0.0
    grows: bool = False
    orders: tuple[int, ...] = ()

    def begin(self, run: PlannedRun, accel: str, remaining_s: float, now: float) -> Status:
        """Return the status when a run begins; ``accel`` is how its pair runs, for a person."""
        counts = (self.campaign, self.runs, self.blocks, self.finished, self.failed)
        fresh = Status(*counts, grows=self.grows, orders=self.orders)
        return replace(fresh, run=run, accel=accel, remaining_s=remaining_s, began=now)

    def advance(self, news: Progress) -> Status:
        """Return the status after news of the run under way."""
        pauses = self.pauses_s if news.pause_s is None else (*self.pauses_s, news.pause_s)
        done, total = (news.done, news.total) if news.total else (self.done, self.total)
        return replace(self, stage=news.stage, done=done, total=total, pauses_s=pauses)

    def end(self, *, failed: bool) -> Status:
        """Return the status after the run under way is over."""
        return replace(self, finished=self.finished + 1, failed=self.failed + failed, run=None, stage="")


def position(status: Status) -> str:
    """Return which run of how many: ``[ 3/16] block 1/2 · 512 MiB · 1 vCPU · idle · tcp · emulation (TCG)``."""
    if status.run is None:
        return f"[{status.finished}/{status.runs}]"
    place = bisect_left(status.orders, status.run.order) if status.orders else status.run.order
    number = f"{place + 1:>{len(str(status.runs))}}"
    again = f" · attempt {status.run.attempt + 1}" if status.run.attempt else ""
    block = f"block {status.run.block + 1}" + ("" if status.grows else f"/{status.blocks}")
    return f"[{number}/{status.runs}] {block} · {status.run.label} · {status.accel}{again}"


def checkpoints(status: Status) -> str:
    """Return the checkpoints and the pause so far, or nothing before the first one."""
    if not status.pauses_s:
        return ""
    last, median = status.pauses_s[-1] * 1000, statistics.median(status.pauses_s) * 1000
    return f"{status.done}/{status.total} checkpoints, pause {last:.1f} ms, median so far {median:.1f} ms"


def eta(status: Status, now: float) -> str:
    """Return what is still to go."""
    left = f"about {duration_text(max(status.remaining_s - (now - status.began), 0))} to go"
    return f"{left} in this block" if status.grows else left


class Display:
    """One line for each stage and each run that ends, at once: for logs and pipes."""

    def __init__(self, console: Console, status: Status, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.status = status
        self.clock = clock

    def __enter__(self) -> Self:
        """Start showing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop showing."""

    def lengthen(self, plan: Plan) -> None:
        """Take note of a plan that has become longer."""
        self.status = replace(self.status, runs=len(plan.runs), blocks=plan.repeats)

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(Text(text), soft_wrap=True)
        self.console.file.flush()

    def begin(self, run: PlannedRun, accel: str, remaining_s: float) -> None:
        """Take note of a new run."""
        self.status = self.status.begin(run, accel, remaining_s, self.clock())

    def progress(self, news: Progress) -> None:
        """Print the stage when it is a new one."""
        changed = news.stage != self.status.stage
        self.status = self.status.advance(news)
        if changed:
            self.say(f"{position(self.status)}: {news.stage} ({eta(self.status, self.clock())})")
        if news.note:
            self.say(news.note)

    def end(self, verdict: str, *, failed: bool) -> None:
        """Print how the run ended."""
        seconds = self.clock() - self.status.began
        so_far = f", {said}" if (said := checkpoints(self.status)) else ""
        self.say(f"{position(self.status)}: {verdict} after {duration_text(seconds)}{so_far}")
        self.status = self.status.end(failed=failed)


class LiveDisplay(Display):
    """A few lines that change in place, and above them one line for each run that ended."""

    def __enter__(self) -> Self:
        """Start showing."""
        self._live = Live(
            get_renderable=self._render,
            console=self.console,
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
        )
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop showing."""
        self._live.stop()

    def progress(self, news: Progress) -> None:
        """Show the news where the last news stood."""
        self.status = self.status.advance(news)
        if news.note:
            self.say(news.note)

    def _render(self) -> Group:
        status = self.status
        failed = f", {status.failed} failed" if status.failed else ""
        overall = Table.grid(padding=(0, 1))
        overall.add_row(
            Text(status.campaign, style="bold"),
            ProgressBar(total=status.runs, completed=status.finished, width=40),
            f"{status.finished}/{status.runs} runs{failed}",
            eta(status, self.clock()),
        )
        if status.run is None:
            return Group(overall)
        return Group(overall, Text(position(status)), Text(f"  {status.stage}  {checkpoints(status)}", style="cyan"))


def make_display(console: Console, plan: Plan, finished: int, *, grows: bool = False) -> Display:
    """Return the live display on a terminal, plain lines elsewhere."""
    orders = tuple(run.order for run in plan.runs)
    orders = orders if orders and orders[-1] >= len(orders) else ()  # of a whole plan, a run's place is its order
    status = Status(plan.campaign, len(plan.runs), plan.repeats, finished, grows=grows, orders=orders)
    return (LiveDisplay if console.is_terminal else Display)(console, status)
