"""QEMU and the guest's parts as distribution packages, extracted into the cache folder without root.

`mmdebstrap` lets apt resolve, fetch and verify (signatures and validity dates), and only extracts: no maintainer
script runs. The tree is used through its own dynamic loader, so it does not matter what this machine has installed.
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.parse
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.provision import commands
from bench.provision.cache import cache_folder, file_sha256, locked, made, read_manifest, text_sha256
from bench.provision.mirror import apt_options, archive_keyring, fetch_error, mirror, require_tools
from bench.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
_LOADER = "ld-linux-x86-64.so.2"


@dataclass(frozen=True)
class Wanted:
    """What a tree is to hold.

    Attributes:
        suite: where it comes from; of backports, what is missing there comes from the suite that they are for.
        include: the packages; apt adds what these depend on.
        programs: the files that have to be in them.
    """

    suite: str
    include: tuple[str, ...]
    programs: tuple[str, ...]

    @property
    def suites(self) -> tuple[str, ...]:
        """Return the suites to fetch from, the settled one first."""
        return tuple(dict.fromkeys((self.suite.removesuffix("-backports"), self.suite)))

    @property
    def kernel(self) -> bool:
        """Whether there is a kernel among it."""
        return any(name.startswith("linux-image") for name in self.include)


PROVISIONED_SUITE = "trixie-backports"
"""Where ``qemu=provisioned`` and the guest come from."""

GUEST = Wanted(
    PROVISIONED_SUITE,
    ("linux-image-amd64", "busybox-static", "cpio", "zstd"),
    ("usr/bin/busybox", "usr/bin/cpio", "usr/bin/zstd"),
)
"""What the guest is made of. Nobody runs zstd any more: without it, the tree would have another name and come anew."""


def wanted_qemu(suite: str) -> Wanted:
    """Return what makes up the QEMU of a suite."""
    return Wanted(suite, ("qemu-system-x86", "qemu-utils"), ("usr/bin/qemu-system-x86_64", "usr/bin/qemu-img"))


_WATCHED_FOLDERS = (*_LIBRARIES, "usr/share/qemu", "usr/share/seabios")
"""What QEMU loads beside itself: libraries, its own modules, firmware."""

_KERNELS = ("usr/lib/modules/*/vmlinuz", "boot/vmlinuz-*")
_RECIPE = "3"
_MANIFEST = "colo-bench.json"
_BUNDLE = "qemu-bundle"
"""Where this lies beside the running program, which is the loader, QEMU takes it for the root of all that was installed
with it (`get_relocated_path` in `util/cutils.c`): it never looks into this machine's own folders for a module."""

_FETCH_DEADLINE_S = 1800.0


@dataclass(frozen=True)
class Tree:
    """An extracted package tree, complete and as it was fetched.

    Attributes:
        root: the folder that holds ``usr`` and the rest.
        packages: name and version of every package in it, sorted by name.
        modules_sha256: of the kernel's module folder, as :func:`folder_sha256` has it.
    """

    root: Path
    packages: tuple[tuple[str, str], ...]
    modules_sha256: str = ""

    def program(self, relative: str, *, argv0: str = "") -> tuple[str, ...]:
        """Return the argv prefix that runs a program of the tree through the tree's own loader and libraries."""
        loader = _loader(self.root)
        folders = ":".join(str(self.root / name) for name in _LIBRARIES if (self.root / name).is_dir())
        # A loader before glibc 2.33 cannot be told another name for the program.
        named = ("--argv0", argv0) if argv0 and b"--argv0" in loader.read_bytes() else ()
        return (str(loader), "--library-path", folders, *named, str(self.root / relative))

    @property
    def kernel(self) -> Path:
        """Return the compressed kernel image."""
        return _kernel(self.root)

    @property
    def kernel_release(self) -> str:
        """Return the kernel's release, which names its module folder."""
        return self.modules.name

    @property
    def modules(self) -> Path:
        """Return the kernel's module folder."""
        return _modules(self.root)

    def require_modules(self) -> None:
        """Return when the kernel's modules, thousands of files, are those that were fetched.

        Raises:
            ProvisionError: they are not.
        """
        if folder_sha256(self.modules) != self.modules_sha256:
            raise _changed(self.root, (str(self.modules.relative_to(self.root)),))

    def version(self, package: str) -> str:
        """Return the exact version of one package, or an empty string when it is not in the tree."""
        return dict(self.packages).get(package, "")


def tree_folder(wanted: Wanted) -> Path:
    """Return where the tree is (or will be): the name follows what is asked for, so a new request is a new tree."""
    name = text_sha256(_RECIPE, *wanted.suites, *wanted.include)[:12]
    return cache_folder() / f"packages-{name}"


def installed_tree(wanted: Wanted) -> Tree | None:
    """Return the tree if it was fetched, without fetching.

    Raises:
        ProvisionError: a file that matters is not what was fetched.
    """
    root = tree_folder(wanted)
    manifest = read_manifest(root / _MANIFEST, {"sha256": dict, "packages": dict, "modules": str})
    if manifest is None:
        return None
    changed = [name for name, sha256 in manifest["sha256"].items() if _sha256_or_none(root / name) != sha256]
    bundle = _bundle(root)
    changed += [] if bundle.resolve() == root.resolve() else [str(bundle)]
    if changed:
        raise _changed(root, changed)
    return Tree(root, tuple((name, version) for name, version in manifest["packages"].items()), manifest["modules"])


def _loader(root: Path) -> Path:
    """Return the tree's loader; the usual name of it may be a link that leads out of the tree."""
    paths = [root / name / _LOADER for name in _LIBRARIES]
    return next((path for path in paths if path.exists()), paths[0])


