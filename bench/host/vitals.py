"""Signs of life of a process, from ``/proc`` and its control group: what state it is in, and who killed it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bench.host.agent.kernel import records
from bench.system.cgroups import UNIFIED, folders, frozen
from bench.system.files import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting in the kernel, uninterruptibly",
    "T": "stopped by a signal (SIGSTOP or SIGTSTP)",
    "t": "stopped by a debugger",
    "Z": "dead, not yet waited for",
    "X": "dead",
}
STOPPED = ("T", "t")
_KILLED = re.compile(r"Kill(?:ed)? process (\d+) ")


@dataclass(frozen=True)
class State:
    """What the kernel says of a process.

    Attributes:
        letter: its state's, of proc(5).
        waits_in: the kernel function that it waits in, if known.
        frozen: whether its control group is frozen: it then looks as if it slept.
    """

    letter: str
    waits_in: str = ""
    frozen: bool = False

    @property
    def stopped(self) -> bool:
        """Whether somebody stopped it."""
        return self.letter in STOPPED

    @property
    def still(self) -> bool:
        """Whether it cannot run before somebody lets it: it was stopped, or its control group is frozen."""
        return self.stopped or self.frozen

    def text(self) -> str:
        """Return it in words: ``state T: stopped by a signal (SIGSTOP or SIGTSTP)``."""
        waits = f", in {self.waits_in}" if self.waits_in else ""
        waits += ", in a frozen control group" if self.frozen else ""
        return f"state {self.letter}: {_STATES.get(self.letter, 'unknown')}{waits}"


def parse_state(stat: str) -> str:
    """Return the state's letter from the content of ``/proc/PID/stat``; ``?`` when there is none.

    The program's name, in parentheses, may hold anything, parentheses and line ends too.
    """
    fields = stat.rpartition(")")[2].split()
    return fields[0] if fields else "?"


def read_state(pid: int, root: Path = Path("/proc")) -> State | None:
    """Return the state of a process, or ``None`` when it is gone."""
    home = root / str(pid)
    try:
        letter = parse_state((home / "stat").read_text(errors="replace"))
    except OSError:
        return None
    waits_in = text_of(home / "wchan").strip()
    return State(letter, "" if waits_in == "0" else waits_in, frozen(pid, root.parent))


def oom_counters(pid: int, root: Path = Path("/")) -> dict[str, int]:
    """Return how often the kernel's OOM killer has struck, by the file that counts it.

    That of the process's control group and of ours (version 2: its descendants count too), and the host's.
    """
    found: dict[str, int] = {}
    groups = dict.fromkeys(path for one in (pid, "self") for path in _oom_files(one, root))
    for path in (*groups, root / "proc/vmstat"):
        count = parse_oom_kill(text_of(path))
        if count is not None:
            found[str(path)] = count
    return found


def parse_oom_kill(text: str) -> int | None:
    """Return the ``oom_kill`` counter of ``memory.events``, ``memory.oom_control`` or ``/proc/vmstat``."""
    match = re.search(r"^oom_kill ([0-9]{1,18})$", text, re.MULTILINE)
    return int(match[1]) if match else None


def _oom_files(pid: int | str, root: Path) -> Iterator[Path]:
    """Yield the files of a process's own group that count: those above hold the sum of what is below (version 2)."""
    for controller, name in (("memory", "memory.oom_control"), (UNIFIED, "memory.events")):
        yield from (folder / name for folder in islice(folders(controller, pid, root), 1))


def oom_proof(pid: int, before: Mapping[str, int], root: Path = Path("/")) -> tuple[str, ...]:
    """Return what shows that the OOM killer ended a process, empty when nothing does.

    Args:
        pid: the process, which may be gone by now.
        before: the counters of when it was started.
        root: the folder that holds ``proc``, ``sys`` and ``dev``.
    """
    risen = [
        f"{path}: oom_kill {count} -> {now}"
        for path, count in before.items()
        if (now := parse_oom_kill(text_of(Path(path)))) is not None and now > count
    ]
    if before and not risen:
        return ()  # a line of the kernel would speak of an earlier process of this number
    return (*kernel_lines(pid, root / "dev/kmsg"), *risen)


def kernel_lines(pid: int, kmsg: Path) -> tuple[str, ...]:
    """Return the kernel's lines that say that it killed this process for want of memory; empty where unreadable."""
    said = []
    for line in (line for record in records(kmsg) for line in record.splitlines()):
        text = line.partition(";")[2] or line
        match = _KILLED.search(text)
        if match and int(match[1]) == pid and "emory" in text:
            said.append(text.strip())
    return tuple(said[-1:])
