"""The configuration of a run as frozen, typed values: built once at the door, nothing past it sees a raw tree."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, ValidationError, model_validator

from bench.config.forms import written_as
from bench.config.hosts import Host
from bench.config.links import ClientLink, Compare, Link, Migration
from bench.config.machine import Cpu, Devices, Qemu
from bench.config.procedure import Checkpoint, Deadlines, Failover, Trace
from bench.config.quantities import Size, Whole, as_text, whole_mib
from bench.config.tuning import HostCache, Pinning, Tune, Tuning
from bench.format.factors import flatten
from bench.format.hosts import APART, BRIDGED
from bench.format.phases import BEAT, COMPARED, DROPPED, OLD_PACKET
from bench.format.scenarios import SCENARIOS, ScenarioName, checkpoints_asked
from bench.guest.protocol import BARE_WORKLOADS, Kind
from bench.system.frozen import LATER, Frozen
from bench.workload.base import Workload, build_workload

_SYSTEM_BYTES = {"linux": 64 << 20, "bare": 16 << 20, "apps": 96 << 20}
_BARE_REACHES = 3 << 30  # from there on lie devices, and RAM beyond 4 GiB is out of reach without paging
_LONGEST_DEMAND_S = 3000.0
_STATE_BYTES = 2 << 30  # the file system on the disk of guest=apps
_REPLICA = "up to 16 small letters and digits"


class Cell(Frozen):
    """One configuration of the pair: everything that makes one cell differ from another.

    ``qemu_secondary`` is the secondary's binary where it is not the primary's: a rolling upgrade.
    ``accel`` may be ``auto`` here; the plan holds what it was resolved to. ``replica`` is a name that changes nothing:
    cells that differ in it alone are measured as two, which shows how far apart equals come out (an A/A control).
    ``scenario`` is what happens in a run, one of :mod:`bench.scenario`; ``failover``: how one ends in that.
    ``start`` is how its guest comes to be ready.
    ``tcp_timestamps`` is the switch of the guest's kernel: the two guests' clocks differ, and with them what they send.
    """

    mem: Annotated[Size, AfterValidator(whole_mib), Field(ge=32 << 20)]
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
    client_link: Annotated[ClientLink, LATER] = ClientLink()
    checkpoint: Checkpoint = Checkpoint()
    trace: Trace = Trace()
    tune: Annotated[Tune, LATER] = Tune()
    cache: Annotated[HostCache, LATER] = HostCache()
    start: Annotated[Literal["booted", "restored"], LATER] = "booted"
    scenario: Annotated[ScenarioName, LATER] = "colo"
    failover: Annotated[Failover | None, LATER] = None
    compare: Annotated[Compare, LATER] = Compare()
    tcp_timestamps: Annotated[bool, LATER] = True
    replica: Annotated[str, BeforeValidator(as_text), written_as(r"[a-z0-9]{1,16}", _REPLICA)] = "a"
    deadlines: Deadlines = Deadlines()

    @property
    def paired(self) -> bool:
        """Whether the VM has a secondary."""
        return SCENARIOS[self.scenario].paired

    @property
    def takes_checkpoints(self) -> bool:
        """Whether checkpoints are asked for; of a pair that is only formed, output that differs may make some."""
        return SCENARIOS[self.scenario].checkpoints

    @property
    def taken(self) -> Checkpoint:
        """Return the checkpoints that a run takes: before a failover, those that it is to come after."""
        count = checkpoints_asked(flatten(self.model_dump(mode="json", include={"scenario", "failover", "checkpoint"})))
        return self.checkpoint.model_copy(update={"count": count})

    @property
    def traced(self) -> Trace:
        """Return the events to switch on: those asked for, and those that a guest or a client needs to be believed."""
        served = self.guest == "apps" or self.workload.guest_port() is not None
        more = (COMPARED, DROPPED, OLD_PACKET) if served else (BEAT.name,) if self.guest == "bare" else ()
        return Trace(events=self.trace.events, optional=(*self.trace.optional, *more))

    @property
    def tuning(self) -> Tuning:
        """Return all that is changed on this host for a run of it, and the CPUs of this host that it is held to."""
        return Tuning() if self.host.far else Tuning(**{**dict(self.tune), "ways": self.cache.ways})

    @property
    def binaries(self) -> tuple[str, ...]:
        """Return what the configuration calls the pair's binaries, the primary's first, each once."""
        return tuple(dict.fromkeys(filter(None, (self.qemu, self.qemu_secondary))))

    @model_validator(mode="before")
    @classmethod
    def _failover_belongs_to_its_scenario(cls, tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        said = tree.get("failover")
        if tree.get("scenario") == "failover":
            return tree if said is not None else tree | {"failover": {}}
        try:
            idle = said is None or Failover.model_validate(said) == Failover()
        except ValidationError:
            return tree  # refused with its key, as any other value
        if not idle:
            raise ValueError("failover.* tells how a run of scenario=failover ends; set that, or leave failover.* out")
        return tree | {"failover": None}

    @model_validator(mode="after")
    def _failover_can_be(self) -> Cell:
        if self.failover is None:
            return self
        fits = {"cut": APART - BRIDGED, "down": APART}.get(self.failover.how)
        if fits is not None and (self.host.kind not in fits or self.link.transport == "unix"):
            hosts = " or ".join(f"host={kind}" for kind in sorted(fits, reverse=True))
            raise ValueError(
                f"failover.how={self.failover.how} takes the veth link down: it needs {hosts}, and link=tcp or "
                "link=nodelay"
            )
        if self.failover.when != "between" and self.host.far:
            raise ValueError(
                "a phase is struck when the primary's trace comes to it, which with host=ssh is on another host; "
                "choose failover.when=between"
            )
        if self.failover.victim == "primary" and self.workload.guest_port() and not self.host.bridged:
            raise ValueError(
                f"the client of workload={self.workload.kind} reaches the guest through the primary's QEMU and is lost "
                "with it; choose host=bridged, failover.victim=secondary, or a workload without a client"
            )
        if not self.workload.tells_each_request():
            raise ValueError("scenario=failover looks at single requests; choose workload.client=own with it")
        return self

    @model_validator(mode="after")
    def _survivor_can_be_joined(self) -> Cell:
        if self.failover is None or not self.failover.redundancy:
            return self
        hindered = {
            "failover.how=kill or stop (the link stays down otherwise)": self.failover.how in {"cut", "down"},
            "a workload without a client": self.workload.guest_port() is not None,
            "hosts of this machine": self.host.far,
            "link.tls=false": self.link.tls,
            "one QEMU for both sides": self.qemu_secondary is not None,
        }
        needed = [words for words, is_so in hindered.items() if is_so]
        if needed:
            raise ValueError(f"failover.redundancy=true needs {', '.join(needed)}")
        return self

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
        if self.guest != "bare" and self.guest not in self.workload.guests:
            runs_in = " or ".join(f"guest={guest}" for guest in self.workload.guests)
            raise ValueError(f"guest={self.guest} has no {self.workload.kind}; it runs in {runs_in}")
        if 0 in self.workload.shares(self.mem):
            raise ValueError("each thread needs a page of its own; set a larger workload.working_set or fewer threads")
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
    def _far_hosts_take_what_crosses_a_network(self) -> Cell:
        if self.host.far and self.link.transport == "unix":
            raise ValueError("a unix socket does not reach another host; choose link=tcp or link=nodelay")
        if self.host.far and self.tune.model_copy(update={"pinning": Pinning()}) != Tune():
            raise ValueError("tune.governor, thp and swap change this machine, not those of host=ssh: set them there")
        if self.host.far and self.cache.kind != "none":
            raise ValueError("cache= is of this machine, not of those of host=ssh")
        if self.host.far and self.start == "restored":
            raise ValueError("start=restored brings in a machine that was saved here; with host=ssh use start=booted")
        if self.host.far and self.guest == "apps":
            raise ValueError("guest=apps has images that are not shipped to other hosts; with host=ssh use guest=linux")
        return self

    @model_validator(mode="after")
    def _network_and_disk_fit_the_guest(self) -> Cell:
        if self.compare.vnet_hdr and self.devices.nic != "virtio-net-pci":
            raise ValueError(f"compare.vnet_hdr goes with devices.nic=virtio-net-pci; this one is {self.devices.nic}")
        if not self.tcp_timestamps and self.guest == "bare":
            raise ValueError("guest=bare sends nothing over TCP; tcp_timestamps=false goes with the other guests")
        if self.guest == "apps" and self.devices.disk_size < _STATE_BYTES:
            raise ValueError(
                "guest=apps keeps a file system of 2G on its disk; devices.disk_size is at least 2G with it"
            )
        return self

    @model_validator(mode="after")
    def _shaped_link_needs_netns(self) -> Cell:
        if self.link.shaped and self.host.kind not in APART and not self.host.shapeable:
            raise ValueError(
                "link.bandwidth, delay, loss_percent and quickack shape the veth link: they need host=netns or "
                "host=bridged; across real hosts host.primary.interface and host.secondary.interface say what to shape"
            )
        if self.link.quickack and self.host.far:
            raise ValueError("link.quickack is a route of the veth link; on the hosts of host=ssh set it there")
        if self.link.tls and self.link.transport == "unix":
            raise ValueError(
                "link.tls encrypts what crosses a network; a unix socket does not: choose link=tcp or nodelay"
            )
        if self.client_link != ClientLink() and not self.host.bridged:
            raise ValueError("client_link shapes the way between the client and the guest's tap: it needs host=bridged")
        if self.link.shaped and self.link.transport == "unix":
            raise ValueError(
                "a unix socket does not cross the veth link that is shaped; choose link=tcp or link=nodelay"
            )
        return self
