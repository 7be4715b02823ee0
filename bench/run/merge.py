"""Takes what a part has measured into its campaign: whole runs into ``runs/``, the rest where failed attempts lie.

Run folders are moved before their lines are added to the ledger: a kill in between leaves whole records that the ledger
does not know, which is what every continued campaign looks for, and the next merge adds the lines.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cluster.parts import starts
from bench.format.folder import CampaignFolder
from bench.record.ledger import parse_entry
from bench.record.run import is_recorded
from bench.run.folder import aside, set_aside
from bench.system.documents import lines_of
from bench.system.files import require_room, sync_folder, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.cluster.parts import Start
    from bench.record.ledger import Entry, Ledger

_PLANNED = b'"state": "planned"'
_OCCUPIED = frozenset((errno.ENOTEMPTY, errno.EEXIST))


def merge_part(campaign: Path, ledger: Ledger, part: Path) -> int:
    """Take everything that a part has into the campaign; what was taken before is not taken again.

    Returns how many runs were measured twice, so that this part's stay where they are: two starts of one job ran at
    once. The campaign is held by this process, and nobody writes to the part any more.

    Raises:
        StoreError: something cannot be moved or written.
    """
    with told(campaign):
        CampaignFolder(campaign).runs.mkdir(mode=0o700, exist_ok=True)
        CampaignFolder(campaign).failed.mkdir(mode=0o700, exist_ok=True)
    return sum(_merge_start(campaign, ledger, start) for start in starts(part))


def _merge_start(campaign: Path, ledger: Ledger, start: Start) -> int:
    begun = start.begun
    if begun is None:  # it ended before its ledger was there
        return 0
    lines = list(own_lines(start, begun.known))
    last = {entry.run_id: entry for _, entry in lines}
    known = {run_id for run_id, entry in last.items() if ledger.done(run_id) or _is_same(ledger.last(run_id), entry)}
    home = CampaignFolder(start.path)
    with told(campaign):
        for name in _folders(home.runs):
            if name not in known:
                _move_run(home.runs, name, campaign)
        renamed = dict(_move_failed(home.failed, campaign, known))
    new = [(text, entry) for text, entry in lines if entry.run_id not in known]
    ledger.adopt(_with_new_names(new, renamed) if renamed else new)
    return sum(name in known for name in _folders(home.runs)) if known else 0


def own_lines(start: Start, known: int) -> Iterator[tuple[str, Entry]]:
    """Yield the lines that a start of a job has added to its ledger, without plans and those that cannot be used."""
    try:
        content = CampaignFolder(start.path).ledger.read_bytes()
    except FileNotFoundError:
        return
    for line in lines_of(content)[known:]:
        if _PLANNED in line:  # quotes inside of a text have a backslash: this is the state
            continue
        try:
            yield line.decode(), parse_entry(line)
        except ValueError:  # torn by the kill that ended it
            continue


def _is_same(one: Entry | None, other: Entry) -> bool:
    """Whether two entries are one line, but for where the logs are now."""
    return one is not None and (one.t, one.attempt, one.state) == (other.t, other.attempt, other.state)


def _folders(parent: Path) -> list[str]:
    try:
        with os.scandir(parent) as entries:
            return sorted(one.name for one in entries if one.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _move_run(runs: Path, name: str, campaign: Path) -> None:
    target = CampaignFolder(campaign).runs
    try:
        _move(f"{runs}/{name}", f"{target}/{name}")
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
        if is_recorded(target / name, name):  # copied to this disk by a merge that was ended before the other was gone
            return
        set_aside(campaign, name)  # of an earlier start, without a whole record
        _move(f"{runs}/{name}", f"{target}/{name}")


def _move_failed(failed: Path, campaign: Path, known: set[str]) -> Iterator[tuple[str, str]]:
    """Move the folders of failed attempts; yield what they were called, and what they are called now."""
    for name in _folders(failed):
        run_id = name.rpartition("-")[0]
        if run_id and run_id not in known:
            kept = aside(campaign, run_id)
            _move(f"{failed}/{name}", str(kept))
            yield f"{failed.name}/{name}/", f"{kept.parent.name}/{kept.name}/"


def _move(path: str, target: str) -> None:
    """Rename a folder; where it lies on another disk, it is copied whole first, under another name."""
    try:
        os.rename(path, target)  # noqa: PTH104 - a campaign has 100,000 of them, and a Path takes longer than the move
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _move_over(Path(path), Path(target))


def _move_over(path: Path, target: Path) -> None:
    if target.exists():
        raise OSError(errno.EEXIST, "is there", str(target))
    half = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(half, ignore_errors=True)
    try:
        shutil.copytree(path, half, symlinks=True, copy_function=_copied)
    except shutil.Error as error:  # of all files together, each with its reason in words
        require_room(target.parent)
        raise OSError(error.args[0][0][2]) from error
    for folder in (half, *(one for one in half.rglob("*") if one.is_dir() and not one.is_symlink())):
        sync_folder(folder)
    half.rename(target)
    sync_folder(target.parent)
    shutil.rmtree(path, ignore_errors=True)


def _copied(source: str, target: str) -> None:
    """Copy a file, and return when it is on the disk: the original goes next."""
    shutil.copy2(source, target)
    with Path(target).open("rb") as file:
        os.fsync(file.fileno())


def _with_new_names(lines: Iterable[tuple[str, Entry]], renamed: dict[str, str]) -> Iterator[tuple[str, Entry]]:
    for text, entry in lines:
        if not entry.logs:
            yield text, entry
            continue
        tree = json.loads(text)
        tree["logs"] = [_renamed(log, renamed) for log in entry.logs]
        written = json.dumps(tree, ensure_ascii=False)
        yield written, parse_entry(written)


def _renamed(log: str, renamed: dict[str, str]) -> str:
    return next((now + log.removeprefix(was) for was, now in renamed.items() if log.startswith(was)), log)
