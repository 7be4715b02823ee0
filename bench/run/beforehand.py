"""What can be known before the first pair: one list of checks, which the doctor, a dry run and the run itself ask."""

from __future__ import annotations

import os
import platform
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.config.tuning import Tuning
from bench.errors import BenchError, HostError, StoreError
from bench.failures.catalogue import CATALOGUE
from bench.failures.cause import Phase
from bench.format.factors import size_text
from bench.host.limits import MACHINE, Limits, free_swap, read_limits
from bench.plan.estimate import cold_bytes, estimate, gib, largest_mem
from bench.run.needs import needs
from bench.system.cgroups import unescaped
from bench.system.environment import choosing_names
from bench.system.files import has_locks, passing_folder, told
from bench.system.owner import SCRATCH, this_process
from bench.system.sockets import socket_folder
from bench.tune.settings import Machine, require_cpus
from bench.tune.tuner import Tuner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.config.launcher import Launcher
    from bench.config.model import Cell

_ARCHITECTURE = "x86_64"
_LOOPBACK = "127.0.0.1"
_FILES = 48
"""A harness with both monitors and a console, or a QEMU with its images and sockets, has some 30 files open."""

_THREADS_PER_QEMU = 24
_THREADS_OF_HARNESS = 16
_CPUS_OF_A_PAIR = 2
_LARGEST_FILE_BYTES = 64 << 20
_OVERHEAD_BYTES = 1 << 30
"""What a QEMU maps beside its guest's RAM: libraries, stacks and translated code."""

_NETWORK = re.compile(
    r"nfs4?|cifs|smb3?|smbfs|9p|ceph|glusterfs|lustre|gpfs|beegfs|afs|virtiofs|vboxsf|vmhgfs|fuse(\..*)?"
)


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: what was looked at.
        status: ``ok``, ``warn`` or ``fail``.
        text: what was found, in one line.
        fix: the command that helps, where there is one.
        cause: of the failure, by its name in the catalogue.
    """

    name: str
    status: Literal["ok", "warn", "fail"]
    text: str
    fix: str = ""
    cause: str = ""


def checks(cells: Sequence[Cell], results: Path, launcher: Launcher | None = None) -> Iterator[Check]:
    """Look at everything that can be known without starting anything, for these cells and this place of results.

    Where a cluster measures them, each node looks at itself (:mod:`bench.run.part`), and this machine only submits.
    """
    if launcher and launcher.submits:
        yield from submitting(results)
        return
    limits = read_limits()
    here = [cell for cell in cells if not cell.host.far]  # what other hosts have, the doctor asks there
    yield check_architecture(platform.machine())
    yield _tried("loopback", _try_loopback)
    yield _tried("sockets", _try_sockets)
    yield check_results(results)
    if here:
        yield check_memory(here, limits)
        yield check_cpus(here, limits)
        yield check_processes(here, limits)
    yield check_files(limits)
    yield _tried("tuning", lambda: _try_tuning(here))
    yield from (_tried(name, attempt) for name, attempt in needs(cells))
    yield check_environment(choosing_names())


def submitting(results: Path) -> Iterator[Check]:
    """Look at what a machine needs that submits jobs, fetches what they measure with, and gathers what they leave.

    What the cluster has is another list (:mod:`bench.run.cluster_checks`).
    """
    yield check_architecture(platform.machine())
    yield check_results(results)
    yield check_files(read_limits())


def failed(name: str, error: BenchError) -> Check:
    """Return the check that an error fails, or that could not be made for it."""
    logs = tuple(f"log: {path}" for path in error.logs)
    return Check(name, "fail", "; ".join((error.message, *error.evidence[-3:], *logs)), error.hint, error.cause)


def require(found: Sequence[Check]) -> None:
    """Return when no check failed.

    Raises:
        StoreError: results cannot be kept where they are to go.
        HostError: another one did: the first, with its cause and what fixes it.
    """
    for one in found:
        if one.status == "fail":
            stored = one.cause in CATALOGUE and CATALOGUE[one.cause].phases[0] == Phase.STORE
            kind = StoreError if stored else HostError
            raise kind(f"{one.name}: {one.text}", hint=one.fix or None, cause=one.cause)


def check_architecture(machine: str) -> Check:
    """Return whether the guest and the fetched QEMU, which are x86-64's, run on this machine."""
    if machine in (_ARCHITECTURE, "amd64"):
        return Check("architecture", "ok", machine)
    text = f"{machine}: the guest, its programs and the fetched QEMU are {_ARCHITECTURE}'s"
    return Check("architecture", "fail", text, f"measure on an {_ARCHITECTURE} machine", cause="architecture")


