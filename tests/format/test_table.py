from __future__ import annotations

from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_traces import real_primary, real_secondary
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import StoreError
from bench.format.table import CHECKPOINTS, CLIENT, PAUSE_PHASES, PHASES, SHA256_KEY, content_sha256, upgrade_table
from bench.format.version import SCHEMA_VERSION, VERSION_KEY
from bench.measure.beats import Seen
from bench.measure.checkpoints import Checkpoint, assemble
from bench.record.table import checkpoint_columns, is_older, read_checkpoints, write_checkpoints, write_client

CONTRACT = """
run_id string, index int32, warmup bool, trigger string, t_request double, pause_s double, total_s double,
request_s double, stop_s double, prepare_s double, save_s double, deliver_s double, load_s double, resume_s double,
dirty_pages int64, device_save_s double, bitmap_sync_s double, ram_send_s double, ram_receive_s double,
cache_flush_s double, device_load_s double, restart_s double, qmp_pause_s double, bytes_sent int64,
guest_standstill_s double, set_rewritten bool
"""


LATER = {"guest_standstill_s", "set_rewritten"}
"""What came after version 1 of the checkpoints, as far as ``CONTRACT`` goes."""

VERSION_1 = [name for name in (column.split()[0] for column in CONTRACT.split(",")) if name not in LATER]


def real_columns(**more: Any) -> dict[str, list[Any]]:
    checkpoints = assemble(real_primary(), real_secondary()).checkpoints
    return checkpoint_columns("0123456789ab", checkpoints, ("demand",) * 3, warmup=1, **more)


def test_the_columns_and_their_types_are_those_of_the_contract() -> None:
    expected = [tuple(column.split()) for column in CONTRACT.replace("\n", " ").split(",")]
    assert [(field.name, str(field.type)) for field in CHECKPOINTS] == expected
    assert [(field.name, str(field.type)) for field in CLIENT] == [
        ("t_send", "double"),
        ("latency_s", "double"),
        ("status", "int32"),
        ("error", "string"),
        ("bytes", "int64"),
        ("service_s", "double"),
        ("connection", "int32"),
    ]


def test_real_checkpoints_are_stored_and_read_back(tmp_path: Path) -> None:
    seen = (Seen(standstill_us=87_700, rewritten=True), Seen(), Seen())
    columns = real_columns(qmp_pauses_us=(86_943, None, 44_896), bytes_sent=(81_920, 5, None), seen=seen)
    write_checkpoints(tmp_path / "c.parquet", columns)
    rows = read_checkpoints(tmp_path / "c.parquet").to_pylist()
    assert rows[0] == {
        "run_id": "0123456789ab",
        "index": 0,
        "warmup": True,
        "trigger": "demand",
        "t_request": 1_795_421_240.882999,
        "pause_s": 0.000717 + 0.00218 + 0.041586 + 0.042505 + 0.00071,
        "total_s": 0.00096 + 0.000009 + (0.000717 + 0.00218 + 0.041586 + 0.042505 + 0.00071),
        "request_s": 0.00096,
        "stop_s": 0.000009,
        "prepare_s": 0.000717,
        "save_s": 0.00218,
        "deliver_s": 0.041586,
        "load_s": 0.042505,
        "resume_s": 0.00071,
        "dirty_pages": 106,
        "device_save_s": 0.001737,
        "bitmap_sync_s": 0.000134,
        "ram_send_s": 0.000309,
        "ram_receive_s": 0.042398,
        "cache_flush_s": 0.000129,
        "device_load_s": 0.007991,
        "restart_s": 0.000056,
        "qmp_pause_s": 0.086943,
        "bytes_sent": 81_920,
        "guest_standstill_s": 0.0877,
        "set_rewritten": True,
    }
    assert [row["warmup"] for row in rows] == [True, False, False]
    assert (rows[1]["qmp_pause_s"], rows[2]["bytes_sent"]) == (None, None)


@given(st.lists(st.lists(st.integers(0, 10**9), min_size=7, max_size=7), min_size=1, max_size=5))
def test_adding_a_row_s_phases_gives_exactly_its_pause_and_total(phases: list[list[int]]) -> None:
    ones = [Checkpoint(n, tuple(10**15 + sum(row[:k]) for k in range(8))) for n, row in enumerate(phases)]
    columns = checkpoint_columns("r", ones, ("timer",) * len(ones), warmup=0)
    for n, row in enumerate(phases):
        assert columns["pause_s"][n] == reduce(add, [columns[name][n] for name in PAUSE_PHASES])
        assert columns["total_s"][n] == columns["request_s"][n] + columns["stop_s"][n] + columns["pause_s"][n]
        assert [round(columns[name][n] * 1e6) for name in PHASES] == row
        assert round(columns["t_request"][n] * 1e6) == 10**15


def test_a_run_without_checkpoints_has_an_empty_table(tmp_path: Path) -> None:
    write_checkpoints(tmp_path / "c.parquet", checkpoint_columns("r", (), (), warmup=3))
    table = read_checkpoints(tmp_path / "c.parquet")
    assert (table.num_rows, table.schema) == (0, CHECKPOINTS)


def test_the_same_columns_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_checkpoints(tmp_path / name, real_columns())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_file_carries_the_schema_version(tmp_path: Path) -> None:
    write_checkpoints(tmp_path / "c.parquet", real_columns())
    assert pq.read_schema(tmp_path / "c.parquet").metadata[VERSION_KEY] == str(SCHEMA_VERSION).encode()
    assert VERSION_KEY == b"colo_bench_schema_version"


def test_a_folder_named_like_a_setting_adds_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "mem=4"
    folder.mkdir()
    write_checkpoints(folder / "c.parquet", real_columns())
    assert read_checkpoints(folder / "c.parquet").column_names == CHECKPOINTS.names


