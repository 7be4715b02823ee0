"""What the guest's disk begins with: an empty file system, or one with a database in it; made once.

Each run's disks are overlays on this one file, so that both sides start from the same bytes without a copy.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.provision import commands
from bench.provision.boot import boot_argv, booted
from bench.provision.cache import cache_folder, file_sha256, locked, made, read_manifest, text_sha256
from bench.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.provision.apps import Apps
    from bench.provision.qemu import Binary

STATE_BYTES = 2 << 30
"""How large the file system on the replicated disk is; the disk may be larger."""

_RECIPE = "1"
_IMAGE, _MANIFEST = "base.qcow2", "state.json"
_ONE_UUID = "c0105e50-0000-4000-8000-000000000000"
_FORMAT = (
    *("-q", "-F", "-t", "ext4", "-m", "0", "-J", "size=16", "-U", _ONE_UUID, "-L", "state"),
    # Else the kernel writes them while a run is measured.
    *("-E", f"lazy_itable_init=0,lazy_journal_init=0,nodiscard,hash_seed={_ONE_UUID}"),
)
_BOOT_S, _PREPARE_S, _COMMAND_S = 180.0, 900.0, 300.0
_MEMORY = "512M"


def state_image(
    apps: Apps, binary: Binary, state: str, progress: Callable[[str], None], size_bytes: int = STATE_BYTES
) -> Path:
    """Return the image that a run's disks are overlays of, making it when it is missing.

    Args:
        apps: the guest, which fills it.
        binary: the QEMU that it is filled under, by emulation.
        state: what to prepare, as the guest's console takes it (``postgres scale=5``); empty: an empty file system.
        progress: told what is being done.
        size_bytes: of the file system.

    Raises:
        ProvisionError: it cannot be made, or is not what was made.
        GuestError: the guest could not prepare it.
    """
    name = text_sha256(_RECIPE, apps.guest.digest, state, str(size_bytes), *_FORMAT)[:12]
    folder = cache_folder() / f"state-{name}"
    with locked("state", progress):
        return made(folder, lambda: _load(folder), lambda new: _make(apps, binary, state, size_bytes, new, progress))


def _load(folder: Path) -> Path | None:
    manifest, image = read_manifest(folder / _MANIFEST, {"sha256": str}), folder / _IMAGE
    if manifest is None:
        return None
    if not image.is_file() or file_sha256(image) != manifest["sha256"]:
        raise ProvisionError(
            f"the replicated disk's first state is gone, damaged, or was changed after it was made: {image}",
            hint=f"rm -r {folder}",
            cause="guest-image-broken",
        )
    return image


def _make(
    apps: Apps, binary: Binary, state: str, size_bytes: int, folder: Path, progress: Callable[[str], None]
) -> None:
    progress(f"replicated disk: making its first state ({state or 'an empty file system'})")
    raw, image = folder / "raw", folder / _IMAGE
    with raw.open("wb") as file:
        file.truncate(size_bytes)
    settings = (("MKE2FS_CONFIG", str(apps.tree.root / "etc/mke2fs.conf")), ("E2FSPROGS_FAKE_TIME", "1"))
    argv = (*apps.tree.program("usr/sbin/mke2fs"), *_FORMAT, str(raw))
    commands.check(argv, what="making a file system", deadline_s=_COMMAND_S, env=settings)
    if state:
        _prepare(apps, binary, state, raw)
    convert = (*binary.img_argv, "convert", "-f", "raw", "-O", "qcow2", str(raw), str(image))
    commands.check(convert, what="packing the first state", deadline_s=_COMMAND_S, env=binary.env)
    raw.unlink()
    write_atomic(folder / _MANIFEST, json.dumps({"sha256": file_sha256(image), "state": state}, indent=1) + "\n")


def _prepare(apps: Apps, binary: Binary, state: str, raw: Path) -> None:
    disk = ("-drive", f"if=virtio,format=raw,file={raw}", "-m", _MEMORY)
    log = cache_folder() / "failed-state.log"
    with booted(boot_argv(binary, apps.guest, "tcg", disk), binary.env, _BOOT_S, log) as console:
        console.send(f"prepare {state}")
        console.wait("prepared", _PREPARE_S)
