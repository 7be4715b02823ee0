"""What an attempt's folder says of its end, for a failure that brings no proof of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import printable
from bench.failures.cause import Phase
from bench.format.folder import MACHINES, QMP_LOG, SERIAL, STDERR, RunFolder
from bench.measure.log_lines import is_qmp_entry
from bench.scenario.answers import read_json_lines
from bench.system.logs import packed_path, read_log

if TYPE_CHECKING:
    from pathlib import Path

_SPEAKING = (QMP_LOG, *(f"{machine}/{name}" for machine in MACHINES for name in (STDERR, SERIAL)))
_LONGEST = 200


def logs_left(folder: Path) -> tuple[Path, ...]:
    """Return the logs of an attempt that hold something."""
    speaking = (folder / name for name in _SPEAKING if _content(folder / name))
    return tuple(path if path.exists() else packed_path(path) for path in speaking)


def last_words(folder: Path) -> tuple[str, ...]:
    """Return the last line of each log of an attempt, after its name."""
    said = ((name, _content(folder / name).decode(errors="replace").split("\n")[-1]) for name in _SPEAKING)
    return tuple(f"{name}: {printable(line.strip())[:_LONGEST]}" for name, line in said if line.strip())


def phase_reached(folder: Path) -> Phase:
    """Return how far an attempt had come that nobody can say it of any more, by what was said over QMP."""
    try:
        entries, _ = read_json_lines(RunFolder(folder).qmp_log, is_qmp_entry)
    except (OSError, ValueError):
        entries = []
    said = {str(entry.get("command") or entry.get("event")) for entry in entries}
    if "STOP" in said:
        return Phase.MEASURE
    if "migrate" in said:
        return Phase.COLO_START
    return Phase.GUEST if said else Phase.LAUNCH


def _content(path: Path) -> bytes:
    try:
        return read_log(path).strip()
    except OSError:
        return b""
