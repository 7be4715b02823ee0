"""The preloaded library that sets ``TCP_NODELAY`` on QEMU's sockets: the transport as a factor, for any binary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.provision import compiler
from bench.provision.cache import cache_folder, file_sha256, locked, making, text_sha256
from bench.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable

_SOURCE = Path(__file__).with_name("nodelay.c")
_RECIPE = "2"
_SHA256 = "sha256"
LIBRARY = "libnodelay.so"


def nodelay_library(progress: Callable[[str], None]) -> Path:
    """Return the library, compiling it when its source or the compiler changed.

    Raises:
        ProvisionError: it cannot be compiled, or is not what was compiled.
    """
    folder = (
        cache_folder() / f"nodelay-{text_sha256(_RECIPE, compiler.fingerprint([_SOURCE], *compiler.PRELOADED))[:12]}"
    )
    library = folder / LIBRARY
    with locked("nodelay", progress):
        if not library.is_file():
            progress("nodelay: compiling the TCP_NODELAY library")
            _build(folder)
    if file_sha256(library) != _recorded(folder / _SHA256):
        raise ProvisionError(
            f"the TCP_NODELAY library was changed after it was compiled: {library}",
            hint=f"rm -r {folder}",
            cause="cache-broken",
        )
    return library


def _recorded(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _build(folder: Path) -> None:
    with making(folder) as partial:
        compiler.compile_c([_SOURCE], partial / LIBRARY, compiler.PRELOADED)
        write_atomic(partial / _SHA256, f"{file_sha256(partial / LIBRARY)}\n")
