"""A snapshot of what a campaign could leave behind on a machine, and how two of them differ."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tools.faults.scene import TOKEN

if TYPE_CHECKING:
    from tools.faults.scene import Scene

_TEMPORARY = ("*.qcow2", "*.sock", ".*.tmp")
_POLL_S = 0.1
_MOUNTED = re.compile(r" net:\[(\d+)\] .* - nsfs ")


@dataclass(frozen=True)
class Machine:
    """What is there of ours, each thing as a line for a person; ``files`` are those that are to go after a run."""

    processes: frozenset[str]
    namespaces: frozenset[str]
    links: frozenset[str]
    sockets: frozenset[str]
    files: frozenset[str]


def look(scene: Scene, cache: Path) -> Machine:
    """Return the machine as it is now, as far as it concerns a scene."""
    ours = {pid for pid in psutil.pids() if _is_ours(pid, scene)}
    beside = [tell() for tell in scene.beside]
    return Machine(
        processes=frozenset(f"process {pid}: {_command(pid)}" for pid in ours).union(
            *(one.processes for one in beside)
        ),
        namespaces=frozenset(f"network namespace {inode}" for inode in _namespaces(ours)),
        links=frozenset(f"link {name}" for name in os.listdir("/sys/class/net")),  # noqa: PTH208 - names are wanted
        sockets=frozenset(_sockets(ours, scene)).union(*(one.sockets for one in beside)),
        files=frozenset(_files(scene, cache)).union(*(one.files for one in beside)),
    )


def left(before: Machine, after: Machine, *, files: bool = True) -> tuple[str, ...]:
    """Return what is there now and was not before."""
    kinds = ("processes", "namespaces", "links", "sockets", *(("files",) if files else ()))
    return tuple(sorted(line for kind in kinds for line in getattr(after, kind) - getattr(before, kind)))


def settled(before: Machine, scene: Scene, cache: Path, *, files: bool = True) -> tuple[str, ...]:
    """Return what is left once the kernel has had time to end what was killed."""
    give_up = time.monotonic() + scene.settles_s
    while (found := left(before, look(scene, cache), files=files)) and time.monotonic() < give_up:
        time.sleep(_POLL_S)
    return found


def end(scene: Scene) -> None:
    """Kill what is left of a scene: it was told of, and the next injection is to start from nothing."""
    for pid in psutil.pids():
        if _is_ours(pid, scene):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _is_ours(pid: int, scene: Scene) -> bool:
    if pid == os.getpid():
        return False
    with suppress(OSError):
        if f"{TOKEN}={scene.token}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            return True
    with suppress(OSError):
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(scene.folder)
    return False


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
    return "gone"


def _namespaces(ours: set[int]) -> set[int]:
    """Return the network namespaces that only we hold, or that are held by a mount and by nobody."""
    held: dict[int, bool] = {}
    for pid in psutil.pids():
        with suppress(OSError):
            inode = Path(f"/proc/{pid}/ns/net").stat().st_ino
            held[inode] = held.get(inode, True) and pid in ours
    mounted = {int(inode) for inode in _MOUNTED.findall(Path("/proc/self/mountinfo").read_text())}
    return {inode for inode, only_us in held.items() if only_us} | mounted - held.keys()


def _sockets(ours: set[int], scene: Scene) -> set[str]:
    found = set()
    for one in psutil.net_connections("inet"):
        if one.status == psutil.CONN_LISTEN and (one.pid is None or one.pid in ours):
            found.add(f"listening on {one.laddr.ip}:{one.laddr.port}")
    for one in psutil.net_connections("unix"):
        if one.pid in ours or str(one.laddr).startswith(str(scene.folder)):
            found.add(f"unix socket {one.laddr or 'without a name'} of {one.pid}")
    return found


def _files(scene: Scene, cache: Path) -> set[str]:
    found = {path for pattern in _TEMPORARY for path in scene.results.rglob(pattern)}
    found |= set(scene.temporary.iterdir())
    with suppress(OSError):
        found |= {path for path in cache.iterdir() if path.suffix != ".lock"}
    return {f"file {path}" for path in found}
