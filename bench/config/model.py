"""The configuration of a run as frozen, typed values: built once at the door, nothing past it sees a raw tree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, model_validator

from bench.config.forms import written_as
from bench.format.factors import ALONE
from bench.format.phases import BEAT
from bench.guest.protocol import BARE_WORKLOADS, Kind
from bench.system.frozen import LATER, Frozen
from bench.system.places import expanded
from bench.system.units import Unit, parse_cpus, parse_duration_s, parse_rate_bit_s, parse_size, refuse_bool
from bench.workload.base import Workload, build_workload

Size = Annotated[int, BeforeValidator(parse_size), Unit("bytes", "512M")]
"""Bytes; accepts ``4G``, ``512M`` or a whole number of bytes."""

Duration = Annotated[float, BeforeValidator(parse_duration_s), Unit("s", "500ms")]
"""Seconds; accepts ``20``, ``500ms``, ``20s``."""

Rate = Annotated[int, BeforeValidator(parse_rate_bit_s), Unit("bit/s", "100mbit")]
"""Bits per second; accepts ``1gbit``, ``100mbit``."""

Cpus = Annotated[tuple[int, ...], BeforeValidator(parse_cpus), Unit("CPU numbers", "0-3,6")]
"""CPU numbers of the host; accepts ``3``, ``0-3,6`` or a list."""

Whole = Annotated[int, BeforeValidator(refuse_bool)]
Positive = Annotated[Whole, Field(ge=1)]
Deadline = Annotated[Duration, Field(gt=0)]


def _whole_mib(size_bytes: int) -> int:
    if size_bytes % (1 << 20):
        raise ValueError(f"{size_bytes} bytes is not a whole number of MiB; write 512M or 4G")
    return size_bytes


def absolute_path(text: str) -> Path:
    """Return a path with its ``~`` replaced, from the root.

    Raises:
        ValueError: there is no such user, or it cannot be a path.
    """
    if "\0" in text:
        raise ValueError("a path holds no NUL")
    try:
        return expanded(Path(text))
    except (RuntimeError, OSError) as error:
        raise ValueError(f"{text!r} is no path here: {error}") from error


def _as_text(value: object) -> object:
    """Return a name as it was typed: ``10.0`` is read as a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _no_number(value: object) -> object:
    """Refuse 0, which Python takes for ``False``."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError("should be false")  # noqa: TRY004 - validation wants ValueError
    return value


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

Qemu = Annotated[str, BeforeValidator(_as_text), AfterValidator(_known_qemu)]
"""What the configuration calls a QEMU."""

_SYSTEM_BYTES = {"linux": 64 << 20, "bare": 16 << 20}
_BARE_REACHES = 3 << 30  # from there on lie devices, and RAM beyond 4 GiB is out of reach without paging
_LONGEST_DEMAND_S = 3000.0


_REPLICA = "up to 16 small letters and digits"


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
    disk_size: Annotated[Size, AfterValidator(_whole_mib)] = 10 << 30
    usb_tablet: bool = True
    vga: Annotated[Literal["std", "cirrus", "none"], LATER] = "std"
    firmware: Annotated[Literal["guest", "seabios"], LATER] = "guest"


class Link(Frozen):
    """The migration transport and, under ``host=netns``, the shape of the link between the two hosts."""

    transport: Literal["tcp", "unix", "nodelay"] = "tcp"
    bandwidth: Rate | None = None
    delay: Duration | None = None
    loss_percent: Annotated[float, BeforeValidator(refuse_bool), Field(gt=0, lt=100), Unit("%")] | None = None
    quickack: bool = False

    @property
    def shaped(self) -> bool:
        """Whether the link differs from what the kernel gives by itself."""
        return bool(self.bandwidth or self.delay or self.loss_percent or self.quickack)


def _off(value: object) -> object:
    return 0 if value in ("off", None) or value is False else refuse_bool(value)


class Migration(Frozen):
    """How the stream from primary to secondary is carried.

    Attributes:
        multifd: how many connections carry pages beside the one that carries everything else; 0 (``off``): none.
    """

    multifd: Annotated[int, BeforeValidator(_off), Field(ge=0, le=255)] = 0


class Host(Frozen):
    """Where the processes of the pair run."""

    kind: Literal["local", "netns"] = "local"


class Checkpoint(Frozen):
    """When checkpoints are taken and how many."""

    trigger: Literal["demand", "timer"] = "demand"
    interval: Annotated[Duration, Field(ge=0.001, le=86400)] = 0.5
    count: Positive = 30
    warmup: Annotated[Whole, Field(ge=0)] = 3


EventGlob = Annotated[str, written_as(r"[A-Za-z0-9_*?]+", "an event's name; * and ? stand for others' letters")]


class Trace(Frozen):
    """QEMU trace events to switch on, as globs (``*`` and ``?``).

    Attributes:
        events: must exist in the binary.
        optional: switched on where the binary has them; what is missing is put on record.
    """

    events: tuple[EventGlob, ...] = ()
    optional: tuple[EventGlob, ...] = ()


class Pinning(Frozen):
    """The CPUs of this host that each side's process, with all its threads, may use; ``None``: all that there are."""

    primary: Cpus | None = None
    secondary: Cpus | None = None

    def side(self, side: str) -> frozenset[int]:
        """Return a side's CPUs; empty for all."""
        return frozenset((self.primary if side == "primary" else self.secondary) or ())


