"""The system's C compiler, used for the two small programs of our own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.provision import commands
from bench.provision.cache import file_sha256, text_sha256

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCES = Path(__file__).parent / "guest_src"
STATIC = ("-O2", "-static", "-pthread", "-s", "-Wl,--build-id=none")
PRELOADED = ("-O2", "-shared", "-fPIC", "-nostdlib", "-fno-stack-protector", "-s", "-Wl,--build-id=none")

_COMPILER = "gcc"
_DEADLINE_S = 120.0
_HINT = "sudo apt-get install -y gcc libc6-dev"


def fingerprint(*sources: str) -> str:
    """Return a hash of the named sources, the compiler's version and the static C library.

    Raises:
        ProvisionError: there is no compiler.
    """
    version = commands.check([_COMPILER, "--version"], what="the C compiler", deadline_s=_DEADLINE_S, hint=_HINT)
    library = commands.check([_COMPILER, "-print-file-name=libc.a"], what="the C compiler", deadline_s=_DEADLINE_S)
    path = Path(library.strip())
    texts = ((SOURCES / name).read_text() for name in sources)
    return text_sha256(version, file_sha256(path) if path.is_file() else "", *STATIC, *PRELOADED, *texts)


def compile_c(source: str, output: Path, flags: Sequence[str]) -> None:
    """Compile one of our sources into ``output``.

    The compiler runs in the sources' folder and gets a relative name, so that no path gets into the output. Its
    temporary files lie beside the output: when it is killed, they go with that folder.

    Raises:
        ProvisionError: there is no compiler, or it refuses; its last words are the evidence.
    """
    argv = [_COMPILER, *flags, "-o", str(output), source]
    beside = (("TMPDIR", str(output.parent)),)
    commands.check(argv, what=f"compiling {source}", deadline_s=_DEADLINE_S, hint=_HINT, cwd=SOURCES, env=beside)
    if not output.is_file():
        raise ProvisionError(f"compiling {source} left no {output.name}", hint=_HINT)
