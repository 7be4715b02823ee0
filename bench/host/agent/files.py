"""Files of this host: written, read and removed on request, and sent as they grow."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import PIECE

if TYPE_CHECKING:
    from .folders import Folders
    from .link import Link

_NO_LOG = (".qcow2", ".sock", ".tmp")


class Files:
    """What the near end asks of files, and how much of the run's it has."""

    def __init__(self, link: Link, folders: Folders) -> None:
        self._link = link
        self._folders = folders
        self._sent: dict[str, int] = {}

    def op_mkdir(self, message: dict[str, Any], _payload: bytes) -> None:
        """Make a folder for its owner alone."""
        Path(message["path"]).mkdir(
            mode=0o700, parents=message.get("parents", False), exist_ok=message.get("again", False)
        )

    def op_put(self, message: dict[str, Any], payload: bytes) -> None:
        """Write a file complete or not at all, or add to one."""
        path = Path(message["path"])
        if message.get("append"):
            with path.open("ab") as file:
                file.write(payload)
            return
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(payload)
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink()

    def op_get(self, message: dict[str, Any], _payload: bytes) -> bytes:
        """Return a piece of a file: from an offset, of the end when it is negative."""
        with Path(message["path"]).open("rb") as file:
            at = message.get("at", 0)
            file.seek(at if at >= 0 else max(0, file.seek(0, os.SEEK_END) + at))
            return file.read(message.get("size", PIECE))

    def op_remove(self, message: dict[str, Any], _payload: bytes) -> None:
        """Remove a file if it is there."""
        with suppress(FileNotFoundError):
            Path(message["path"]).unlink()

    def op_sync(self, message: dict[str, Any], _payload: bytes) -> bool:
        """Send what is new in the files of the run, up to a limit, and return whether there is more."""
        left, run = int(message["limit"]), self._folders.run
        for path in sorted(run.rglob("*")) if run else ():
            name = str(path.relative_to(run or path))
            hidden = any(part.startswith(".") for part in Path(name).parts)
            if hidden or path.suffix in _NO_LOG or path.is_symlink() or not path.is_file():
                continue
            if left <= 0:
                return True
            with suppress(OSError):  # gone meanwhile
                left -= self._send_new(path, name, left)
        return left <= 0

    def _send_new(self, path: Path, name: str, most: int) -> int:
        """Send what a file has grown by, and return how many bytes that were; one that shrank is sent anew."""
        size, at = path.stat().st_size, self._sent.get(name, -1)
        if size < at:
            at = -1
        count = 0
        with path.open("rb") as file:
            file.seek(max(0, at))
            while at < size and count < most:
                piece = file.read(PIECE)
                at = max(0, at)
                self._link.send({"event": "file", "name": name, "at": at}, piece)
                at += len(piece)
                count += len(piece)
                self._sent[name] = at
                if not piece:
                    break
        return count
