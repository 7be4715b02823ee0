"""The guest with applications: the Linux guest's kernel, an initramfs that mounts them, and their file system.

Content-addressed as the Linux guest is; the state that its disk begins with is made by :mod:`bench.provision.state`.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bench.guest
from bench.errors import ProvisionError
from bench.provision import compiler
from bench.provision.approot import APPLICATIONS, CLIENTS, COMPILER, POSTGRES, make_approot
from bench.provision.cache import cache_folder, locked, made, text_sha256
from bench.provision.guest import DRIVERS, copy_kernel, load_guest, stage_drivers, stage_system, write_guest
from bench.provision.initramfs import pack
from bench.provision.packages import GUEST, Tree, fetch_tree, installed_tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.provision.guest import Guest

_DRIVERS = (*DRIVERS, "squashfs", "ext4")
_APPLETS = (
    *("awk", "cat", "chmod", "chown", "cp", "dd", "dmesg", "grep", "head", "ifconfig", "insmod", "mkdir", "mount"),
    *("route", "seq", "sh", "sleep", "stty", "tail", "tr", "umount"),
)
_LINUX, _APPS = (Path(bench.guest.__file__).parent / name for name in ("linux", "apps"))
_INIT, _NGINX = _APPS / "init", _APPS / "nginx.conf"
_OWN = ("enter", "control", "build")
_SHARED = _APPS / "program.h"
_PROGRAMS = {**{name: _APPS / f"{name}.c" for name in _OWN}, "workload": _LINUX / "workload.c"}
_RECIPE = "1"
_KERNEL_PACKAGES = ("linux-image-", "linux-modules-", "linux-binary-", "busybox-static")
_NOT_INSIDE = ("squashfs-tools", "e2fsprogs", "wrk")


@dataclass(frozen=True)
class Apps:
    """The built guest, and the packages that it was made of: the clients that run outside of it are from there too."""

    guest: Guest
    tree: Tree

    def require_client(self, program: str) -> None:
        """Return when a program that a workload's client runs is among the packages.

        Raises:
            ProvisionError: it is not; the message names the package.
        """
        if program and not (self.tree.root / program).is_file():
            package = CLIENTS.get(program, program)
            words = f"a workload's client runs {Path(program).name} of the package {package}, which was not fetched"
            raise ProvisionError(words, cause="client-missing")


def build_apps(progress: Callable[[str], None]) -> Apps:
    """Return the guest with applications, fetching and building what is missing or changed (150 MB to fetch).

    Raises:
        ProvisionError: it cannot be fetched, built or verified.
    """
    tree, packages = fetch_tree(GUEST, progress), fetch_tree(APPLICATIONS, progress)
    folder = _folder(tree, packages)
    with locked("apps", progress):
        guest = made(folder, lambda: load_guest(folder, "approot"), lambda new: _fill(tree, packages, new, progress))
    return Apps(guest, packages)


def installed_apps() -> Guest | None:
    """Return the guest of the present inputs if it was built, without fetching or building.

    Raises:
        ProvisionError: a file of it is not what was built.
    """
    tree, packages = installed_tree(GUEST), installed_tree(APPLICATIONS)
    return load_guest(_folder(tree, packages), "approot") if tree and packages else None


def _folder(tree: Tree, packages: Tree) -> Path:
    versions = (json.dumps(one.packages) for one in (tree, packages))
    sources = (_INIT, _NGINX, _SHARED, *_PROGRAMS.values())
    compiled = compiler.fingerprint(sources, *compiler.STATIC)
    return cache_folder() / f"apps-{text_sha256(_RECIPE, *versions, *_DRIVERS, *_APPLETS, compiled)[:12]}"


def _fill(tree: Tree, packages: Tree, folder: Path, progress: Callable[[str], None]) -> None:
    progress("applications: building the guest's images")
    staging, applications = folder / "staging", folder / "applications"
    staging.mkdir()
    applications.mkdir()
    copy_kernel(tree, folder)
    stage_system(tree, staging, _INIT, _APPLETS, _PROGRAMS)
    for name in ("apps", "etc", "log"):
        (staging / name).mkdir()
    shutil.copyfile(_NGINX, staging / "etc/nginx.conf")
    (staging / "etc/postgres").write_text(f"/{POSTGRES}/bin\n")
    (staging / "etc/compiler").write_text(" ".join(f"/{name}" for name in COMPILER) + "\n")
    stage_drivers(tree, staging, _DRIVERS)
    pack(tree, staging, folder / "initramfs")
    make_approot(packages, tree.root / "usr/bin/busybox", applications, folder / "approot")
    for done in (staging, applications):
        shutil.rmtree(done)
    system = {name: version for name, version in tree.packages if name.startswith(_KERNEL_PACKAGES)}
    inside = {name: version for name, version in packages.packages if name not in _NOT_INSIDE}
    write_guest(folder, tree, {**inside, **system}, "approot")
