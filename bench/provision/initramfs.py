"""Pack a folder into an initramfs archive, the same bytes for the same content."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.system.children import family
from bench.system.environment import helping

if TYPE_CHECKING:
    from pathlib import Path

    from bench.provision.packages import Tree

_DEADLINE_S = 120.0


def pack(tree: Tree, staging: Path, output: Path) -> None:
    """Write ``staging`` as a ``newc`` cpio archive: sorted, owned by root, dated 1970, without device or inode numbers.

    It is not compressed: compression makes no boot faster, and the bytes would depend on the compressor's version.

    Raises:
        ProvisionError: cpio failed.
    """
    names = sorted(str(path.relative_to(staging)) for path in staging.rglob("*"))
    for name in names:
        path = staging / name
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        os.utime(path, (0, 0), follow_symlinks=False)
    options = ("--create", "--format=newc", "--reproducible", "--owner=0:0", "--null", "--quiet")
    with output.open("wb") as file, family(staging, around=helping) as born:
        try:
            subprocess.run(
                (*tree.program("usr/bin/cpio"), *options),
                cwd=staging,
                input="".join(f"{name}\0" for name in names).encode(),
                stdout=file,
                stderr=subprocess.PIPE,
                timeout=_DEADLINE_S,
                check=True,
                **born,
            )
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or b"").decode(errors="replace").splitlines()
            raise ProvisionError(f"cpio failed: {error}", evidence=tuple(said[-4:])) from error