def check_results(results: Path) -> Check:
    """Return whether results can be kept in a folder, made where missing: by writing there, not by its kind."""
    # A link that leads nowhere is there too, and nothing can be made below it.
    place = next(folder for folder in (results, *results.parents) if os.path.lexists(folder))
    try:
        with told(place), passing_folder(place, f".{SCRATCH}try-", f"-{this_process()}") as folder:
            (folder / "a").write_bytes(b"1")
            (folder / "a").replace(folder / "b")
            locks = has_locks(folder)
    except StoreError as error:
        fix = error.hint if "results=DIR" in error.hint else f"{error.hint}, or choose another results=DIR"
        return Check("results", "fail", error.message, fix, error.cause)
    kind = file_system(place)
    said = f"{results} ({kind})" if kind else str(results)
    said += "" if locks else ", without locks: images are used unlocked"
    if is_network(kind):
        fix = "choose results=DIR on a disk of this machine, and copy from there"
        return Check("results", "warn", f"{said}: every trace line crosses it while a pause is measured", fix)
    return Check("results", "ok", said)


def check_memory(cells: Sequence[Cell], limits: Limits) -> Check:
    """Return how large a pair the memory holds that is left to us; it fails when it does not hold the largest cell."""
    if limits.memory is None:
        return Check("memory", "warn", "this system does not say how much is available")
    available, by = int(limits.memory.amount), limits.memory.by
    said = f"{gib(available)} available" + ("" if by == MACHINE else f" by {by}")
    largest = max(cells, key=lambda cell: estimate(cell).memory_bytes)
    needed = estimate(largest).memory_bytes - (min(cold_bytes(largest), free_swap()) if by == MACHINE else 0)
    if available < needed:
        text = f"{said}, a pair of {size_text(largest.mem)} needs {gib(needed)}"
        fix = "stop other programs: ps -eo pid,rss,comm --sort=-rss | head" if by == MACHINE else f"raise {by}"
        return Check("memory", "fail", text, fix, cause="host-memory")
    each = limits.address_bytes
    if each and each.amount < largest.mem * 2 + _OVERHEAD_BYTES:  # the secondary has its guest's RAM twice
        text = (
            f"{gib(int(each.amount))} for one process by {each.by}, less than a secondary of {size_text(largest.mem)}"
        )
        return Check("memory", "fail", text, f"{each.by} unlimited", cause="address-limit")
    return Check("memory", "ok", f"{said}: a pair of up to mem={largest_mem(largest, available)}")


def check_cpus(cells: Sequence[Cell], limits: Limits) -> Check:
    """Return whether a pair gets the CPU time that it wants: two busy vCPUs at least, one on each side."""
    if limits.cpus is None:
        return Check("CPUs", "ok", "no limit shown")
    most = max(cell.smp for cell in cells)
    said = f"{limits.cpus.amount:g} by {limits.cpus.by}"
    if limits.cpus.amount < _CPUS_OF_A_PAIR:
        text = f"{said}: the sides of a pair and the harness wait for one another, and a quota stops them in mid-pause"
        return Check("CPUs", "warn", text, "give it two CPUs or more, without a quota")
    return Check("CPUs", "ok", said + (f"; {most} vCPUs on each side share them" if most > 1 else ""))


