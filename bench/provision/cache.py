"""The cache folder: fetched packages, built guests and probes' answers, and who may touch them at the same time."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import shutil
import stat
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from bench.errors import ProvisionError, printable
from bench.system.files import NO_LOCKS, passing_folder
from bench.system.places import expanded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_LOCK_POLL_S = 0.2

T = TypeVar("T")


def cache_folder() -> Path:
    """Return the cache folder, made private (0700) when it did not exist.

    It is ``$COLO_BENCH_CACHE``, else ``$XDG_CACHE_HOME/colo-bench``, else ``~/.cache/colo-bench``.

    Raises:
        ProvisionError: it cannot be made, its name cannot be used, or others may write to it.
    """
    folder = _chosen_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise ProvisionError(
            f"the cache folder {folder} cannot be made: {error.strerror}",
            hint="set COLO_BENCH_CACHE to a folder that you may write to",
        ) from error
    # Programs are run from here, so nobody else may put any in.
    if status.st_uid != os.geteuid():
        owner = user_name(status.st_uid)
        raise ProvisionError(
            f"the cache folder {folder} belongs to {owner}, and programs are run from it: you are "
            f"{user_name(os.geteuid())}",
            hint=f"run it as {owner}, or set COLO_BENCH_CACHE to a folder of your own (sudo may keep HOME)",
            cause="cache-not-yours",
        )
    if stat.S_IMODE(status.st_mode) & 0o022:
        raise ProvisionError(
            f"the cache folder {folder} can be written to by others, and programs are run from it",
            hint=f"chmod go-w {folder}, or set COLO_BENCH_CACHE to a folder of your own, where modes are kept",
            cause="cache-not-yours",
        )
    return folder


def user_name(number: int) -> str:
    """Return a user's name, or the number of one who has none here, as in a container."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _chosen_folder() -> Path:
    own = os.environ.get("COLO_BENCH_CACHE")
    shared = os.environ.get("XDG_CACHE_HOME", "")
    # A relative XDG_CACHE_HOME is to be ignored, by its specification.
    base = Path(shared) if Path(shared).is_absolute() else Path("~", ".cache")
    chosen = Path(own) if own else base / "colo-bench"
    try:
        folder = expanded(chosen)
    except RuntimeError as error:
        raise ProvisionError(
            f"the cache folder {chosen} is no path here: {error}", hint="set COLO_BENCH_CACHE to a folder of your own"
        ) from error
    if any(character in str(folder) for character in ':,;"$\n'):
        raise ProvisionError(
            f"the cache folder {printable(str(folder))} has one of : , ; $, a quote or a line's end in its name, "
            "which the loader and QEMU misread",
            hint="set COLO_BENCH_CACHE to another folder",
        )
    return folder


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(name: str, progress: Callable[[str], None], deadline_s: float = 1800) -> Iterator[None]:
    """Hold the named lock of the cache folder, so that two processes do not make the same thing at once.

    Raises:
        ProvisionError: it cannot be made, or another process held it for ``deadline_s`` seconds.
    """
    path = cache_folder() / f"{name}.lock"
    end = time.monotonic() + deadline_s
    told = False
    with _opened(path) as file:
        while not _try_lock(file.fileno()):
            if time.monotonic() > end:
                raise ProvisionError(
                    f"another process has held {path} for {deadline_s:.0f} s",
                    hint=f"see who it is with: fuser -v {path}",
                )
            if not told:
                progress(f"waiting: another process is making the same ({name})")
                told = True
            time.sleep(_LOCK_POLL_S)
        yield


def _opened(path: Path) -> IO[str]:
    try:
        return path.open("a")
    except OSError as error:
        raise ProvisionError(
            f"{path} cannot be written: {error.strerror}", hint="set COLO_BENCH_CACHE to a folder that you may write to"
        ) from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        # Two that make the same at once each make it apart and move it into its place: work is lost, no file is.
    return True


def read_manifest(path: Path, wanted: Mapping[str, type]) -> dict[str, Any] | None:
    """Return a folder's manifest; `None` where there is none or it is damaged: what it describes is then made anew.

    Raises:
        ProvisionError: the system refuses to read it.
    """
    try:
        tree: Any = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise ProvisionError(f"{path} cannot be read: {error.strerror}", cause="cache-broken") from error
    whole = isinstance(tree, dict) and all(isinstance(tree.get(key), kind) for key, kind in wanted.items())
    return tree if whole else None


def text_sha256(*parts: str) -> str:
    """Return the SHA-256 of several texts, in hexadecimal; where one ends and the next begins counts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@contextmanager
def making(final: Path) -> Iterator[Path]:
    """Provide a new folder that becomes ``final`` when the block ends well, and is gone when it does not.

    The caller holds the lock for it. What one who was killed while making the same has left is removed: nobody else can
    be making it now.
    """
    for left in final.parent.glob(f"{final.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    with passing_folder(final.parent, f"{final.name}.") as partial:
        yield partial
        shutil.rmtree(final, ignore_errors=True)  # damaged, or half removed: a whole one would have been used
        partial.rename(final)


def made(folder: Path, load: Callable[[], T | None], make: Callable[[Path], object]) -> T:
    """Return what a folder of the cache holds, made there when it is missing or damaged; the caller holds the lock.

    Args:
        folder: where it is kept.
        load: returns it; ``None`` where it is not there.
        make: makes it in the folder that it is given.

    Raises:
        ProvisionError: it cannot be made, or is not what was made.
    """
    found = load()
    if found is None:
        with making(folder) as partial:
            make(partial)
        found = load()
    if found is None:
        raise ProvisionError(f"{folder} vanished while it was made", transient=True)
    return found