def test_client_answers_are_stored_and_read_back(tmp_path: Path) -> None:
    columns = {
        "t_send": [1.5, 2.5],
        "latency_s": [0.01, 3.0],
        "status": [200, 0],
        "error": [None, "timed out"],
        "bytes": [9, 0],
        "service_s": [0.005, None],
        "connection": [0, None],
    }
    write_client(tmp_path / "client.parquet", columns)
    assert pq.read_table(tmp_path / "client.parquet").to_pydict() == columns


def test_answers_from_before_version_3_are_read_without_their_service_time() -> None:
    older = pa.schema([field for field in CLIENT if field.name not in {"service_s", "connection"}])
    columns = {"t_send": [1.5], "latency_s": [0.01], "status": [200], "error": [None], "bytes": [9]}
    table = pa.table(columns, schema=older.with_metadata({VERSION_KEY: b"2"}))
    assert upgrade_table("client", table).to_pydict() == columns | {"service_s": [None], "connection": [None]}


def test_what_a_step_adds_stands_where_the_present_version_has_it() -> None:
    """A step adds at the end, a column may belong elsewhere; what is of the present version is left as it is."""
    names = [name for name in reversed(CLIENT.names) if name not in {"service_s", "connection"}]
    older = CLIENT.empty_table().select(names).replace_schema_metadata({VERSION_KEY: b"2"})
    assert upgrade_table("client", older).schema.equals(CLIENT)
    now = CLIENT.empty_table().select(names).replace_schema_metadata({VERSION_KEY: str(SCHEMA_VERSION).encode()})
    assert upgrade_table("client", now).column_names == names


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dirty_pages": [None] * 2}, "do not fit"),
        ({"dirty_pages": ["many"] * 3}, "do not fit"),
        ({"pause_s": [0.1, None, 0.2]}, "may not be null"),
        ({"more": [1, 2, 3]}, "more"),
    ],
)
def test_columns_that_break_the_contract_are_refused(tmp_path: Path, change: dict[str, list[Any]], said: str) -> None:
    with pytest.raises(StoreError, match=said):
        write_checkpoints(tmp_path / "c.parquet", real_columns() | change)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    columns = real_columns()
    del columns["load_s"]
    with pytest.raises(StoreError, match="load_s"):
        write_checkpoints(tmp_path / "c.parquet", columns)


@pytest.mark.parametrize("metadata", [{VERSION_KEY: str(SCHEMA_VERSION + 1).encode()}, {VERSION_KEY: b"0"}, None])
def test_another_schema_version_is_refused(tmp_path: Path, metadata: dict[bytes, bytes] | None) -> None:
    table = pa.table(real_columns(), schema=CHECKPOINTS.with_metadata(metadata))
    pq.write_table(table, tmp_path / "c.parquet")
    with pytest.raises(StoreError, match="schema version"):
        read_checkpoints(tmp_path / "c.parquet")


def test_other_columns_under_the_same_version_are_refused(tmp_path: Path) -> None:
    table = pa.table({"pause_s": [1.0]}).replace_schema_metadata({VERSION_KEY: str(SCHEMA_VERSION).encode()})
    pq.write_table(table, tmp_path / "c.parquet")
    with pytest.raises(StoreError, match="does not have the columns"):
        read_checkpoints(tmp_path / "c.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1 torn"])
def test_a_torn_file_is_a_failure_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.parquet").write_bytes(content)
    with pytest.raises(StoreError, match=r"c\.parquet cannot be read"):
        read_checkpoints(tmp_path / "c.parquet")
    with pytest.raises(StoreError, match=r"none\.parquet cannot be read"):
        read_checkpoints(tmp_path / "none.parquet")


def test_the_documentation_describes_every_column_in_order() -> None:
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    types = {"string": "string", "int32": "int32", "bool": "bool", "float64": "double", "int64": "int64"}
    for heading, schema in (("## checkpoints.parquet", CHECKPOINTS), ("## client.parquet", CLIENT)):
        section = text.split(f"{heading}\n")[1].split("\n#")[0]
        cells = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
        found = [(name.strip(" `"), *kind.strip().partition(", ")[::2]) for name, kind in cells]
        assert [(name, types[kind], nullable) for name, kind, nullable in found] == [
            (field.name, str(field.type), "nullable" if field.nullable else "") for field in schema
        ]


def test_a_table_whose_footer_gives_a_column_the_pages_of_another_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.parquet"
    write_checkpoints(path, real_columns())
    table = pq.read_table(path)
    swapped = table.set_column(5, table.schema.field(5), table["total_s"])
    assert swapped["pause_s"] != table["pause_s"]
    assert table.schema.metadata[SHA256_KEY] == content_sha256(table).encode()
    pq.write_table(swapped, path)
    with pytest.raises(StoreError, match="does not hold what was written"):
        read_checkpoints(path)
    bare = {VERSION_KEY: str(SCHEMA_VERSION).encode()}  # as files from before the hash have it
    pq.write_table(swapped.replace_schema_metadata(bare), path)
    assert read_checkpoints(path).num_rows == table.num_rows


def test_a_table_of_version_1_is_read_with_what_nobody_asked_the_guest_then_null(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.parquet"
    write_checkpoints(path, real_columns())
    assert not is_older(path)
    older = pq.read_table(path).select(VERSION_1)
    pq.write_table(older.replace_schema_metadata({VERSION_KEY: b"1"}), path)
    assert is_older(path)
    assert read_checkpoints(path).select(["set_rewritten", "guest_standstill_s", "index"]).to_pylist() == [
        {"set_rewritten": None, "guest_standstill_s": None, "index": index} for index in range(3)
    ]