def check_processes(cells: Sequence[Cell], limits: Limits) -> Check:
    """Return whether a pair's threads may be made."""
    needed = _THREADS_OF_HARNESS + 2 * (_THREADS_PER_QEMU + max(cell.smp for cell in cells))
    if limits.processes is None:
        return Check("processes", "ok", "no limit")
    said = f"{limits.processes.amount:g} more by {limits.processes.by}"
    if limits.processes.amount < needed:
        text = f"{said}, a pair needs some {needed}"
        return Check("processes", "fail", text, f"raise {limits.processes.by}", cause="process-limit")
    return Check("processes", "ok", said)


def check_files(limits: Limits) -> Check:
    """Return whether enough files may be open, may grow as large as traces and images do, and may be written on."""
    most, size, time = limits.open_files, limits.file_bytes, limits.cpu_s
    if time:
        text = f"a process is ended after {time.amount:,.0f} s of CPU time by {time.by}; a campaign takes more"
        return Check("files", "fail", text, f"{time.by} unlimited", cause="cpu-time-limit")
    if most and most.amount < _FILES:
        text = f"{most.amount:g} may be open by {most.by}, {_FILES} are needed"
        return Check("files", "fail", text, f"{most.by} 1024", cause="file-limit")
    if size and size.amount < _LARGEST_FILE_BYTES:
        text = f"none may grow above {size_text(int(size.amount))} by {size.by}; traces and images do"
        return Check("files", "fail", text, f"{size.by} unlimited", cause="file-limit")
    return Check("files", "ok", f"{most.amount:g} may be open" if most else "no limit")


def check_environment(names: Sequence[str]) -> Check:
    """Return which variables around us are kept from what is measured."""
    telling = [name for name in names if not name.startswith("PYTHON")]  # QEMU never looks at those
    if not telling:
        return Check("environment", "ok", "no variable that would choose a result")
    text = f"not passed on to QEMU: {', '.join(telling)}"
    return Check(
        "environment", "warn", text, "what a QEMU of yours needs, a wrapper script sets: exec env NAME=VALUE ..."
    )


def _tried(name: str, attempt: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", attempt())
    except BenchError as error:
        said = "; ".join((error.message, *error.evidence))
        return Check(name, "fail", said, error.hint, error.cause)


def _try_loopback() -> str:
    try:
        with socket.create_server((_LOOPBACK, 0)) as server, socket.create_connection(server.getsockname(), 2.0):
            return f"{_LOOPBACK} takes connections"
    except OSError as error:
        raise HostError(
            f"{_LOOPBACK} takes no connection: {error.strerror or error}", cause="loopback-missing"
        ) from error


def _try_sockets() -> str:
    with socket_folder("try") as folder:
        return f"in {folder.parent}"


def _try_tuning(cells: Sequence[Cell]) -> str:
    wanted = [one for one in dict.fromkeys(cell.tuning for cell in cells) if one != Tuning()]
    Tuner().require_possible(wanted)
    for cell in cells:
        require_cpus("cache.cpus", cell.cache.cpus or (), Machine())
    return "all that is asked for can be set" if wanted else "nothing of this host is changed"


def is_network(kind: str) -> bool:
    """Return whether a type of file systems is one over a network, or of a machine below."""
    return _NETWORK.fullmatch(kind) is not None


def file_system(place: Path, table: Path = Path("/proc/self/mountinfo")) -> str:
    """Return the type of the file system that holds a folder, by the kernel's table of mounts; empty if unknown."""
    found: tuple[int, str] = (-1, "")
    with suppress(OSError):
        resolved = os.path.realpath(place)
        for line in table.read_text(errors="replace").splitlines():
            before, _, after = line.partition(" - ")
            point = unescaped(before.split()[4])
            if resolved == point or resolved.startswith(f"{point.rstrip('/')}/"):
                # Of two on one folder the later hides the earlier: an automounted home is autofs, then nfs4.
                found = max((len(point), after.split()[0]), found, key=lambda one: one[0])
    return found[1]
