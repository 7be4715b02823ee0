"""The files of a far host, and the disks that they lie on."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import TYPE_CHECKING

from bench.errors import HostError
from bench.host.far_end import FarEnd
from bench.host.reach import FULL
from bench.system.files import OFD_READ_LOCK, require_left

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK = 1 << 20


class FarFiles(FarEnd):
    """What is done with files there."""

    def make_folder(self, path: Path) -> None:
        """Make a folder for its owner alone, there and here.

        Raises:
            HostError: the far system refused.
        """
        far = self.far(path)
        with self.writing(f"{far} could not be made"):
            self.wire.call("mkdir", path=far)
        path.mkdir(mode=0o700, exist_ok=True)

    def put(self, path: Path, content: str | bytes) -> None:
        """Write a file, complete or not at all.

        Raises:
            HostError: the far system refused.
        """
        far = self.far(path)
        with self.writing(f"{far} could not be written"):
            self.wire.call("put", content.encode() if isinstance(content, str) else content, path=far)

    def get(self, path: Path) -> bytes:
        """Return a file's content, which comes in pieces."""
        content = bytearray()
        while piece := self.wire.call("get", path=self.far(path), at=len(content), size=_CHUNK).data:
            content += piece
        return bytes(content)

    def remove(self, path: Path) -> None:
        """Remove a file if it is there; where the connection is gone, the agent removes its whole folder."""
        with suppress(HostError):
            self.wire.call("remove", path=self.far(path))

    def has_locks(self, folder: Path) -> bool:
        """Return whether files in a folder can be locked as QEMU locks its images.

        Raises:
            HostError: the far system refused a file in it.
        """
        lock, far = base64.b64encode(OFD_READ_LOCK).decode(), self.far(folder)
        with self.writing(f"no file could be made in {far}"):
            return bool(self.wire.call("locks", path=far, lock=lock).value)

    def require_room(self, folder: Path) -> None:
        """Return when the disk that holds a folder there has room for a little more.

        Raises:
            StoreError: it is full.
        """
        free, files, most = self.wire.call("room", path=self.far(folder)).value
        require_left(f"{self.far(folder)} on the {self.name}'s host", free, files if most else None, FULL)

    def room(self) -> tuple[int, int, int]:
        """Return the bytes that are free in the work folder, the files that may be made, and how many there may be."""
        free, files, most = self.wire.call("room", path=self.run_folder).value
        return free, files, most
