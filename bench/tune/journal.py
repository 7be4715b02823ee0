"""The undo journal: what each changed setting was, on the disk before the change is made.

It lies in the user's state folder and not in the campaign's: after a crash it must be found whatever is run next. A
lock says whether its owner lives; the kernel lets go of it when the owner ends.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from bench.errors import HostError, StoreError
from bench.system.files import NO_LOCKS, append_line, sync_folder, write_atomic
from bench.system.places import home_folder
from bench.tune.settings import Change, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCHEMA_VERSION = 1
_NAME = "undo.jsonl"


@dataclass(frozen=True)
class Note:
    """A change, and the boot of the host that it was made in: with the next boot it is gone by itself."""

    change: Change
    boot_id: str


def state_folder() -> Path:
    """Return ``$XDG_STATE_HOME/colo-bench``, else ``~/.local/state/colo-bench``.

    A user without a home has none, where nothing is found and nothing can be kept.
    """
    chosen = os.environ.get("XDG_STATE_HOME", "")
    home = home_folder()
    base = Path(chosen) if Path(chosen).is_absolute() else home / ".local" / "state" if home else Path(os.devnull)
    return base / "colo-bench"


@dataclass(frozen=True)
class UndoJournal:
    """The journal in a folder, which is made when there is something to write."""

    folder: Path

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / _NAME

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the journal for this process alone.

        Raises:
            HostError: another process that tunes this host holds it.
            StoreError: the folder cannot be made or written to.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.folder / "undo.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            hint = "set XDG_STATE_HOME to a folder that you may write to"
            raise StoreError(f"cannot write to {self.folder}: {error.strerror}", hint=hint) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace")
                raise HostError(
                    f"process {holder or 'unknown'} is tuning this host",
                    hint="wait for it: two campaigns cannot tune one host at the same time",
                    cause="tune-locked",
                ) from error
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                hint = "set XDG_STATE_HOME to a folder on a disk of this machine"
                raise StoreError(
                    f"{self.folder} is on a file system without locks", hint=hint, cause="no-locks"
                ) from error
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            yield
        finally:
            os.close(descriptor)

    def note(self, change: Change, boot_id: str) -> None:
        """Write down what a setting is, before it is changed; on the disk when this returns.

        Raises:
            StoreError: it cannot be written; then nothing may be changed.
        """
        tree = {"schema_version": SCHEMA_VERSION, "boot_id": boot_id, **asdict(change)}
        append_line(self.path, json.dumps(tree))

    def notes(self) -> list[Note]:
        """Return what is written down, oldest first. A torn line is none: what it tells of was not changed yet."""
        try:
            lines = self.path.read_bytes().decode(errors="replace").splitlines()
        except OSError:
            return []
        return [note for line in lines if (note := _parse(line)) is not None]

    def keep(self, notes: Sequence[Note]) -> None:
        """Let the journal hold these alone; without any it goes.

        Raises:
            StoreError: it cannot be written.
        """
        if notes:
            trees = [{"schema_version": SCHEMA_VERSION, "boot_id": one.boot_id, **asdict(one.change)} for one in notes]
            write_atomic(self.path, "".join(json.dumps(tree) + "\n" for tree in trees))
            return
        try:
            with suppress(FileNotFoundError):
                self.path.unlink()
                sync_folder(self.folder)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be removed: {error.strerror}") from error


def _parse(line: str) -> Note | None:
    try:
        tree: Any = json.loads(line)
        if tree["schema_version"] != SCHEMA_VERSION or tree["kind"] not in get_args(Kind):
            return None
        fields = {key: tree[key] for key in ("kind", "what", "old", "new")}
    except (ValueError, KeyError, TypeError):
        return None
    return Note(Change(**fields), str(tree.get("boot_id", "")))
