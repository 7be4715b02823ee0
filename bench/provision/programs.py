"""The small programs of our own that run in or beside QEMU: compiled here, kept by hash, looked at before each use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.provision import compiler
from bench.provision.cache import cache_folder, file_sha256, locked, making, text_sha256
from bench.system.files import text_of, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable

    Say = Callable[[str], None]

_SHA256 = "sha256"
LIBRARY = "libnodelay.so"
"""The name of the library that sets ``TCP_NODELAY``."""


@dataclass(frozen=True)
class _Program:
    """What is compiled: its name here, what it is, its source, its file, and how it is compiled."""

    name: str
    what: str
    file: str
    flags: tuple[str, ...]
    recipe: str = ""

    @property
    def source(self) -> Path:
        return Path(__file__).with_name(f"{self.name}.c")


_NODELAY = _Program("nodelay", "the TCP_NODELAY library", LIBRARY, compiler.PRELOADED, "2")
_ANTAGONIST = _Program("antagonist", "the cache antagonist", "antagonist", compiler.STATIC)


def nodelay_library(progress: Say) -> Path:
    """Return the preloaded library that sets ``TCP_NODELAY`` on QEMU's sockets: the transport as a factor.

    Raises:
        ProvisionError: it cannot be compiled, or is not what was compiled.
    """
    return _compiled(_NODELAY, progress)


def installed_nodelay() -> Path | None:
    """Return the preloaded library of the present source if it was compiled.

    Raises:
        ProvisionError: it is not what was compiled.
    """
    path = _place(_NODELAY)
    return _unchanged(_NODELAY, path) if path.is_file() else None


def antagonist_program(progress: Say) -> Path:
    """Return the program that takes the host's caches away from a pair, or only the time that this takes.

    Raises:
        ProvisionError: it cannot be compiled, or is not what was compiled.
    """
    return _compiled(_ANTAGONIST, progress)


def _compiled(program: _Program, progress: Say) -> Path:
    """Return the program's file, compiling it when its source or the compiler changed."""
    path = _place(program)
    with locked(program.name, progress):
        if not path.is_file():
            progress(f"{program.name}: compiling {program.what}")
            with making(path.parent) as partial:
                compiler.compile_c([program.source], partial / program.file, program.flags)
                write_atomic(partial / _SHA256, f"{file_sha256(partial / program.file)}\n")
    return _unchanged(program, path)


def _place(program: _Program) -> Path:
    """Return where the program of the present source and compiler is, or will be."""
    key = text_sha256(program.recipe, compiler.fingerprint([program.source], *program.flags))[:12]
    return cache_folder() / f"{program.name}-{key}" / program.file


def _unchanged(program: _Program, path: Path) -> Path:
    if file_sha256(path) != text_of(path.with_name(_SHA256)).strip():
        raise ProvisionError(
            f"{program.what} was changed after it was compiled: {path}",
            hint=f"rm -r {path.parent}",
            cause="cache-broken",
        )
    return path
