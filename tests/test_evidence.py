"""From a run's folder to its tables: fed with the real trace excerpts and fake logs of this test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_traces import DATA

from bench.config.model import Cell, Checkpoint
from bench.errors import StoreError
from bench.measure.transfer import Sample
from bench.record.table import read_checkpoints
from bench.scenario.evidence import client_answers, gather, read_json_lines
from bench.workload.idle import Idle


def entry(t: float, **fields: Any) -> str:
    return json.dumps({"t": t, "side": "primary"} | fields)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for side in ("primary", "secondary"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "trace.log").write_bytes((DATA / f"{side}.trace.log").read_bytes())
    (tmp_path / "qmp.jsonl").write_text(entry(0, command="migrate", arguments={}, reply={}) + "\n{torn")
    return tmp_path


CELL = Cell(mem="1G", smp=1, accel="tcg", workload=Idle(), checkpoint=Checkpoint(count=1, warmup=1))


def test_what_is_known_of_how_the_run_was_made_is_among_the_notes(folder: Path) -> None:
    quality = gather(folder, "abc", CELL, (), ("colo_x*",), remarks=("a screen was open on primary",)).quality
    assert quality.notes == ("this QEMU has no trace event colo_x*", "a screen was open on primary")


def test_a_folder_becomes_a_table_whose_phases_add_up(folder: Path) -> None:
    evidence = gather(folder, "abc", CELL, (), ())
    evidence.write_tables(folder)
    table = read_checkpoints(folder / "checkpoints.parquet").to_pandas()
    assert len(table) == evidence.quality.used > 1
    phases = table["prepare_s"] + table["save_s"] + table["deliver_s"] + table["load_s"] + table["resume_s"]
    assert (phases == table["pause_s"]).all()
    assert evidence.measured == len(table) - 1


def test_what_could_not_be_used_is_counted_and_what_was_missing_noted(folder: Path) -> None:
    quality = gather(folder, "abc", CELL, (), ("gone_*",)).quality
    assert ("qmp.jsonl: torn line", 1) in [(problem.what, problem.count) for problem in quality.problems]
    assert quality.notes[0] == "this QEMU has no trace event gone_*"


def test_a_run_that_cannot_be_checked_against_qmp_fails_visibly(folder: Path) -> None:
    quality = gather(folder, "abc", CELL, (), ()).quality
    assert not quality.ok
    assert "QMP" in quality.summary()


def test_bytes_belong_to_the_checkpoint_between_two_samples(folder: Path) -> None:
    times = gather(folder, "abc", CELL, (), ()).columns["t_request"]
    before, after = Sample(times[0] - 0.02, times[0] - 0.01, 1000), Sample(times[1] - 0.02, times[1] - 0.01, 5000)
    assert gather(folder, "abc", CELL, (before, after), ()).columns["bytes_sent"][0] == 4000


def test_a_client_becomes_a_table_and_figures(folder: Path) -> None:
    answers = [
        {"t_send": 2.0, "latency_s": 0.2, "status": 200, "error": None, "bytes": 5},
        {"t_send": 1.0, "latency_s": 0.1, "status": 200, "error": None, "bytes": 5},
        {"t_send": 3.0, "latency_s": 9.0, "status": 0, "error": "TimeoutError: ", "bytes": 0},
    ]
    (folder / "client.jsonl").write_text("".join(json.dumps(one) + "\n" for one in answers))
    evidence = gather(folder, "abc", CELL, (), ())
    assert evidence.client_columns is not None
    assert evidence.client_columns["t_send"] == [1.0, 2.0, 3.0]
    assert evidence.client is not None
    assert (evidence.client["requests"], evidence.client["errors"]) == (3, 1)
    assert evidence.client["max_s"] == 0.2
    assert evidence.client["requests_per_s"] == pytest.approx(2 / 11)


def test_a_client_that_never_got_an_answer_has_no_latency(folder: Path) -> None:
    answer = {"t_send": 3.0, "latency_s": 9.0, "status": 0, "error": "refused", "bytes": 0}
    (folder / "client.jsonl").write_text(json.dumps(answer) + "\n")
    evidence = gather(folder, "abc", CELL, (), ())
    assert evidence.client == {"requests": 1, "errors": 1, "checkpoints_during": 0}
    assert "no request of the client was answered" in evidence.quality.failures


def test_without_a_client_there_is_no_table(tmp_path: Path) -> None:
    assert client_answers(tmp_path / "client.jsonl") == (None, [])


def test_lines_that_are_no_objects_are_counted(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"a":1}\n[]\n\xff\n{"b"')
    entries, problems = read_json_lines(tmp_path / "x.jsonl")
    assert entries == [{"a": 1}]
    assert problems[0].count == 3


def test_a_trace_without_any_event_is_refused(folder: Path) -> None:
    (folder / "primary" / "trace.log").write_bytes(b"qemu-system-x86_64: warning: nothing\n")
    with pytest.raises(StoreError, match=r"no event of a checkpoint \(1 lines\)") as caught:
        gather(folder, "abc", CELL, (), ())
    assert (caught.value.cause, caught.value.logs) == ("trace-empty", (folder / "primary" / "trace.log",))


@pytest.mark.parametrize("side", ["primary", "secondary"])
def test_a_trace_that_is_not_there_is_refused(folder: Path, side: str) -> None:
    (folder / side / "trace.log").unlink()
    with pytest.raises(StoreError, match="there is no trace log") as caught:
        gather(folder, "abc", CELL, (), ())
    assert caught.value.cause == "trace-empty"


def test_a_trace_whose_damage_leaves_no_checkpoint_is_refused_and_the_damage_shown(folder: Path) -> None:
    path = folder / "primary" / "trace.log"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(StoreError) as caught:
        gather(folder, "abc", CELL, (), ())
    assert caught.value.cause == "trace-torn"
    assert caught.value.evidence[0].startswith("torn line (1): ")


def test_a_trace_with_damage_and_checkpoints_is_used(folder: Path) -> None:
    path = folder / "primary" / "trace.log"
    whole = len(gather(folder, "abc", CELL, (), ()).columns["run_id"])
    path.write_bytes(path.read_bytes()[:-700])
    assert 0 < len(gather(folder, "abc", CELL, (), ()).columns["run_id"]) < whole
