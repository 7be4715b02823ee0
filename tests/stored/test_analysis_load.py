from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.fake_campaign import FAKE_SCHEMA, SERVICE, Fake, replace_parquet, run_ids, write_campaign

from analysis.errors import NotACampaignError, NothingMeasuredError
from analysis.format.table import CHECKPOINTS, PAUSE_PHASES, PHASES, SHA256_KEY, content_sha256, upgrade_table
from analysis.format.version import SCHEMA_VERSION, VERSION_KEY
from analysis.stored.load import load_campaign

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analysis.stored.campaign import Campaign

LATER = SCHEMA_VERSION + 1
READS = f"this program reads 1 to {SCHEMA_VERSION}"
SMALL = Fake(mems=(512 << 20,), smps=(1, 2), workloads=({"name": "idle"},), repeats=2, count=5, warmup=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_campaign(tmp_path, SMALL)


def _why(campaign: Campaign) -> list[str]:
    return [unread.why for unread in campaign.unread]


def test_the_reader_and_the_documented_columns_agree() -> None:
    """The invented campaigns are of version 2, and stay so: what came after is added by the steps."""
    invented = FAKE_SCHEMA.empty_table().replace_schema_metadata({VERSION_KEY: b"2"})
    read = upgrade_table("checkpoints", invented)
    assert read.column_names == CHECKPOINTS.names
    assert read.schema.types == CHECKPOINTS.types


def test_the_phases_are_in_time_order_and_those_of_the_pause_come_last() -> None:
    assert PHASES == ("request_s", "stop_s", "prepare_s", "save_s", "deliver_s", "load_s", "resume_s")
    assert PHASES[2:] == PAUSE_PHASES


def test_every_measured_run_is_read_in_the_order_in_which_it_ran(folder: Path) -> None:
    campaign = load_campaign(folder)
    assert [run.record.run_id for run in campaign.runs] == run_ids(folder)
    assert [run.record.order for run in campaign.runs] == [0, 1, 2, 3]
    assert [len(run.checkpoints) for run in campaign.runs] == [6, 6, 6, 6]
    assert (campaign.unread, campaign.failures, campaign.unfinished, campaign.notes) == ((), (), (), ())


def test_failed_and_unfinished_runs_are_told_apart(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, Fake(failed=2, unstarted=1)))
    assert len(campaign.runs) == 13
    assert [f.cause for f in campaign.failures] == ["colo-timeout", "colo-timeout"]
    assert len(campaign.unfinished) == 1


def test_runs_that_are_asked_for_no_checkpoints_may_have_had_some(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, SERVICE))
    assert sum(len(run.checkpoints) for run in campaign.without) == 8  # of the formed pairs
    assert campaign.notes == ()


def test_a_campaign_of_baselines_alone_was_measured_and_lacks_runs_under_colo(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, replace(SERVICE, scenarios=("native", "formed")))
    words = r"no run that is asked for checkpoints was measured \(8 asked for none\)"
    with pytest.raises(NothingMeasuredError, match=words) as refused:
        load_campaign(folder)
    assert "scenario=native,colo" in refused.value.fix


def test_a_run_that_was_interrupted_has_not_failed_and_is_still_to_be_measured(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, Fake(failed=1))
    ledger = folder / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace("colo-timeout", "interrupted"))
    campaign = load_campaign(folder)
    assert (campaign.failures, campaign.attempts) == ((), ())
    assert [run.run_id for run in campaign.unfinished] == run_ids(folder)[-1:]


def test_the_last_line_of_a_run_counts(folder: Path) -> None:
    first = run_ids(folder)[0]
    retried = {"schema_version": 1, "t": 1.0, "run_id": first, "attempt": 1, "state": "failed", "cause": "qmp-timeout"}
    with (folder / "ledger.jsonl").open("a") as ledger:
        ledger.write(json.dumps(retried) + "\n")
    (failure,) = load_campaign(folder).failures
    assert (failure.planned.run_id, failure.attempts, failure.cause) == (first, 2, "qmp-timeout")


def test_a_run_that_was_interrupted_is_not_finished_and_no_failure(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, Fake(failed=2))
    ledger = folder / "ledger.jsonl"
    *before, last = ledger.read_text().splitlines()
    ledger.write_text("\n".join([*before, json.dumps(json.loads(last) | {"cause": "interrupted"})]) + "\n")
    campaign = load_campaign(folder)
    assert [failure.cause for failure in campaign.failures] == ["colo-timeout"]
    assert [run.run_id for run in campaign.unfinished] == [run_ids(folder)[-1]]
    assert len(campaign.attempts) == 1


