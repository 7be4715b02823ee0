"""What this host says of itself: who it is, its clock, its ports, its kernel's small files, the room on its disks."""

from __future__ import annotations

import base64
import errno
import fcntl
import glob
import os
import platform
import re
import socket
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .kernel import boot_id, cpu_s, descendants, records

if TYPE_CHECKING:
    from .children import Children
    from .folders import Folders


class Machine:
    """What the near end asks of the machine."""

    def __init__(self, folders: Folders, children: Children) -> None:
        self._folders = folders
        self._children = children

    def op_hello(self, _message: dict[str, Any], _payload: bytes) -> dict[str, Any]:
        """Say who and where this is."""
        own = os.uname()
        return {
            "node": own.nodename,
            "kernel": own.release,
            "machine": own.machine,
            "python": platform.python_version(),
            "executable": sys.executable,
            "pid": os.getpid(),
            "work": str(self._folders.work),
            "boot": boot_id(),
        }

    def op_clock(self, _message: dict[str, Any], _payload: bytes) -> float:
        """Return the wall clock, in Unix seconds."""
        return time.time()

    def op_beat(self, _message: dict[str, Any], _payload: bytes) -> dict[str, Any]:
        """Return the wall clock and the state of every process."""
        return {"states": self._children.states(), "t": time.time()}

    def op_ports(self, message: dict[str, Any], _payload: bytes) -> list[int]:
        """Return those of the ports that are free on every address now."""
        found: list[int] = []
        for port in message["ports"]:
            if len(found) == message["count"]:
                break
            if all(_is_free(address, port) for address in message["addresses"]):
                found.append(port)
        return found

    def op_texts(self, message: dict[str, Any], _payload: bytes) -> dict[str, str]:
        """Return the content of small files of the kernel, by path; what cannot be read is left out."""
        found: dict[str, str] = {}
        for pattern in message["globs"]:
            for path in sorted(glob.glob(pattern)):  # noqa: PTH207 - absolute patterns
                with suppress(OSError):
                    found[path] = Path(path).read_text(errors="replace")
        return found

    def op_usage(self, _message: dict[str, Any], _payload: bytes) -> float:
        """Return the CPU time of this program and of all that it started, in s."""
        return sum(os.times()[:4]) + sum(cpu_s(pid) for pid in descendants())

    def op_killed(self, message: dict[str, Any], _payload: bytes) -> list[str]:
        """Return the kernel's records that speak of the death of a process."""
        lines = (record.partition(";")[2].strip() for record in records())
        return [line for line in lines if re.search(r"Kill(ed)? process {} ".format(message["pid"]), line)]

    def op_locks(self, message: dict[str, Any], _payload: bytes) -> bool:
        """Return whether files in a folder can be locked as QEMU locks its images."""
        with tempfile.TemporaryFile(dir=message["path"], prefix=".lock.", suffix=".tmp") as file:
            try:
                fcntl.fcntl(file, fcntl.F_OFD_SETLK, base64.b64decode(message["lock"]))
            except OSError:
                return False
            return True

    def op_room(self, message: dict[str, Any], _payload: bytes) -> list[int]:
        """Return how many bytes are free where a folder is, how many files may be made, and how many there may be."""
        status = os.statvfs(message["path"])
        return [status.f_bavail * status.f_frsize, status.f_favail, status.f_files]


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind((address, port))
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EADDRINUSE):
                return False
            raise OSError(error.errno, f"{address}: {error.strerror}") from error  # not an address of this host
    return True
