"""The Linux guest: a packaged kernel and a small initramfs of busybox, a few drivers and our own workload program.

Content-addressed: the folder's name is a hash of all that goes in, so it is built again when, and only when, an input
changes; and the same inputs give the same bytes.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bench.guest
from bench.errors import ProvisionError
from bench.guest.loading import applications, loading
from bench.provision import compiler
from bench.provision.cache import cache_folder, file_sha256, locked, made, read_manifest, text_sha256
from bench.provision.initramfs import pack
from bench.provision.modules import canonical, decompress, depends, load_order, module_files
from bench.provision.packages import GUEST, Tree, fetch_tree, installed_tree
from bench.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.guest.protocol import Kind

DRIVERS = ("8139cp", "e1000", "virtio_net", "ata_piix", "sd_mod", "virtio_blk")
"""Loaded when the guest's devices need them; `init` knows which device needs which."""

_APPLETS = ("sh", "mount", "stty", "insmod", "ifconfig", "route", "httpd", "sleep", "dmesg", "grep")
_PACKAGES = ("linux-image-amd64", "busybox-static")
_INIT, _WORKLOAD = (Path(bench.guest.__file__).parent / "linux" / name for name in ("init", "workload.c"))
_RECIPE = "2"
_MANIFEST = "guest.json"
_PAGE_BYTES = 64 << 10


@dataclass(frozen=True)
class Guest:
    """A built guest.

    Attributes:
        kernel: what ``-kernel`` gets.
        initramfs: what ``-initrd`` gets; ``None``: it has none, it is the bare guest.
        initramfs_sha256: empty without one.
        kernel_version: the kernel's release, as ``uname -r`` says it; ``bare`` for the bare guest.
        packages: name and exact version of the packages whose files are in it.
        approot: the applications' file system; ``None``: it has none.
        approot_sha256: empty without one.
    """

    kernel: Path
    initramfs: Path | None
    kernel_sha256: str
    initramfs_sha256: str
    kernel_version: str
    packages: tuple[tuple[str, str], ...]
    approot: Path | None = None
    approot_sha256: str = ""

    @property
    def kind(self) -> Kind:
        """Return the configuration's word for it."""
        if self.approot:
            return "apps"
        return "bare" if self.initramfs is None else "linux"

    @property
    def digest(self) -> str:
        """Return one hash over all that it is made of."""
        return text_sha256(self.kernel_sha256, self.initramfs_sha256, self.approot_sha256)

    def loading(self) -> tuple[str, ...]:
        """Return the options by which QEMU loads it."""
        image = applications(str(self.approot)) if self.approot else ()
        return (*loading(str(self.kernel), None if self.initramfs is None else str(self.initramfs)), *image)


def build_guest(progress: Callable[[str], None]) -> Guest:
    """Return the Linux guest, building it (and fetching its packages) when it is missing or an input changed.

    Raises:
        ProvisionError: it cannot be fetched, built or verified.
    """
    tree = fetch_tree(GUEST, progress)
    folder = _folder(tree)
    with locked("guest", progress):
        return made(folder, lambda: load_guest(folder), lambda new: _fill(tree, new, progress))


def installed_guest() -> Guest | None:
    """Return the guest of the present inputs if it was built, without fetching or building.

    Raises:
        ProvisionError: a file of it is not what was built.
    """
    tree = installed_tree(GUEST)
    return load_guest(_folder(tree)) if tree else None


def _folder(tree: Tree) -> Path:
    packages = json.dumps(tree.packages)
    key = text_sha256(
        _RECIPE, packages, *DRIVERS, *_APPLETS, compiler.fingerprint((_INIT, _WORKLOAD), *compiler.STATIC)
    )
    return cache_folder() / f"guest-{key[:12]}"


def load_guest(folder: Path, *more: str) -> Guest | None:
    """Return the guest that was built in a folder, if one was.

    Args:
        folder: of the cache.
        more: what lies in it beside kernel and initramfs: ``approot``.

    Raises:
        ProvisionError: a file of it is not what was built.
    """
    files = ("kernel", "initramfs", *more)
    texts = dict.fromkeys((*(f"{name}_sha256" for name in files), "kernel_version"), str)
    manifest = read_manifest(folder / _MANIFEST, texts | {"packages": dict})
    if manifest is None:
        return None
    for path in (folder / name for name in files):
        if not path.is_file() or file_sha256(path) != manifest[f"{path.name}_sha256"]:
            raise ProvisionError(
                f"the guest's {path.name} is gone, damaged, or was changed after it was built: {path}",
                hint=f"rm -r {folder}; python -m bench.provision",
                cause="guest-image-broken",
            )
    return Guest(
        kernel=folder / "kernel",
        initramfs=folder / "initramfs",
        kernel_sha256=manifest["kernel_sha256"],
        initramfs_sha256=manifest["initramfs_sha256"],
        kernel_version=manifest["kernel_version"],
        packages=tuple((name, version) for name, version in manifest["packages"].items()),
        approot=folder / "approot" if more else None,
        approot_sha256=manifest.get("approot_sha256", "") if more else "",
    )