class Tune(Frozen):
    """What is changed on this host while a run is measured, and put back after it. ``None`` leaves a thing alone.

    Attributes:
        governor: the CPUs' frequency governor, ``performance`` mostly (root).
        thp: transparent huge pages (root).
        swap: ``False`` takes all swap out of use (root).
        pinning: which CPUs each side may use (any user).
    """

    governor: (
        Annotated[str, written_as(r"[a-z_]{1,32}", "a governor's name in small letters, as performance")] | None
    ) = None
    thp: Literal["always", "madvise", "never"] | None = None
    swap: Annotated[Literal[False], BeforeValidator(_no_number)] | None = None
    pinning: Pinning = Pinning()

    @property
    def host(self) -> Tune:
        """Return what of it changes the host itself, and needs root."""
        return self.model_copy(update={"pinning": Pinning()})


class HostCache(Frozen):
    """What else uses the host's caches while a run is measured: a program of ours, or nothing.

    Attributes:
        kind: ``antagonist`` sweeps a buffer; ``control`` takes the same CPU time and touches no memory.
        buffer: what is swept.
        share: of the time of each CPU that it runs on.
        cpus: those; ``None``: all that there are.
        chase: the set whose lines are reached one after the other, in no order, before and while it runs.
    """

    kind: Literal["none", "antagonist", "control"] = "none"
    buffer: Annotated[Size, Field(ge=1 << 20, le=16 << 30)] = 64 << 20
    share: Annotated[float, BeforeValidator(refuse_bool), Field(gt=0, le=1), Unit("share of time")] = 0.5
    cpus: Cpus | None = None
    chase: Annotated[Size, Field(ge=64 << 10, le=1 << 30)] = 512 << 10


class Deadlines(Frozen):
    """How long each stage of a run may take, in seconds."""

    launch: Deadline = 30
    qmp: Deadline = 30
    boot: Deadline = 180
    colo: Deadline = 300
    workload: Deadline = 60
    checkpoint: Deadline = 120
    teardown: Deadline = 10


class Cell(Frozen):
    """One configuration of the pair: everything that makes one cell differ from another.

    ``qemu_secondary`` is the secondary's binary where it is not the primary's: a rolling upgrade.
    ``accel`` may be ``auto`` here; the plan holds what it was resolved to. ``replica`` is a name that changes nothing:
    cells that differ in it alone are measured as two, which shows how far apart equals come out (an A/A control).
    ``scenario`` is what happens in a run, one of :mod:`bench.scenario`.
    """

    mem: Annotated[Size, AfterValidator(_whole_mib), Field(ge=64 << 20)]
    smp: Annotated[Whole, Field(ge=1, le=255)]
    guest: Annotated[Kind, LATER] = "linux"
    accel: Literal["auto", "kvm", "tcg"] = "auto"
    qemu: Qemu = "provisioned"
    qemu_secondary: Annotated[Qemu | None, LATER] = None
    cpu: Cpu = Cpu()
    devices: Devices = Devices()
    workload: SerializeAsAny[Annotated[Workload, BeforeValidator(build_workload)]]
    link: Link = Link()
    migration: Annotated[Migration, LATER] = Migration()
    host: Host = Host()
    checkpoint: Checkpoint = Checkpoint()
    trace: Trace = Trace()
    tune: Annotated[Tune, LATER] = Tune()
    cache: Annotated[HostCache, LATER] = HostCache()
    scenario: Annotated[Literal["colo", "native"], LATER] = "colo"
    replica: Annotated[str, BeforeValidator(_as_text), written_as(r"[a-z0-9]{1,16}", _REPLICA)] = "a"
    deadlines: Deadlines = Deadlines()

    @property
    def paired(self) -> bool:
        """Whether the VM has a secondary and stands still for checkpoints, as in every scenario but the baseline."""
        return self.scenario != ALONE

    @property
    def traced(self) -> Trace:
        """Return the events to switch on: those asked for, and the one that shows the bare guest's beats."""
        beats = (BEAT.name,) if self.guest == "bare" else ()
        return Trace(events=self.trace.events, optional=(*self.trace.optional, *beats))

    @property
    def binaries(self) -> tuple[str, ...]:
        """Return what the configuration calls the pair's binaries, the primary's first, each once."""
        return tuple(dict.fromkeys(filter(None, (self.qemu, self.qemu_secondary))))

    @model_validator(mode="after")
    def _workload_fits_the_guest(self) -> Cell:
        needed = self.workload.guest_memory_bytes(self.mem) + _SYSTEM_BYTES[self.guest]
        if self.guest == "bare" and self.workload.kind not in BARE_WORKLOADS:
            legal = ", ".join(BARE_WORKLOADS)
            raise ValueError(f"guest=bare has no {self.workload.kind}; legal with it: workload={legal}")
        if self.guest == "bare" and needed > _BARE_REACHES:
            raise ValueError(
                f"the working set and the bare guest itself need {needed >> 20}M; it reaches only the RAM below 3 GiB"
            )
        if needed > self.mem:
            raise ValueError(
                f"the workload and the guest's own system need {needed >> 20}M of RAM, mem is {self.mem >> 20}M"
            )
        return self

    @model_validator(mode="after")
    def _timer_stays_out_of_the_way(self) -> Cell:
        if self.checkpoint.trigger == "demand" and self.checkpoint.interval > _LONGEST_DEMAND_S:
            raise ValueError(f"checkpoint.interval is at most {_LONGEST_DEMAND_S:g} s on demand; use checkpoint=timer")
        return self

    @model_validator(mode="after")
    def _shaped_link_needs_netns(self) -> Cell:
        if self.link.shaped and self.host.kind != "netns":
            raise ValueError(
                "link.bandwidth, delay, loss_percent and quickack shape the veth link: they need host=netns"
            )
        if self.link.shaped and self.link.transport == "unix":
            raise ValueError(
                "a unix socket does not cross the veth link that is shaped; choose link=tcp or link=nodelay"
            )
        return self
