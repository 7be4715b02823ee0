"""QEMU from the archive's source package: patched and compiled among packages of its suite, without root.

A build is called ``RELEASE+PATCH+...``, such as ``10.2+nodelay``, and kept under a hash of all that goes into it: the
source, the patches, the options and the versions of the packages that it was compiled with.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.provision import commands
from bench.provision.archive import Offer, choose, fetch_source, find_offer, known_offers
from bench.provision.cache import cache_folder, file_sha256, locked, made, making, read_manifest, text_sha256
from bench.provision.packages import Tree, Wanted, fetch_tree, installed_tree
from bench.system.files import write_atomic
from bench.system.places import PATCHES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Progress = Callable[[str], None]

OPTIONS = (
    *("--target-list=x86_64-softmmu", "--prefix=/usr", "--enable-tcg", "--enable-kvm", "--enable-replication"),
    *("--enable-slirp", "--enable-seccomp", "--enable-tools", "--enable-trace-backends=log"),
    *("--disable-docs", "--disable-user", "--disable-guest-agent", "--disable-werror", "--disable-debug-info"),
    *("--disable-install-blobs", "--disable-download"),
)
"""What ``configure`` is asked for, as far as a release knows it; all else is as it finds the libraries."""

_INCLUDE = (
    *("gcc", "libc6-dev", "make", "ninja-build", "meson", "pkg-config", "flex", "bison", "perl", "dpkg-dev", "patch"),
    *("python3", "python3-venv", "python3-pip", "python3-distlib"),
    *("libglib2.0-dev", "libpixman-1-dev", "zlib1g-dev", "libslirp-dev", "libseccomp-dev", "libfdt-dev"),
    *("base-files", "bash", "coreutils", "dash", "diffutils", "findutils", "grep", "gzip", "mawk", "sed", "tar"),
    "xz-utils",
)
_TARGETS = ("qemu-system-x86_64", "qemu-img")
_LINKS = {"usr/bin/awk": "mawk", "usr/bin/sh": "dash"}
"""What a package's own script would have made."""

_COMPILED_IN = {"sid": "trixie"}
"""Where a suite's lists are past their date on many mirrors, and its packages refused: the settled one before it."""

_RECIPE = "1"
_MANIFEST = "build.json"
_NAME = re.compile(r"(?P<release>[0-9.]+)(?P<patches>(\+[0-9A-Za-z][0-9A-Za-z._-]*)*)", re.ASCII)
_BUILD_DEADLINE_S = 3600.0


@dataclass(frozen=True)
class Built:
    """A finished build.

    Attributes:
        name: as ``qemu=built:NAME`` has it.
        folder: where the two programs and the patches are.
        tree: the packages that it was compiled with, whose libraries and loader it runs with.
    """

    name: str
    folder: Path
    tree: Tree


def build_name(release: str, patches: Sequence[Path]) -> str:
    """Return what a build is called.

    Raises:
        ProvisionError: a patch's file name cannot be part of it, or two have the same.
    """
    name = "+".join((release, *(path.stem for path in patches)))
    if not _NAME.fullmatch(name):
        raise ProvisionError(f"{name}: a patch's name is of letters, digits and . _ -", cause="build-unknown")
    names = [path.name for path in patches]
    if len(set(names)) < len(names):
        raise ProvisionError(
            f"{name}: two patches have one name", hint="rename one of the files", cause="build-unknown"
        )
    return name


def find_built(name: str, progress: Progress) -> Built:
    """Return the build of this name; one with patches of the project's own is built when it is missing.

    Raises:
        ProvisionError: there is none and it cannot be made.
    """
    request = _own_request(name)
    if request:
        return build(*request, progress)
    built = _pointed_at(name)
    if built is None:
        own = ", ".join(sorted(path.stem for path in PATCHES.glob("*.patch")))
        raise ProvisionError(
            f"qemu=built:{name}: there is no such build",
            hint=f"python -m bench.provision --source RELEASE --patch FILE...; patches of the project: {own}",
            cause="build-unknown",
        )
    return built


def installed_built(name: str) -> Built | None:
    """Return what `find_built` would, or None when that would have to build.

    Raises:
        ProvisionError: a file of it is not what was built.
    """
    request = _own_request(name)
    if request is None:
        return _pointed_at(name)
    release, patches = request
    offer = choose(release, known_offers("sources"))
    tree = installed_tree(_wanted(offer)) if offer else None
    source = _source_folder(offer) if offer else None
    if not (offer and tree and source and (source / _MANIFEST).exists()):
        return None
    return _load(_folder(offer, source, patches, tree), name, tree)


