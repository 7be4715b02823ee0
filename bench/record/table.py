"""The tables of a run: ``checkpoints.parquet`` and ``client.parquet``, with the exact columns of ``docs/data.md``."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import StoreError
from bench.format.folder import CHECKPOINTS as CHECKPOINTS_NAME
from bench.format.folder import RunFolder
from bench.format.phases import PARTS
from bench.format.table import CHECKPOINTS, CLIENT, PHASES, SHA256_KEY, content_sha256, is_as_written, upgrade_table
from bench.format.version import SCHEMA_VERSION, VERSION_KEY
from bench.measure.beats import Seen
from bench.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.measure.checkpoints import Checkpoint
    from bench.measure.triggers import Trigger

_MAGIC = b"PAR1"
_TRAILER = 8


def checkpoint_columns(
    run_id: str,
    checkpoints: Sequence[Checkpoint],
    triggers: Sequence[Trigger],
    *,
    warmup: int,
    qmp_pauses_us: Sequence[int | None] | None = None,
    bytes_sent: Sequence[int | None] | None = None,
    seen: Sequence[Seen] | None = None,
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
        seen: what the guest saw of each, n of them.
    """
    phases = np.array([one.phases_us for one in checkpoints], dtype=np.float64).reshape(-1, len(PHASES)).T / 1e6
    pause = sum(phases[3:], start=phases[2])
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
    columns["dirty_pages"] = [one.dirty_pages for one in checkpoints]
    columns |= {f"{part.name}_s": [_seconds(one.parts_us.get(part.name)) for one in checkpoints] for part in PARTS}
    columns["qmp_pause_s"] = [_seconds(pause_us) for pause_us in qmp_pauses_us or [None] * len(checkpoints)]
    columns["bytes_sent"] = list(bytes_sent or [None] * len(checkpoints))
    seen = seen or [Seen()] * len(checkpoints)
    columns["guest_standstill_s"] = [_seconds(one.standstill_us) for one in seen]
    columns["set_rewritten"] = [one.rewritten for one in seen]
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
    try:
        content = pa.BufferReader(path.read_bytes())
        # Tables of single runs are small: threads and the machinery of data sets would cost more than they save.
        table = pq.ParquetFile(content, page_checksum_verification=True).read(use_threads=False)
        table.validate(full=True)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:  # a damaged name of a column is no text
        raise StoreError(f"{path} cannot be read: {error}", logs=(path,)) from error
    if not is_as_written(table):
        raise StoreError(f"{path} does not hold what was written", logs=(path,))
    try:
        table = upgrade_table(path.stem, table)
    except ValueError as error:
        raise StoreError(f"{path} {error}") from error
    if not table.schema.equals(CHECKPOINTS):
        raise StoreError(f"{path} does not have the columns of schema {SCHEMA_VERSION}")
    return table


def checkpoint_table(columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """Return the columns of ``checkpoints.parquet`` as the table that is stored.

    Raises:
        StoreError: a column is missing, unknown, or of another type or length.
    """
    return _table(CHECKPOINTS_NAME, columns, CHECKPOINTS)


def _write(path: Path, columns: Mapping[str, Sequence[Any]], schema: pa.Schema) -> None:
    buffer = io.BytesIO()
    table = _table(path.name, columns, schema)
    table = table.replace_schema_metadata(
        {VERSION_KEY: str(SCHEMA_VERSION).encode(), SHA256_KEY: content_sha256(table)}
    )
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    write_atomic(path, buffer.getvalue())


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


def is_older(path: Path) -> bool:
    """Return whether a readable table was written by an older version."""
    return (pq.read_schema(path).metadata or {}).get(VERSION_KEY) != str(SCHEMA_VERSION).encode()


def has_whole_tables(home: Path) -> bool:
    """Return whether a run's tables are there and end as they should: a look that costs nothing, not a reading."""
    client = RunFolder(home).client
    return _ends_whole(RunFolder(home).checkpoints) and (not client.exists() or _ends_whole(client))


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
