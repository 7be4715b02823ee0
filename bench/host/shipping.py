"""How a file or folder of this machine comes to an agent's host: as a stream, unpacked beside, put in its place."""

from __future__ import annotations

import errno
import logging
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.host.far_programs import FarPrograms

_PIECE = 1 << 20
_UNPACK_S = 600.0

# What we packed may hold links that lead anywhere: newer versions of Python would refuse them.
_UNPACK = (
    "import sys, tarfile; tarfile.TarFile.extraction_filter = staticmethod(lambda member, path: member); "
    "tarfile.open(sys.argv[1]).extractall(sys.argv[2])"
)
# Another run may have put it there meanwhile, and use it. It is on the disk before it is called complete: hosts lose
# power.
_MOVE = (
    "import os, shutil, sys; new, place = sys.argv[1:]; "
    "os.path.exists(place + '.complete') or (shutil.rmtree(place, 1), shutil.move(new, place), os.sync())"
)

_LOG = logging.getLogger(__name__)


async def ship(remote: FarPrograms, path: Path, far: str) -> None:
    """Put a file or folder in its place on a host, where it is not there yet whole.

    Raises:
        HostError: it cannot be written there.
    """
    with remote.writing(f"{path.name} cannot be put into {far}"):
        wire, run = remote.wire, remote.run_folder
        python = (str(remote.facts["executable"]), "-I", "-c")
        part, folder = f"{run}/.part", f"{run}/.unpacked"
        if (await wire.ask("texts", globs=[f"{far}.complete"])).value:
            return
        _LOG.info("ship %s to the %s's host", path, remote.name)
        await wire.ask("mkdir", path=str(Path(far).parent), parents=True, again=True)
        await wire.ask("mkdir", path=folder, again=True)
        try:
            for piece in pack(path, _PIECE):
                await wire.ask("put", piece, path=part, append=True)
            await remote.run((*python, _UNPACK, part, folder), _UNPACK_S)
            await remote.run((*python, _MOVE, f"{folder}/{path.name}", far), _UNPACK_S)
            await wire.ask("put", b"1\n", path=f"{far}.complete")
        except HostError as error:
            if any("No space left" in line for line in error.evidence):
                raise OSError(errno.ENOSPC, "No space left on device") from error
            raise
        finally:
            if not wire.lost:
                await wire.ask("remove", path=part)


class _Buffer:
    def __init__(self) -> None:
        self.held = bytearray()

    def write(self, data: bytes) -> int:
        self.held += data
        return len(data)

    def pieces(self, size: int) -> Iterator[bytes]:
        while len(self.held) >= size:
            yield bytes(self.held[:size])
            del self.held[:size]


def pack(path: Path, size: int) -> Iterator[bytes]:
    """Yield a tar archive of a file, or of a folder with all that is in it, in pieces of ``size`` bytes.

    Its one top entry has the path's own name; links stay links. Owners are nobody's: who unpacks it owns it. Devices,
    which packages bring where root has fetched them, are left out: nobody needs them, and root alone could make them.
    """
    buffer = _Buffer()
    with tarfile.open(mode="w|", fileobj=buffer) as tar:  # type: ignore[call-overload]
        for one in (path, *sorted(path.rglob("*"))):
            tar.add(one, arcname=str(one.relative_to(path.parent)), recursive=False, filter=_nobodys)
            yield from buffer.pieces(size)
    yield from buffer.pieces(size)
    if buffer.held:
        yield bytes(buffer.held)


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if entry.isdev():
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
