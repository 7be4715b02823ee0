"""A QEMU's own modules and nobody else's: every build stamps its modules, and QEMU dies of one with another stamp.

QEMU looks for a module in ``QEMU_MODULE_DIR`` and then in the folder that it was configured with, where another build's
may lie: `util/module.c`, whose assertion on a module that registered itself and was then refused ends the process.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from bench.provision.cache import cache_folder, locked, making, text_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

VARIABLE = "QEMU_MODULE_DIR"

_STAMP = re.compile(rb"qemu_stamp_[0-9a-f]{40}")
_FOLDER = re.compile(rb"\0(/[^\0\n]{1,200}/qemu)(?=\0)")


def masking_folder(path: Path, progress: Callable[[str], None]) -> Path | None:
    """Return a folder for ``QEMU_MODULE_DIR`` that hides other builds' modules from a binary; None where none are.

    For each such module it has a link to the binary's own, or to itself: of the latter QEMU says that it cannot be
    read, and looks no further.

    Args:
        path: the executable, symbolic links resolved.
        progress: told when another process is making the same.

    Raises:
        ProvisionError: the cache cannot be used.
    """
    masks = {name: str(own or name) for name, own in sorted(foreign_modules(path).items())}
    if not masks:
        return None
    final = cache_folder() / f"modules-{text_sha256(str(path), *masks, *masks.values())[:12]}"
    with locked("modules", progress):
        if not final.is_dir():
            with making(final) as partial:
                for name, target in masks.items():
                    (partial / name).symlink_to(target)
    return final


def foreign_modules(path: Path) -> Mapping[str, Path | None]:
    """Return the names of other builds' modules that a binary would come upon, each with its own of that name, if any.

    Args:
        path: the executable, symbolic links resolved.
    """
    content = path.read_bytes()
    stamp = _STAMP.search(content)
    if stamp is None:
        return {}
    folders = [Path(os.fsdecode(name)) for name in dict.fromkeys(_FOLDER.findall(content))]
    own = [candidate for folder in folders for candidate in _moved(path, folder)]
    found: dict[str, Path | None] = {}
    for module in (module for folder in folders for module in _modules(folder)):
        if stamp[0] not in module.read_bytes():
            beside = (folder / module.name for folder in (*folders, *own))
            found[module.name] = next((one for one in beside if one.is_file() and stamp[0] in one.read_bytes()), None)
    return found


def _moved(path: Path, folder: Path) -> Iterator[Path]:
    """Yield where the modules of a binary lie that was moved together with what belongs to it."""
    for level in range(1, len(folder.parts)):
        yield path.parent.parent.joinpath(*folder.parts[level:])


def _modules(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.glob("*.so") if os.access(path, os.R_OK) and path.is_file())
