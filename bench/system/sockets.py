"""Unix sockets: how a long path is reached, and where they can be made at all."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from bench.errors import HostError
from bench.system.owner import scratch_folder, temporary_places
from bench.system.places import has_controls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LONGEST_NAME = "secondary/migration.sock"


@contextmanager
def socket_folder(purpose: str) -> Iterator[Path]:
    """Provide a private scratch folder in which unix sockets were seen to work, by paths that fit into an address.

    The results may lie where none can be made: on FUSE, in a shared folder, on FAT.

    Raises:
        HostError: in none of the temporary folders; the evidence is why, for each.
    """
    tried = []
    for place in temporary_places():
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(scratch_folder(purpose, place))
                _try_sockets(folder)
            except OSError as error:
                tried.append(f"{place}: {error.strerror or error}")
                continue
            yield folder
            return
    raise HostError("no unix socket can be made in a temporary folder", cause="sockets-refused", evidence=tuple(tried))


def _try_sockets(folder: Path) -> None:
    path = folder / _LONGEST_NAME.replace("/", "-")
    if has_controls(path):
        raise OSError(errno.EINVAL, "a line end or another control character in its name")
    if "," in str(path):
        raise OSError(errno.EINVAL, "a comma in its name, which separates options of QEMU's")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(path))
        listener.listen()
        client.connect(str(path))
    path.unlink()


def unix_connect(path: Path) -> socket.socket:
    """Connect to a unix socket whose path may be longer than the kernel's 107 bytes, by way of its open folder."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(folder)
    return connection
