"""What a tuning asks for, held against what the host has: a list of changes, made and taken back one by one."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.errors import HostError, ProvisionError
from bench.provision import commands
from bench.system.cgroups import unescaped
from bench.system.files import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from bench.config.tuning import Tuning

_GOVERNORS = "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"
_THP = "sys/kernel/mm/transparent_hugepage/enabled"
_SWAPS = "proc/swaps"
_RESCTRL = "sys/fs/resctrl"
_SCHEMATA = f"/{_RESCTRL}/schemata"
_OWN_GROUP = "proc/self/cpu_resctrl_groups"
_CACHE_LINE = re.compile(r"^\s*L3:(\S+)$", re.MULTILINE)
_COMMAND_DEADLINE_S = 600.0  # what was swapped out has to be read back first
OFF = "off"

Kind = Literal["file", "swap", "ways"]


def _run(argv: tuple[str, ...]) -> None:
    commands.check(argv, what=f"`{' '.join(argv)}`", deadline_s=_COMMAND_DEADLINE_S)


@dataclass(frozen=True)
class Machine:
    """The host that is tuned; a test gives it a folder of its own, no privilege and no real commands.

    Attributes:
        root: the folder that holds ``proc`` and ``sys``.
        run: runs ``swapoff`` and ``swapon``.
        privileged: whether this process may change settings.
        cpus: the CPUs that this process may use.
    """

    root: Path = Path("/")
    run: Callable[[tuple[str, ...]], None] = _run
    privileged: Callable[[], bool] = lambda: os.geteuid() == 0
    cpus: Callable[[], set[int]] = lambda: os.sched_getaffinity(0)

    def boot_id(self) -> str:
        """Return what tells this boot of the host from every other; empty where the kernel does not say."""
        return self.text("proc/sys/kernel/random/boot_id")

    def value(self, kind: Kind, what: str) -> str:
        """Return the present value of a setting; empty when it is not there.

        Of a file with a choice (``always [madvise] never``) that is the chosen word, of a swap device its priority or
        ``off``, of cache ways the mask of each cache (``0=f;1=f``).
        """
        if kind == "swap":
            return self.swaps().get(what, OFF)
        text = self.text(what.lstrip("/"))
        if kind == "ways":
            return _masks(text)
        chosen = re.search(r"\[([^\]]+)\]", text)
        return chosen[1] if chosen else text

    def swaps(self) -> dict[str, str]:
        """Return the swap devices and files in use, each with its priority."""
        rows = [line.split() for line in self.text(_SWAPS).splitlines()[1:]]
        return {unescaped(row[0]): row[-1] for row in rows if row}

    def put(self, kind: Kind, what: str, value: str) -> None:
        """Give a setting a value.

        Raises:
            HostError: the kernel refused it, or did not keep it.
        """
        try:
            if kind == "file":
                (self.root / what.lstrip("/")).write_text(value)
            elif kind == "ways":
                (self.root / what.lstrip("/")).write_text(f"L3:{value}\n")
            else:
                self.run(swap_argv(what, value))
        except (OSError, ProvisionError) as error:
            said = (error.strerror or str(error)) if isinstance(error, OSError) else error.message
            raise HostError(f"{what} cannot be set to {value}: {said}", cause="tune-refused") from error
        now = self.value(kind, what)
        if kind != "swap" and now != value:
            raise HostError(f"{what} was set to {value} and is {now}", cause="tune-refused")

    def text(self, name: str) -> str:
        """Return the text of a file of the host; empty when it cannot be read."""
        return text_of(self.root / name).strip()


@dataclass(frozen=True)
class Change:
    """One setting: where it is, what it was, what it is to be."""

    kind: Kind
    what: str
    old: str
    new: str


def swap_argv(device: str, value: str) -> tuple[str, ...]:
    """Return the command that takes a swap device out of use, or back into use with the priority that it had."""
    if value == OFF:
        return ("swapoff", "--", device)
    priority = ("-p", value) if value.isdecimal() else ()  # below 0 the kernel itself numbers them
    return ("swapon", *priority, "--", device)


def changes(tune: Tuning, machine: Machine) -> tuple[Change, ...]:
    """Return what has to be changed on this host; nothing where all is as it is asked for.

    Raises:
        HostError: the host does not have what is to be set, or not that value.
    """
    found = [*_governor(tune, machine), *_thp(tune, machine), *_swap(tune, machine), *_ways(tune, machine)]
    return tuple(change for change in found if change.old != change.new)


def _governor(tune: Tuning, machine: Machine) -> Iterator[Change]:
    if tune.governor is None:
        return
    paths = sorted(machine.root.glob(_GOVERNORS))
    if not paths:
        raise HostError(
            f"tune.governor={tune.governor}: this machine has no frequency governor (no cpufreq under /sys)",
            hint="tune.governor=null; most virtual machines have none, the host above them decides",
            cause="tune-missing",
        )
    for path in paths:
        name = f"/{path.relative_to(machine.root)}"
        legal = machine.value("file", f"{name.rpartition('/')[0]}/scaling_available_governors").split()
        if legal and tune.governor not in legal:
            raise HostError(
                f"tune.governor={tune.governor}: this machine does not have it; legal: {', '.join(legal)}",
                cause="tune-missing",
            )
        yield Change("file", name, machine.value("file", name), tune.governor)


def _thp(tune: Tuning, machine: Machine) -> Iterator[Change]:
    if tune.thp is None:
        return
    if not (machine.root / _THP).exists():
        raise HostError(
            f"tune.thp={tune.thp}: this kernel has no transparent huge pages (no /{_THP})",
            hint="tune.thp=null",
            cause="tune-missing",
        )
    yield Change("file", f"/{_THP}", machine.value("file", f"/{_THP}"), tune.thp)


def _swap(tune: Tuning, machine: Machine) -> Iterator[Change]:
    for device, priority in machine.swaps().items() if tune.swap is False else ():
        yield Change("swap", device, priority, OFF)


def _ways(tune: Tuning, machine: Machine) -> Iterator[Change]:
    """Leave the host's own resctrl group, in which the pair runs, the lowest ways of each last cache."""
    if tune.ways is None:
        return
    full = machine.text(f"{_RESCTRL}/info/L3/cbm_mask")
    now = machine.value("ways", _SCHEMATA)
    if not full or not now:
        raise HostError(
            f"cache.ways={tune.ways}: this host cannot set ways of its last cache aside (no L3 under /{_RESCTRL})",
            hint=(
                "cache=antagonist takes the caches on any host; with resctrl (`grep cat_l3 /proc/cpuinfo`): "
                f"mount -t resctrl resctrl /{_RESCTRL}"
            ),
            cause="tune-missing",
        )
    ways, least = int(full, 16).bit_count(), int(machine.text(f"{_RESCTRL}/info/L3/min_cbm_bits") or 1)
    if not least <= tune.ways <= ways:
        raise HostError(
            f"cache.ways={tune.ways}: the last cache of this host has {ways} ways; legal: {least} to {ways}",
            cause="tune-missing",
        )
    group = machine.text(_OWN_GROUP).splitlines()
    if any(line.startswith("res:") and line.removeprefix("res:").strip("/") for line in group):
        raise HostError(
            f"cache.ways={tune.ways}: this process is in a resctrl group of its own ({group[0]})",
            hint="start it from the host's own group, whose ways are what is set",
            cause="tune-missing",
        )
    mask = f"{(1 << tune.ways) - 1:x}"
    yield Change("ways", _SCHEMATA, now, ";".join(f"{one.partition('=')[0]}={mask}" for one in now.split(";")))


def _masks(schemata: str) -> str:
    """Return the masks of the last caches, without the zeros that kernels write before them; empty without any."""
    line = _CACHE_LINE.search(schemata)
    pairs = [part.partition("=") for part in line[1].split(";")] if line else []
    return ";".join(f"{cache}={int(mask, 16):x}" for cache, _, mask in pairs)


def require_cpus(key: str, cpus: Collection[int], machine: Machine) -> None:
    """Return when the CPUs that a key of the configuration names are there.

    Raises:
        HostError: one is not, or this process may not use it.
    """
    have = machine.cpus()
    absent = sorted(set(cpus) - have)
    if absent:
        raise HostError(
            f"{key}: this process has no CPU {', '.join(map(str, absent))}; it has {', '.join(map(str, sorted(have)))}",
            cause="tune-missing",
        )
