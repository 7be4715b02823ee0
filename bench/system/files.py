"""Files that appear complete or not at all, and files that only grow."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import struct
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import StoreError
from bench.process.interrupt import held_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CAUSES = {errno.ENOSPC: "disk-full", errno.EDQUOT: "disk-full", errno.EROFS: "read-only"}

_NOT_OFFERED = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))
NO_LOCKS = frozenset((*_NOT_OFFERED, errno.ENOLCK))
"""The error numbers by which a file system says that it has no locks."""

_FLOCK = struct.Struct("hhqqi4x")
"""``struct flock`` of fcntl(2) on 64-bit Linux: type, whence, start, length, process."""

OFD_READ_LOCK = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 100, 1, 0)
"""A read lock of one byte, as QEMU asks for it with ``F_OFD_SETLK``."""

_ROOM_BYTES = 64 * 1024

FULL_OR_READ_ONLY = frozenset(_CAUSES)
"""The error numbers by which the system says that nothing can be written: no fault of the program."""


def is_there(path: Path) -> bool:
    """Return whether there is something at a path; nothing where it may not be looked at or cannot be a path."""
    return os.path.exists(path)  # noqa: PTH110 - Path's raises for a folder that is closed and a name too long


def is_folder(path: Path) -> bool:
    """Return whether there is a folder, as `is_there`."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """Return whether there is a file, as `is_there`."""
    return os.path.isfile(path)  # noqa: PTH113


def text_of(path: Path) -> str:
    """Return what a file holds; nothing where it cannot be read."""
    with suppress(OSError):
        return path.read_text(errors="replace")
    return ""


def nearest(path: Path) -> Path:
    """Return an absolute path, or the nearest above it that is there."""
    return next(one for one in (path, *path.parents) if is_there(one))


def store_error(error: OSError, path: Path | None = None) -> StoreError:
    """Return the error that says what could not be written and where, with a full and a read-only disk told apart."""
    where = error.filename if path is None else path
    what = f"{where} could not be written" if where else "something could not be written"
    return StoreError(
        f"{what}: {error.strerror or error}",
        cause=_CAUSES.get(error.errno or 0, "store-failed"),
    )


@contextmanager
def passing_folder(parent: Path, prefix: str, suffix: str = "") -> Iterator[Path]:
    """Provide a new private folder that is gone after the block, wherever an interrupt comes."""
    with held_back():
        folder = tempfile.TemporaryDirectory(prefix=prefix, suffix=suffix, dir=parent, ignore_cleanup_errors=True)
    try:
        yield Path(folder.name)
    finally:
        with held_back():
            folder.cleanup()


def has_locks(folder: Path) -> bool:
    """Return whether files in a folder can be locked as QEMU locks its images: byte by byte, for the open file.

    Raises:
        StoreError: a file cannot be made there.
    """
    with told(folder), tempfile.TemporaryFile(dir=folder, prefix=".lock.", suffix=".tmp") as file:
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, OFD_READ_LOCK)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return False
    return True


def require_room(folder: Path) -> None:
    """Return when the disk that holds a folder has room for a little more.

    Raises:
        StoreError: it is full.
    """
    status = os.statvfs(folder)
    require_left(str(folder), status.f_bavail * status.f_frsize, status.f_favail if status.f_files else None)


def require_left(place: str, free_bytes: int, free_files: int | None, cause: str = "disk-full") -> None:
    """Return when there is room for a little more in a place, by what its file system says; ``cause``: if there is not.

    Raises:
        StoreError: it is full.
    """
    if free_bytes < _ROOM_BYTES or free_files == 0:
        words = f"the disk of {place} is full: {free_bytes} bytes free, {free_files or 0} files"
        raise StoreError(words, cause=cause)


def write_atomic(path: Path, content: bytes | str) -> None:
    """Put a file in place at once: whoever opens it finds the old content or the new one, after a power cut too.

    Raises:
        StoreError: it could not be written; the old content, if any, is still there.
    """
    data = _encoded(content) if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with told(path):
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink()
        sync_folder(path.parent)


def append_line(path: Path, text: str) -> None:
    """Add one line to a file, as :func:`append_lines` does."""
    append_lines(path, (text,))


def append_lines(path: Path, texts: Sequence[str]) -> None:
    """Add lines to a file, made where missing; they are on the disk when this returns.

    Raises:
        ValueError: a text holds a line end.
        StoreError: they could not be written; a part of them that was is taken back.
    """
    if not texts:
        return
    if any("\n" in text for text in texts):
        raise ValueError(f"one line at a time: {texts!r}")
    with told(path):
        new = not path.exists()
        # Unbuffered: what a full disk refused must not be tried again when the file is closed.
        with path.open("ab", buffering=0) as file:
            before = file.seek(0, os.SEEK_END)
            try:
                _write_all(file.fileno(), b"".join(_encoded(text) + b"\n" for text in texts))
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(before)
                raise
        if new:
            sync_folder(path.parent)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the system refuses inside the block into a `StoreError` that names the path.

    Raises:
        StoreError: the system refused.
    """
    try:
        yield
    except OSError as error:
        raise store_error(error, path) from error


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk: a rename is there only when the folder that holds the name is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:  # some shared folders sync files alone
            raise
    finally:
        os.close(descriptor)


def _encoded(text: str) -> bytes:
    # A file name that is no UTF-8 arrives as lone surrogates; written as \udcXX they are also what JSON calls them.
    return text.encode(errors="backslashreplace")
