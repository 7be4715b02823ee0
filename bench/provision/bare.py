"""The bare guest: a program of ours that runs on the machine itself; compiled here, content-addressed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bench.guest
from bench.errors import ProvisionError
from bench.provision import compiler
from bench.provision.cache import cache_folder, file_sha256, locked, making
from bench.provision.guest import Guest
from bench.system.files import text_of, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable

_FOLDER = Path(bench.guest.__file__).parent / "bare"
_KERNEL = "bare.elf"
_SHA256 = "sha256"
_VERSION = "bare"


def build_bare(progress: Callable[[str], None]) -> Guest:
    """Return the bare guest, compiling it when its sources or the compiler changed.

    Raises:
        ProvisionError: it cannot be compiled, or is not what was compiled.
    """
    folder = _made_in()
    with locked("bare", progress):
        if not (folder / _KERNEL).is_file():
            progress("bare guest: compiling it")
            _build(folder)
    return _load(folder)


def installed_bare() -> Guest | None:
    """Return the bare guest of the present sources if it was compiled.

    Raises:
        ProvisionError: it is not what was compiled.
    """
    folder = _made_in()
    return _load(folder) if (folder / _KERNEL).is_file() else None


def _sources() -> tuple[Path, ...]:
    # The loader looks for its header in the first 8 KiB: what is named first lies first.
    return (_FOLDER / "start.S", *sorted(_FOLDER.glob("*.c")))


def _made_in() -> Path:
    everything = (*_sources(), *sorted(_FOLDER.glob("*.h")))
    return cache_folder() / f"bare-{compiler.fingerprint(everything, *compiler.BARE)[:12]}"


def _load(folder: Path) -> Guest:
    kernel = folder / _KERNEL
    sha256 = file_sha256(kernel)
    if sha256 != text_of(folder / _SHA256).strip():
        raise ProvisionError(
            f"the bare guest was changed after it was compiled: {kernel}",
            hint=f"rm -r {folder}; python -m bench.provision",
            cause="guest-image-broken",
        )
    return Guest(kernel, None, sha256, "", _VERSION, ())


def _build(folder: Path) -> None:
    with making(folder) as partial:
        compiler.compile_c(_sources(), partial / _KERNEL, compiler.BARE)
        write_atomic(partial / _SHA256, f"{file_sha256(partial / _KERNEL)}\n")
