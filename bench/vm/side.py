"""One side of a pair: its folders, its images and its QEMU, on its host, made together and gone together."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.format.folder import ARGV
from bench.format.version import SCHEMA_VERSION
from bench.host.links import Link
from bench.vm.argv import DISKS
from bench.vm.spec import KEYS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.host.host import Host
    from bench.host.process import Process
    from bench.provision.qemu import Binary
    from bench.vm.argv import Side
    from bench.vm.spec import PairSpec


@asynccontextmanager
async def open_side(
    side: str,
    machine: Side,
    spec: PairSpec,
    host: Host,
    binary: Binary,
    home: Path,
    *,
    name: str = "",
    cpus: frozenset[int] = frozenset(),
    key: str = "",
) -> AsyncIterator[Process]:
    """Make a side's folders and images, and run its QEMU until the block ends; its images are gone then.

    Args:
        side: which of the pair it is, by which it finds its sockets.
        machine: its command line and images.
        spec: what that is made from.
        host: where it runs.
        binary: its QEMU.
        home: its working directory, which is made.
        name: what messages call it, where that is not the side.
        cpus: those that it is held to, if any.
        key: by which the pair encrypts, if it does.

    Raises:
        HostError: an image cannot be made.
        LaunchError: the QEMU cannot be started.
        TeardownError: it cannot be ended.
    """
    sockets = Path(spec.sockets) / side
    host.make_folder(home)
    host.make_folder(sockets)
    try:
        if key:
            host.put(sockets / KEYS, key)
        await _create_images(host, binary, spec, home, machine, sockets)
        argv = machine.argv(spec)
        start = {
            "schema_version": SCHEMA_VERSION,
            "side": name or side,
            "argv": [host.there(word) for word in argv],
            "env": {variable: host.there(value) for variable, value in binary.env},
            "qemu": host.there(str(binary.path)),
            "host": spec.address(side, Link.COMPARE),
            "images": [host.there(str(home / image)) for image in machine.images],
        }
        host.put(home / ARGV, json.dumps(start, indent=1) + "\n")
        stop_s, called = spec.cell.deadlines.teardown, f"{name or side}'s QEMU"
        async with host.start(called, argv, home, env=dict(binary.env), stop_s=stop_s, cpus=cpus) as process:
            yield process
    finally:
        _remove_images(host, home, machine)


async def _create_images(host: Host, binary: Binary, spec: PairSpec, home: Path, machine: Side, aside: Path) -> None:
    # qemu-img cannot be told to do without locks.
    place = home if spec.image_locks else aside
    for name in machine.images:
        over = ("-b", spec.base, "-F", "qcow2") if spec.base and name in DISKS else ()
        size = str(spec.cell.devices.disk_size)
        argv = (*binary.img_argv, "create", "-q", "-f", "qcow2", *over, str(place / name), size)
        await host.run(argv, env=dict(binary.env), family=True)
        if place != home:
            host.put(home / name, host.get(place / name))


def _remove_images(host: Host, home: Path, machine: Side) -> None:
    for name in machine.images:
        host.remove(home / name)
