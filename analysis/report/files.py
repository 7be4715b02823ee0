"""Files that are there whole, or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, content: bytes) -> Path:
    """Write a file with whatever folders it needs, and return its path.

    What is there and is no file (``/dev/stdout``, ``/dev/null``, a pipe) is written to, and not replaced by one.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}"  # with_name knows none for ``.``, which has no name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return path
        temporary.write_bytes(content)
        return temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