def build(release: str, patches: Sequence[Path], progress: Progress) -> Built:
    """Return QEMU of a release with patches, built now unless it was before (some minutes).

    Args:
        release: ``10.2``, as ``python -m bench.provision --list`` shows under sources.
        patches: files that ``patch -p1`` takes, applied in this order.
        progress: told what is being done.

    Raises:
        ProvisionError: a patch cannot be read or does not apply, the source cannot be fetched, or it does not compile;
            the end of what was said is the evidence, and the whole is kept.
    """
    name = build_name(release, patches)
    _require_readable(patches)
    _require_bwrap()
    offer = find_offer(release, "sources", progress)
    source = _fetched(offer, progress)
    tree = fetch_tree(_wanted(offer), progress)
    folder = _folder(offer, source, patches, tree)
    built = _load(folder, name, tree)
    if built is None:
        with locked("build", progress):
            built = made(
                folder,
                lambda: _load(folder, name, tree),
                lambda new: _compile(name, offer, source, patches, tree, new, progress),
            )
    _point(name, offer, folder)
    return built


def _own_request(name: str) -> tuple[str, tuple[Path, ...]] | None:
    """Return release and patches of a build that needs no more than the project's own patches."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    patches = tuple(PATCHES / f"{stem}.patch" for stem in match["patches"].split("+")[1:])
    return (match["release"], patches) if all(path.is_file() for path in patches) else None


def _require_readable(patches: Sequence[Path]) -> None:
    for path in patches:
        try:
            path.read_bytes()
        except OSError as error:
            raise ProvisionError(f"{path} cannot be read: {error.strerror}", cause="build-unknown") from error


def _require_bwrap() -> None:
    if shutil.which("bwrap") is None:
        raise ProvisionError(
            "QEMU is compiled apart from this machine's own packages, and bubblewrap for that is missing",
            hint="sudo apt-get update && sudo apt-get install -y bubblewrap",
            cause="tools-missing",
        )


def _wanted(offer: Offer) -> Wanted:
    suite = _COMPILED_IN.get(offer.suite, offer.suite)
    return Wanted(suite, _INCLUDE, ("usr/bin/gcc", "usr/bin/ninja", "usr/bin/python3"))


def _source_folder(offer: Offer) -> Path:
    return cache_folder() / f"source-{text_sha256(offer.version)[:12]}"


def _fetched(offer: Offer, progress: Progress) -> Path:
    """Return the folder of a source package's files, as they were verified when they were fetched."""
    folder = _source_folder(offer)
    with locked("source", progress):  # else one who has waited would put his own in the place of what is being compiled
        manifest = read_manifest(folder / _MANIFEST, {"sha256": dict})
        if manifest is None:
            with making(folder) as partial:
                fetch_source(offer, partial, progress)
                hashes = {path.name: file_sha256(path) for path in sorted(partial.iterdir())}
                write_atomic(partial / _MANIFEST, json.dumps({"sha256": hashes}, indent=1) + "\n")
            return folder
    _require_unchanged(folder, manifest["sha256"])
    return folder


def _require_unchanged(folder: Path, hashes: dict[str, str]) -> None:
    for name, sha256 in hashes.items():
        if not (folder / name).is_file() or file_sha256(folder / name) != sha256:
            raise ProvisionError(
                f"{folder / name} is gone, or was changed afterwards", hint=f"rm -r {folder}", cause="cache-broken"
            )


def _folder(offer: Offer, source: Path, patches: Sequence[Path], tree: Tree) -> Path:
    """Return where a build is kept: by the hash of all that goes into it."""
    made_of = (
        *(_RECIPE, offer.version, (source / _MANIFEST).read_text(), json.dumps(tree.packages)),
        *OPTIONS,
        *(file_sha256(path) for path in patches),
    )
    return cache_folder() / f"built-{text_sha256(*made_of)[:12]}"


def _load(folder: Path, name: str, tree: Tree) -> Built | None:
    manifest = read_manifest(folder / _MANIFEST, {"sha256": dict})
    if manifest is None:
        return None
    _require_unchanged(folder, manifest["sha256"])
    return Built(name, folder, tree)


