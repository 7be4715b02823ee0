"""From a run's folder to its tables: fed with the real trace excerpts and fake logs of this test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_traces import DATA, primary_start, secondary_start

from bench.config.hosts import Host
from bench.config.links import Compare
from bench.config.machine import Devices
from bench.config.model import Cell
from bench.config.procedure import Checkpoint, Trace
from bench.errors import StoreError
from bench.format.phases import COMPARED
from bench.measure.pulse import Gap
from bench.measure.transfer import Sample
from bench.record.table import read_checkpoints
from bench.scenario.answers import client_answers, read_json_lines
from bench.scenario.evidence import gather
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


def test_what_begins_after_the_measurement_is_not_what_was_measured(folder: Path) -> None:
    times = gather(folder, "abc", CELL, (), ()).columns["t_request"]
    evidence = gather(folder, "abc", CELL, (), (), ended_at=times[-1] - 0.001, measured_s=5.0)
    assert list(evidence.columns["t_request"]) == list(times[:-1])
    assert (evidence.quality.used, evidence.quality.checkpoints) == (len(times) - 1, len(times) - 1)
    assert sum(evidence.triggers[name] for name in ("demand", "timer", "mismatch")) == len(times) - 1
    assert gather(folder, "abc", CELL, (), (), ended_at=times[-1] + 0.001).quality.used == len(times)


def test_a_client_becomes_a_table_and_figures(folder: Path) -> None:
    answers = [
        {"t_send": 2.0, "latency_s": 0.2, "status": 200, "error": None, "bytes": 5},
        {"t_send": 1.0, "latency_s": 0.1, "status": 200, "error": None, "bytes": 5, "service_s": 0.05, "connection": 2},
        {"t_send": 3.0, "latency_s": 9.0, "status": 0, "error": "TimeoutError: ", "bytes": 0},
    ]
    (folder / "client.jsonl").write_text("".join(json.dumps(one) + "\n" for one in answers))
    evidence = gather(folder, "abc", CELL, (), ())
    assert evidence.client_columns is not None
    assert evidence.client_columns["t_send"] == [1.0, 2.0, 3.0]
    assert evidence.client is not None
    assert (evidence.client["requests"], evidence.client["errors"]) == (3, 1)
    assert evidence.client["max_s"] == 0.2
    # Of a line from before it was written, the service time is not known.
    assert evidence.client_columns["service_s"] == [0.05, None, None]
    assert evidence.client_columns["connection"] == [2, None, None]
    assert evidence.client["service_p99_s"] == 0.05
    # Asked from 1 s to 3 s: for how long the last request then waited in vain is not time that was served.
    assert evidence.client["requests_per_s"] == pytest.approx(2 / 2)


def test_a_last_answer_that_comes_after_the_last_sending_took_its_time(folder: Path) -> None:
    answers = [
        {"t_send": 1.0, "latency_s": 4.0, "status": 200, "error": None, "bytes": 5},
        {"t_send": 2.0, "latency_s": 0.5, "status": 200, "error": None, "bytes": 5},
    ]
    (folder / "client.jsonl").write_text("".join(json.dumps(one) + "\n" for one in answers))
    evidence = gather(folder, "abc", CELL, (), ())
    assert evidence.client is not None
    assert evidence.client["requests_per_s"] == pytest.approx(2 / 4)


def test_a_client_that_never_got_an_answer_has_no_latency(folder: Path) -> None:
    answer = {"t_send": 3.0, "latency_s": 9.0, "status": 0, "error": "refused", "bytes": 0}
    (folder / "client.jsonl").write_text(json.dumps(answer) + "\n")
    evidence = gather(folder, "abc", CELL, (), ())
    assert evidence.client == {"requests": 1, "errors": 1, "checkpoints_during": 0}
    assert "no request of the client was answered" in evidence.quality.failures


def test_a_pair_that_compared_nothing_on_a_tap_fails_its_check_with_the_setting_that_mends_it(folder: Path) -> None:
    tap = {"host": Host(kind="bridged"), "devices": Devices(nic="virtio-net-pci"), "compare": Compare(vnet_hdr=True)}
    path = folder / "primary" / "trace.log"
    first, *rest = path.read_text().splitlines(keepends=True)
    stamp, _, _ = first.partition(" ")
    many = f"{stamp} {COMPARED} : primary: unsupported packet in\n" * 5000
    path.write_text("".join((first, many, *rest)))
    quality = gather(folder, "abc", CELL.model_copy(update=tap), (), ()).quality
    assert not quality.ok
    (found,) = [one for one in quality.failures if "colo-compare" in one]
    assert "could not read 5000 packets (unsupported packet), which protects nothing" in found
    assert "compare.vnet_hdr=false" in found
    unmended = gather(folder, "abc", CELL, (), ()).quality  # whatever the card: nothing was compared
    assert any("unsupported packet" in one for one in unmended.failures)


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


FORMED = CELL.model_copy(update={"scenario": "formed"})


def stops_of(folder: Path) -> list[tuple[float, float]]:
    table = gather(folder, "abc", CELL, (), ()).columns
    begin = [sum(parts) for parts in zip(table["t_request"], table["request_s"], table["stop_s"], strict=True)]
    return [(at, at + pause) for at, pause in zip(begin, table["pause_s"], strict=True)]


def tell_stops(folder: Path, spans: list[tuple[float, float]]) -> None:
    def event(name: str, at: float) -> str:
        stamp = {"seconds": int(at), "microseconds": round(at % 1 * 1e6)}
        return entry(at, event=name, timestamp=stamp, data={})

    lines = [entry(0, command="migrate", arguments={}, reply={})]
    lines += [line for begin, end in spans for line in (event("STOP", begin), event("RESUME", end))]
    (folder / "qmp.jsonl").write_text("\n".join(lines) + "\n")


def test_of_a_formed_pair_checkpoints_are_counted_and_fail_nothing(folder: Path) -> None:
    spans = stops_of(folder)
    tell_stops(folder, spans)
    evidence = gather(folder, "abc", FORMED, (), (), measured_s=8.0)
    assert evidence.measured == len(spans) == evidence.triggers["mismatch"]
    assert evidence.triggers["seconds"] == 8.0
    assert not [one for one in evidence.quality.failures if "asked for" in one or "late" in one]
    assert f"no checkpoint was asked for; differing output made {len(spans)}" in evidence.quality.notes
    assert evidence.quality.timing is None
    # What begins after the measurement is in no table, and yet its stop is no stray one.
    cut = gather(folder, "abc", FORMED, (), (), ended_at=evidence.columns["t_request"][-1] - 0.001)
    assert cut.measured == len(spans) - 1
    assert f"no checkpoint was asked for; differing output made {len(spans) - 1}" in cut.quality.notes
    assert not [one for one in cut.quality.failures if "by no checkpoint" in one]


def test_a_formed_pair_without_a_checkpoint_is_one_whatever_else_its_log_holds_but_needs_a_trace(folder: Path) -> None:
    lines = "".join(f"{line}\n" for line in primary_start())
    (folder / "primary" / "trace.log").write_text(f"{lines}what no format knows\ncut o")
    (folder / "secondary" / "trace.log").write_text("".join(f"{line}\n" for line in secondary_start()))
    evidence = gather(folder, "abc", FORMED, (), ())
    assert (evidence.measured, evidence.quality.failures) == (0, ())
    assert {"primary: torn line", "primary: unknown format"} <= {one.what for one in evidence.quality.problems}
    (folder / "primary" / "trace.log").write_text("")
    with pytest.raises(StoreError, match="holds no event of a checkpoint"):
        gather(folder, "abc", FORMED, (), ())


def test_a_formed_pair_that_was_stopped_by_no_checkpoint_is_no_baseline(folder: Path) -> None:
    spans = stops_of(folder)
    tell_stops(folder, [*spans, (spans[-1][1] + 2, spans[-1][1] + 3)])
    failures = gather(folder, "abc", FORMED, (), ()).quality.failures
    assert "the primary's guest was stopped 1 times by no checkpoint" in failures


def test_a_formed_pair_in_which_a_side_stood_still_is_no_baseline(folder: Path) -> None:
    tell_stops(folder, stops_of(folder))
    gaps = (Gap("secondary", 1.0, 3.5), Gap("harness", 1.0, 1.2))
    quality = gather(folder, "abc", FORMED, (), (), gaps=gaps).quality
    assert "the secondary did not run for 2.50 s" in quality.failures
    assert "the harness did not run for 0.20 s" in quality.notes


def test_packets_are_told_where_the_cell_asked_for_them(folder: Path) -> None:
    assert gather(folder, "abc", CELL, (), ()).compare == {}
    asking = CELL.model_copy(update={"trace": Trace(optional=("colo_compare_*",))})
    assert gather(folder, "abc", asking, (), ()).compare["compared"] == 0
