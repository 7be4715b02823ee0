"""The tables of a run: ``checkpoints.parquet`` and ``client.parquet``, with the exact columns of ``docs/data.md``."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import StoreError
from bench.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.measure.checkpoints import Checkpoint
    from bench.measure.triggers import Trigger

SCHEMA_VERSION = 1
VERSION_KEY = b"colo_bench_schema_version"
SHA256_KEY = b"colo_bench_sha256"

PHASES = ("request_s", "stop_s", "prepare_s", "save_s", "deliver_s", "load_s", "resume_s")
PAUSE_PHASES = PHASES[2:]
FINER = (
    "device_save_s",
    "bitmap_sync_s",
    "ram_send_s",
    "ram_receive_s",
    "cache_flush_s",
    "device_load_s",
    "restart_s",
    "qmp_pause_s",
)

_MAGIC = b"PAR1"
_TRAILER = 8
_METADATA = {VERSION_KEY: str(SCHEMA_VERSION).encode()}


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


CHECKPOINTS = pa.schema(
    [
        _required("run_id", pa.string()),
        _required("index", pa.int32()),
        _required("warmup", pa.bool_()),
        _required("trigger", pa.string()),
        _required("t_request", pa.float64()),
        _required("pause_s", pa.float64()),
        _required("total_s", pa.float64()),
        *(_required(name, pa.float64()) for name in PHASES),
        pa.field("dirty_pages", pa.int64()),
        *(pa.field(name, pa.float64()) for name in FINER),
        pa.field("bytes_sent", pa.int64()),
    ],
    metadata=_METADATA,
)
"""One row per complete checkpoint, in order."""

CLIENT = pa.schema(
    [
        _required("t_send", pa.float64()),
        _required("latency_s", pa.float64()),
        _required("status", pa.int32()),
        pa.field("error", pa.string()),
        _required("bytes", pa.int64()),
    ],
    metadata=_METADATA,
)
"""One row per request of a workload's client, in the order of sending."""


def checkpoint_columns(
    run_id: str,
    checkpoints: Sequence[Checkpoint],
    triggers: Sequence[Trigger],
    *,
    warmup: int,
    qmp_pauses_us: Sequence[int | None] | None = None,
    bytes_sent: Sequence[int | None] | None = None,
) -> dict[str, list[Any]]:
    """Return the columns of ``checkpoints.parquet``; here microseconds become seconds.

    ``pause_s`` is the float64 sum of its phases from left to right, ``total_s`` is ``request_s + stop_s + pause_s``:
    adding again in that order gives exactly them.

    Args:
        run_id: the run.
        checkpoints: its complete checkpoints, n of them.
        triggers: n labels.
        warmup: how many checkpoints, counted from the start of COLO, the warm-up has.
        qmp_pauses_us: n pauses by QMP.
        bytes_sent: n counts.
    """
    phases = np.array([one.phases_us for one in checkpoints], dtype=np.float64).reshape(-1, len(PHASES)).T / 1e6
    pause = sum(phases[3:], start=phases[2])
    finer = [(*one.save, *one.load[1:]) for one in checkpoints]
    columns: dict[str, list[Any]] = {
        "run_id": [run_id] * len(checkpoints),
        "index": [one.number for one in checkpoints],
        "warmup": [one.number < warmup for one in checkpoints],
        "trigger": list(triggers),
        "t_request": [one.request_us / 1e6 for one in checkpoints],
        "pause_s": pause.tolist(),
        "total_s": (phases[0] + phases[1] + pause).tolist(),
    }
    columns |= {name: phase.tolist() for name, phase in zip(PHASES, phases, strict=True)}
    columns["dirty_pages"] = [one.load.dirty_pages for one in checkpoints]
    columns |= {name: [_seconds(row[position]) for row in finer] for position, name in enumerate(FINER[:-1])}
    columns["qmp_pause_s"] = [_seconds(pause_us) for pause_us in qmp_pauses_us or [None] * len(checkpoints)]
    columns["bytes_sent"] = list(bytes_sent or [None] * len(checkpoints))
    return columns


def _seconds(duration_us: int | None) -> float | None:
    return None if duration_us is None else duration_us / 1e6


