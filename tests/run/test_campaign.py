"""The loop over the runs, with a fake session in the place of real pairs."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fake_session import CELLS, GIB, FakeSession, fail, fake_tools, go, make_settings
from rich.console import Console

from bench.config.hypotheses import Hypothesis
from bench.errors import GuestError, HostError, LaunchError, StoreError, WorkloadError
from bench.failures.catalogue import CATALOGUE
from bench.record.ledger import Ledger
from bench.run.campaign import campaign_name
from bench.run.report import write_report
from bench.run.tools import Tools
from bench.system.exits import Exit


def ledger(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (results / "c" / "ledger.jsonl").read_text().splitlines()]


def states(results: Path) -> list[str]:
    return [entry["state"] for entry in ledger(results)]


def test_every_run_of_the_plan_is_measured_once_in_its_order(tmp_path: Path) -> None:
    session = FakeSession()
    assert go(tmp_path, session) == Exit.DONE
    plan = json.loads((tmp_path / "c" / "plan.json").read_text())
    assert [run["run_id"] for run in plan["runs"]] == [run.run_id for run in session.calls]
    assert states(tmp_path) == ["planned"] * 4 + ["started", "measured"] * 4


def test_the_plan_is_on_disk_before_the_first_boot(tmp_path: Path) -> None:
    seen: list[bool] = []
    session = FakeSession({1: lambda: seen.append((tmp_path / "c" / "plan.json").exists())})
    go(tmp_path, session)
    assert seen == [True]


def test_the_index_has_a_row_for_every_run(tmp_path: Path) -> None:
    go(tmp_path, FakeSession())
    with (tmp_path / "c" / "index.csv").open() as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["measured"] * 4


def test_run_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    session = FakeSession()
    go(tmp_path, session)
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "c" / "runs").iterdir()} == {"0o700"}


def test_the_end_shows_a_table_and_the_report_and_says_emulation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go(tmp_path, FakeSession())
    shown = capsys.readouterr().out
    assert "c: pauses of pairs under emulation (TCG)" in shown
    assert "512 MiB · 1 vCPU · idle · tcp" in shown
    assert "55.0" in shown
    assert shown.strip().endswith(f"report: {tmp_path / 'c'}/fake")


def test_no_report_is_built_when_none_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert go(tmp_path, FakeSession(), report=False) == Exit.DONE
    shown = capsys.readouterr().out
    assert "/fake" not in shown
    assert f"python -m analysis {tmp_path / 'c'}" in shown


def test_repeating_a_finished_campaign_measures_nothing(tmp_path: Path) -> None:
    go(tmp_path, FakeSession())
    session = FakeSession()
    assert go(tmp_path, session) == Exit.DONE
    assert session.calls == []


def test_a_stopped_campaign_continues_with_what_is_missing(tmp_path: Path) -> None:
    first = FakeSession({3: fail(GuestError("no ready line"))})
    assert go(tmp_path, first, on_error="stop") == Exit.RUNS_FAILED
    assert len(first.calls) == 3
    second = FakeSession()
    assert go(tmp_path, second) == Exit.DONE
    assert [run.run_id for run in second.calls] == [first.calls[2].run_id, second.calls[1].run_id]
    assert (second.calls[0].attempt, second.calls[1].attempt) == (1, 0)


def test_runs_that_fewer_repeats_do_not_ask_for_are_not_called_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go(tmp_path, FakeSession({2: fail(GuestError("no ready line"))}), repeats=4, on_error="stop")
    capsys.readouterr()
    session = FakeSession()
    assert go(tmp_path, session, repeats=2) == Exit.DONE
    assert len(session.calls) == 3
    assert "2 cells x 4 blocks = 8 runs, 1 of them measured already" in capsys.readouterr().out


def test_a_measured_run_whose_record_is_gone_is_measured_again(tmp_path: Path) -> None:
    first = FakeSession()
    go(tmp_path, first)
    (tmp_path / "c" / "runs" / first.calls[1].run_id / "run.json").unlink()
    second = FakeSession()
    go(tmp_path, second)
    assert [run.run_id for run in second.calls] == [first.calls[1].run_id]


@pytest.mark.parametrize("lost", ["all", "emptied", "older", "plan too"])
def test_what_the_ledger_has_lost_is_taken_from_the_records_and_nothing_measured_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lost: str
) -> None:
    first = FakeSession()
    go(tmp_path, first)
    path = tmp_path / "c" / "ledger.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:6]) if lost == "older" else "")
    if lost in ("all", "plan too"):
        path.unlink()
    if lost == "plan too":
        (tmp_path / "c" / "plan.json").unlink()
    again = FakeSession()
    assert go(tmp_path, again) == Exit.DONE
    assert again.calls == []
    measured = [entry["run_id"] for entry in ledger(tmp_path) if entry["state"] == "measured"]
    assert sorted(measured) == sorted(run.run_id for run in first.calls)
    assert "ledger.jsonl did not know of " in capsys.readouterr().out


def test_a_record_without_its_table_is_not_taken_for_a_run(tmp_path: Path) -> None:
    first = FakeSession()
    go(tmp_path, first)
    (tmp_path / "c" / "ledger.jsonl").unlink()
    (tmp_path / "c" / "runs" / first.calls[2].run_id / "checkpoints.parquet").unlink()
    again = FakeSession()
    assert go(tmp_path, again) == Exit.DONE
    assert [run.run_id for run in again.calls] == [first.calls[2].run_id]


def test_a_run_whose_record_was_lost_is_said_to_be_measured_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = FakeSession()
    go(tmp_path, first)
    run_id = first.calls[1].run_id
    (tmp_path / "c" / "runs" / run_id / "run.json").write_text("{")
    go(tmp_path, FakeSession())
    assert f"run {run_id} is measured again: its record is damaged or gone" in capsys.readouterr().out
    assert (tmp_path / "c" / "failed" / f"{run_id}-0" / "run.json").read_text() == "{"


def test_what_a_killed_run_left_is_removed_before_it_is_repeated(tmp_path: Path) -> None:
    first = FakeSession()
    go(tmp_path, first)
    path = tmp_path / "c" / "ledger.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:20])
    (tmp_path / "c" / "runs" / first.calls[3].run_id / "run.json").unlink()
    second = FakeSession()  # asserts that its folder is empty
    assert go(tmp_path, second) == Exit.DONE
    assert [run.run_id for run in second.calls] == [first.calls[3].run_id]


def test_a_run_that_was_killed_after_its_record_is_not_measured_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = FakeSession()
    go(tmp_path, first)
    path = tmp_path / "c" / "ledger.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))  # without the last "measured"
    last = first.calls[-1].run_id
    kept = tmp_path / "c" / "runs" / last
    (kept / "client.jsonl").write_text("")
    second = FakeSession()
    assert go(tmp_path, second) == Exit.DONE
    assert second.calls == []
    assert (ledger(tmp_path)[-1]["run_id"], ledger(tmp_path)[-1]["state"]) == (last, "measured")
    assert not (kept / "client.jsonl").exists()
    assert f"run {last} had been measured when the campaign was killed" in capsys.readouterr().out


@pytest.mark.parametrize("record", ["", '{"schema_version": 1, "run_id": "another"}', '{"schema_version": 99}', "[]"])
def test_a_killed_run_without_a_whole_record_of_its_own_is_measured_again(tmp_path: Path, record: str) -> None:
    first = FakeSession()
    go(tmp_path, first)
    path = tmp_path / "c" / "ledger.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    last = first.calls[-1].run_id
    (tmp_path / "c" / "runs" / last / "run.json").write_text(record)
    second = FakeSession()
    assert go(tmp_path, second) == Exit.DONE
    assert [run.run_id for run in second.calls] == [last]
    assert (tmp_path / "c" / "failed" / f"{last}-0" / "run.json").read_text() == record


def test_memory_is_asked_for_the_runs_that_are_left_also_where_only_a_record_is_gone(tmp_path: Path) -> None:
    first = FakeSession()
    go(tmp_path, first)
    (tmp_path / "c" / "runs" / first.calls[0].run_id / "run.json").unlink()
    with pytest.raises(HostError, match="does not fit"):
        go(tmp_path, FakeSession(), tools=fake_tools(FakeSession(), available=1 << 20))


def test_a_failure_does_not_end_the_campaign_and_stays_on_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = FakeSession({2: fail(GuestError("no ready line in 180 s", hint="raise deadlines.boot"))})
    assert go(tmp_path, session) == Exit.RUNS_FAILED
    assert len(session.calls) == 4
    [failed] = [entry for entry in ledger(tmp_path) if entry["state"] == "failed"]
    assert (failed["phase"], failed["cause"], failed["attempt"]) == ("guest", "guest-not-ready", 0)
    kept = tmp_path / "c" / "failed" / f"{failed['run_id']}-0"
    assert (kept / "stderr.log").read_text() == "said\n"
    shown = capsys.readouterr().out
    assert "failed in guest" in shown
    assert "fix: raise deadlines.boot" in shown
    assert f"kept: {kept}" in shown


def test_the_logs_that_a_failure_names_are_where_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = FakeSession()

    def act() -> None:
        run = session.calls[-1]
        raise GuestError("no", logs=(tmp_path / "c" / "runs" / run.run_id / "stderr.log",))

    session.acts[1] = act
    go(tmp_path, session)
    [named] = [line.split("log: ")[1] for line in capsys.readouterr().out.splitlines() if "log: " in line]
    assert Path(named).read_text() == "said\n"


def test_a_transient_failure_is_tried_again_as_often_as_asked(tmp_path: Path) -> None:
    passing = fail(GuestError("slow", transient=True))
    session = FakeSession({1: passing, 2: passing})
    assert go(tmp_path, session, on_error="retry:2") == Exit.DONE
    assert [run.attempt for run in session.calls[:3]] == [0, 1, 2]
    assert states(tmp_path)[4:10] == ["started", "failed", "started", "failed", "started", "measured"]


def test_retries_end(tmp_path: Path) -> None:
    passing = fail(GuestError("slow", transient=True))
    session = FakeSession({1: passing, 2: passing})
    assert go(tmp_path, session, on_error="retry:1") == Exit.RUNS_FAILED
    assert len(session.calls) == 5


def test_a_failure_that_will_not_pass_is_not_tried_again(tmp_path: Path) -> None:
    session = FakeSession({1: fail(GuestError("panic", transient=False))})
    assert go(tmp_path, session, on_error="retry:5") == Exit.RUNS_FAILED
    assert len(session.calls) == 4


def test_only_causes_that_may_pass_are_tried_again(tmp_path: Path) -> None:
    hung = fail(LaunchError("hangs", cause="qemu-hung"))
    full = fail(StoreError("full", cause="disk-full"))
    session = FakeSession({1: hung, 2: hung, 3: full})
    assert go(tmp_path, session, on_error="retry:5") == Exit.RUNS_FAILED
    assert [run.attempt for run in session.calls] == [0, 1, 2, 0, 0, 0]
    failed = [(entry["attempt"], entry["cause"]) for entry in ledger(tmp_path) if entry["state"] == "failed"]
    assert failed == [(0, "qemu-hung"), (1, "qemu-hung"), (2, "disk-full")]


def test_without_retries_even_what_may_pass_is_tried_once_and_the_next_command_counts_on(tmp_path: Path) -> None:
    session = FakeSession({1: fail(LaunchError("hangs", cause="qemu-hung"))})
    assert go(tmp_path, session) == Exit.RUNS_FAILED
    assert len(session.calls) == 4
    again = FakeSession()
    assert go(tmp_path, again) == Exit.DONE
    assert [(run.run_id, run.attempt) for run in again.calls] == [(session.calls[0].run_id, 1)]


def test_stop_means_stop_also_where_a_retry_would_make_sense(tmp_path: Path) -> None:
    session = FakeSession({2: fail(LaunchError("hangs", cause="qemu-hung"))})
    assert go(tmp_path, session, on_error="stop") == Exit.RUNS_FAILED
    assert len(session.calls) == 2


def test_a_failed_attempt_stays_on_record_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    session = FakeSession()

    def act() -> None:
        home = tmp_path / "c" / "runs" / session.calls[-1].run_id
        evidence = ("state T: stopped", "x" * 9000)
        logs = (home / "stderr.log", Path("/var/log/kern.log"))
        raise LaunchError("the primary hangs", cause="qemu-hung", evidence=evidence, logs=logs)

    session.acts[1] = act
    assert go(tmp_path, session, on_error="retry:1") == Exit.DONE
    [failed] = [entry for entry in ledger(tmp_path) if entry["state"] == "failed"]
    first = session.calls[0].run_id
    assert (failed["run_id"], failed["attempt"], failed["message"]) == (first, 0, "the primary hangs")
    assert failed["hint"] == CATALOGUE["qemu-hung"].fix
    assert failed["evidence"] == ["state T: stopped", "x" * 500]
    assert failed["logs"] == [f"failed/{first}-0/stderr.log", "/var/log/kern.log"]
    assert (tmp_path / "c" / failed["logs"][0]).read_text() == "said\n"


@pytest.mark.parametrize("how", ["interrupted", "bug", "disk-full", "workload-died", "killed"])
def test_whatever_ends_an_attempt_its_line_names_the_fix_the_proof_and_the_logs(tmp_path: Path, how: str) -> None:
    def say() -> Path:
        home = tmp_path / "c" / "runs" / session.calls[0].run_id
        (home / "primary").mkdir()
        (home / "primary" / "stderr.log").write_text("one\nthe last \x1b[2Jword\n\n")
        (home / "qmp.jsonl").write_text('{"t":1,"side":"primary","command":"migrate","arguments":{}}\n')
        return home

    async def act() -> None:
        say()
        if how == "interrupted":
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)
        raise {
            "bug": ZeroDivisionError("oops"),
            "disk-full": OSError(28, "No space left on device"),
            "workload-died": WorkloadError("it died", cause="workload-died"),
            "killed": SystemExit,
        }[how]

    session = FakeSession({1: act})
    with suppress(ZeroDivisionError, SystemExit):
        go(tmp_path, session)
    if how == "killed":
        go(tmp_path, FakeSession(), on_error="stop")
    [line] = [one for one in ledger(tmp_path) if one["state"] == "failed" and one["run_id"] == session.calls[0].run_id]
    assert line["cause"] == ("interrupted" if how == "killed" else how)
    assert line["phase"] == {"killed": "colo-start", "workload-died": "workload"}.get(how, "guest")
    assert line["hint"]
    assert line["evidence"][1] == r"primary/stderr.log: the last \x1b[2Jword"
    assert '"command":"migrate"' in line["evidence"][0]
    assert [(tmp_path / "c" / log).name for log in line["logs"]] == ["qmp.jsonl", "stderr.log"]
    assert all((tmp_path / "c" / log).is_file() for log in line["logs"])


def test_a_ledger_that_cannot_be_written_ends_the_campaign_and_tells_of_the_run_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Ledger, _run_id: str, state: str, *_: Any, **__: Any) -> None:
        if state == "failed":
            raise StoreError("ledger.jsonl could not be written", cause="disk-full")

    monkeypatch.setattr(Ledger, "append", full)
    with pytest.raises(StoreError) as caught:
        go(tmp_path, FakeSession({1: fail(GuestError("no ready line"))}))
    assert caught.value.evidence == ("the run had failed before that: no ready line",)


def test_a_damaged_ledger_is_refused_and_nothing_is_measured(tmp_path: Path) -> None:
    go(tmp_path, FakeSession())
    path = tmp_path / "c" / "ledger.jsonl"
    path.write_text(path.read_text().replace('"planned"', '"pla', 1))
    session = FakeSession()
    with pytest.raises(StoreError, match="line 1 of 12 is damaged"):
        go(tmp_path, session)
    assert session.calls == []


def test_a_ledger_of_zeroes_is_cut_off_and_shown_in_letters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go(tmp_path, FakeSession())
    (tmp_path / "c" / "ledger.jsonl").write_bytes(bytes(4096))  # as a file system leaves it after a power cut
    session = FakeSession()
    assert go(tmp_path, session) == Exit.DONE
    assert session.calls == []
    said = capsys.readouterr().out
    assert "\0" not in said
    assert "its last line was torn by a kill and has been cut off: \\x00\\x00" in said


def test_a_torn_ledger_is_said_to_have_been(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go(tmp_path, FakeSession())
    path = tmp_path / "c" / "ledger.jsonl"
    path.write_text(path.read_text()[:-9])
    assert go(tmp_path, FakeSession()) == Exit.DONE
    assert "ledger.jsonl: its last line was torn by a kill" in capsys.readouterr().out


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"schema_version": 1}'])
def test_a_damaged_plan_is_refused_with_its_place(tmp_path: Path, damage: bytes) -> None:
    go(tmp_path, FakeSession())
    path = tmp_path / "c" / "plan.json"
    path.write_bytes(damage)
    session = FakeSession()
    with pytest.raises(StoreError, match=r"plan.json cannot be read") as caught:
        go(tmp_path, session)
    assert (caught.value.cause, caught.value.logs, session.calls) == ("plan-unreadable", (path,), [])
    assert path.read_bytes() == damage


def test_our_own_bug_ends_the_campaign_and_is_on_record(tmp_path: Path) -> None:
    session = FakeSession({2: fail(ZeroDivisionError("oops"))})
    with pytest.raises(ZeroDivisionError):
        go(tmp_path, session)
    assert ledger(tmp_path)[-1]["cause"] == "bug"
    with (tmp_path / "c" / "index.csv").open() as file:
        rows = {row["run_id"]: row for row in csv.DictReader(file)}
    assert [rows[run.run_id]["state"] for run in session.calls] == ["measured", "failed"]
    assert rows[session.calls[1].run_id]["cause"] == "bug"
    assert go(tmp_path, FakeSession()) == Exit.DONE


def test_the_index_is_of_the_plan_and_the_ledger_also_where_a_refusal_ends_a_longer_campaign(tmp_path: Path) -> None:
    go(tmp_path, FakeSession())
    with pytest.raises(HostError):
        go(tmp_path, FakeSession(), tools=fake_tools(FakeSession(), available=1 << 20), repeats=3)
    plan = json.loads((tmp_path / "c" / "plan.json").read_text())
    with (tmp_path / "c" / "index.csv").open() as file:
        assert [row["run_id"] for row in csv.DictReader(file)] == [run["run_id"] for run in plan["runs"]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_takes_the_run_down_and_the_campaign_continues_later(
    tmp_path: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    torn_down: list[bool] = []

    async def interrupted() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.sleep(60)
        finally:
            os.kill(os.getpid(), number)  # a second one must not cut the teardown short
            await asyncio.sleep(0.05)
            torn_down.append(True)

    first = FakeSession({2: interrupted})
    assert go(tmp_path, first) == Exit.INTERRUPTED
    assert torn_down == [True]
    assert ledger(tmp_path)[-1]["cause"] == "interrupted"
    assert not (tmp_path / "c" / "runs" / first.calls[1].run_id).exists()
    assert "interrupted after 1 of 4 runs; the same command continues" in capsys.readouterr().out
    second = FakeSession()
    assert go(tmp_path, second) == Exit.DONE
    assert len(second.calls) == 3


def test_an_interrupt_and_a_refusal_of_the_system_are_on_record_in_the_stage_that_they_met(tmp_path: Path) -> None:
    async def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

    go(tmp_path, FakeSession({1: fail(OSError(28, "No space left on device")), 2: interrupted}))
    failed = [(entry["phase"], entry["cause"]) for entry in ledger(tmp_path) if entry["state"] == "failed"]
    assert failed == [("guest", "disk-full"), ("guest", "interrupted")]  # the fake session breaks off while booting


def test_signal_handlers_come_back_also_after_a_bug(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        ours = signal.getsignal(signal.SIGTERM)
        with pytest.raises(ZeroDivisionError):
            go(tmp_path, FakeSession({1: fail(ZeroDivisionError("oops"))}))
        assert signal.getsignal(signal.SIGTERM) == ours
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_session_that_answers_an_interrupt_with_an_error_is_interrupted_all_the_same(tmp_path: Path) -> None:
    async def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            raise GuestError("the pair went away") from error

    session = FakeSession({1: interrupted})
    assert go(tmp_path, session) == Exit.INTERRUPTED
    assert len(session.calls) == 1
    assert ledger(tmp_path)[-1]["cause"] == "interrupted"


def test_a_cell_that_does_not_fit_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    session = FakeSession()
    with pytest.raises(HostError, match=r"512 MiB .* does not fit"):
        go(tmp_path, session, tools=fake_tools(session, available=GIB))
    assert list(tmp_path.iterdir()) == []


def test_results_that_cannot_be_written_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="could not be written"):
        go(tmp_path / "file", FakeSession())


def test_a_run_with_doubtful_data_is_kept_and_said_to_be_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Doubtful(FakeSession):
        async def __call__(self, *args: Any, **kwargs: Any) -> Any:
            outcome = await super().__call__(*args, **kwargs)
            return type(outcome)(outcome.run_id, 2, quality_ok=False, message="trace and QMP differ by 5 ms")

    assert go(tmp_path, Doubtful(), repeats=1) == Exit.DONE
    assert "its quality check failed: trace and QMP differ by 5 ms" in capsys.readouterr().out


def test_the_name_is_given_or_the_experiment_s_or_follows_from_what_is_measured(tmp_path: Path) -> None:
    assert campaign_name(make_settings(tmp_path), CELLS) == "c"
    assert campaign_name(make_settings(tmp_path, campaign=None, experiment="demo"), CELLS) == "demo"
    derived = campaign_name(make_settings(tmp_path, campaign=None), CELLS)
    assert derived.startswith("sweep-")
    assert derived == campaign_name(make_settings(tmp_path, campaign=None, on_error="stop"), CELLS)
    assert derived == campaign_name(make_settings(tmp_path, campaign=None, repeats=9), CELLS)
    assert derived != campaign_name(make_settings(tmp_path, campaign=None, seed=8), CELLS)
    assert derived != campaign_name(make_settings(tmp_path, campaign=None), CELLS[:1])


def test_a_report_that_fails_is_told_and_the_data_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not write_report(tmp_path / "nothing-here", Console())
    assert "the report failed" in capsys.readouterr().out
    session = FakeSession()
    tools = fake_tools(session)
    failing = Tools(tools.prepare, tools.measure, lambda *_: False, tools.available_bytes)
    assert go(tmp_path, session, tools=failing) == Exit.BUG
    assert states(tmp_path)[-1] == "measured"


def test_hypotheses_changed_after_the_start_are_said_and_the_declared_ones_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grows = Hypothesis.model_validate({"id": "H1", "claim": "It grows.", "factor": "mem"})
    go(tmp_path, FakeSession(), hypotheses=(grows,))
    assert "verdicts are exploratory" not in capsys.readouterr().out
    go(tmp_path, FakeSession(), hypotheses=(grows.model_copy(update={"sesoi": 0.5}),))
    assert "verdicts are exploratory" in " ".join(capsys.readouterr().out.split())
    assert json.loads((tmp_path / "c" / "plan.json").read_text())["hypotheses"][0]["sesoi"] == 0.05