def test_a_torn_line_of_the_ledger_is_left_out_and_said(folder: Path) -> None:
    with (folder / "ledger.jsonl").open("a") as ledger:
        ledger.write('{"schema_version": 1, "t": 17')
    campaign = load_campaign(folder)
    assert len(campaign.runs) == 4
    assert campaign.notes == ("ledger.jsonl: 1 unreadable line(s) left out, the first is line 13",)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda table: table.drop_columns(["load_s"]), "lacks the column(s) load_s"),
        (
            lambda table: table.set_column(5, "pause_s", pa.array(["long"] * 6)),
            "checkpoints.parquet has a column of the wrong type",
        ),
        (
            lambda table: table.set_column(5, "pause_s", pa.array([None] * 6, pa.float64())),
            "checkpoints.parquet has 6 missing value(s) in pause_s",
        ),
        (
            lambda table: table.set_column(5, "pause_s", pa.array([float("inf")] * 6)),
            "checkpoints.parquet holds a time that is not a number",
        ),
        (
            lambda table: table.set_column(5, "pause_s", pa.array([1.0] * 6)),
            "checkpoints.parquet: the phases of 6 checkpoint(s) do not add up to pause_s",
        ),
        (
            lambda table: table.set_column(2, "warmup", pa.array([True] * 6)),
            "checkpoints.parquet holds no checkpoint after the warm-up",
        ),
        (
            lambda table: table.set_column(0, "run_id", pa.array(["another"] * 6)),
            "checkpoints.parquet holds checkpoints of another run",
        ),
    ],
)
def test_checkpoints_that_break_the_format_are_refused_with_the_reason(
    folder: Path, change: Callable[[pa.Table], pa.Table], why: str
) -> None:
    replace_parquet(folder, run_ids(folder)[1], change)
    campaign = load_campaign(folder)
    assert len(campaign.runs) == 3
    (said,) = _why(campaign)
    assert why in said


SERVED = Fake(mems=(512 << 20,), smps=(1,), workloads=({"name": "http", "rate": 40.0},), count=5, service=True)


@pytest.mark.parametrize(
    ("change", "metadata", "why"),
    [
        (lambda table: table.drop_columns(["error"]), {}, "lacks the column(s) error"),
        (lambda table: table.set_column(0, "t_send", pa.array(["x"] * len(table))), {}, "a column of the wrong type"),
        (lambda table: table.set_column(1, "latency_s", pa.nulls(len(table), pa.float64())), {}, "missing value(s)"),
        (
            lambda table: table.set_column(1, "latency_s", pa.array([float("inf")] * len(table))),
            {},
            "holds a time that is not a number",
        ),
        (lambda table: table, {SHA256_KEY: b"0" * 64}, "does not hold what was written"),
        (lambda table: table, {VERSION_KEY: str(LATER).encode()}, f"has schema version {LATER}; {READS}"),
    ],
)
def test_requests_that_break_the_format_are_refused_with_the_reason(
    tmp_path: Path, change: Callable[[pa.Table], pa.Table], metadata: dict[bytes, bytes], why: str
) -> None:
    folder = write_campaign(tmp_path, SERVED)
    path = folder / "runs" / run_ids(folder)[0] / "client.parquet"
    table = change(pq.ParquetFile(path).read())
    pq.write_table(table.replace_schema_metadata({VERSION_KEY: b"2"} | metadata), path)
    campaign = load_campaign(folder)
    assert len(campaign.runs) == 1
    (said,) = _why(campaign)
    assert said.startswith("client.parquet ")
    assert why in said


def test_requests_that_hold_what_was_written_are_read(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVED)
    path = folder / "runs" / run_ids(folder)[0] / "client.parquet"
    table = pq.ParquetFile(path).read()
    kept = {VERSION_KEY: b"2", SHA256_KEY: content_sha256(table).encode()}
    pq.write_table(table.replace_schema_metadata(kept), path)
    assert [len(run.requests) for run in load_campaign(folder).runs] == [len(table)] * 2


def test_checkpoints_of_another_schema_version_are_refused(folder: Path) -> None:
    replace_parquet(folder, run_ids(folder)[0], lambda table: table, version=str(LATER).encode())
    assert _why(load_campaign(folder)) == [f"checkpoints.parquet has schema version {LATER}; {READS}"]


