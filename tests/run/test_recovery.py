"""What can be had from raw data: fed with the real trace excerpts, in campaign folders that are made here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_session import GUEST, QEMU, FakeSession, fake_tools, make_cell, make_settings
from fake_traces import DATA
from fixtures.fake_campaign import Fake, write_campaign

from analysis.stored.load import load_campaign
from bench.compress import compress, compressible
from bench.compress import main as compress_main
from bench.config.procedure import Checkpoint
from bench.format.version import SCHEMA_VERSION
from bench.measure.journal import Journal
from bench.measure.transfer import Sample
from bench.plan.plan import make_plan, plan_json
from bench.record.ledger import Ledger
from bench.record.table import read_checkpoints
from bench.recover import main
from bench.run.campaign import run_campaign
from bench.run.folder import locked
from bench.run.recovery import RECOVERED
from bench.run.witness import last_words, logs_left
from bench.scenario.evidence import gather
from bench.system.exits import Exit

CELL = make_cell("1G", checkpoint=Checkpoint(count=1, warmup=1))
PLAN = make_plan("c", (CELL,), repeats=2, seed=1, qemu=QEMU, guest=GUEST)
FIRST, SECOND = PLAN.runs


def raw(home: Path, *, cut: float = 1.0) -> Path:
    """Lay a run's raw data out as a run does; ``cut`` keeps that share of the primary's trace, to the byte."""
    home.mkdir(parents=True)
    for side in ("primary", "secondary"):
        (home / side).mkdir()
        data = (DATA / f"{side}.trace.log").read_bytes()
        (home / side / "trace.log").write_bytes(data[: int(len(data) * cut)] if side == "primary" else data)
        (home / side / "serial.log").write_text("colo-bench: ready\n")
    (home / "qmp.jsonl").write_text(
        json.dumps({"t": 0, "side": "primary", "command": "migrate", "arguments": {}}) + "\n"
    )
    return home


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "plan.json").write_text(plan_json(PLAN))
    Ledger(folder / "ledger.jsonl").plan(run.run_id for run in PLAN.runs)
    return folder


def failed(campaign: Path, *, cut: float = 1.0) -> Path:
    ledger = Ledger(campaign / "ledger.jsonl")
    ledger.append(FIRST.run_id, "started", 0)
    ledger.append(FIRST.run_id, "failed", 0, "measure", "qemu-killed", "the secondary's QEMU was killed by SIGKILL")
    return raw(campaign / "failed" / f"{FIRST.run_id}-0", cut=cut)


def measured(campaign: Path, *, early: int = 1, journal: bool = True) -> Path:
    home = raw(campaign / "runs" / SECOND.run_id)
    times = gather(home, SECOND.run_id, CELL, (), ()).columns["t_request"]
    samples = [Sample(times[0] - 0.02, times[0] - 0.01, 1000), Sample(times[1] - 0.02, times[1] - 0.01, 5000)]
    if journal:
        with Journal(home) as kept:
            kept.begin(early)
            for sample in samples:
                kept.sample(sample)
    gather(home, SECOND.run_id, CELL, samples, (), early=early).write_tables(home)
    record = {"schema_version": 1, "run_id": SECOND.run_id, "cell": CELL.model_dump(mode="json")}
    (home / "run.json").write_text(json.dumps(record | {"early_checkpoints": early}))
    Ledger(campaign / "ledger.jsonl").append(SECOND.run_id, "started", 0)
    Ledger(campaign / "ledger.jsonl").append(SECOND.run_id, "measured", 0)
    return home


def whole_table(tmp_path: Path) -> list[dict[str, Any]]:
    home = raw(tmp_path / "whole")
    gather(home, FIRST.run_id, CELL, (), ()).write_tables(home)
    rows: list[dict[str, Any]] = read_checkpoints(home / "checkpoints.parquet").to_pylist()
    return rows


def test_a_failed_attempts_checkpoints_are_those_that_a_run_would_have_stored(
    campaign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = failed(campaign)
    assert main([str(campaign)]) == Exit.DONE
    table = read_checkpoints(home / "checkpoints.parquet").to_pylist()
    assert table == whole_table(tmp_path)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"c/failed/{FIRST.run_id}-0: {len(table)} checkpoints recovered")
    assert "it had failed: measure: qemu-killed: the secondary's QEMU was killed by SIGKILL" in said[0]
    assert said[-1] == f"c: 1 folders, {len(table)} checkpoints recovered"
    note = json.loads((home / RECOVERED).read_text())
    assert (note["schema_version"], note["run_id"], note["attempt"]) == (SCHEMA_VERSION, FIRST.run_id, 0)
    assert (note["cause"], note["checkpoints"], note["cell_id"]) == ("qemu-killed", len(table), FIRST.cell_id)
    assert note["early_checkpoints"] is None
    assert not note["quality"]["ok"]


def test_a_message_of_the_ledger_may_hold_what_ends_a_line_elsewhere(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed(campaign)
    words = "QEMU said\u2028something\x85else"
    Ledger(campaign / "ledger.jsonl").append(FIRST.run_id, "failed", 0, "measure", "qemu-exited", words)
    assert main([str(campaign)]) == Exit.DONE
    assert "it had failed: measure: qemu-exited: QEMU said something else" in capsys.readouterr().out


@pytest.mark.parametrize("cut", [share / 23 for share in range(24)])
def test_whatever_byte_a_trace_ends_at_what_was_complete_before_it_is_recovered_unchanged(
    campaign: Path, tmp_path: Path, cut: float
) -> None:
    home = failed(campaign, cut=cut)
    assert main([str(campaign)]) == Exit.DONE
    complete = whole_table(tmp_path)
    timing = ("index", "t_request", "pause_s", "total_s", "request_s", "save_s", "load_s")
    table = (home / "checkpoints.parquet").exists() and read_checkpoints(home / "checkpoints.parquet").to_pylist()
    rows = table or []
    assert [[row[name] for name in timing] for row in rows] == [
        [row[name] for name in timing] for row in complete[: len(rows)]
    ]
    ended = (DATA / "primary.trace.log").read_bytes()
    kept = ended[: int(len(ended) * cut)]
    assert len(rows) >= kept.count(b"'stop' => 'run'\n") - 1  # the first one is COLO's start


def test_recovering_again_changes_nothing(campaign: Path) -> None:
    home = failed(campaign)
    main([str(campaign)])
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    main([str(campaign)])
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_what_was_kept_while_measuring_gives_warm_up_and_bytes_too(campaign: Path) -> None:
    home = failed(campaign)
    times = gather(home, FIRST.run_id, CELL, (), ()).columns["t_request"]
    with Journal(home) as journal:
        journal.begin(1)
        journal.sample(Sample(times[0] - 0.02, times[0] - 0.01, 1000))
        journal.sample(Sample(times[1] - 0.02, times[1] - 0.01, 5000))
    main([str(campaign)])
    rows = read_checkpoints(home / "checkpoints.parquet").to_pylist()
    assert [row["warmup"] for row in rows[:3]] == [True, True, False]  # one came early, one was asked for
    assert rows[0]["bytes_sent"] == 4000
    assert json.loads((home / RECOVERED).read_text())["early_checkpoints"] == 1


def test_a_run_that_never_ended_is_told_from_one_that_failed(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw(campaign / "runs" / FIRST.run_id)
    Ledger(campaign / "ledger.jsonl").append(FIRST.run_id, "started", 0)
    assert main([str(campaign)]) == Exit.DONE
    assert "it never ended: the harness was killed or the machine went down" in capsys.readouterr().out
    assert not (campaign / "runs" / FIRST.run_id / "run.json").exists()


def test_one_that_ended_before_colo_has_nothing_to_recover(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = failed(campaign)
    shutil.rmtree(home / "primary")
    assert main([str(campaign)]) == Exit.DONE
    assert "no checkpoint: it ended before any was traced; it had failed" in capsys.readouterr().out
    assert not (home / RECOVERED).exists()


def test_without_the_secondarys_trace_its_columns_are_null(campaign: Path) -> None:
    home = failed(campaign)
    (home / "secondary" / "trace.log").unlink()
    assert main([str(campaign)]) == Exit.DONE
    table = read_checkpoints(home / "checkpoints.parquet")
    assert len(table) > 1
    assert table["dirty_pages"].null_count == len(table)


def test_a_plan_that_cannot_be_read_costs_the_warm_up_alone(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = failed(campaign)
    (campaign / "plan.json").write_text((campaign / "plan.json").read_text()[:300])
    assert main([str(campaign)]) == Exit.DONE
    table = read_checkpoints(home / "checkpoints.parquet")
    assert not table["warmup"].to_numpy().any()
    assert "warm-up not marked, as plan.json cannot be read" in capsys.readouterr().out
    assert json.loads((home / RECOVERED).read_text())["cell"] is None


def test_a_table_that_holds_more_than_the_raw_data_is_left_alone(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = failed(campaign)
    main([str(campaign)])
    before = (home / "checkpoints.parquet").read_bytes()
    (home / "primary" / "trace.log").write_bytes(b"")
    assert main([str(campaign)]) == Exit.RUNS_FAILED
    assert (home / "checkpoints.parquet").read_bytes() == before
    assert "left as it is" in capsys.readouterr().out


def test_what_is_recovered_is_no_run_for_resuming(tmp_path: Path) -> None:
    cells = (CELL,)
    campaign = tmp_path / "c"
    first = FakeSession()
    settings = make_settings(tmp_path)
    run_campaign(settings, cells, "python -m bench", fake_tools(first))
    lost = campaign / "runs" / first.calls[0].run_id
    shutil.rmtree(lost)
    raw(lost)
    assert main([str(campaign)]) == Exit.DONE
    assert (lost / RECOVERED).exists()
    again = FakeSession()
    assert run_campaign(settings, cells, "python -m bench", fake_tools(again)) == Exit.DONE
    assert [run.run_id for run in again.calls] == [lost.name]
    assert (campaign / "failed" / f"{lost.name}-0" / RECOVERED).exists()
    assert not (lost / RECOVERED).exists()


def test_what_is_recovered_is_no_run_for_the_analysis(tmp_path: Path) -> None:
    campaign = write_campaign(tmp_path, Fake(failed=1, unstarted=1))
    before = load_campaign(campaign)
    planned = [run["run_id"] for run in json.loads((campaign / "plan.json").read_text())["runs"]]
    raw(campaign / "runs" / planned[-1])
    raw(campaign / "failed" / f"{planned[-2]}-0")
    main([str(campaign)])
    assert (campaign / "runs" / planned[-1] / "checkpoints.parquet").exists()
    after = load_campaign(campaign)
    assert [run.record.run_id for run in after.runs] == [run.record.run_id for run in before.runs]
    assert (after.failures, after.unfinished, after.unread) == (before.failures, before.unfinished, before.unread)


def test_what_the_system_refuses_is_said_without_a_traceback(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw(campaign / "runs" / FIRST.run_id)
    (campaign / "ledger.jsonl").unlink(missing_ok=True)
    (campaign / "ledger.jsonl").mkdir()
    assert main([str(campaign)]) == Exit.HOST
    assert "ledger.jsonl cannot be read: Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["recover", "compress"])
def test_a_bug_of_ours_ends_with_its_own_status(
    campaign: Path, module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("bench.recover.require_campaign", broken)
    assert {"recover": main, "compress": compress_main}[module]([str(campaign)]) == Exit.BUG
    assert f"python -m bench.{module} " in capsys.readouterr().err


def test_a_campaign_under_way_is_refused(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = failed(campaign)
    with locked(campaign):
        assert main([str(campaign)]) == Exit.USAGE
        assert compress_main([str(campaign)]) == Exit.USAGE
    assert "is being run by process" in capsys.readouterr().err
    assert not (home / RECOVERED).exists()


def test_what_is_no_campaign_is_said_and_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == Exit.USAGE
    assert "is not the folder of a campaign" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main([str(tmp_path / ("a" * 300))]) == Exit.HOST
    assert "File name too long" in capsys.readouterr().err


def test_a_measured_runs_table_is_checked_against_its_raw_data(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(campaign)
    assert main(["--check", str(campaign)]) == Exit.DONE
    assert "exactly what the raw data give\n" in capsys.readouterr().out


def test_a_run_from_before_readings_were_kept_is_checked_without_them(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(campaign, journal=False)
    assert main(["--check", str(campaign)]) == Exit.DONE
    assert "bytes_sent left out" in capsys.readouterr().out


def test_a_table_that_was_changed_afterwards_is_found_out(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = measured(campaign)
    evidence = gather(home, SECOND.run_id, CELL, (), (), early=1)
    evidence.columns["save_s"][0] += 1e-6
    evidence.write_tables(home)
    before = {path: path.read_bytes() for path in campaign.rglob("*") if path.is_file()}
    assert main(["--check", str(campaign)]) == Exit.RUNS_FAILED
    assert "differs from its raw data: column save_s, bytes_sent" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in campaign.rglob("*") if path.is_file()} == before


def test_a_run_without_raw_data_cannot_be_checked(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = measured(campaign)
    shutil.rmtree(home / "primary")
    assert main(["--check", str(campaign)]) == Exit.RUNS_FAILED
    assert "cannot be checked: there is no trace log" in capsys.readouterr().out


def test_compressed_raw_data_are_recovered_and_checked_as_plain_ones(
    campaign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, run = failed(campaign), measured(campaign)
    plain = len(compressible(campaign))
    assert plain == 10
    monkeypatch.chdir(campaign)
    assert compress_main(["."]) == Exit.DONE
    assert "c: 10 logs, " in capsys.readouterr().out
    assert compressible(campaign) == []
    assert sorted(path.name for path in run.rglob("*.zst")) == [
        "qmp.jsonl.zst",
        "serial.log.zst",
        "serial.log.zst",
        "trace.log.zst",
        "trace.log.zst",
    ]
    assert main([str(campaign)]) == Exit.DONE
    assert read_checkpoints(home / "checkpoints.parquet").to_pylist() == whole_table(tmp_path)
    assert main(["--check", str(campaign)]) == Exit.DONE


def test_what_a_new_secondary_said_is_told_and_compressed_too(campaign: Path) -> None:
    home = failed(campaign)
    told = home / "new-secondary" / "serial.log"
    told.parent.mkdir()
    told.write_text("its last word\n")
    assert "new-secondary/serial.log: its last word" in last_words(home)
    assert told in logs_left(home)
    assert told in compressible(campaign)


def test_an_attempt_that_is_not_over_is_not_compressed(campaign: Path) -> None:
    home = raw(campaign / "runs" / FIRST.run_id)
    assert list(compress(campaign)) == []
    assert (home / "qmp.jsonl").exists()


@pytest.mark.parametrize("module", ["recover", "compress"])
def test_the_commands_run_from_any_folder(module: str, campaign: Path, tmp_path: Path) -> None:
    failed(campaign)
    argv = [sys.executable, "-m", f"bench.{module}", "c"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("c: ")
