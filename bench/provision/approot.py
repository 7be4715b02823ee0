"""The applications' file system: programs of distribution packages with the libraries they need, as a squashfs image.

Made without root and the same bytes for the same packages: what is copied is what the tree's own loader names, and the
image has no dates and one owner.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.provision import commands
from bench.provision.packages import PROVISIONED_SUITE, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.provision.packages import Tree

POSTGRES = "usr/lib/postgresql/17"
"""Where the distribution keeps the database's programs."""

CLIENTS = {
    f"{POSTGRES}/bin/pgbench": "postgresql-17",
    "usr/bin/redis-benchmark": "redis-tools",
    "usr/bin/valkey-benchmark": "valkey-tools",
    "usr/bin/wrk": "wrk",
}
"""The servers' benchmark programs, which run outside of the guest, with the package that each comes with."""

_POSTGRES = tuple(f"{POSTGRES}/bin/{name}" for name in ("initdb", "pg_ctl", "pg_isready", "pgbench", "postgres"))
_SERVERS = ("usr/bin/valkey-server", "usr/bin/redis-server", "usr/sbin/nginx", "usr/bin/fio")
COMPILER = ("usr/libexec/gcc/x86_64-linux-gnu/14/cc1", "usr/bin/x86_64-linux-gnu-as")
"""What turns C into objects, without the driver, the linker and the headers of a whole compiler."""

_MAKERS = ("usr/bin/mksquashfs", "usr/sbin/mke2fs")

APPLICATIONS = Wanted(
    PROVISIONED_SUITE,
    (
        *("valkey-server", "redis-server", "postgresql-17", "nginx", "fio"),
        *("cpp-14-x86-64-linux-gnu", "binutils-x86-64-linux-gnu", "wrk", "squashfs-tools", "e2fsprogs"),
    ),
    (*_SERVERS, *_POSTGRES, *COMPILER, *CLIENTS, *_MAKERS),
)
"""What the applications' guest is made of beside the Linux guest's own parts."""

_INSIDE = (*_SERVERS, *_POSTGRES, *COMPILER)
_LIBRARY = re.compile(r"^\s+(?:\S+ => )?(?P<path>/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_ABSENT = re.compile(r"^\s+(?P<name>\S+) => not found", re.MULTILINE)
_SHARED = "usr/lib/x86_64-linux-gnu"
_LEFT_OUT = ("bitcode", "llvmjit*", "man")
"""Of the database's folders: what a server with ``jit=off`` never opens."""

_USERS = "root:x:0:0:root:/tmp:/bin/sh\npostgres:x:100:100:postgres:/tmp:/bin/sh\n"
_GROUPS = "root:x:0:\npostgres:x:100:\n"
_DEADLINE_S = 300.0


def make_approot(tree: Tree, busybox: Path, staging: Path, image: Path) -> None:
    """Lay out the applications under ``staging`` and pack them.

    Args:
        tree: of :data:`APPLICATIONS`.
        busybox: the shell that the database's programs start one another with.
        staging: an empty folder.
        image: the file to make.

    Raises:
        ProvisionError: a library is missing, or the packer failed.
    """
    for name in ("dev", "proc", "state", "tmp", "etc", "usr/bin", "usr/lib64", _SHARED):
        (staging / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        (staging / name).symlink_to(f"usr/{name}")
    (staging / "etc/passwd").write_text(_USERS)
    (staging / "etc/group").write_text(_GROUPS)
    _copy(busybox, staging / "usr/bin/sh")
    for name in _INSIDE:
        _copy(_real(tree.root / name, tree.root), staging / name)
    for name in (f"{POSTGRES}/lib", POSTGRES.replace("/lib/", "/share/")):
        shutil.copytree(tree.root / name, staging / name, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    for path in _libraries(tree, [*_INSIDE, *_plugins(staging)]):
        where = path.relative_to(tree.root)
        target = staging / ("usr" / where if where.parts[0] == "lib" else where)
        if not target.exists():
            _copy(_real(path, tree.root), target)
    loader = "ld-linux-x86-64.so.2"
    (staging / "usr/lib64" / loader).symlink_to(f"../lib/x86_64-linux-gnu/{loader}")
    dates = ("-mkfs-time", "0", "-all-time", "0")
    options = ("-comp", "lz4", "-all-root", "-noappend", "-no-progress", "-no-xattrs", *dates)
    argv = (*tree.program("usr/bin/mksquashfs"), str(staging), str(image), *options)
    commands.check(argv, what="packing the applications", deadline_s=_DEADLINE_S, hint=f"rm -r {tree.root}")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)


def _real(path: Path, root: Path) -> Path:
    """Return the file behind a link of the tree; one that begins at the root begins at that of the tree."""
    for _ in range(8):
        if not path.is_symlink():
            return path
        leads = path.readlink()
        path = root / leads.relative_to("/") if leads.is_absolute() else path.parent / leads
    raise ProvisionError(f"a packaged link leads nowhere: {path}", hint=f"rm -r {root}")


def _plugins(staging: Path) -> list[str]:
    """Return what the database loads while it runs, as paths of the tree."""
    return sorted(str(path.relative_to(staging)) for path in (staging / POSTGRES / "lib").glob("*.so"))


def _libraries(tree: Tree, files: Iterable[str]) -> Iterator[Path]:
    """Yield every library that these need, each once, by the name that they ask for it."""
    seen: set[Path] = set()
    for name in files:
        for path in needed(tree, name):
            if path not in seen and path.is_relative_to(tree.root):
                seen.add(path)
                yield path


def needed(tree: Tree, name: str) -> tuple[Path, ...]:
    """Return the libraries that a file of the tree needs, by what the tree's own loader says.

    Raises:
        ProvisionError: one of them is not in the tree.
    """
    loader, option, folders, *rest = tree.program(name)
    # Ceph's libraries have a folder of their own, which a path built into them names by its place on a whole system.
    where = f"{folders}:{tree.root / _SHARED / 'ceph'}"
    said = commands.check((loader, "--list", option, where, *rest), what=f"the libraries of {name}", deadline_s=60)
    return parse_libraries(said, name)


def parse_libraries(said: str, name: str) -> tuple[Path, ...]:
    """Return the paths in the loader's answer to ``--list``.

    Raises:
        ProvisionError: it did not find one.
    """
    absent = _ABSENT.search(said)
    if absent:
        raise ProvisionError(f"{name} needs the library {absent['name']}, which the packages do not hold")
    return tuple(Path(match["path"]) for match in _LIBRARY.finditer(said))
