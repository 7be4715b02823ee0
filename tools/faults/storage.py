"""Faults of what is stored: a full and a read-only disk, damaged files, a broken cache."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.provision.cache import cache_folder
from tools.faults.fault import DONE, HOST, LASTING, SOME_FAILED, USAGE, Fault, at_stage, require_root
from tools.lab.hosts import shrink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tools.faults.fault import Act
    from tools.faults.scene import Scene

_DISK = "256m"
_COMMAND_S = 30.0


@contextmanager
def _small_disk(scene: Scene) -> Iterator[None]:
    """Put the results onto a small file system of their own."""
    require_root("mounting a tmpfs")
    _run("mount", "-t", "tmpfs", "-o", f"size={_DISK},mode=0700", "colo-bench-faults", str(scene.results))
    try:
        yield
    finally:
        _run("umount", "-l", str(scene.results))


def _remount(options: str) -> Act:
    return lambda scene: _run("mount", "-o", f"remount,{options}", str(scene.results))


def _fill(scene: Scene) -> None:
    shrink(scene.results, lambda size: _remount(f"size={size}")(scene))


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=_COMMAND_S)


@contextmanager
def own_cache(scene: Scene) -> Iterator[None]:
    """Give the command a copy of the cache, byte by byte, which may be damaged."""
    original = cache_folder()
    base = scene.folder / "xdg"
    shutil.copytree(original, base / "colo-bench", symlinks=True, ignore=special)
    (base / "colo-bench").chmod(0o700)
    scene.env |= {"XDG_CACHE_HOME": str(base), "COLO_BENCH_CACHE": ""}
    try:
        yield
    finally:
        shutil.rmtree(base, ignore_errors=True)


def special(folder: str, names: list[str]) -> list[str]:
    """Return what is no file, folder or link: the packages bring device nodes, and /dev/zero has no end."""
    modes = {name: os.lstat(os.path.join(folder, name)).st_mode for name in names}  # noqa: PTH118 - copytree's strings
    return [
        name for name, mode in modes.items() if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))
    ]


def copied_cache(scene: Scene) -> Path:
    """Return the cache that a scene's command uses."""
    return scene.folder / "xdg" / "colo-bench" if "XDG_CACHE_HOME" in scene.env else cache_folder()


def one_of(scene: Scene, pattern: str) -> Path:
    """Return what a pattern finds first in the scene's cache."""
    return next(iter(sorted(copied_cache(scene).glob(pattern))))


def _flip(pattern: str) -> Act:
    def act(scene: Scene) -> None:
        path = one_of(scene, pattern)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)

    return act


