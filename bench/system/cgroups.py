"""The control groups that a process is in, its own and all above: what any of them limits or freezes, it does to us.

Versions 1 and 2, nested, mixed (both at once), and containers that show their own group as the root: the kernel's
mount table says which part of which hierarchy is to be seen where (cgroups(7), proc(5)).
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bench.system.files import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIFIED = ""
"""What stands for version 2 where a controller's name is asked for."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


def folders(controller: str, pid: int | str = "self", root: Path = Path("/")) -> Iterator[Path]:
    """Yield the folder of a process's group and of each above it that can be seen, the nearest first.

    Args:
        controller: of version 1, such as ``memory``; :data:`UNIFIED` for version 2.
        pid: the process.
        root: the folder that holds ``proc`` and ``sys``.
    """
    group = _group(text_of(root / f"proc/{pid}/cgroup"), controller)
    if group is None:
        return
    shown, place = _mount(text_of(root / "proc/self/mountinfo"), controller)
    top = root / place.lstrip("/")
    below = PurePosixPath(group)
    # A container may be told its whole path though only its own group is mounted: then that is the mount's root.
    inside = below.relative_to(shown) if below.is_relative_to(shown) else PurePosixPath()
    folder = top / inside
    yield from (one for one in (folder, *folder.parents) if one.is_relative_to(top) and one.is_dir())


def frozen(pid: int, root: Path = Path("/")) -> bool:
    """Return whether the group of a process is frozen, by itself or by one above it."""
    state = next((text_of(one / "freezer.state") for one in folders("freezer", pid, root)), "")
    events = next((text_of(one / "cgroup.events") for one in folders(UNIFIED, pid, root)), "")
    return "FROZEN" in state.split() or re.search(r"^frozen 1$", events, re.MULTILINE) is not None


def _group(cgroup: str, controller: str) -> str | None:
    """Return a process's path in a hierarchy, from ``/proc/PID/cgroup``: ``ID:CONTROLLERS:PATH``."""
    for line in cgroup.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controller in controllers.split(","):
            return group.removesuffix(" (deleted)")
    return None


def _mount(mountinfo: str, controller: str) -> tuple[str, str]:
    """Return which part of a hierarchy is mounted, and where; what is usual where the table does not say."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:  # noqa: PLR2004 - proc(5): root and place; type, source and options
            continue
        wanted = kind[0] == "cgroup2" if controller == UNIFIED else kind[0] == "cgroup"
        if wanted and (controller == UNIFIED or controller in kind[2].split(",")):
            return unescaped(fields[3]), unescaped(fields[4])
    return "/", f"/sys/fs/cgroup/{controller}"


def unescaped(field: str) -> str:
    """Return a path of the kernel's tables of mounts or swap devices, where blanks and the like stand in octal."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), field)
