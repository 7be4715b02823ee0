"""The guest kernel's modules: which are needed, in which order, taken out of their compressed forms."""

from __future__ import annotations

import gzip
import lzma
import re
import zlib
from typing import TYPE_CHECKING

from bench.errors import ProvisionError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bench.provision.packages import Tree

_ZSTD = b"\x28\xb5\x2f\xfd"
_XZ = b"\xfd7zXZ\x00"
_GZIP = b"\x1f\x8b"
_MODULE = re.compile(r"(?P<name>[^/]+)\.ko(?:\.(?:xz|zst|gz))?")


def decompress(data: bytes, tree: Tree) -> bytes:
    """Return a tree's ``data`` decompressed, by what its first bytes say; unknown or no compression leaves it as it is.

    Raises:
        ProvisionError: the data is damaged.
    """
    try:
        if data.startswith(_XZ):
            return lzma.decompress(data)
        if data.startswith(_GZIP):
            return gzip.decompress(data)
        return _unzstd(data) if data.startswith(_ZSTD) else data
    except (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError) as error:
        raise ProvisionError(f"a packaged file is damaged: {error}", hint=f"rm -r {tree.root}") from error


def _unzstd(data: bytes) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - it takes its time, and nothing else here needs it

    with pa.input_stream(pa.BufferReader(data), compression="zstd") as stream:
        return bytes(stream.read())


def module_files(modules: Path) -> dict[str, Path]:
    """Return the file of every module under a kernel's module folder, by the module's name (with underscores)."""
    matches = ((path, _MODULE.fullmatch(path.name)) for path in sorted(modules.rglob("*.ko*")))
    return {canonical(match["name"]): path for path, match in matches if match}


def canonical(name: str) -> str:
    """Return a module's name as the running kernel spells it."""
    return name.replace("-", "_")


def depends(module: bytes) -> tuple[str, ...]:
    """Return what a module says it needs: the ``depends=`` string of its ``.modinfo`` section.

    Raises:
        ProvisionError: a name in it is none that a module can have.
    """
    match = re.search(rb"\0depends=([^\0]*)\0", module)
    if match is None:
        return ()
    names = [name.decode("ascii", "replace") for name in match[1].split(b",") if name]
    odd = [name for name in names if not re.fullmatch(r"[\w-]+", name, re.ASCII)]
    if odd:
        raise ProvisionError(f"a packaged module is damaged: it depends on {odd[0][:40]!r}")
    return tuple(canonical(name) for name in names)


def load_order(wanted: Iterable[str], needs: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return ``wanted`` and all they need, each after what it needs itself, each once."""
    order: dict[str, None] = {}

    def visit(name: str) -> None:
        for needed in needs[name]:
            if needed not in order:
                visit(needed)
        order[name] = None

    for name in wanted:
        visit(name)
    return tuple(order)
