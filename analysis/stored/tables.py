"""A stored table as it was written, or why it cannot be used: the checksums of its pages, its own hash, its version."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.format.table import TABLES, is_as_written, upgrade_table

if TYPE_CHECKING:
    from pathlib import Path


class UnusableError(Exception):
    """A stored file says something that the format does not allow."""


def read_table(path: Path, known: str = "") -> tuple[pa.Table, str]:
    """Return a table in the columns of the present version, and the hash of its file.

    Args:
        path: whose stem says which of :data:`analysis.format.table.TABLES` it is.
        known: the hash of its file when it was read before: where it is still that one, it is as sound as it was.

    Raises:
        UnusableError: it is missing, damaged, of another version, or lacks a column or a value; the message says which.
    """
    try:
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        # Columns of a single run are small: threads would cost more than they save.
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=sha256 != known)
        table = file.read(use_threads=False)
        table.validate(full=sha256 != known)
    except FileNotFoundError as error:
        raise UnusableError(f"{path.name} is missing") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UnusableError(f"{path.name} is not readable: {one_line(error)}") from error
    if sha256 != known and not is_as_written(table):
        raise UnusableError(f"{path.name} does not hold what was written")
    try:
        table = upgrade_table(path.stem, table)
    except ValueError as error:
        raise UnusableError(f"{path.name} {error}") from error
    return _typed(table, path.name, TABLES[path.stem]), sha256


def _typed(table: pa.Table, name: str, schema: pa.Schema) -> pa.Table:
    present = set(table.column_names)
    missing = [column for column in schema.names if column not in present]
    if missing:
        raise UnusableError(f"{name} lacks the column(s) {', '.join(missing)}")
    try:
        table = table.select(schema.names)
        if table.schema.types != schema.types:
            table = pa.table([table[field.name].cast(field.type) for field in schema], names=schema.names)
    except pa.ArrowException as error:
        raise UnusableError(f"{name} has a column of the wrong type: {one_line(error)}") from error
    for column in schema:
        if not column.nullable and table[column.name].null_count:
            raise UnusableError(f"{name} has {table[column.name].null_count} missing value(s) in {column.name}")
    return table


def one_line(error: Exception) -> str:
    """Return what an error says, without its line ends."""
    return " ".join(str(error).split())
