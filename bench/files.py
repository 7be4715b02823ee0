"""Files that appear complete or not at all, and files that only grow."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bench.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def write_atomic(path: Path, content: bytes | str) -> None:
    """Put a file in place at once: whoever opens it finds the old content or the new one, after a power cut too.

    Raises:
        StoreError: it could not be written; the old content, if any, is still there.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with _told(path):
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        sync_folder(path.parent)


def append_line(path: Path, text: str) -> None:
    """Add one line to a file, made where missing; it is on the disk when this returns.

    Raises:
        ValueError: the text holds a line end.
        StoreError: it could not be written.
    """
    if "\n" in text:
        raise ValueError(f"one line at a time: {text!r}")
    with _told(path):
        new = not path.exists()
        with path.open("ab") as file:
            file.write(text.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(path.parent)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path} could not be written: {error.strerror or error}",
            hint="see that its folder exists, is writable, and that the disk has space",
        ) from error


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk: a rename is there only when the folder that holds the name is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
