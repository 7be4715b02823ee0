"""Faults of what a pair stands on: its namespaces and link, its memory, the clock."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.provision.qemu import PROVISIONED, installed_qemu
from tools.faults.fault import (
    BEFORE_COLO,
    BETWEEN,
    DURING,
    HOST,
    NETNS,
    QUICK_DEADLINES,
    BlockedError,
    Fault,
    require_root,
    unset,
)
from tools.faults.scene import MissedError
from tools.lab.clock import no_shifted_clock, shifted_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.faults.fault import Act
    from tools.faults.scene import Scene

_WRAPPER = "qemu-wrapper"
_V1 = Path("/sys/fs/cgroup/memory")
_V2 = Path("/sys/fs/cgroup")
_LIMIT_BYTES = 24 << 20
_COMMAND_S = 30.0
_BACK_S = -3600.0


@contextmanager
def _root(_: Scene) -> Iterator[None]:
    require_root("host=netns")
    yield


def _holder(scene: Scene, side: str) -> int:
    pid = scene.working_in(scene.run / f"{side}-netns")
    if pid is None:
        raise MissedError(f"the {side}'s namespace has no holder")
    return pid


def _kill_holder(scene: Scene) -> None:
    os.kill(_holder(scene, "secondary"), 9)


def _in_namespace(side: str, *argv: str) -> Act:
    def act(scene: Scene) -> None:
        entered = ("nsenter", f"--net=/proc/{_holder(scene, side)}/ns/net", "--", *argv)
        subprocess.run(entered, check=True, capture_output=True, timeout=_COMMAND_S)

    return act


def _memory_root() -> tuple[Path, str]:
    """Return where a memory cgroup can be made, and the name of the file that limits it.

    Raises:
        BlockedError: this machine has none that may be written to.
    """
    require_root("making a cgroup")
    if (_V1 / "memory.limit_in_bytes").exists():
        return _V1, "memory.limit_in_bytes"
    with suppress(OSError):
        if "memory" in (_V2 / "cgroup.subtree_control").read_text().split():
            return _V2, "memory.max"
    raise BlockedError("no memory cgroup can be made here: neither v1, nor v2 with the memory controller delegated")


@contextmanager
def _cgroup(scene: Scene) -> Iterator[None]:
    root, limit = _memory_root()
    group = root / f"colo-bench-faults-{scene.token}"
    group.mkdir()
    try:
        (group / limit).write_text(str(_LIMIT_BYTES))
        yield
    finally:
        give_up = time.monotonic() + 10
        while group.exists() and time.monotonic() < give_up:
            with suppress(OSError):  # the kernel still ends the last process in it
                group.rmdir()
            time.sleep(0.05)


def _limit(side: str) -> Act:
    def act(scene: Scene) -> None:
        group = _memory_root()[0] / f"colo-bench-faults-{scene.token}"
        (group / "cgroup.procs").write_text(str(scene.side(side)))

    return act


@contextmanager
def _own_clock(scene: Scene) -> Iterator[None]:
    """Have the harness see a wall clock that this process can set, by a preloaded library."""
    why = no_shifted_clock()
    if why:
        raise BlockedError(why)
    clock = shifted_clock(scene.folder)
    scene.env |= clock.environ
    scene.clock = clock
    yield


def _set_back(scene: Scene) -> None:
    if scene.clock is not None:
        scene.clock.shift(_BACK_S)


@contextmanager
def _wrapper(scene: Scene) -> Iterator[None]:
    """Lay a script beside the command that starts the fetched QEMU and waits for it."""
    binary = installed_qemu(PROVISIONED)
    if binary is None:
        raise BlockedError("QEMU has not been fetched")
    words = shlex.join(["env", *(f"{name}={value}" for name, value in binary.env), *binary.argv])
    script = scene.folder / _WRAPPER
    script.write_text(f'#!/bin/sh\n{words} "$@"\nexit $?\n')
    script.chmod(0o755)
    (scene.folder / "qemu-img").write_text("#!/bin/sh\necho qemu-img version 1\n")
    (scene.folder / "qemu-img").chmod(0o755)
    yield


def faults() -> Iterator[Fault]:
    """Yield every fault of what a pair stands on."""
    lost = frozenset({"netns-lost"})
    yield Fault(
        name="netns-holder-killed",
        group="a peer namespace deleted mid-run",
        does="the process that holds the secondary's network namespace is killed",
        causes=lost,
        moment=BETWEEN,
        act=_kill_holder,
        ground=_root,
        setting=NETNS,
        overrides=QUICK_DEADLINES,
    )
    yield Fault(
        name="netns-link-deleted",
        group="a peer namespace deleted mid-run",
        does="the veth pair between the namespaces is deleted, as the kernel does with a deleted namespace",
        causes=lost | {"link-down"},
        moment=BETWEEN,
        act=_in_namespace("secondary", "ip", "link", "del", "colo0"),
        ground=_root,
        setting=NETNS,
        overrides=QUICK_DEADLINES,
    )
    for when, moment in (("between", BETWEEN), ("during", DURING)):
        yield Fault(
            name=f"link-down-{when}",
            group="link down mid-run",
            does=f"the secondary's end of the link is set down {moment.name}",
            causes=frozenset({"link-down"}),
            moment=moment,
            act=_in_namespace("secondary", "ip", "link", "set", "colo0", "down"),
            ground=_root,
            setting=NETNS,
            overrides=QUICK_DEADLINES,
        )
    for side in ("primary", "secondary"):
        yield Fault(
            name=f"memory-limit-{side}",
            group="memory limit hit (cgroup)",
            does=f"the {side} is put into a cgroup of {_LIMIT_BYTES >> 20} MiB while the guest boots",
            causes=frozenset({"qemu-oom-killed"}),
            moment=BEFORE_COLO,
            act=_limit(side),
            ground=_cgroup,
        )
    yield Fault(
        name="wrapper-without-exec",
        group="a wrapper script that does not exec its QEMU",
        does="qemu= is a script that starts the fetched QEMU and waits for it",
        says="starts QEMU as another process",
        exits=frozenset({HOST}),
        ground=_wrapper,
        overrides=(f"qemu=./{_WRAPPER}",),
    )
    yield Fault(
        name="clock-set-back",
        group="the clock set back (simulated)",
        does="the wall clock of the harness, preloaded by the test, goes back by an hour (QEMU gets no such library)",
        causes=frozenset({"clock-stepped"}),
        moment=BETWEEN,
        act=_set_back,
        ground=_own_clock,
        remedy=unset("LD_PRELOAD", "COLO_BENCH_FAULT_CLOCK"),
    )
