"""Until it is known: blocks are added while something is open and the budget has room; nothing is measured twice."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_session import FakeSession, fake_tools, make_cell, make_settings

from bench.config.questions import questions
from bench.errors import GuestError, PlanChangedError, StoreError
from bench.format.outcomes import NO_RATIO, NOT_WRITTEN
from bench.record.ledger import Entry
from bench.run.campaign import run_campaign
from bench.run.until import Question, Spent, Until, measuring_s, questions_of
from bench.system.exits import Exit

CELLS = (make_cell("256M"), make_cell("512M"))


def verdict(word: str, more: int | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "ram", "family": "primary", "word": word, "sentence": f"It is {word}.", "more_blocks": more} | fields


class Analysis:
    """Stands in for the analysis: RAM is decided once so many blocks are there."""

    def __init__(self, decided_after: int = 3) -> None:
        self.decided_after = decided_after
        self.looks: list[int] = []

    async def __call__(self, folder: Path) -> list[dict[str, Any]]:
        plan = json.loads((folder / "plan.json").read_text())
        self.looks.append(plan["looks"][-1])
        done = plan["repeats"]
        return [verdict("SUPPORTED") if done >= self.decided_after else verdict("INCONCLUSIVE", 3)]


def go(results: Path, session: FakeSession, ask: Any, cells: Any = CELLS, **more: Any) -> Exit:
    asked = {"repeats": None, "hypotheses": questions(cells), "by_size": True} | more
    settings = make_settings(results, **asked)
    return run_campaign(settings, cells, "python -m bench", replace(fake_tools(session), verdicts=ask))


def plan(results: Path) -> dict[str, Any]:
    return dict(json.loads((results / "c" / "plan.json").read_text()))


def test_blocks_are_added_until_all_is_decided_and_each_look_is_on_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session, ask = FakeSession(), Analysis(3)
    assert go(tmp_path, session, ask) == Exit.DONE
    assert [run.block for run in session.calls] == [0, 0, 1, 1, 2, 2]
    stored = plan(tmp_path)
    assert (stored["repeats"], stored["looks"], ask.looks) == (3, [1, 2, 3], [1, 2, 3])
    assert [run["run_id"] for run in stored["runs"]] == [run.run_id for run in session.calls]
    shown = capsys.readouterr().out
    assert "asks: ram: The pause grows with RAM?" in shown
    assert "block 1: ram needs about 3 more" in shown
    assert "block 3: ram decided" in shown
    assert "everything declared is decided after 3 blocks" in shown


def test_repeating_the_command_measures_nothing_and_looks_at_nothing_new(tmp_path: Path) -> None:
    go(tmp_path, FakeSession(), Analysis(2))
    session, ask = FakeSession(), Analysis(2)
    assert go(tmp_path, session, ask) == Exit.DONE
    assert (session.calls, plan(tmp_path)["looks"]) == ([], [1, 2])


def test_who_measures_failed_runs_again_looks_again_at_the_same_blocks(tmp_path: Path) -> None:
    def fail() -> None:
        raise GuestError("no ready line")

    whole, auto, stopped = (tmp_path / name for name in ("whole", "auto", "stopped"))
    for results in (whole, stopped):
        assert go(results, FakeSession({1: fail}), Analysis(), repeats=2) == Exit.RUNS_FAILED
        assert go(results, FakeSession({1: fail}), Analysis(), repeats=2) == Exit.RUNS_FAILED
        assert plan(results)["looks"] == [2]  # it failed again: nothing else was looked at
    assert go(whole, again := FakeSession(), Analysis(), repeats=2) == Exit.DONE
    assert (len(again.calls), plan(whole)["looks"]) == (1, [2, 2])
    assert go(whole, FakeSession(), Analysis(), repeats=2) == Exit.DONE
    assert plan(whole)["looks"] == [2, 2]
    assert go(stopped, FakeSession(), Analysis(), repeats=2, report=False) == Exit.DONE
    assert plan(stopped)["looks"] == [2, 2]  # whoever has the report built looks again
    assert go(auto, FakeSession({3: fail}), Analysis(2)) == Exit.RUNS_FAILED
    assert plan(auto)["looks"] == [1, 2]
    assert go(auto, FakeSession(), Analysis(2)) == Exit.DONE
    assert plan(auto)["looks"] == [1, 2, 2]


def test_a_further_look_is_on_record_also_where_the_command_that_measured_for_it_broke_off(tmp_path: Path) -> None:
    def fail() -> None:
        raise GuestError("no ready line")

    def break_off() -> None:
        raise RuntimeError("a mistake of ours")

    assert go(tmp_path, FakeSession({1: fail, 2: fail}), Analysis(), repeats=2) == Exit.RUNS_FAILED
    assert plan(tmp_path)["looks"] == [2]
    with pytest.raises(RuntimeError, match="a mistake"):
        go(tmp_path, FakeSession({2: break_off}), Analysis(), repeats=2)
    assert go(tmp_path, again := FakeSession({1: fail}), Analysis(), repeats=2) == Exit.RUNS_FAILED
    assert len(again.calls) == 1  # of what its verdict tells, the command before has measured a part
    assert plan(tmp_path)["looks"] == [2, 2]


def test_a_fixed_number_of_blocks_is_exactly_that_and_more_of_them_continue(tmp_path: Path) -> None:
    never = Analysis(99)
    go(tmp_path, first := FakeSession(), never, repeats=1)
    assert (len(first.calls), plan(tmp_path)["looks"], never.looks) == (2, [1], [])
    go(tmp_path, then := FakeSession(), never, repeats=4)
    assert [run.block for run in then.calls] == [1, 1, 2, 2, 3, 3]
    assert plan(tmp_path)["looks"] == [1, 4]
    go(tmp_path, fewer := FakeSession(), never, repeats=2)
    assert (fewer.calls, plan(tmp_path)["repeats"]) == ([], 4)
    at_once = tmp_path / "at-once"
    go(at_once, whole := FakeSession(), never, repeats=4)
    assert [run.run_id for run in whole.calls] == [run.run_id for run in (*first.calls, *then.calls)]


def test_a_look_is_on_record_also_where_the_ledger_was_lost(tmp_path: Path) -> None:
    go(tmp_path, FakeSession(), Analysis(99), repeats=2, report=False)
    assert "looks" not in plan(tmp_path)
    (tmp_path / "c" / "ledger.jsonl").unlink()
    go(tmp_path, again := FakeSession(), Analysis(99), repeats=2)
    assert (again.calls, plan(tmp_path)["looks"]) == ([], [2])


@pytest.mark.parametrize("lost", [("plan.json",), ("plan.json", "ledger.jsonl")])
def test_auto_comes_to_where_it_was_when_its_plan_was_moved_away(tmp_path: Path, lost: tuple[str, ...]) -> None:
    go(tmp_path, first := FakeSession(), Analysis(99), max_blocks=3)
    for name in lost:
        (tmp_path / "c" / name).rename(tmp_path / name)
    assert go(tmp_path, then := FakeSession(), Analysis(4)) == Exit.DONE
    assert (len(first.calls), [run.block for run in then.calls]) == (6, [3, 3])
    assert plan(tmp_path)["looks"] == [1, 2, 3, 4]


def test_auto_goes_on_where_the_ledger_was_lost_that_told_what_blocks_take(tmp_path: Path) -> None:
    go(tmp_path, FakeSession(), Analysis(99), max_blocks=2)
    (tmp_path / "c" / "ledger.jsonl").unlink()
    go(tmp_path, then := FakeSession(), Analysis(3), max_blocks=4)
    assert [run.block for run in then.calls] == [2, 2]


def test_auto_goes_on_where_a_fixed_number_ended(tmp_path: Path) -> None:
    go(tmp_path, FakeSession(), Analysis(99), repeats=2)
    session = FakeSession()
    assert go(tmp_path, session, Analysis(3)) == Exit.DONE
    assert [run.block for run in session.calls] == [2, 2]
    assert plan(tmp_path)["looks"] == [2, 3]


def test_the_largest_number_of_blocks_ends_it_and_a_larger_one_continues(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go(tmp_path, first := FakeSession(), Analysis(99), max_blocks=2)
    assert "max_blocks=2 is reached" in capsys.readouterr().out
    go(tmp_path, then := FakeSession(), Analysis(3), max_blocks=4)
    assert ([run.block for run in first.calls], [run.block for run in then.calls]) == ([0, 0, 1, 1], [2, 2])


def test_the_budget_ends_it_and_a_larger_one_continues(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = itertools.count(1000.0, 30.0)  # every entry of the ledger is half a minute after the one before
    monkeypatch.setattr("bench.record.ledger.time.time", lambda: next(times))
    monkeypatch.setattr("bench.record.ledger.Ledger.__init__.__defaults__", (lambda: next(times),))
    go(tmp_path, first := FakeSession(), Analysis(99), budget=150)
    assert [run.block for run in first.calls] == [0, 0, 1, 1]  # a block takes a minute; a third would not fit
    assert "another block would not fit into budget=2 min 30 s" in capsys.readouterr().out
    go(tmp_path, then := FakeSession(), Analysis(99), budget=190)
    assert [run.block for run in then.calls] == [2, 2]


def test_an_interrupted_one_keeps_all_says_what_is_decided_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(5)

    assert go(tmp_path, FakeSession({4: interrupt}), Analysis(3)) == Exit.INTERRUPTED
    shown = capsys.readouterr().out
    assert "interrupted after 3 of 4 runs; the same command continues" in shown
    assert "decided so far, after 1 block:\n  ram: It is INCONCLUSIVE." in shown
    assert go(tmp_path, then := FakeSession(), Analysis(3)) == Exit.DONE
    assert [run.block for run in then.calls] == [1, 2, 2]


def test_another_size_is_another_plan(tmp_path: Path) -> None:
    go(tmp_path, FakeSession(), Analysis(2))
    larger = (*CELLS, make_cell("1G"))
    with pytest.raises(PlanChangedError, match="measured in the same blocks") as refusal:
        go(tmp_path, FakeSession(), Analysis(2), cells=larger)
    assert refusal.value.evidence == ("mem: 256 MiB, 512 MiB -> 256 MiB, 512 MiB, 1 GiB",)
    session = FakeSession()
    assert go(tmp_path, session, Analysis(2), cells=larger, campaign=None) == Exit.DONE  # without a name: its own
    assert len(session.calls) == 6


def test_what_was_declared_stands_where_nobody_asked_for_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go(tmp_path, FakeSession(), Analysis(2), repeats=1, hypotheses=(), by_size=False)  # as before there were any
    go(tmp_path, FakeSession(), Analysis(2), repeats=2)
    assert plan(tmp_path)["hypotheses"] == []
    assert "the hypotheses are not those" not in capsys.readouterr().out


def test_a_block_of_failures_is_the_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise GuestError("no ready line")

    session = FakeSession(dict.fromkeys(range(3, 9), fail))
    assert go(tmp_path, session, Analysis(99)) == Exit.RUNS_FAILED
    assert len(session.calls) == 4
    assert "no run of block 2 was measured" in capsys.readouterr().out


def test_verdicts_that_cannot_be_had_do_not_end_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def broken(_: Path) -> list[dict[str, Any]]:
        raise StoreError("no verdicts: a disk is full")

    assert go(tmp_path, FakeSession(), broken, max_blocks=2) == Exit.DONE
    said = capsys.readouterr().out
    assert "what is decided so far is not known: no verdicts: a disk is full" in said
    assert "nothing was declared" not in said


def test_without_anything_declared_auto_is_one_block(tmp_path: Path) -> None:
    session = FakeSession()
    assert go(tmp_path, session, Analysis(99), cells=CELLS[:1]) == Exit.DONE
    assert len(session.calls) == 1


@pytest.mark.parametrize(
    ("needs", "spent", "why"),
    [
        ([3.0], Spent(6, 360), ""),
        ([200.0], Spent(5, 300), ""),  # too few blocks to give up on
        ([200.0], Spent(6, 360), "needs more"),
        ([200.0, 3.0], Spent(6, 360), ""),
        ([200.0, None], Spent(6, 360), ""),  # nobody can tell
        ([3.0], Spent(24, 1440), "max_blocks=24 is reached"),
        ([3.0], Spent(6, 3570), "would not fit"),
        ([3.0], Spent(6, 0), ""),  # what it took went with the ledger
        ([], Spent(6, 360), ""),  # nothing is known of what is declared
    ],
)
def test_when_it_ends(needs: list[float | None], spent: Spent, why: str) -> None:
    until = Until(3600, 24, Analysis())
    until.questions = tuple(Question(f"q{n}", "", decided=False, more_blocks=more) for n, more in enumerate(needs))
    stop = until.stop(spent)
    assert why in stop
    assert bool(stop) == bool(why)


@pytest.mark.parametrize("label", [NOT_WRITTEN, f"3 of 6 runs are 0, {NO_RATIO}", f"yes or no, {NO_RATIO}: so"])
def test_what_no_number_of_blocks_decides_is_given_up_at_once(label: str) -> None:
    until = Until(3600, 24, Analysis())
    slow = {"label": label, "more_blocks": "inf"}
    until.questions = questions_of(
        [verdict("REFUTED", id="ram_alone"), verdict("INCONCLUSIVE", id="ram_pages", **slow)]
    )
    assert until.stop(Spent(1, 60)) == f"no number of blocks decides ram_pages: {label}"
    assert until.standing(Spent(1, 60)) == f"block 1: ram_alone decided; ram_pages is open: {label}"
    until.questions = (*until.questions, Question("total", "", decided=False, more_blocks=None, label=NOT_WRITTEN))
    assert until.stop(Spent(1, 60)).endswith(f"total: {NOT_WRITTEN}")
    until.questions = (*until.questions, Question("vcpus", "", decided=False, more_blocks=None))
    assert until.stop(Spent(1, 60)) == ""


def test_a_secondary_question_that_is_open_is_not_called_decided(tmp_path: Path) -> None:
    async def told(_: Path) -> list[dict[str, Any]]:
        return [verdict("REFUTED", id="H1"), verdict("INCONCLUSIVE", id="S1", family="secondary")]

    until = Until(3600, 24, told)
    asyncio.run(until.look(tmp_path, 6))
    assert until.stop(Spent(6, 360)) == "every primary hypothesis is decided after 6 blocks"


def test_the_countdown_says_what_each_question_needs() -> None:
    until = Until(3600, 24, Analysis())
    until.questions = questions_of(
        [
            verdict("REFUTED", id="ram_alone"),
            verdict("INCONCLUSIVE", 3, id="vcpus"),
            verdict("INCONCLUSIVE", id="ram_pages"),
            verdict("INCONCLUSIVE", 9, id="s1", family="secondary"),
        ]
    )
    assert until.standing(Spent(4, 1440)) == (
        "block 4: ram_alone decided; vcpus needs about 3 more (18 min 0 s); ram_pages is open"
    )


def test_only_attempts_that_ended_by_themselves_are_measuring() -> None:
    entries = [
        Entry(0, "a", 0, "planned"),
        Entry(10, "a", 0, "started"),
        Entry(40, "a", 0, "measured"),
        Entry(50, "b", 0, "started"),
        Entry(9000, "b", 0, "failed", cause="interrupted"),
        Entry(9010, "b", 1, "started"),
        Entry(9020, "b", 1, "failed", cause="guest-panic"),
        Entry(9030, "b", 2, "started"),
    ]
    assert measuring_s(entries) == 40
