"""The reaper: removes what an owner that was killed, or a machine that went down, has left of ours, and nothing else.

Ours is what says so itself and whose owner has ended: a process that carries our mark in its environment, a temporary
folder with its owner's name, the images and sockets in the run folders of a campaign that nobody holds.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.format.folder import MACHINES, RunFolder
from bench.run.folder import locked
from bench.system.family import end
from bench.system.owner import SCRATCH, is_gone, parse_owner, temporary_places
from bench.vm.argv import COLO

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUN_ID = re.compile(r"[0-9a-f]{12}(-[0-9]+)?", re.ASCII)
_LEFT = (
    *(image for machine in COLO.values() for image in machine.images),
    "qmp.sock",
    "serial.sock",
    "migration.sock",
    ".*.tmp",
)
"""What a run makes and takes away again, by name: images, sockets, and files that were never put in their place."""


def reap(results: Path, temporary: Path | None = None) -> list[str]:
    """Remove what dead owners left: processes, temporary folders, images and sockets in run folders below ``results``.

    Returns one line for a person for each kind of thing that was removed; nothing when there was nothing.
    """
    said = [
        f"ended process {one.pid} in {one.folder}: process {one.owner.pid}, which had started it, is gone"
        for one in end(lambda one: is_gone(one.owner))
    ]
    said += [f"removed {path}, which a killed process had left" for path in _reap_scratch(temporary)]
    for folder, count in _reap_runs(results):
        said.append(f"removed {count} images and sockets of killed runs in {folder}")
    return said


def _reap_scratch(temporary: Path | None) -> Iterator[Path]:
    places = (temporary,) if temporary else temporary_places()
    for path in sorted(path for place in places for path in place.glob(f"{SCRATCH}*")):
        owner = parse_owner("-".join(path.name.split("-")[-3:]))
        with suppress(OSError):
            status = path.lstat()
            if owner and is_gone(owner) and status.st_uid == os.geteuid() and not path.is_symlink() and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
                yield path


def _reap_runs(results: Path) -> Iterator[tuple[Path, int]]:
    """Clean the run folders of every campaign that nobody holds; a lock is asked for only where there is something."""
    try:
        campaigns = sorted(path.parent for path in results.glob("*/.lock"))
    except OSError:  # a name too long, a folder that is not ours: said in words when the campaign's folder is made
        return
    for campaign in campaigns:
        if not list(left_in_runs(campaign)):
            continue
        with suppress(BenchError, OSError), locked(campaign):
            found = list(left_in_runs(campaign))
            for path in found:
                path.unlink(missing_ok=True)
            if found:
                yield campaign, len(found)


def left_in_runs(campaign: Path) -> Iterator[Path]:
    """Find what a run makes only for its time, in the folders of a campaign's runs; links are not followed.

    A campaign that may not be looked into, or has files where folders belong, is passed by.

    A run whose ``run.json`` is there is not looked into: that is written when everything else has been taken away.
    """
    for kind in ("runs", "failed"):
        with suppress(OSError), os.scandir(campaign / kind) as entries:
            for entry in entries:
                if not _RUN_ID.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
                    continue
                yield from _left_in(Path(entry.path))


def _left_in(home: Path) -> list[Path]:
    try:
        if RunFolder(home).record.exists():
            return []
        places = (home, *(home / name for name in MACHINES))
        folders = [one for one in places if one.is_dir() and not one.is_symlink()]
        return [path for one in folders for pattern in _LEFT for path in one.glob(pattern) if not path.is_dir()]
    except OSError:  # another user's run
        return []
