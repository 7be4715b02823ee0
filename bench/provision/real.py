"""Which program really runs when a given QEMU is started: a wrapper script is not what a measurement is of.

It is started without a machine, and the kernel is asked who listens on its monitor's socket (SO_PEERCRED, unix(7)).
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.system.children import family
from bench.system.family import marked
from bench.system.owner import VARIABLE
from bench.system.sockets import socket_folder, unix_connect

if TYPE_CHECKING:
    from collections.abc import Mapping

_ARGUMENTS = ("-machine", "none", "-nodefaults", "-display", "none", "-qmp", "unix:qmp.sock,server=on,wait=off")
_POLL_S = 0.005
_LOOKS = 4000
"""How often it is looked for: 20 s, without the time in which we were suspended (Ctrl-Z), as what it is decides ids."""

_CREDENTIALS = struct.Struct("3i")
_OF_SHELLS = {"_", "OLDPWD", "PWD", "SHLVL"}


@dataclass(frozen=True)
class Real:
    """What runs as QEMU when an executable is started.

    Attributes:
        program: its file; of one that was started through its loader, the program and not the loader.
        added: what the way to it has added, as JSON: other words on the command line, other variables. However many
            scripts lie on that way, and whatever files they read, this is what they come to; empty for nothing.
    """

    program: Path
    added: str = ""


def real_program(path: Path) -> Real | None:
    """Return what runs as QEMU when an executable is started; ``None`` when none comes up to be asked.

    Raises:
        HostError: no socket can be made here.
        ProvisionError: another process than the one that was started is the QEMU: a wrapper that does not `exec` it.
    """
    with socket_folder("program") as folder, family(folder) as born:
        given = born["env"]
        try:
            child = subprocess.Popen(
                (str(path), *_ARGUMENTS),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                **born,
            )
        except OSError:  # told in words by whoever asks it for its version
            return None
        try:
            listener = _listener(child, given[VARIABLE], folder / "qmp.sock")
            if listener is None:
                return None
            if listener != child.pid:
                raise ProvisionError(
                    f"{path} starts QEMU as another process (process {listener}, started by process {child.pid})",
                    cause="qemu-wrapper",
                )
            program = _program(listener)
            return Real(program, _added(listener, given)) if program else None
        finally:
            child.kill()
            child.wait()


def _listener(child: subprocess.Popen[bytes], ours: str, path: Path) -> int | None:
    """Return the id of the process that listens on the socket, once one does; it may have left its parent behind."""
    for _ in range(_LOOKS):
        if child.poll() is not None and not any(one.mark == ours for one in marked()):
            break
        with suppress(OSError), unix_connect(path) as probe:
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            pid: int = _CREDENTIALS.unpack(credentials)[0]
            return pid
        time.sleep(_POLL_S)
    return None


def _added(pid: int, given: Mapping[str, str]) -> str:
    """Return what of a process's command line and environment is not what was given, as JSON; empty for nothing."""
    words = _strings(pid, "cmdline")[1:]
    variables = dict(entry.split("=", 1) for entry in _strings(pid, "environ") if "=" in entry)
    extra = [word for word in words if word not in _ARGUMENTS]
    other = {name: value for name, value in variables.items() if given.get(name) != value and name not in _OF_SHELLS}
    gone = sorted(given.keys() - variables.keys())
    return json.dumps([extra, other, gone], sort_keys=True) if extra or other or gone else ""


def _strings(pid: int, what: str) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{what}").read_bytes().decode(errors="surrogateescape").split("\0")[:-1]
    return []


def _program(pid: int) -> Path | None:
    """Return the program of a process: the file that it runs, or what a loader has mapped in its place."""
    with suppress(OSError):
        running = Path(f"/proc/{pid}/exe").readlink()
        if running.name.startswith("qemu"):
            return running
        mapped = Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines()
        paths = (Path(fields[5]) for line in mapped if len(fields := line.split(maxsplit=5)) > 5)  # noqa: PLR2004
        return next((path for path in paths if path.name.startswith("qemu-system-")), running)
    return None
