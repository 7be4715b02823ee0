"""The system's C compiler, used for the small programs of our own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.provision import commands
from bench.provision.cache import file_sha256, text_sha256
from bench.system.software import install_hint

if TYPE_CHECKING:
    from collections.abc import Sequence

STATIC = ("-O2", "-static", "-pthread", "-s", "-Wl,--build-id=none")
BARE = (
    *("-m32", "-O2", "-ffreestanding", "-nostdlib", "-static", "-fno-pic", "-no-pie", "-mgeneral-regs-only"),
    *("-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fcf-protection=none", "-s"),
    *("-Wl,-N", "-Wl,-Ttext=0x100000", "-Wl,--build-id=none"),
)
"""A program without an operating system: neither the compiler's own library nor C's for 32 bits is needed."""

PRELOADED = ("-O2", "-shared", "-fPIC", "-nostdlib", "-fno-stack-protector", "-s", "-Wl,--build-id=none")

_COMPILER = "gcc"
_DEADLINE_S = 120.0


def fingerprint(sources: Sequence[Path], *flags: str) -> str:
    """Return a hash of sources, the flags, the compiler's version and the static C library.

    Raises:
        ProvisionError: there is no compiler.
    """
    version = commands.check([_COMPILER, "--version"], what="the C compiler", deadline_s=_DEADLINE_S, hint=_hint())
    library = commands.check([_COMPILER, "-print-file-name=libc.a"], what="the C compiler", deadline_s=_DEADLINE_S)
    path = Path(library.strip())
    texts = (source.read_text(encoding="utf-8") for source in sources)
    return text_sha256(version, file_sha256(path) if path.is_file() else "", *flags, *texts)


def compile_c(sources: Sequence[Path], output: Path, flags: Sequence[str]) -> None:
    """Compile sources of ours, which lie in one folder, into ``output``.

    The compiler runs in the sources' folder and gets relative names, so that no path gets into the output. Its
    temporary files lie beside the output: when it is killed, they go with that folder.

    Raises:
        ProvisionError: there is no compiler, or it refuses; its last words are the evidence.
    """
    folder, names = sources[0].parent, [source.name for source in sources]
    argv = [_COMPILER, *flags, "-o", str(output), *names]
    beside = (("TMPDIR", str(output.parent)),)
    what = f"compiling {names[0]}"
    commands.check(argv, what=what, deadline_s=_DEADLINE_S, hint=_hint(), cwd=folder, env=beside)
    if not output.is_file():
        raise ProvisionError(f"{what} left no {output.name}", hint=_hint())


def _hint() -> str:
    return install_hint("gcc and a static C library (libc.a)", "gcc libc6-dev")
