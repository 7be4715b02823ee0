"""The emulated machine: the QEMU that emulates it, its CPU, caches and devices."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, model_validator

from bench.config.forms import written_as
from bench.config.quantities import Size, absolute_path, as_text, whole_mib
from bench.system.frozen import LATER, Frozen


def _known_qemu(value: str) -> str:
    if value in {"provisioned", "system"} or _QEMU_NAME.fullmatch(value):
        return value
    kind = "built:" if value.startswith("built:") else ""
    if "/" not in value:
        raise ValueError(
            f"{value!r} names no QEMU; legal: provisioned, a release as 10.0, system, built:10.2+PATCH, "
            "or the path of a binary"
        )
    return f"{kind}{absolute_path(value.removeprefix(kind))}"


_QEMU_NAME = re.compile(
    r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}|built:[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}|[0-9][0-9A-Za-z.~+-]*-[0-9a-f]{8}", re.ASCII
)
"""A release, a build from source, or what a plan calls a binary that was given by its path: version and hash."""

Qemu = Annotated[str, BeforeValidator(as_text), AfterValidator(_known_qemu)]
"""What the configuration calls a QEMU."""


class CacheLevel(Frozen):
    """One emulated CPU cache: what shares it and, where the binary knows sizes, how large it is."""

    topology: Literal["thread", "core", "module", "die", "socket"] | None = None
    size: Size | None = None

    @model_validator(mode="after")
    def _size_needs_topology(self) -> CacheLevel:
        if self.size is not None and self.topology is None:
            raise ValueError("QEMU's smp-cache wants a topology level with a cache size; set topology too")
        return self


class Cache(Frozen):
    """The emulated CPU caches, for binaries that have ``-machine smp-cache``."""

    l1d: CacheLevel = CacheLevel()
    l1i: CacheLevel = CacheLevel()
    l2: CacheLevel = CacheLevel()
    l3: CacheLevel = CacheLevel()

    def set_levels(self) -> dict[str, CacheLevel]:
        """Return the levels that were asked for, by QEMU's name of the cache."""
        levels = {"l1d": self.l1d, "l1i": self.l1i, "l2": self.l2, "l3": self.l3}
        return {name: level for name, level in levels.items() if level.topology}


class Cpu(Frozen):
    """The emulated CPU: ``-cpu MODEL,FEATURES`` plus the caches the guest is told of."""

    model: Annotated[str, written_as(r"[A-Za-z0-9._-]+", "a name that `qemu-system-x86_64 -cpu help` lists")] = "qemu64"
    features: tuple[Annotated[str, written_as(r"[+-]?[A-Za-z0-9._=-]+", "+NAME, -NAME or NAME=VALUE")], ...] = ()
    l3_cache: bool | None = None
    cache: Cache = Cache()


class Devices(Frozen):
    """The emulated devices of both sides.

    ``firmware=guest`` is what suits the guest: SeaBIOS, QEMU's own, for Linux, and a small one that sets up no graphics
    card for the bare guest.
    """

    nic: Literal["rtl8139", "e1000", "virtio-net-pci"] = "rtl8139"
    disk: Literal["ide", "virtio"] = "ide"
    disk_size: Annotated[Size, AfterValidator(whole_mib)] = 10 << 30
    usb_tablet: bool = True
    vga: Annotated[Literal["std", "cirrus", "none"], LATER] = "std"
    firmware: Annotated[Literal["guest", "seabios"], LATER] = "guest"
