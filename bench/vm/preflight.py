"""Would this binary build the machine that a cell asks for? Asked by building it, stopped and without a pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import HostError, LaunchError
from bench.failures.words import distinct
from bench.host.host import HERE
from bench.host.outlasting import unless_any_exited
from bench.vm.argv import machine_argv
from bench.vm.qmp import connect
from bench.vm.scratch import probe_folder
from bench.vm.spec import planned_spec

if TYPE_CHECKING:
    from collections.abc import Hashable

    from bench.config.model import Cell
    from bench.host.host import Host
    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary
    from bench.vm.features import Features

_RAM_BYTES = 256 << 20
_UNNAMED = ("qemu-exited", "qemu-killed")
_DEADLINE_S = 30.0


def machine_key(cell: Cell) -> Hashable:
    """Return what of a cell decides its machine: cells with the same key need to be tried once."""
    return cell.guest, cell.accel, cell.cpu, cell.devices, cell.smp, cell.host.primary


async def preflight(cell: Cell, binary: Binary, guest: Guest, features: Features, host: Host = HERE) -> tuple[str, ...]:
    """Build the cell's machine with little RAM, stopped, and return QEMU's warnings about it.

    Raises:
        HostError: QEMU refuses the CPU, a device, a cache or the number of vCPUs; its own words are the evidence.
    """
    if cell.cpu.cache.set_levels() and not features.smp_cache:
        raise HostError("cpu.cache needs a QEMU that has -machine smp-cache; this one does not", cause="unknown-option")
    small = cell.model_copy(update={"mem": _RAM_BYTES})
    argv = machine_argv(planned_spec(small, binary, guest, features))
    with probe_folder("machine") as folder:
        host.adopt(folder)
        try:
            async with host.start("preflight", argv, folder, env=dict(binary.env)) as process:
                monitor = await unless_any_exited(
                    (process,), connect("preflight", folder / "qmp.sock", None, _DEADLINE_S, host=host)
                )
                async with monitor:
                    return distinct(process.words())
        except LaunchError as error:
            raise HostError(
                "this QEMU refuses the machine that was asked for",
                cause="machine-refused" if error.cause in _UNNAMED else error.cause,
                evidence=error.evidence,
                logs=error.logs,
            ) from error
