"""QEMU and the guest's parts as distribution packages, extracted into the cache folder without root.

`mmdebstrap` lets apt resolve, fetch and verify (signatures and validity dates), and only extracts: no maintainer
script runs. The tree is used through its own dynamic loader, so it does not matter what this machine has installed.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.files import write_atomic
from bench.provision import commands
from bench.provision.cache import (
    cache_folder,
    file_sha256,
    locked,
    making,
    read_manifest,
    text_sha256,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

SUITE = "trixie"
BACKPORTS = "trixie-backports"
INCLUDE = ("qemu-system-x86", "qemu-utils", "linux-image-amd64", "busybox-static", "cpio", "zstd")
"""What the tree is asked to hold; apt adds what these depend on."""

_MIRROR_VARIABLE = "COLO_BENCH_MIRROR"
_ADDRESS = re.compile(r"(?P<method>[a-z][a-z0-9+.-]*):/[^\s\[\]\"';]+")
_NOT_BY_ITSELF = frozenset({"cdrom", "gpgv", "rred", "store"})
"""Methods of apt that want a person to change a disc, or fetch nothing."""
_KEYRINGS = tuple(Path(f"/usr/share/keyrings/debian-archive-keyring.{ending}") for ending in ("gpg", "pgp"))
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_LOADER = "usr/lib64/ld-linux-x86-64.so.2"
_WATCHED = (
    "usr/bin/qemu-system-x86_64",
    "usr/bin/qemu-img",
    "usr/bin/busybox",
    "usr/bin/cpio",
    "usr/bin/zstd",
    _LOADER,
    f"{_LIBRARIES}/libc.so.6",
)
_WATCHED_FOLDERS = (_LIBRARIES, "usr/share/qemu", "usr/share/seabios")
"""What QEMU loads beside itself: libraries, its own modules, firmware."""

_KERNELS = ("usr/lib/modules/*/vmlinuz", "boot/vmlinuz-*")
_RECIPE = "2"
_MANIFEST = "colo-bench.json"
_BUNDLE = "qemu-bundle"
"""Where this lies beside the running program, which is the loader, QEMU takes it for the root of all that was installed
with it (`get_relocated_path` in `util/cutils.c`): it never looks into this machine's own folders for a module."""

_FETCH_DEADLINE_S = 1800.0
_CARRIED_APT_OPTIONS = re.compile(
    r'(?P<key>Acquire::(?:(?:https?|ftp|tor\+https?|mirror)::(?!Verify)[^" ]+|ForceIPv[46])) "(?P<value>[^"]+)";',
    re.IGNORECASE,
)
"""Names in apt's configuration are the same in small and capital letters; ``dump`` gives them as they were typed."""


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
        loader = (str(self.root / _LOADER), "--library-path", str(self.root / _LIBRARIES))
        return (*loader, *(("--argv0", argv0) if argv0 else ()), str(self.root / relative))

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


def tree_folder() -> Path:
    """Return where the tree is (or will be): the name follows what is asked for, so a new request is a new tree."""
    return cache_folder() / f"packages-{text_sha256(_RECIPE, SUITE, BACKPORTS, *INCLUDE)[:12]}"


def installed_tree() -> Tree | None:
    """Return the tree if it was fetched, without fetching.

    Raises:
        ProvisionError: a file that matters is not what was fetched.
    """
    root = tree_folder()
    manifest = read_manifest(root / _MANIFEST, {"sha256": dict, "packages": dict, "modules": str})
    if manifest is None:
        return None
    changed = [name for name, sha256 in manifest["sha256"].items() if _sha256_or_none(root / name) != sha256]
    bundle = _bundle(root)
    changed += [] if bundle.resolve() == root.resolve() else [str(bundle)]
    if changed:
        raise _changed(root, changed)
    return Tree(root, tuple((name, version) for name, version in manifest["packages"].items()), manifest["modules"])


def _bundle(root: Path) -> Path:
    return (root / _LOADER).resolve().with_name(_BUNDLE)


def _changed(root: Path, names: Sequence[str]) -> ProvisionError:
    return ProvisionError(
        f"the fetched packages were changed afterwards: {', '.join(names)}",
        hint=f"rm -r {root}; python -m bench.provision",
        cause="cache-broken",
    )


def fetch_tree(progress: Callable[[str], None]) -> Tree:
    """Return the tree, fetching it first when it is missing (about 110 MB to fetch, 350 MB on disk).

    Raises:
        ProvisionError: it cannot be fetched or verified; the message says why and what to do.
    """
    tree = installed_tree()
    if tree:
        return tree
    with locked("packages", progress):
        tree = installed_tree()
        return tree or _fetch(progress)


