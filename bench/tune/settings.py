"""What a tuning asks for, held against what the host has: a list of changes, made and taken back one by one."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.errors import HostError, ProvisionError
from bench.provision import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from bench.config.model import Tune

_GOVERNORS = "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"
_THP = "sys/kernel/mm/transparent_hugepage/enabled"
_SWAPS = "proc/swaps"
_COMMAND_DEADLINE_S = 600.0  # what was swapped out has to be read back first
OFF = "off"

Kind = Literal["file", "swap"]


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
        return self._text("proc/sys/kernel/random/boot_id")

    def value(self, kind: Kind, what: str) -> str:
        """Return the present value of a setting; empty when it is not there.

        Of a file with a choice (``always [madvise] never``) that is the chosen word, of a swap device its priority or
        ``off``.
        """
        if kind == "swap":
            return self.swaps().get(what, OFF)
        text = self._text(what.lstrip("/"))
        chosen = re.search(r"\[([^\]]+)\]", text)
        return chosen[1] if chosen else text

    def swaps(self) -> dict[str, str]:
        """Return the swap devices and files in use, each with its priority."""
        rows = [line.split() for line in self._text(_SWAPS).splitlines()[1:]]
        return {_unescaped(row[0]): row[-1] for row in rows if row}

    def put(self, kind: Kind, what: str, value: str) -> None:
        """Give a setting a value.

        Raises:
            HostError: the kernel refused it, or did not keep it.
        """
        try:
            if kind == "file":
                (self.root / what.lstrip("/")).write_text(value)
            else:
                self.run(swap_argv(what, value))
        except (OSError, ProvisionError) as error:
            said = (error.strerror or str(error)) if isinstance(error, OSError) else error.message
            raise HostError(f"{what} cannot be set to {value}: {said}", cause="tune-refused") from error
        now = self.value(kind, what)
        if kind == "file" and now != value:
            raise HostError(f"{what} was set to {value} and is {now}", cause="tune-refused")

    def _text(self, name: str) -> str:
        try:
            return (self.root / name).read_text(errors="replace").strip()
        except OSError:
            return ""


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


def changes(tune: Tune, machine: Machine) -> tuple[Change, ...]:
    """Return what has to be changed on this host; nothing where all is as it is asked for.

    Raises:
        HostError: the host does not have what is to be set, or not that value.
    """
    found = [*_governor(tune, machine), *_thp(tune, machine), *_swap(tune, machine)]
    return tuple(change for change in found if change.old != change.new)


def _governor(tune: Tune, machine: Machine) -> Iterator[Change]:
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


def _thp(tune: Tune, machine: Machine) -> Iterator[Change]:
    if tune.thp is None:
        return
    if not (machine.root / _THP).exists():
        raise HostError(
            f"tune.thp={tune.thp}: this kernel has no transparent huge pages (no /{_THP})",
            hint="tune.thp=null",
            cause="tune-missing",
        )
    yield Change("file", f"/{_THP}", machine.value("file", f"/{_THP}"), tune.thp)


def _swap(tune: Tune, machine: Machine) -> Iterator[Change]:
    for device, priority in machine.swaps().items() if tune.swap is False else ():
        yield Change("swap", device, priority, OFF)


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


def _unescaped(name: str) -> str:
    """Return a path of ``/proc/swaps``, where blanks and the like are written in octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), name)