def _bundle(root: Path) -> Path:
    return _loader(root).with_name(_BUNDLE)


def _changed(root: Path, names: Sequence[str]) -> ProvisionError:
    return ProvisionError(
        f"the fetched packages were changed afterwards: {', '.join(names)}",
        hint=f"rm -r {root}; python -m bench.provision",
        cause="cache-broken",
    )


def fetch_tree(wanted: Wanted, progress: Callable[[str], None], over: Event | None = None) -> Tree:
    """Return the tree, fetching it first when it is missing (50 to 100 MB to fetch, 150 to 200 MB on disk).

    Raises:
        ProvisionError: it cannot be fetched or verified; the message says why and what to do.
    """
    tree = installed_tree(wanted)
    if tree:
        return tree
    folder = tree_folder(wanted)
    with locked(f"fetch-{folder.name}", progress):
        return made(folder, lambda: installed_tree(wanted), lambda new: _fetch(wanted, new, progress, over))


def fetch_trees(wanted: Sequence[Wanted], progress: Callable[[str], None]) -> None:
    """Return when these trees are there; those that are missing are fetched at the same time.

    Raises:
        ProvisionError: as :func:`fetch_tree`.
    """
    missing = [one for one in wanted if installed_tree(one) is None]
    over = Event()
    with ThreadPoolExecutor(max(len(missing), 1)) as pool:
        fetched = [pool.submit(fetch_tree, one, progress, over) for one in missing]
        try:
            for one in as_completed(fetched):
                one.result()
        except BaseException:
            over.set()
            raise


def _fetch(wanted: Wanted, folder: Path, progress: Callable[[str], None], over: Event | None) -> None:
    require_tools()
    _extract(wanted, mirror(), folder, progress, over)
    manifest = _manifest(wanted, folder)
    bundle = _bundle(folder)
    bundle.symlink_to(os.path.relpath(folder, bundle.parent))
    write_atomic(folder / _MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def mmdebstrap_argv(
    wanted: Wanted, site: str, target: Path, keyring: Path, apt_options: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the command that extracts the packages into ``target``.

    Only the Debian archive's own keys are accepted, whatever this system trusts. The package files stay in the
    tree's apt cache, since their names are the record of the exact versions.
    """
    options = ('APT::Install-Recommends "false"', f'APT::Default-Release "{wanted.suite}"', 'Acquire::Retries "3"')
    return (
        "mmdebstrap",
        "--variant=extract",
        "--mode=chrootless",
        "--architectures=amd64",
        f"--include={','.join(wanted.include)}",
        *(f"--aptopt={option}" for option in (*options, *apt_options)),
        "--skip=check/signed-by,cleanup/apt/cache",
        wanted.suites[0],
        str(target),
        *(f"deb [signed-by={keyring}] {site} {suite} main" for suite in wanted.suites),
    )


def _extract(wanted: Wanted, site: str, target: Path, progress: Callable[[str], None], over: Event | None) -> None:
    argv = mmdebstrap_argv(wanted, site, target, archive_keyring(), apt_options())
    progress(f"packages: fetching {', '.join(wanted.include)} ({wanted.suite})")
    finished = commands.run(argv, deadline_s=_FETCH_DEADLINE_S, on_line=lambda line: _tell(line, progress), over=over)
    if finished.status != 0:
        raise fetch_error("the packages could not be fetched", site, finished.text)


def _tell(line: str, progress: Callable[[str], None]) -> None:
    if line.startswith("I: ") and line.endswith("..."):
        progress(f"packages: {line.removeprefix('I: ').removesuffix('...')}")


def _manifest(wanted: Wanted, root: Path) -> dict[str, dict[str, str] | str]:
    archives = root / "var/cache/apt/archives"
    packages = dict(sorted(package_version(path.name) for path in archives.glob("*.deb")))
    missing = [name for name in wanted.include if name not in packages]
    if missing:
        raise ProvisionError(f"the fetched tree lacks {', '.join(missing)}")
    shutil.rmtree(archives)
    loaded = (path for folder in _WATCHED_FOLDERS for path in sorted((root / folder).rglob("*")))
    names = dict.fromkeys((*wanted.programs, str(_loader(root).relative_to(root))))
    names |= {str(_kernel(root).relative_to(root)): None} if wanted.kernel else {}
    names |= {str(path.relative_to(root)): None for path in loaded if path.is_file() and not path.is_symlink()}
    absent = [name for name in names if not (root / name).is_file()]
    if absent:
        raise ProvisionError(
            f"the packages no longer hold {', '.join(absent)}", hint="use qemu=system, or a newer colo-bench"
        )
    hashes = {name: file_sha256(root / name) for name in names}
    return {"packages": packages, "sha256": hashes, "modules": folder_sha256(_modules(root)) if wanted.kernel else ""}


def folder_sha256(folder: Path) -> str:
    """Return one SHA-256 over the names and contents of all files below a folder, in hexadecimal."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return text_sha256(*(part for path in files for part in (str(path.relative_to(folder)), file_sha256(path))))


def package_version(file_name: str) -> tuple[str, str]:
    """Return name and version from the name of an apt archive file, ``name_version_architecture.deb``."""
    name, version, _ = urllib.parse.unquote(file_name).split("_")
    return name, version


def _modules(root: Path) -> Path:
    return next(path for path in sorted((root / "usr/lib/modules").iterdir()) if path.is_dir())


def _kernel(root: Path) -> Path:
    found = sorted(path for pattern in _KERNELS for path in root.glob(pattern))
    if len(found) != 1:
        raise ProvisionError(f"expected one kernel under {root}, found {len(found)}", hint=f"rm -r {root}")
    return found[0]


def _sha256_or_none(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except OSError:
        return None