def _fetch(progress: Callable[[str], None]) -> Tree:
    _require_tools()
    site = mirror()
    final = tree_folder()
    with making(final) as partial:
        _extract(site, partial, progress)
        manifest = _manifest(partial)
        bundle = _bundle(partial)
        bundle.symlink_to(os.path.relpath(partial, bundle.parent))
        write_atomic(partial / _MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    tree = installed_tree()
    if tree is None:
        raise ProvisionError(f"{final} vanished while it was made", transient=True)
    return tree


def _require_tools() -> None:
    if platform.machine() != "x86_64":
        raise ProvisionError(
            f"the provisioned QEMU is for x86_64, this machine is {platform.machine()}",
            hint="use an x86_64 machine",
        )
    missing = missing_tools()
    if missing:
        packages = " ".join(missing)
        raise ProvisionError(
            f"QEMU and the guest cannot be fetched: {packages} missing",
            hint=f"sudo apt-get update && sudo apt-get install -y {packages}",
            cause="tools-missing",
        )


def missing_tools() -> tuple[str, ...]:
    """Return the names of the system packages that fetching and building need and that are not installed."""
    wanted = {"mmdebstrap": shutil.which("mmdebstrap"), "gcc": shutil.which("gcc"), "libc6-dev": _static_libc()}
    missing = [package for package, found in wanted.items() if not found]
    if not any(path.exists() for path in _KEYRINGS):
        missing.append("debian-archive-keyring")
    return tuple(missing)


def _static_libc() -> bool:
    return any(Path(folder, "libc.a").exists() for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"))


def mirror() -> str:
    """Return the Debian mirror to fetch from: ``$COLO_BENCH_MIRROR``, else the one that this machine's apt uses.

    It is whatever apt itself can fetch from: a web address, a list of mirrors, or a folder of this machine.

    Raises:
        ProvisionError: apt knows none, or the variable does not hold an address that apt can fetch from.
    """
    chosen = os.environ.get(_MIRROR_VARIABLE)
    if chosen is None:
        template = "$(SITE)|$(ORIGIN)|$(LABEL)|$(COMPONENT)"
        finished = commands.run(["apt-get", "indextargets", "--format", template], deadline_s=60)
        chosen = choose_site(finished.lines, _methods())
    if chosen is None:
        raise ProvisionError(
            "apt on this machine knows no Debian mirror to fetch QEMU from",
            hint=f"on Debian: sudo apt-get update. Elsewhere: {_MIRROR_VARIABLE}=ADDRESS of a Debian mirror",
            cause="no-mirror",
        )
    if not _fetchable(chosen, _methods()):
        raise ProvisionError(
            f"{_MIRROR_VARIABLE}={chosen!r} is not the address of a mirror that apt can fetch from",
            hint=f"{_MIRROR_VARIABLE}=http://HOST/debian",
            cause="no-mirror",
        )
    # apt uses the packages of a file: archive where they are; here they have to be in its cache.
    return re.sub(r"^file:", "copy:", chosen)


def _methods() -> frozenset[str]:
    """Return apt's ways of fetching: each is a program in a folder of its own."""
    finished = commands.run(["apt-config", "shell", "folder", "Dir::Bin::methods/d"], deadline_s=60)
    found = re.search(r"folder='(.*)'", finished.text)
    folder = Path(found[1] if found else "/usr/lib/apt/methods")
    return frozenset(path.name for path in folder.glob("*")) - _NOT_BY_ITSELF


def _fetchable(site: str, methods: Collection[str]) -> bool:
    address = _ADDRESS.fullmatch(site)
    return address is not None and address["method"] in methods


def choose_site(lines: Iterable[str], methods: Collection[str]) -> str | None:
    """Return the first site of Debian's main archive among apt's index targets, one on the network first, or None.

    Each line is ``SITE|ORIGIN|LABEL|COMPONENT``. The label tells the main archive from the security one, which has
    neither the stable suite nor its backports. ``methods`` are apt's ways of fetching.
    """
    told = (line.rsplit("|", 3) for line in lines)
    sites = [site.rstrip("/") for site, *rest in told if rest == ["Debian", "Debian", "main"]]
    usable = [site for site in sites if _fetchable(site, methods)]
    # A folder or a disc of this machine rarely has the suites that are wanted.
    return next(iter(sorted(usable, key=lambda site: site.startswith(("file:", "copy:")))), None)


def mmdebstrap_argv(site: str, target: Path, keyring: Path, apt_options: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the command that extracts the packages into ``target``.

    Only the Debian archive's own keys are accepted, whatever this system trusts. The package files stay in the
    tree's apt cache, since their names are the record of the exact versions.
    """
    options = ('APT::Install-Recommends "false"', f'APT::Default-Release "{BACKPORTS}"', 'Acquire::Retries "3"')
    return (
        "mmdebstrap",
        "--variant=extract",
        "--mode=chrootless",
        "--architectures=amd64",
        f"--include={','.join(INCLUDE)}",
        *(f"--aptopt={option}" for option in (*options, *apt_options)),
        "--skip=check/signed-by,cleanup/apt/cache",
        SUITE,
        str(target),
        *(f"deb [signed-by={keyring}] {site} {suite} main" for suite in (SUITE, BACKPORTS)),
    )


def carried_apt_options(dump: Iterable[str]) -> tuple[str, ...]:
    """Return the options of ``apt-config dump`` that say how to reach a mirror: proxies, certificates, time limits.

    mmdebstrap's apt does not read this machine's configuration, and nothing else of it is carried over: least of all
    what takes less than the archive's own keys for good.
    """
    matches = (_CARRIED_APT_OPTIONS.fullmatch(line) for line in dump)
    return tuple(f'{match["key"]} "{match["value"]}"' for match in matches if match)


def _passwords() -> tuple[str, ...]:
    """Return the options that lead to this machine's passwords for mirrors, where this user may read them."""
    wanted = {"Dir::Etc::netrc": "f", "Dir::Etc::netrcparts": "d"}
    asked = [word for key, kind in wanted.items() for word in (key.rpartition("::")[2], f"{key}/{kind}")]
    told = re.findall(
        r"^(\w+)='(.+)'$", commands.run(["apt-config", "shell", *asked], deadline_s=60).text, re.MULTILINE
    )
    return tuple(f'Dir::Etc::{name} "{path}"' for name, path in told if os.access(path, os.R_OK))


def _extract(site: str, target: Path, progress: Callable[[str], None]) -> None:
    keyring = next(path for path in _KEYRINGS if path.exists())
    dump = commands.run(["apt-config", "dump"], deadline_s=60).lines
    argv = mmdebstrap_argv(site, target, keyring, (*carried_apt_options(dump), *_passwords()))
    progress(f"packages: fetching {', '.join(INCLUDE)} ({SUITE} and backports)")
    finished = commands.run(argv, deadline_s=_FETCH_DEADLINE_S, on_line=lambda line: _tell(line, progress))
    if finished.status != 0:
        host = urllib.parse.urlsplit(site).hostname or site  # without a password, if one is in it
        causes = [line for line in finished.lines if line.startswith(("E:", "Err:"))]
        raise ProvisionError(
            f"the packages could not be fetched from {host}",
            hint=fetch_hint(finished.text),
            evidence=tuple(causes[:6] or finished.lines[-6:]),
            cause="disk-full" if "No space left" in finished.text else "fetch-failed",
        )


def _tell(line: str, progress: Callable[[str], None]) -> None:
    if line.startswith("I: ") and line.endswith("..."):
        progress(f"packages: {line.removeprefix('I: ').removesuffix('...')}")


def fetch_hint(output: str) -> str:
    """Return what fixes a failed fetch, from what apt said; the general advice when nothing is recognised."""
    another = f"choose another mirror: {_MIRROR_VARIABLE}=http://HOST/debian"
    install = "sudo apt-get update && sudo apt-get install -y debian-archive-keyring"
    known = {
        r"NO_PUBKEY|is not signed|couldn't be verified|signatures were invalid|EXPKEYSIG|Missing key": install,
        r"is expired|is not valid yet|Valid-Until": f"set this machine's clock, or {another}",
        r"No space left": "free 1 GB where the cache is, or set COLO_BENCH_CACHE to a folder with room",
        r"Unable to locate package|have a Release file|404": f"it lacks the stable suite or its backports: {another}",
    }
    return next((hint for cause, hint in known.items() if re.search(cause, output)), f"check the network, or {another}")


def _manifest(root: Path) -> dict[str, dict[str, str] | str]:
    archives = root / "var/cache/apt/archives"
    packages = dict(sorted(package_version(path.name) for path in archives.glob("*.deb")))
    missing = [name for name in INCLUDE if name not in packages]
    if missing:
        raise ProvisionError(f"the fetched tree lacks {', '.join(missing)}")
    shutil.rmtree(archives)
    loaded = (path for folder in _WATCHED_FOLDERS for path in sorted((root / folder).rglob("*")))
    names = dict.fromkeys((*_WATCHED, str(_kernel(root).relative_to(root))))
    names |= {str(path.relative_to(root)): None for path in loaded if path.is_file() and not path.is_symlink()}
    absent = [name for name in names if not (root / name).is_file()]
    if absent:
        raise ProvisionError(
            f"the packages no longer hold {', '.join(absent)}", hint="use qemu=system, or a newer colo-bench"
        )
    hashes = {name: file_sha256(root / name) for name in names}
    return {"packages": packages, "sha256": hashes, "modules": folder_sha256(_modules(root))}


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