def write_checkpoints(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write ``checkpoints.parquet``, complete or not at all.

    Raises:
        StoreError: a column is missing, unknown, or of another type or length; or the file cannot be written.
    """
    _write(path, columns, CHECKPOINTS)


def write_client(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write ``client.parquet``, complete or not at all.

    Raises:
        StoreError: as for :func:`write_checkpoints`.
    """
    _write(path, columns, CLIENT)


def read_checkpoints(path: Path) -> pa.Table:
    """Return the table of a ``checkpoints.parquet``.

    Raises:
        StoreError: the file cannot be read, or has another schema or schema version.
    """
    return _read(path, CHECKPOINTS)


def read_client(path: Path) -> pa.Table:
    """Return the table of a ``client.parquet``.

    Raises:
        StoreError: as for :func:`read_checkpoints`.
    """
    return _read(path, CLIENT)


def checkpoint_table(columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """Return the columns of ``checkpoints.parquet`` as the table that is stored.

    Raises:
        StoreError: a column is missing, unknown, or of another type or length.
    """
    return _table("checkpoints.parquet", columns, CHECKPOINTS)


def _write(path: Path, columns: Mapping[str, Sequence[Any]], schema: pa.Schema) -> None:
    buffer = io.BytesIO()
    table = _table(path.name, columns, schema)
    table = table.replace_schema_metadata({**_METADATA, SHA256_KEY: content_sha256(table)})
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    write_atomic(path, buffer.getvalue())


def content_sha256(table: pa.Table) -> str:
    """Return the SHA-256 of a table's names and values, in hexadecimal.

    Parquet's checksums guard its pages; a damaged footer can still give one column the pages of another.
    """
    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        digest.update(f"{name} {column.type} {column.null_count}\0".encode())
        if pa.types.is_string(column.type):
            words = column.combine_chunks().dictionary_encode()
            digest.update(json.dumps(words.dictionary.to_pylist()).encode())
            column = words.indices  # noqa: PLW2901 - a text is its place among the different ones
        numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        digest.update(np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").tobytes())
    return digest.hexdigest()


def _table(name: str, columns: Mapping[str, Sequence[Any]], schema: pa.Schema) -> pa.Table:
    if list(columns) != schema.names:
        odd = sorted(set(columns) ^ set(schema.names)) or list(columns)
        raise StoreError(f"{name}: the columns are not those of schema {SCHEMA_VERSION}: {odd}")
    try:
        table = pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)
        table.validate(full=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise StoreError(f"{name}: the rows do not fit the schema: {error}") from error
    empty = [field.name for field in schema if not field.nullable and table[field.name].null_count]
    if empty:
        raise StoreError(f"{name}: these columns may not be null: {empty}")
    return table


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        content = pa.BufferReader(path.read_bytes())
        # Tables of single runs are small: threads and the machinery of data sets would cost more than they save.
        table = pq.ParquetFile(content, page_checksum_verification=True).read(use_threads=False)
        table.validate(full=True)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:  # a damaged name of a column is no text
        raise StoreError(f"{path} cannot be read: {error}", logs=(path,)) from error
    version = (table.schema.metadata or {}).get(VERSION_KEY, b"none").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        raise StoreError(f"{path} has schema version {version}, this program reads {SCHEMA_VERSION}")
    if not table.schema.equals(schema):
        raise StoreError(f"{path} does not have the columns of schema {SCHEMA_VERSION}")
    written = table.schema.metadata.get(SHA256_KEY)
    if written is not None and written != content_sha256(table).encode():
        raise StoreError(f"{path} does not hold what was written", logs=(path,))
    return table


def has_whole_tables(home: Path) -> bool:
    """Return whether a run's tables are there and end as they should: a look that costs nothing, not a reading."""
    client = home / "client.parquet"
    return _ends_whole(home / "checkpoints.parquet") and (not client.exists() or _ends_whole(client))


def _ends_whole(path: Path) -> bool:
    """Parquet begins and ends with its magic; before that at the end stands how long the footer is."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(_MAGIC)) == _MAGIC
            size = file.seek(-_TRAILER, 2) + _TRAILER
            trailer = file.read()
    except OSError:
        return False
    footer = int.from_bytes(trailer[:4], "little")
    return begins and trailer[4:] == _MAGIC and footer + len(_MAGIC) + _TRAILER <= size