def _fill(tree: Tree, folder: Path, progress: Callable[[str], None]) -> None:
    progress("guest: building the initramfs")
    staging = folder / "staging"
    staging.mkdir()
    initramfs = folder / "initramfs"
    copy_kernel(tree, folder)
    _stage(tree, staging)
    pack(tree, staging, initramfs)
    shutil.rmtree(staging)
    packages = {name: version for name, version in tree.packages if _is_inside(name)}
    write_guest(folder, tree, packages)


def copy_kernel(tree: Tree, folder: Path) -> None:
    """Copy the packaged kernel into a guest's folder."""
    # The packaged bzImage and not the ELF inside it, which would boot faster: QEMU puts an ELF into guest RAM as a ROM,
    # and at every COLO checkpoint the secondary resets its machine, which copies its ROMs anew: 57 MiB of dirty pages.
    shutil.copyfile(tree.kernel, folder / "kernel")


def write_guest(folder: Path, tree: Tree, packages: dict[str, str], *more: str) -> None:
    """Write the manifest of a guest whose files are in the folder; see :func:`load_guest`."""
    manifest = {
        **{f"{name}_sha256": file_sha256(folder / name) for name in ("kernel", "initramfs", *more)},
        "kernel_version": tree.kernel_release,
        "packages": packages,
    }
    write_atomic(folder / _MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def _is_inside(package: str) -> bool:
    return package in _PACKAGES or package.startswith(("linux-image-", "linux-modules-", "linux-binary-"))


def _stage(tree: Tree, root: Path) -> None:
    """Lay out the guest's root file system under ``root``."""
    stage_system(tree, root, _INIT, _APPLETS, {"workload": _WORKLOAD})
    (root / "www").mkdir()
    (root / "www/index.html").write_text("<!doctype html><title>colo-bench</title><p>It works.\n")
    (root / "www/64k").write_bytes(bytes(range(256)) * (_PAGE_BYTES // 256))
    stage_drivers(tree, root)


def stage_system(tree: Tree, root: Path, init: Path, applets: Sequence[str], programs: Mapping[str, Path]) -> None:
    """Lay out what every Linux guest has: the first process, busybox, and programs of our own by name and source."""
    for name in ("bin", "dev", "drivers", "modules", "proc", "sys"):
        (root / name).mkdir()
    shutil.copyfile(init, root / "init")
    shutil.copyfile(tree.root / "usr/bin/busybox", root / "bin/busybox")
    for name, source in programs.items():
        compiler.compile_c([source], root / "bin" / name, compiler.STATIC)
    for path in (root / "init", root / "bin/busybox", *(root / "bin" / name for name in programs)):
        path.chmod(0o755)
    for applet in applets:
        (root / "bin" / applet).symlink_to("busybox")


def stage_drivers(tree: Tree, root: Path, drivers: Sequence[str] = DRIVERS) -> None:
    """Lay out the modules of these drivers, and for each the order in which its modules are loaded.

    Raises:
        ProvisionError: the kernel has no such driver.
    """
    modules = _read_modules(tree, drivers)
    needs = {name: tuple(need for need in depends(data) if need in modules) for name, data in modules.items()}
    for name, data in modules.items():
        (root / "modules" / f"{name}.ko").write_bytes(data)
    for driver in drivers:
        order = load_order([canonical(driver)], needs) if canonical(driver) in modules else ()
        (root / "drivers" / driver).write_text("".join(f"{name}\n" for name in order))


def _read_modules(tree: Tree, drivers: Sequence[str]) -> dict[str, bytes]:
    """Return the drivers and all they need, decompressed; what is built into the kernel has no file and is left out."""
    tree.require_modules()
    files = module_files(tree.modules)
    builtin = (tree.modules / "modules.builtin").read_text()
    modules: dict[str, bytes] = {}
    waiting = [canonical(driver) for driver in drivers]
    while waiting:
        name = waiting.pop()
        if name in files and name not in modules:
            modules[name] = decompress(files[name].read_bytes(), tree)
            waiting += depends(modules[name])
        elif name not in files and f"/{name}.ko" not in canonical(builtin):
            raise ProvisionError(f"the kernel {tree.kernel_release} has no driver {name}")
    return modules
