"""The campaign's folder: who may write in it, its plan, and the folders of its runs."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from bench.errors import ConfigError, StoreError
from bench.format.folder import CampaignFolder
from bench.plan.compare import require_same
from bench.plan.plan import parse_plan, plan_json
from bench.provision.cache import cache_folder, text_sha256
from bench.system.files import NO_LOCKS, store_error, told, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.plan.plan import Plan

_TEMPORARY = ("*.qcow2", "*.sock", ".*.tmp")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the campaign's folder, made where missing, for this process alone. The kernel lets go when the process ends.

    Folders that were made for it go again when nothing but the lock is in them at the end.

    Raises:
        ConfigError: another process is running this campaign.
        StoreError: the folder cannot be made or written to.
    """
    try:
        new = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise store_error(error, folder) from error
    try:
        _lock(descriptor, folder)
        try:
            yield
        finally:
            _remove_unused(new)
    finally:
        os.close(descriptor)


def _remove_unused(new: Sequence[Path]) -> None:
    with suppress(OSError):
        if new and [path.name for path in new[0].iterdir()] == [".lock"]:
            (new[0] / ".lock").unlink()
            for folder in new:
                folder.rmdir()


def _flock(descriptor: int, folder: Path) -> None:
    """Lock the file; where its file system has no locks, one in the cache takes its place."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        home = cache_folder() / "campaign-locks"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        other = os.open(home / text_sha256(str(folder.resolve())), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.dup2(other, descriptor, inheritable=False)
        os.close(other)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            raise StoreError(
                f"neither {folder.parent} nor the cache {home.parent} is on a file system with locks",
                hint="choose results=DIR, or COLO_BENCH_CACHE=DIR, on a disk of this machine",
                cause="no-locks",
            ) from error


def _lock(descriptor: int, folder: Path) -> None:
    try:
        _flock(descriptor, folder)
        gone = not os.fstat(descriptor).st_nlink  # removed by its holder, after this process had opened it
    except BlockingIOError:
        gone = True
    if gone:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace")
        raise ConfigError(
            f"campaign {folder.name} is being run by process {holder or 'unknown'}",
            hint="wait for it, or choose another campaign=NAME",
            cause="campaign-locked",
        )
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())


def agree_on_plan(folder: Path, asked: Plan) -> Plan:
    """Return the plan to follow: the stored one where it measures the same, with the blocks asked for beyond it.

    Its rules are put on record where they are not those of the command before; an older plan, which has none, stays as
    it is. Without a stored plan it is the one asked for, now stored.

    Raises:
        PlanChangedError: the stored plan measures other runs.
        StoreError: the stored plan cannot be read, or the new one not written.
    """
    stored = stored_plan(folder)
    if stored is None:
        keep_plan(folder, asked)
        return asked
    require_same(stored, asked)
    plan = stored
    if asked.repeats > stored.repeats:
        plan = replace(plan, repeats=asked.repeats, runs=asked.runs)
    if stored.rules and asked.rules != stored.rules[-1:]:
        plan = replace(plan, rules=(*stored.rules, *asked.rules))
    if plan is not stored:
        keep_plan(folder, plan)
    return plan


def stored_plan(folder: Path) -> Plan | None:
    """Return the plan of a campaign's folder; None where there is none yet.

    Raises:
        StoreError: it cannot be read.
    """
    path = CampaignFolder(folder).plan
    try:
        return parse_plan(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error}", cause="plan-unreadable", logs=(path,)) from error
    except StoreError as error:
        error.logs = (path,)
        raise


def keep_plan(folder: Path, plan: Plan) -> None:
    """Write a plan into the campaign's folder.

    Raises:
        StoreError: it cannot be written.
    """
    write_atomic(CampaignFolder(folder).plan, plan_json(plan))


def fresh_run_folder(folder: Path, run_id: str) -> Path:
    """Return the run's new, empty folder; what a run that never ended left there is set aside."""
    path = CampaignFolder(folder).run(run_id)
    if path.exists():
        set_aside(folder, run_id)
    with told(path):
        path.mkdir(mode=0o700, parents=True)
    return path


def aside(folder: Path, run_id: str) -> Path:
    """Return where the next attempt of a run that failed is kept."""
    failed = CampaignFolder(folder).failed
    return next(path for number in count() if not (path := failed / f"{run_id}-{number}").exists())


def set_aside(folder: Path, run_id: str) -> Path:
    """Move what an attempt left out of the measured runs, and return where it is now: where `aside` said.

    Logs and traces are kept: every checkpoint that was completed is in them. Images and sockets are not.
    """
    run = CampaignFolder(folder).run(run_id)
    for temporary in (path for pattern in _TEMPORARY for path in run.rglob(pattern)):
        temporary.unlink()
    kept = aside(folder, run_id)
    with told(kept):
        kept.parent.mkdir(exist_ok=True)
        run.rename(kept)
    return kept
