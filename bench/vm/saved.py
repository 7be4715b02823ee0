"""A saved machine: a guest that has booted once, stopped at its ready line and kept, so that runs begin from there.

Content-addressed: by the binary, the guest and the whole command line, and under KVM by what that is here.
The RAM is written so that each page has its place in the file (``mapped-ram``), with holes where nothing was written.

Source: QEMU docs/devel/migration/mapped-ram.rst.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.config.hosts import Host
from bench.config.links import Link
from bench.config.tuning import Tune
from bench.errors import ColoError, HostError
from bench.host.virtual import this_kvm
from bench.provision.cache import cache_folder, locked, making, read_manifest, text_sha256
from bench.system.files import write_atomic
from bench.vm.argv import NATIVE
from bench.vm.pair import open_pair
from bench.vm.procedure import boot_steps, parallel_ram, step
from bench.vm.spec import SAVED_DISK, SAVED_RAM, planned_spec
from bench.workload.base import build_workload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.config.model import Cell
    from bench.host.process import Process
    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary
    from bench.vm.features import Features
    from bench.vm.pair import Pair
    from bench.vm.spec import Second

_MANIFEST = "saved.json"
_POLL_S = 0.02


@dataclass(frozen=True)
class Maker:
    """What a machine is saved with: the cell, ``accel`` resolved, what it runs, and what its disk begins with.

    ``second`` is the secondary's QEMU where it is another one: then the machine is one that both know.
    """

    cell: Cell
    binary: Binary
    guest: Guest
    features: Features
    base: Path | None = None
    second: Second | None = None

    @property
    def alone(self) -> Cell:
        """Return the cell of the machine by itself: what joins a pair, and what is done to it, is no part of it."""
        idle = build_workload({"name": "idle"})
        plain = {"start": "booted", "host": Host(), "link": Link(), "tune": Tune(), "workload": idle}
        return self.cell.model_copy(update=plain)

    @property
    def folder(self) -> Path:
        """Return the place of the saved machine in the cache."""
        spec = planned_spec(self.alone, replace(self.binary, argv=()), self.guest, self.features, second=self.second)
        loaded = (self.guest.kernel_sha256, self.guest.initramfs_sha256)
        beneath = json.dumps(this_kvm().to_json(), sort_keys=True) if self.cell.accel == "kvm" else ""
        # Paths of the guest's files say nothing of them, their hashes do.
        machine = [word for word in NATIVE["primary"].argv(spec) if word not in (spec.kernel, spec.initramfs)]
        return (
            cache_folder() / f"saved-{text_sha256(self.binary.sha256, *loaded, *machine, beneath, str(self.base))[:12]}"
        )


def saved_machine(maker: Maker, say: Callable[[str], None]) -> Path:
    """Return the folder of the saved machine of a cell, booting and saving it when it is not there.

    Raises:
        HostError: this binary cannot save a machine so.
        BenchError: the guest did not boot, or was not saved.
    """
    if not maker.features.mapped_ram:
        raise HostError(
            f"start=restored: {maker.binary.version} has no mapped-ram, by which a machine is saved",
            hint="use start=booted, or a QEMU that has it",
            cause="saving-missing",
        )
    folder = maker.folder
    with locked("saved", say):
        if read_manifest(folder / _MANIFEST, {"seconds": float}) is None:
            say(f"start=restored: booting and saving the {maker.cell.guest} guest, once")
            with making(folder) as partial:
                began = time.monotonic()
                asyncio.run(_save(maker, partial))
                made = {"seconds": time.monotonic() - began, "qemu": maker.binary.version, "guest": maker.cell.guest}
                write_atomic(partial / _MANIFEST, json.dumps(made, indent=1) + "\n")
    return folder


async def _save(maker: Maker, folder: Path) -> None:
    cell = maker.alone
    asked = (cell, maker.binary, maker.guest, maker.features, folder)
    async with open_pair(*asked, sides=NATIVE, second=maker.second, base=maker.base) as pair:
        async with pair.console("primary") as console:
            await pair.carry_out(boot_steps())
            await pair.guarded(console.ready(cell.deadlines.boot))
        await pair.carry_out((step("primary", "stop"), *parallel_ram(on=True)))
        await pair.carry_out((step("primary", "migrate", uri=f"file:{folder / SAVED_RAM}"),))
        await pair.guarded(_written(pair, cell.deadlines.colo))
        disk = folder / "primary" / "primary.qcow2"
        await pair.monitor("primary").execute("quit")
        await _ended(pair.processes["primary"], cell.deadlines.teardown)
        disk.rename(folder / SAVED_DISK)


async def _written(pair: Pair, deadline_s: float) -> None:
    give_up = time.monotonic() + deadline_s
    while (status := (await pair.monitor("primary").execute("query-migrate")).get("status")) != "completed":
        if status in ("failed", "cancelled") or time.monotonic() > give_up:
            words = f"the machine was not saved: its migration into a file is `{status}`"
            raise ColoError(words, cause="saving-failed", evidence=tuple(pair.processes["primary"].tail()))
        await asyncio.sleep(_POLL_S)


async def _ended(process: Process, deadline_s: float) -> None:
    """Wait until a QEMU has ended by itself: one that is killed may not have written its disk out."""
    try:
        async with asyncio.timeout(deadline_s):
            await process.exited()
    except TimeoutError as error:
        words = f"the machine was not saved: its QEMU did not end within {deadline_s:g} s"
        raise ColoError(words, cause="saving-failed", evidence=process.tail()) from error
