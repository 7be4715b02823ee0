"""How a run goes: its checkpoints, what is traced of them, how it ends on purpose, how long its stages may take."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bench.config.forms import written_as
from bench.config.quantities import Deadline, Duration, Positive, Whole
from bench.format.phases import PhaseName
from bench.system.frozen import LATER, Frozen


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


When = Literal["between", PhaseName]


class Failover(Frozen):
    """How a run of ``scenario=failover`` ends: what befalls one side, when, and how soon it is noticed.

    Attributes:
        victim: the side that is struck; the other one takes over.
        how: ``kill``: SIGKILL; ``stop``: SIGSTOP, as a host that hangs; ``cut``: the link between the sides goes down;
            ``down``: the link and then the process, as a host that goes down.
        when: in which phase of a checkpoint, or ``between`` two of them.
        after: how many checkpoints are taken first, after the warm-up.
        heartbeat: how often the victim is asked whether it lives.
        timeout: how long it may take to answer.
        redundancy: whether the survivor then gets a new secondary, and both enter COLO.
    """

    victim: Literal["primary", "secondary"] = "primary"
    how: Literal["kill", "stop", "cut", "down"] = "kill"
    when: When = "between"
    after: Positive = 3
    heartbeat: Annotated[Duration, Field(ge=0.01)] = 0.1
    timeout: Annotated[Duration, Field(ge=0.01)] = 0.5
    redundancy: Annotated[bool, LATER] = False

    @property
    def survivor(self) -> Literal["primary", "secondary"]:
        """Return the side that takes over."""
        return "secondary" if self.victim == "primary" else "primary"


class Deadlines(Frozen):
    """How long each stage of a run may take, in seconds."""

    launch: Deadline = 30
    qmp: Deadline = 30
    boot: Deadline = 180
    colo: Deadline = 300
    workload: Deadline = 60
    checkpoint: Deadline = 120
    failover: Annotated[Deadline, LATER] = 30
    teardown: Deadline = 10
