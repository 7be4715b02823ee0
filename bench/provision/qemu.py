"""Which QEMU runs, and how it is started: from the archive through its own loader, the system's, or a given file."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.process.paths import require_seen
from bench.provision import commands, stamps
from bench.provision.archive import Offer, choose, find_offer, known_offers
from bench.provision.cache import file_sha256, text_sha256
from bench.provision.packages import PROVISIONED_SUITE, Tree, fetch_tree, installed_tree, wanted_qemu
from bench.provision.real import Real, real_program
from bench.provision.source import find_built, installed_built
from bench.system.exits import scarcity
from bench.system.places import expanded
from bench.system.software import install_hint

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.provision.source import Built

PROVISIONED = "provisioned"
SYSTEM = "system"
ARCHIVE = "archive"
BUILT = "built"

RELEASE = re.compile(r"\d+(\.\d+){0,2}", re.ASCII)
"""What the name of a release looks like: ``11``, ``11.1``, ``11.1.3``."""


_NAME = "qemu-system-x86_64"
VERSION = re.compile(r"^QEMU emulator version (?P<version>\d+\.\d+\S*(?: \([^)]*\))?)", re.MULTILINE)
_IMG_VERSION = re.compile(r"^qemu-img version \d", re.MULTILINE)
VERSION_DEADLINE_S = 20.0
_OTHER = (
    "use qemu=provisioned, a release that `python -m bench.provision --list` has, or qemu=/path/to/qemu-system-x86_64"
)
_DEBIAN = "qemu-system-x86 qemu-utils"
_NOEXEC = "the cache seems to lie on a file system mounted noexec: set COLO_BENCH_CACHE to a folder on another"


@dataclass(frozen=True)
class Binary:
    """A QEMU that answered ``--version``.

    Attributes:
        argv: prefix that runs ``qemu-system-x86_64``.
        img_argv: prefix that runs the ``qemu-img`` that belongs to it.
        env: variables to add to the environment of both.
        path: the real binary, symbolic links resolved.
        sha256: of that file; of a wrapper, of what it says, of what it runs, and of what that gets from it.
        version: as it says itself, such as ``11.1.3 (Debian 1:11.1.3+dfsg-1)``.
        source: ``provisioned``, ``archive`` (a release by its name), ``built``, ``system`` or ``path``.
    """

    argv: tuple[str, ...]
    img_argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    path: Path
    sha256: str
    version: str
    source: str

    def preloading(self, library: Path) -> Binary:
        """Return the same binary, started with ``library`` preloaded.

        One from the archive is told by its loader's option, since the variable would reach every child process too.
        """
        if self.source in (PROVISIONED, ARCHIVE, BUILT):
            return replace(self, argv=(self.argv[0], "--preload", str(library), *self.argv[1:]))
        return replace(self, env=(*self.env, ("LD_PRELOAD", str(library))))


def find_qemu(qemu: str, progress: Callable[[str], None]) -> Binary:
    """Return the QEMU that the configuration names, fetching it from the package archive when it is missing.

    Args:
        qemu: ``provisioned``, a release (``10.0``), ``system`` (from ``PATH``) or an executable's path.
        progress: told what is being done, one line at a time.

    Raises:
        ProvisionError: it is not there, cannot be run, or is not a QEMU.
    """
    if qemu == PROVISIONED:
        return _from_tree(fetch_tree(wanted_qemu(PROVISIONED_SUITE), progress), PROVISIONED)
    if RELEASE.fullmatch(qemu):
        offer = find_offer(qemu, "packages", progress)
        return _release(qemu, offer, fetch_tree(wanted_qemu(offer.suite), progress))
    name = built_name(qemu)
    if name:
        return _built(find_built(name, progress), fetch_tree(wanted_qemu(PROVISIONED_SUITE), progress))
    return _own(qemu, progress)


def installed_qemu(qemu: str) -> Binary | None:
    """Return what `find_qemu` would, or None when that would have to fetch.

    Raises:
        ProvisionError: as `find_qemu`.
    """
    if qemu == PROVISIONED:
        tree = installed_tree(wanted_qemu(PROVISIONED_SUITE))
        return _from_tree(tree, PROVISIONED) if tree else None
    if RELEASE.fullmatch(qemu):
        offer = choose(qemu, known_offers("packages"))
        tree = installed_tree(wanted_qemu(offer.suite)) if offer else None
        return _release(qemu, offer, tree) if offer and tree else None
    name = built_name(qemu)
    if name:
        built, firmware = installed_built(name), installed_tree(wanted_qemu(PROVISIONED_SUITE))
        return _built(built, firmware) if built and firmware else None
    return _own(qemu, lambda _text: None)


def built_name(qemu: str) -> str:
    """Return the name of the build that ``built:NAME`` asks for; empty where something else is asked for."""
    kind, _, name = qemu.partition(":")
    return name if kind == BUILT and "/" not in name else ""


def _built(built: Built, firmware: Tree) -> Binary:
    """Return a build as it is run: with the libraries it was compiled with, and firmware, which sources lack."""
    path = built.folder / _NAME
    binary = Binary(
        argv=(*built.tree.program(str(path), argv0=_NAME), *_data(firmware)),
        img_argv=built.tree.program(str(built.folder / "qemu-img"), argv0="qemu-img"),
        env=(),
        path=path,
        sha256=file_sha256(path),
        version="",
        source=BUILT,
    )
    return _answered(binary)


def _data(tree: Tree) -> tuple[str, ...]:
    return tuple(word for folder in ("qemu", "seabios") for word in ("-L", str(tree.root / "usr/share" / folder)))


def _release(name: str, offer: Offer, tree: Tree) -> Binary:
    got = Offer(offer.suite, tree.version("qemu-system-x86"))
    if choose(name, (got,)) is None:
        raise ProvisionError(
            f"{offer.suite} has QEMU {got.release} by now and no longer {name}",
            hint="python -m bench.provision --list shows what the archive has",
            cause="release-unknown",
        )
    return _from_tree(tree, ARCHIVE)


def _from_tree(tree: Tree, source: str) -> Binary:
    path = tree.root / "usr/bin" / _NAME
    env = ((stamps.VARIABLE, str(tree.root / "usr/lib/x86_64-linux-gnu/qemu")),)
    binary = Binary(
        argv=(*tree.program(f"usr/bin/{_NAME}", argv0=_NAME), *_data(tree)),
        img_argv=tree.program("usr/bin/qemu-img", argv0="qemu-img"),
        env=env,
        path=path,
        sha256=file_sha256(path),
        version="",
        source=source,
    )
    return _answered(binary)


def _own(qemu: str, progress: Callable[[str], None]) -> Binary:
    path = _system_path() if qemu == SYSTEM else _given_path(qemu)
    real = real_program(path) or Real(path.resolve())
    masks = stamps.masking_folder(real.program, progress)
    binary = Binary(
        argv=(str(path),),
        img_argv=(),  # looked for when this is known to be a QEMU
        env=((stamps.VARIABLE, str(masks)),) if masks else (),
        path=path.resolve(),
        sha256=_own_sha256(path, real),
        version="",
        source=SYSTEM if qemu == SYSTEM else "path",
    )
    return _answered(binary)


def _own_sha256(path: Path, real: Real) -> str:
    """Return the hash of a program; of a wrapper, of what it says, of what it runs, and of what that gets from it."""
    if real.program == path.resolve():
        return file_sha256(path)
    parts = (file_sha256(path), file_sha256(real.program))
    return text_sha256(*parts, real.added) if real.added else text_sha256(*parts)


def _system_path() -> Path:
    found = shutil.which(_NAME)
    if found is None:
        raise ProvisionError(
            f"qemu=system: {_NAME} is not on PATH",
            hint=f"{install_hint('QEMU for x86-64 (qemu-system-x86) and qemu-img', _DEBIAN)}; or {_OTHER}",
            cause="qemu-missing",
        )
    return Path(found).absolute()


def _given_path(qemu: str) -> Path:
    try:
        return _executable(qemu)
    except (OSError, RuntimeError) as error:  # a name too long, a folder that is closed to us, no such user
        why = error.strerror if isinstance(error, OSError) else error
        raise ProvisionError(f"qemu={qemu}: {why}", hint=_OTHER, cause="qemu-missing") from error


def _executable(qemu: str) -> Path:
    path = expanded(Path(qemu.removeprefix(f"{BUILT}:")))
    require_seen(path)
    if path.is_dir() and qemu.startswith(f"{BUILT}:"):
        path = next((one for one in (path / _NAME, path / "build" / _NAME) if one.is_file()), path / _NAME)
    if not path.is_file():
        what = "is a folder; name the executable in it" if path.is_dir() else "does not exist"
        raise ProvisionError(f"qemu={qemu}: {path} {what}", hint=_OTHER, cause="qemu-missing")
    if not os.access(path, os.R_OK | os.X_OK):
        words = f"qemu={qemu}: {path} may not be run by you"
        raise ProvisionError(words, hint=f"chmod +rx {path}", cause="qemu-not-executable")
    return path


def _img_beside(path: Path) -> Path:
    for candidate in (path.with_name("qemu-img"), path.resolve().with_name("qemu-img")):
        if os.access(candidate, os.X_OK):
            return candidate
    found = shutil.which("qemu-img")
    if found is None:
        raise ProvisionError(
            f"no qemu-img, neither beside {path} nor on PATH",
            hint=f"{install_hint('qemu-img', 'qemu-utils')}, or put a link to it beside the binary",
            cause="qemu-missing",
        )
    return Path(found).absolute()


def _answered(binary: Binary) -> Binary:
    output = _version_output(binary, binary.argv)
    match = VERSION.search(output)
    if match is None:
        raise _unfit(str(binary.path), "is not a QEMU: it does not answer --version as one", output)
    img_argv = binary.img_argv or (str(_img_beside(Path(binary.argv[0]))),)
    img = _version_output(binary, img_argv)
    if not _IMG_VERSION.search(img):
        raise _unfit(img_argv[-1], "is not a qemu-img", img)
    return replace(binary, img_argv=img_argv, version=match["version"])


def _unfit(path: str, otherwise: str, output: str) -> ProvisionError:
    """Return what is to be said of a program that answered something else: it was given too little, or is another."""
    evidence, cause = tuple(output.splitlines()[:4]), scarcity(output)
    if cause:
        return ProvisionError(f"{path} could not be started", evidence=evidence, cause=cause)
    return ProvisionError(f"{path} {otherwise}", hint=_OTHER, evidence=evidence, cause="qemu-unfit")


def _version_output(binary: Binary, argv: tuple[str, ...]) -> str:
    try:
        return commands.run([*argv, "--version"], deadline_s=VERSION_DEADLINE_S, env=binary.env).text
    except ProvisionError as error:
        denied = isinstance(error.__cause__, PermissionError) and binary.source in (PROVISIONED, ARCHIVE, BUILT)
        hint = _NOEXEC if denied else _OTHER
        cause = "qemu-not-executable" if isinstance(error.__cause__, OSError) else "qemu-unfit"
        raise ProvisionError(f"{binary.path} does not run: {error.message}", hint=hint, cause=cause) from error
