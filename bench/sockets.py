"""Unix sockets: how a long path is reached, and where they can be made at all."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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