def _halve(find: Callable[[Scene], Path]) -> Act:
    def act(scene: Scene) -> None:
        path = find(scene)
        os.truncate(path, path.stat().st_size // 2)

    return act


def _half_made(pattern: str) -> Act:
    """Return what leaves half of something under a temporary name, as one that was killed while making it does."""

    def act(scene: Scene) -> None:
        whole = one_of(scene, pattern)
        partial = whole.with_name(f"{whole.name}.k1ll3d0x")
        whole.rename(partial)
        for path in sorted(path for path in partial.rglob("*") if path.is_file())[::2]:
            path.unlink()

    return act


def remove(pattern: str) -> Act:
    """Return what takes away what a pattern finds first in the scene's cache."""
    return lambda scene: shutil.rmtree(one_of(scene, pattern))


def _restore(pattern: str) -> Act:
    def act(scene: Scene) -> None:
        broken = one_of(scene, pattern)
        shutil.copyfile(cache_folder() / broken.relative_to(copied_cache(scene)), broken)

    return act


def _stored(name: str) -> Callable[[Scene], Path]:
    """Return how a file of the campaign is found; ``*`` stands for the run that is measured already."""
    return lambda scene: next(iter(scene.campaign.glob(name)))


def _garble(name: str) -> Act:
    def act(scene: Scene) -> None:
        path = _stored(name)(scene)
        path.write_bytes(b"\x00\xff{" * (path.stat().st_size // 3))

    return act


def _delete(name: str) -> Act:
    return lambda scene: _stored(name)(scene).unlink()


def _disks() -> Iterator[Fault]:
    group = "the results' disk full"
    for stage in ("launch", "handshake", "measure", "store"):
        yield Fault(
            name=f"disk-full-{stage}",
            group=group,
            does=f"the results' file system is full from {stage} on",
            causes=frozenset({"disk-full"}),
            exits=frozenset({SOME_FAILED, HOST}),
            moment=LASTING if stage == "measure" else at_stage(stage),
            act=_fill,
            ground=_small_disk,
            remedy=_remount(f"size={_DISK}"),
            may_succeed=stage == "store",
        )
    yield Fault(
        name="disk-read-only",
        group="the results' disk read-only",
        does="the results' file system is mounted read-only when the campaign is continued",
        says=r"(?i)read-only",
        exits=frozenset({HOST}),
        ground=_small_disk,
        damage=_remount("ro"),
        remedy=_remount("rw"),
    )


def _caches() -> Iterator[Fault]:
    group = "the cache broken, or half fetched"
    refused = frozenset({HOST})
    image, broken = r"guest.s (kernel|initramfs) is gone, damaged, or was changed", r"packages were changed"
    for what in ("kernel", "initramfs"):
        yield Fault(
            name=f"guest-{what}-corrupted",
            group="a corrupted guest image",
            does=f"a byte of the guest's {what} is another one; repaired as the hint says",
            says=image,
            exits=refused,
            ground=own_cache,
            damage=_flip(f"guest-*/{what}"),
            remedy=remove("guest-*"),
        )
    yield Fault(
        name="guest-manifest-torn",
        group="a corrupted guest image",
        does="guest.json ends half-way: the guest is built anew, the same to the byte",
        exits=frozenset({DONE}),
        ground=own_cache,
        damage=_halve(lambda scene: one_of(scene, "guest-*/guest.json")),
        may_succeed=True,
    )
    yield Fault(
        name="qemu-torn",
        group=group,
        does="the fetched QEMU ends half-way",
        says=broken,
        exits=refused,
        ground=own_cache,
        damage=_halve(lambda scene: one_of(scene, "packages-*/usr/bin/qemu-system-x86_64")),
        remedy=_restore("packages-*/usr/bin/qemu-system-x86_64"),
    )
    for name, pattern, what, slow in (
        ("guest-half-built", "guest-*", "building the guest", False),
        ("packages-half-fetched", "packages-*", "fetching the packages", True),
    ):
        yield Fault(
            name=name,
            group=group,
            does=f"half of what {what} makes lies under its temporary name: it is made anew, and the half removed",
            exits=frozenset({DONE}),
            ground=own_cache,
            damage=_half_made(pattern),
            may_succeed=True,
            slow=slow,
        )
    yield Fault(
        name="probe-answer-torn",
        group=group,
        does="the stored answer of the COLO probe ends half-way: it is asked again",
        exits=frozenset({DONE}),
        ground=own_cache,
        damage=_halve(lambda scene: one_of(scene, "colo-probe/*.json")),
        may_succeed=True,
    )
    yield Fault(
        name="packages-manifest-torn",
        group=group,
        does="the packages' manifest ends half-way: they are fetched again",
        exits=frozenset({DONE}),
        ground=own_cache,
        damage=_halve(lambda scene: one_of(scene, "packages-*/colo-bench.json")),
        may_succeed=True,
        slow=True,
    )


def _files() -> Iterator[Fault]:
    group = "plan, ledger or table unreadable on resume"
    for name, damage in (("torn", _halve(_stored("plan.json"))), ("garbled", _garble("plan.json"))):
        yield Fault(
            name=f"plan-{name}",
            group=group,
            does=f"plan.json is {name}; moved away as the hint says, and the same command makes the same plan",
            says=r"plan\.json cannot be read",
            exits=frozenset({USAGE, HOST}),
            damage=damage,
            remedy=_delete("plan.json"),
        )
    yield Fault(
        name="ledger-torn",
        group=group,
        does="the ledger ends within a line",
        exits=frozenset({DONE}),
        damage=_tear_ledger,
        may_succeed=True,
    )
    yield Fault(
        name="ledger-garbled",
        group=group,
        does="no line of the ledger can be read: what was measured is known by its record",
        says=r"ledger\.jsonl",
        exits=frozenset({DONE, USAGE, HOST}),
        damage=_garble("ledger.jsonl"),
        remedy=_drop_ledger,
        may_succeed=True,
    )
    yield Fault(
        name="ledger-gone",
        group=group,
        does="the ledger is gone: what was measured is known by its record",
        says=r"ledger\.jsonl did not know of 1 measured runs",
        exits=frozenset({DONE}),
        damage=_delete("ledger.jsonl"),
        may_succeed=True,
    )
    for name, damage in (
        ("torn", _halve(_stored("runs/*/checkpoints.parquet"))),
        ("gone", _delete("runs/*/checkpoints.parquet")),
    ):
        yield Fault(
            name=f"table-{name}",
            group=group,
            does=f"the table of a measured run is {name}",
            exits=frozenset({DONE}),
            damage=damage,
            may_succeed=True,
            reruns=True,
        )


def _drop_ledger(scene: Scene) -> None:
    """Remove the ledger where the command was refused for it."""
    if scene.status != DONE:
        (scene.campaign / "ledger.jsonl").unlink()


def _tear_ledger(scene: Scene) -> None:
    """Cut the last line, which says that the second run is planned."""
    path = scene.campaign / "ledger.jsonl"
    os.truncate(path, path.stat().st_size - 20)


def faults() -> Iterator[Fault]:
    """Yield every fault of what is stored."""
    yield from _disks()
    yield from _caches()
    yield from _files()
