"""The raw logs of a run, plain or compressed (``NAME.zst``): whoever reads one need not know which it is."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bench.errors import StoreError
from bench.format.folder import QMP_LOG, SERIAL, TRACE
from bench.system.files import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOGS = (TRACE, SERIAL, QMP_LOG)
"""The logs that grow with a run and that :func:`compress_log` is for."""

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Sizes:
    """What a log took and takes now, in bytes."""

    before: int
    after: int


def packed_path(path: Path) -> Path:
    """Return where the compressed form of a log is."""
    return path.with_name(f"{path.name}.zst")


def log_exists(path: Path) -> bool:
    """Return whether a log is there in either form."""
    return path.exists() or packed_path(path).exists()


@contextmanager
def open_log(path: Path) -> Iterator[Any]:
    """Open a log for reading bytes, whichever form it has; the plain one where both are there.

    Raises:
        OSError: it is not there, cannot be read, or its compressed form is damaged.
    """
    packed = packed_path(path)
    if path.exists() or not packed.exists():
        with path.open("rb") as file:
            yield file
        return
    try:
        with pa.input_stream(str(packed), compression="zstd") as stream:
            yield stream
    except pa.ArrowException as error:
        raise OSError(f"{packed}: {error}") from error


def read_log(path: Path) -> bytes:
    """Return the content of a log in either form; empty when it is not there.

    Raises:
        OSError: it cannot be read, or its compressed form is damaged.
    """
    if not log_exists(path):
        return b""
    with open_log(path) as file:
        return bytes(file.read())


def compress_log(path: Path) -> Sizes:
    """Put a log's compressed form in its place: the plain one goes only when the other is on the disk and proved equal.

    Raises:
        StoreError: it cannot be done; the plain log is still there.
    """
    packed = packed_path(path)
    temporary = path.with_name(f".{packed.name}.tmp")  # one name: what a kill leaves is written over the next time
    try:
        try:
            digest = _pack(path, temporary)
            if _unpacked_sha256(temporary) != digest:
                raise StoreError(f"{path}: what was compressed does not read back as what it was", cause="store-failed")
            shutil.copystat(path, temporary)
            sizes = Sizes(path.stat().st_size, temporary.stat().st_size)
            temporary.replace(packed)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        sync_folder(path.parent)
        path.unlink()
        sync_folder(path.parent)
    except (OSError, pa.ArrowException) as error:
        hint = "see that the folder is writable and that the disk has space"
        raise StoreError(f"{path} could not be compressed: {error}", hint=hint, logs=(path,)) from error
    return sizes


def _pack(path: Path, target: Path) -> str:
    """Write the compressed form, to the disk, and return the hash of what went in."""
    digest = hashlib.sha256()
    with path.open("rb") as source, pa.output_stream(str(target), compression="zstd") as stream:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            stream.write(chunk)
    with target.open("rb") as written:
        os.fsync(written.fileno())
    return digest.hexdigest()


def _unpacked_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with pa.input_stream(str(path), compression="zstd") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
