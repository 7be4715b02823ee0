"""The tables of a run, ``checkpoints.parquet`` and ``client.parquet``: their columns, in the order they are stored."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pyarrow as pa

from . import phases
from .version import SCHEMA_VERSION, VERSION_KEY, upgrade

SHA256_KEY = b"colo_bench_sha256"
"""The key of a parquet file's metadata that holds :func:`content_sha256` of what was written."""

PHASES = tuple(f"{name}_s" for name in phases.PHASES)
"""The columns of all phases of a checkpoint, in time order; they add up to ``total_s``."""

PAUSE_PHASES = tuple(f"{name}_s" for name in phases.STOPPED_PHASES)
"""The columns of the phases inside the pause, in time order; they add up to ``pause_s``."""

_LONGEST = 9  # digits of a version


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
        *(pa.field(f"{part.name}_s", pa.float64()) for part in phases.PARTS),
        pa.field("qmp_pause_s", pa.float64()),
        pa.field("bytes_sent", pa.int64()),
        pa.field("guest_standstill_s", pa.float64()),
        pa.field("set_rewritten", pa.bool_()),
    ],
)
"""One row per complete checkpoint, in order."""

CLIENT = pa.schema(
    [
        _required("t_send", pa.float64()),
        _required("latency_s", pa.float64()),
        _required("status", pa.int32()),
        pa.field("error", pa.string()),
        _required("bytes", pa.int64()),
        pa.field("service_s", pa.float64()),
        pa.field("connection", pa.int32()),
    ],
)
"""One row per request of a workload's client, in the order of sending."""


TABLES = {"checkpoints": CHECKPOINTS, "client": CLIENT}
"""By what they are called, which is the stem of their files' names."""


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


def is_as_written(table: pa.Table) -> bool:
    """Return whether a table holds what was written, by its own hash; one from before there were hashes does."""
    written = (table.schema.metadata or {}).get(SHA256_KEY)
    return bool(written is None or written == content_sha256(table).encode())


def upgrade_table(what: str, table: pa.Table) -> pa.Table:
    """Return a stored table (``checkpoints``, ``client``) as the present version has it.

    What the steps added to an older one is then where it belongs, so that a step need not know its place.

    Raises:
        ValueError: it is of no version that this program knows.
    """
    said = (table.schema.metadata or {}).get(VERSION_KEY, b"missing").decode(errors="replace")
    version = int(said) if said.isdecimal() and len(said) < _LONGEST else said
    upgraded = upgrade(what, table, version)
    wanted = TABLES.get(what)
    if wanted is None or version == SCHEMA_VERSION or sorted(wanted.names) != sorted(upgraded.column_names):
        return upgraded
    return upgraded.select(wanted.names)
