"""What this host's kernel tells of processes, and how they are ended."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def text(path: Path) -> str:
    """Return what a file holds; nothing where it cannot be read."""
    with suppress(OSError):
        return path.read_text(errors="replace")
    return ""


def boot_id() -> str:
    """Return what the kernel calls the time since it was started."""
    return text(Path("/proc/sys/kernel/random/boot_id")).strip()


def all_pids() -> list[int]:
    """Return every process but this one."""
    names = (entry.name for entry in os.scandir("/proc"))
    return [int(name) for name in names if name.isdigit() and int(name) != os.getpid()]


def descendants() -> list[int]:
    """Return every process below this one that is not a corpse."""
    children: dict[int, list[int]] = {}
    for pid in all_pids():
        fields = _stat(pid)
        if fields and fields[0] not in "ZX":
            children.setdefault(int(fields[1]), []).append(pid)
    found, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def environ(pid: int) -> list[bytes]:
    """Return a process's environment as it was started with it."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used, in s."""
    fields = _stat(pid)
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def state(pid: int) -> tuple[str, str, bool] | None:
    """Return the state's letter, the kernel function that it waits in, and whether its control group is frozen."""
    fields = _stat(pid)
    if not fields:
        return None
    waits_in = text(Path(f"/proc/{pid}/wchan")).strip()
    return fields[0], "" if waits_in == "0" else waits_in, _frozen(pid)


def _stat(pid: int) -> list[str]:
    """Return the fields of ``/proc/PID/stat`` behind the program's name: the state first."""
    return text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()


def _frozen(pid: int) -> bool:
    for line in text(Path(f"/proc/{pid}/cgroup")).splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
                if "frozen 1" in text(Path(top + group, "cgroup.events")).splitlines():
                    return True
        elif "freezer" in controllers.split(",") and text(
            Path(f"/sys/fs/cgroup/{controllers}{group}", "freezer.state")
        ).startswith("FROZEN"):
            return True
    return False


def records(kmsg: Path = Path("/dev/kmsg")) -> Iterator[str]:
    """Yield the kernel's records: each read gives one; EPIPE says that the oldest was overwritten meanwhile."""
    try:
        descriptor = os.open(kmsg, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        for _ in range(100_000):
            try:
                record = os.read(descriptor, 8192)
            except BrokenPipeError:
                continue
            except OSError:  # no more of them
                return
            if not record:
                return
            yield record.decode(errors="replace")
    finally:
        os.close(descriptor)


def end_all(find: Callable[[], list[int]]) -> int:
    """Kill what is found, and what it may start meanwhile; return how many were killed."""
    killed = set()
    for _ in range(1000):
        found = find()
        if not found:
            break
        for pid in found:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        for pid in found:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)
    return len(killed)


def kill_group(pid: int) -> None:
    """Kill a process and what it has started in its session's first group."""
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
