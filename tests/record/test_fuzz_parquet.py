"""Tables and records with arbitrary damage: the numbers that were written, or none."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_session import GUEST, QEMU, make_cell
from fuzzing import ANY, damaged, json_values, trial
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.errors import StoreError
from bench.format.phases import PARTS
from bench.measure.checkpoints import Checkpoint
from bench.plan.plan import make_plan, plan_json
from bench.record.index import COLUMNS, write_index
from bench.record.ledger import Ledger
from bench.record.run import is_recorded, quality_failures, quality_ok, read_record
from bench.record.table import checkpoint_columns, read_checkpoints, write_checkpoints

PLAN = make_plan("c", [make_cell("256M"), make_cell("512M")], repeats=1, seed=1, qemu=QEMU, guest=GUEST)
RUN = PLAN.runs[0].run_id


def checkpoint(number: int) -> Checkpoint:
    times = tuple(10**15 + 10**6 * number + step * (number + 7) for step in range(8))
    return Checkpoint(number, times, {part.name: number + place for place, part in enumerate(PARTS)}, 100 + number)


ONES = [checkpoint(number) for number in range(40)]
TABLE = checkpoint_columns(RUN, ONES, ("demand",) * len(ONES), warmup=3)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaign")
    (folder / "plan.json").write_text(plan_json(PLAN), encoding="utf-8")
    ledger = Ledger(folder / "ledger.jsonl")
    for run in PLAN.runs:
        home = folder / "runs" / run.run_id
        home.mkdir(parents=True)
        write_checkpoints(home / "checkpoints.parquet", TABLE | {"run_id": [run.run_id] * len(ONES)})
        record = {"schema_version": 1, "run_id": run.run_id, "accel": "tcg", "quality": {"ok": True, "failures": []}}
        (home / "run.json").write_text(json.dumps(record), encoding="utf-8")
        ledger.append(run.run_id, "measured")
    return folder


@pytest.fixture(scope="module")
def whole(campaign: Path) -> bytes:
    return (campaign / "runs" / RUN / "checkpoints.parquet").read_bytes()


@given(st.data())
def test_a_damaged_table_is_refused_or_holds_what_was_written(
    campaign: Path, whole: bytes, data: st.DataObject
) -> None:
    path = campaign / "damaged.parquet"
    path.write_bytes(data.draw(damaged(whole, ANY)))
    with trial("checkpoints.parquet") as one:
        table = one.attempt(read_checkpoints, path)
        assert table is None or table.to_pydict() == TABLE


@given(st.integers(0, 1 << 20), st.integers(1, 255))
def test_a_single_wrong_byte_is_refused_or_changes_nothing(campaign: Path, whole: bytes, at: int, change: int) -> None:
    place = at % len(whole)
    path = campaign / "damaged.parquet"
    path.write_bytes(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
    with trial("checkpoints.parquet") as one:
        table = one.attempt(read_checkpoints, path)
        assert table is None or table.to_pydict() == TABLE


TYPES = st.sampled_from(
    [pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.binary(), pa.list_(pa.int64()), pa.null()]
)


@given(st.lists(st.tuples(st.sampled_from([*TABLE, "more"]), TYPES), max_size=6), st.integers(0, 3), st.booleans())
def test_a_table_of_other_columns_is_refused(
    campaign: Path,
    fields: list[tuple[str, Any]],
    rows: int,
    ours: bool,  # noqa: FBT001
) -> None:
    schema = pa.schema(fields, metadata={b"colo_bench_schema_version": b"1"} if ours else None)
    path = campaign / "damaged.parquet"
    pq.write_table(pa.table([pa.nulls(rows, kind) for _, kind in fields], schema=schema), path)
    with trial("checkpoints.parquet") as one:
        assert one.attempt(read_checkpoints, path) is None


@given(st.lists(st.tuples(*[st.integers(0, 10**7)] * 7), max_size=5), st.integers(0, 10**15))
def test_every_table_is_read_back_and_its_phases_add_up(
    campaign: Path, phases: list[tuple[int, ...]], begin: int
) -> None:
    ones = [
        Checkpoint(number, tuple(begin + sum(steps[:place]) for place in range(8)))
        for number, steps in enumerate(phases)
    ]
    path = campaign / "written.parquet"
    with trial("checkpoints.parquet") as one:
        columns = checkpoint_columns("r", ones, ("timer",) * len(ones), warmup=1)
        write_checkpoints(path, columns)
        table = one.attempt(read_checkpoints, path)
        assert table is not None
        assert table.to_pydict() == columns
        pauses = table["prepare_s"].to_numpy()
        for name in ("save_s", "deliver_s", "load_s", "resume_s"):
            pauses = pauses + table[name].to_numpy()
        assert (pauses == table["pause_s"].to_numpy()).all()
        assert np.allclose(table["pause_s"].to_numpy(), [each.pause_us / 1e6 for each in ones])


@given(
    st.one_of(
        damaged(json.dumps({"schema_version": 1, "run_id": RUN, "quality": {"ok": True, "failures": ["a"]}}).encode()),
        st.dictionaries(st.sampled_from(["quality", "accel", "cell", "x"]), json_values(5)).map(
            lambda tree: json.dumps({"schema_version": 1, "run_id": RUN} | tree).encode()
        ),
    )
)
def test_a_damaged_record_is_none_or_of_its_run(campaign: Path, content: bytes) -> None:
    home = campaign / "elsewhere"
    home.mkdir(exist_ok=True)
    (home / "run.json").write_bytes(content)
    with trial("run.json") as one:
        record = one.attempt(read_record, home, RUN)
        assert is_recorded(home, RUN) == (record is not None) or b"NaN" in content or b"Infinity" in content
        if record is not None:
            assert (record["run_id"], record["schema_version"]) == (RUN, 1)
            assert quality_ok(record) is None or type(quality_ok(record)) is bool
            assert all(isinstance(why, str) for why in quality_failures(record))


@given(
    st.sampled_from(["plan.json", "ledger.jsonl", f"runs/{RUN}/run.json", f"runs/{RUN}/checkpoints.parquet"]), st.data()
)
def test_an_index_of_a_damaged_campaign_shows_its_runs_as_they_are(
    campaign: Path, name: str, data: st.DataObject
) -> None:
    before = indexed(campaign)
    content = (campaign / name).read_bytes()
    broken = data.draw(damaged(content))
    assume(broken != content)
    (campaign / name).write_bytes(broken)
    try:
        with trial("campaign folder, index.csv") as one:
            done = one.attempt(indexed, campaign)
            if done is not None and name != "plan.json":
                assert [row["run_id"] for row in done] == [row["run_id"] for row in before]
                figures = ("checkpoints", "pause_median_s", "pause_p95_s")
                for row, was in zip(done, before, strict=True):
                    assert all(row[each] in ("", was[each]) for each in figures)
    finally:
        (campaign / name).write_bytes(content)


def indexed(campaign: Path) -> list[dict[str, str]]:
    """Write a campaign's index, and return its rows."""
    write_index(campaign)
    found = list(csv.DictReader(io.StringIO((campaign / "index.csv").read_text(encoding="utf-8"))))
    assert all(set(row) == set(COLUMNS) for row in found)
    return found


def test_a_name_of_a_column_that_is_no_text_is_refused(campaign: Path, whole: bytes) -> None:
    path = campaign / "damaged.parquet"
    path.write_bytes(whole.replace(b"trigger", b"\xe4rigger"))
    with pytest.raises(StoreError, match="cannot be read"):
        read_checkpoints(path)


def test_a_flipped_number_in_a_table_is_noticed(campaign: Path, whole: bytes) -> None:
    path = campaign / "damaged.parquet"
    refused = 0
    for place in range(4, len(whole) // 2, 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert read_checkpoints(path).to_pydict() == TABLE
        except StoreError:
            refused += 1
    assert refused
