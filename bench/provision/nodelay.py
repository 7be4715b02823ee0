"""The preloaded library that sets ``TCP_NODELAY`` on QEMU's sockets: the transport as a factor, for any binary."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.provision import compiler
from bench.provision.cache import cache_folder, locked

if TYPE_CHECKING:
    from collections.abc import Callable

_SOURCE = "nodelay.c"
LIBRARY = "libnodelay.so"


def nodelay_library(progress: Callable[[str], None]) -> Path:
    """Return the library, compiling it when its source or the compiler changed.

    Raises:
        ProvisionError: it cannot be compiled.
    """
    folder = cache_folder() / f"nodelay-{compiler.fingerprint(_SOURCE)[:12]}"
    library = folder / LIBRARY
    with locked("nodelay", progress):
        if not library.is_file():
            progress("nodelay: compiling the TCP_NODELAY library")
            _build(folder)
    return library


def _build(folder: Path) -> None:
    partial = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        compiler.compile_c(_SOURCE, partial / LIBRARY, compiler.PRELOADED)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