def test_columns_beyond_the_documented_ones_do_no_harm(folder: Path) -> None:
    replace_parquet(folder, run_ids(folder)[0], lambda table: table.append_column("later", pa.array(range(6))))
    assert list(load_campaign(folder).runs[0].checkpoints.columns) == CHECKPOINTS.names


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("checkpoints.parquet", None, "checkpoints.parquet is missing"),
        ("checkpoints.parquet", b"PAR1 torn", "checkpoints.parquet is not readable"),
        ("checkpoints.parquet", b"", "checkpoints.parquet is not readable"),
        ("run.json", None, "run.json is missing"),
        ("run.json", b'{"schema_version": 1', "run.json is not JSON"),
        ("run.json", b"\xff\xfe", "run.json is not readable"),
        ("run.json", b'{"schema_version": 999}', f"run.json has schema version 999; {READS}"),
        ("run.json", b'{"schema_version": 1}', "run.json: run_id: Field required"),
        ("run.json", b"[]", f"run.json has schema version missing; {READS}"),
    ],
)
def test_a_damaged_file_costs_its_run_and_no_other(folder: Path, name: str, content: bytes | None, why: str) -> None:
    path = folder / "runs" / run_ids(folder)[2] / name
    path.unlink() if content is None else path.write_bytes(content)
    campaign = load_campaign(folder)
    assert len(campaign.runs) == 3
    (said,) = _why(campaign)
    assert said.startswith(why)


def test_a_record_in_the_wrong_folder_is_refused(folder: Path) -> None:
    first, second, *_ = run_ids(folder)
    (folder / "runs" / first / "run.json").write_bytes((folder / "runs" / second / "run.json").read_bytes())
    assert _why(load_campaign(folder)) == [f"run.json is of run {second}"]


def _edit_plan(folder: Path, **changes: Any) -> None:
    path = folder / "plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_run_id_that_leads_out_of_the_folder_is_refused(folder: Path) -> None:
    run = {"run_id": "../../etc", "block": 0, "order": 0, "cell_id": "a", "label": "a"}
    _edit_plan(folder, runs=[run])
    with pytest.raises(NotACampaignError, match=r"plan.json: runs\.0\.run_id"):
        load_campaign(folder)


def test_a_plan_of_another_schema_version_is_refused(folder: Path) -> None:
    _edit_plan(folder, schema_version=LATER)
    with pytest.raises(NotACampaignError, match=f"schema version {LATER}; {READS}"):
        load_campaign(folder)


def test_a_missing_folder_and_a_folder_without_a_plan_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotACampaignError, match="no such folder"):
        load_campaign(tmp_path / "nowhere")
    with pytest.raises(NotACampaignError, match=r"holds no plan\.json"):
        load_campaign(tmp_path)


def test_nothing_measured_says_what_happened_instead(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, Fake(failed=12, unstarted=4))
    with pytest.raises(NothingMeasuredError, match=r"12 failed, 4 not finished; colo-timeout: the pair did not reach"):
        load_campaign(folder)


@pytest.mark.parametrize("kept", [0, 5, None])
def test_runs_that_a_lost_ledger_does_not_know_are_taken_from_their_records(folder: Path, kept: int | None) -> None:
    whole = load_campaign(folder)
    ledger = folder / "ledger.jsonl"
    if kept is None:
        ledger.unlink()
    else:
        ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:kept]))
    campaign = load_campaign(folder)
    assert [run.sha256 for run in campaign.runs] == [run.sha256 for run in whole.runs]
    assert campaign.unfinished == ()
    assert campaign.notes[0].startswith("ledger.jsonl does not know of ")


def test_a_campaign_without_a_ledger_and_records_measured_nothing(folder: Path) -> None:
    (folder / "ledger.jsonl").unlink()
    for run_id in run_ids(folder):
        (folder / "runs" / run_id / "run.json").unlink()
    with pytest.raises(NothingMeasuredError, match="4 not finished"):
        load_campaign(folder)


def test_a_folder_that_lost_its_plan_is_told_what_writes_it_again(folder: Path) -> None:
    (folder / "plan.json").unlink()
    with pytest.raises(NotACampaignError, match="its 4 records are kept: the bench command that made them"):
        load_campaign(folder)


def test_unreadable_runs_only_is_nothing_measured(folder: Path) -> None:
    for run_id in run_ids(folder):
        (folder / "runs" / run_id / "checkpoints.parquet").unlink()
    with pytest.raises(NothingMeasuredError, match=r"4 unreadable; checkpoints\.parquet is missing"):
        load_campaign(folder)
