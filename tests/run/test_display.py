from __future__ import annotations

import io
from itertools import count
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from bench.plan.plan import PlannedRun
from bench.run.display import Display, LiveDisplay, Status, checkpoints, eta, make_display, position
from bench.scenario.progress import Progress
from bench.system.streams import make_console

RUN = PlannedRun("r" * 12, "demo", "c" * 8, "512 MiB · 1 vCPU · idle · tcp", block=1, order=8)


def status() -> Status:
    return Status("demo", runs=16, blocks=2, finished=8).begin(RUN, "emulation (TCG)", remaining_s=120, now=1000)


def plain(text: io.StringIO) -> Display:
    ticks = count(1000)
    console = Console(file=text, width=200, highlight=False)
    return Display(console, Status("demo", 16, 2, finished=8), clock=lambda: float(next(ticks)))


def test_the_position_names_run_block_cell_and_how_the_pair_runs() -> None:
    assert position(status()) == "[ 9/16] block 2/2 · 512 MiB · 1 vCPU · idle · tcp · emulation (TCG)"


def test_checkpoints_and_pause_so_far() -> None:
    news = status().advance(Progress("measure", 1, 12, 0.040)).advance(Progress("measure", 2, 12, 0.060))
    assert checkpoints(news) == "2/12 checkpoints, pause 60.0 ms, median so far 50.0 ms"
    assert checkpoints(status()) == ""


def test_a_new_run_forgets_the_pauses_of_the_last_one() -> None:
    over = status().advance(Progress("measure", 1, 12, 0.040)).end(failed=True)
    again = over.begin(RUN, "emulation (TCG)", 60, 1100)
    assert (again.finished, again.failed, again.pauses_s, again.done) == (9, 1, (), 0)


def test_the_time_to_go_counts_down_and_never_below_nothing() -> None:
    assert eta(status(), now=1030) == "about 1 min 30 s to go"
    assert eta(status(), now=9999) == "about 0 s to go"


def test_plain_lines_come_once_per_stage_and_at_the_end() -> None:
    text = io.StringIO()
    with plain(text) as display:
        display.begin(RUN, "emulation (TCG)", 120)
        display.progress(Progress("boot"))
        display.progress(Progress("measure", 1, 12, 0.040))
        display.progress(Progress("measure", 2, 12, 0.060))
        display.end("measured", failed=False)
    lines = text.getvalue().splitlines()
    where = "[ 9/16] block 2/2 · 512 MiB · 1 vCPU · idle · tcp · emulation (TCG)"
    assert lines == [
        f"{where}: boot (about 1 min 59 s to go)",
        f"{where}: measure (about 1 min 58 s to go)",
        f"{where}: measured after 3 s, 2/12 checkpoints, pause 60.0 ms, median so far 50.0 ms",
    ]


def test_notes_are_printed_as_they_are() -> None:
    text = io.StringIO()
    with plain(text) as display:
        display.begin(RUN, "emulation (TCG)", 120)
        display.progress(Progress("launch", note="primary: images [here]"))
    assert "primary: images [here]" in text.getvalue()


def test_the_live_display_shows_where_it_stands_and_keeps_one_line_per_run() -> None:
    text = io.StringIO()
    console = Console(file=text, width=160, force_terminal=True, highlight=False, color_system=None)
    plan: Any = SimpleNamespace(campaign="demo", runs=[RUN] * 16, repeats=2)
    display = make_display(console, plan, finished=8)
    assert isinstance(display, LiveDisplay)
    with display:
        display.begin(RUN, "emulation (TCG)", 120)
        display.progress(Progress("measure", 3, 12, 0.040))
        display.end("measured", failed=False)
    shown = text.getvalue()
    assert "8/16 runs" in shown
    assert "[ 9/16] block 2/2 · 512 MiB · 1 vCPU · idle · tcp · emulation (TCG): measured" in shown


def test_without_a_terminal_lines_are_plain_and_not_cut() -> None:
    console = make_console()
    plan: Any = SimpleNamespace(campaign="demo", runs=[], repeats=1)
    assert type(make_display(console, plan, 0)) is Display