def _point(name: str, offer: Offer, folder: Path) -> None:
    """Let a name lead to a build, so that one with foreign patches is found without their files."""
    place = cache_folder() / "builds" / f"{name}.json"
    place.parent.mkdir(mode=0o700, exist_ok=True)
    write_atomic(place, json.dumps({"folder": folder.name, "suite": offer.suite, "version": offer.version}) + "\n")


def _pointed_at(name: str) -> Built | None:
    texts = dict.fromkeys(("folder", "suite", "version"), str)
    pointer = read_manifest(cache_folder() / "builds" / f"{name}.json", texts)
    tree = installed_tree(_wanted(Offer(pointer["suite"], pointer["version"]))) if pointer else None
    return _load(cache_folder() / pointer["folder"], name, tree) if pointer and tree else None


def _compile(
    name: str, offer: Offer, source: Path, patches: Sequence[Path], tree: Tree, folder: Path, progress: Progress
) -> None:
    """Unpack, patch, configure and compile in a folder, and leave there only what is wanted."""
    work = folder / "compile"
    (work / "build").mkdir(parents=True)
    kept = [Path(shutil.copyfile(path, folder / path.name)) for path in patches]
    for link, target in _LINKS.items():
        if not os.path.lexists(tree.root / link):
            (tree.root / link).symlink_to(target)
    description = next(source.glob("*.dsc")).name
    inside = _Inside(tree, folder, source, name)
    progress(f"build {name}: unpacking QEMU {offer.version}")
    inside.run("dpkg-source", "--no-check", "-x", f"/source/{description}", "/build/compile/qemu", at="")
    for path in kept:
        progress(f"build {name}: applying {path.name}")
        inside.run("patch", "-p1", "--fuzz=0", "--forward", "-i", f"/build/{path.name}", at="qemu")
    known = inside.run("../qemu/configure", "--help")
    options = [option for option in OPTIONS if knows(known, option)]
    progress(f"build {name}: configuring")
    said = "-".join((offer.version, *(path.stem for path in patches)))
    inside.run("../qemu/configure", "--cc=gcc", "--host-cc=gcc", f"--with-pkgversion={said}", *options)
    progress(f"build {name}: compiling (some minutes)")
    inside.run("ninja", *_TARGETS)
    for target in _TARGETS:
        shutil.move(work / "build" / target, folder / target)
    shutil.rmtree(work)
    hashes = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    made_of = {"version": offer.version, "options": options, "packages": dict(tree.packages)}
    write_atomic(folder / _MANIFEST, json.dumps({"sha256": hashes, **made_of}, indent=1) + "\n")


def knows(help_text: str, option: str) -> bool:
    """Return whether a release's ``configure --help`` has an option, by itself or as a feature to switch on or off."""
    word = option.partition("=")[0]
    feature = re.sub("^--(enable|disable)-", "", word)
    return word in help_text or re.search(rf"^  {re.escape(feature)}\s", help_text, re.MULTILINE) is not None


@dataclass(frozen=True)
class _Inside:
    """Runs programs of a tree with that tree as all they see, without a network: the work under ``/build``."""

    tree: Tree
    folder: Path
    source: Path
    name: str

    def run(self, *argv: str, at: str = "build") -> str:
        """Run a program in a folder of the work and return its output.

        Raises:
            ProvisionError: it failed; the end of its output is the evidence, and the whole is kept.
        """
        finished = commands.run((*self._sandbox(at), *argv), deadline_s=_BUILD_DEADLINE_S)
        if finished.status == 0:
            return finished.text
        log = cache_folder() / "failed-build" / f"{self.name}.log"
        log.parent.mkdir(mode=0o700, exist_ok=True)
        log.write_text(f"{finished.text}\n", encoding="utf-8")
        raise ProvisionError(
            f"building {self.name} failed: {argv[0]} ended with status {finished.status}",
            evidence=finished.lines[-12:],
            logs=(log,),
            cause="build-failed",
        )

    def _sandbox(self, at: str) -> tuple[str, ...]:
        return (
            *("bwrap", "--die-with-parent", "--unshare-net", "--unshare-pid", "--unshare-ipc"),
            *("--bind", str(self.tree.root), "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),  # noqa: S108
            *("--bind", str(self.folder), "/build", "--ro-bind", str(self.source), "/source"),
            *("--chdir", f"/build/compile/{at}", "--clearenv", "--setenv", "HOME", "/tmp", "--setenv", "LC_ALL", "C"),  # noqa: S108
            *("--setenv", "PATH", "/usr/bin:/usr/sbin:/bin"),
        )
