"""What is changed on this host for a run, and what the pair gets of its CPUs and caches."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from bench.config.forms import written_as
from bench.config.quantities import Cpus, Size, Whole
from bench.system.frozen import LATER, Frozen
from bench.system.units import Unit, refuse_bool


class Pinning(Frozen):
    """The CPUs of this host that each side's process, with all its threads, may use; ``None``: all that there are."""

    primary: Cpus | None = None
    secondary: Cpus | None = None

    def side(self, side: str) -> frozenset[int]:
        """Return a side's CPUs; empty for all."""
        return frozenset((self.primary if side == "primary" else self.secondary) or ())


def _no_number(value: object) -> object:
    """Refuse 0, which Python takes for ``False``."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError("should be false")  # noqa: TRY004 - validation wants ValueError
    return value


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


class Tuning(Tune):
    """All that is changed on this host for a run: the tuning, and the ways of its last cache that are left."""

    ways: int | None = None


class HostCache(Frozen):
    """What the pair gets of the host's caches while a run is measured.

    Attributes:
        kind: ``antagonist`` sweeps a buffer; ``control`` takes the same CPU time and touches no memory; ``ways`` leaves
            the host some ways of its last cache (resctrl).
        ways: how many of them.
        buffer: what is swept.
        share: of the time of each CPU that it runs on.
        cpus: those; ``None``: all that there are.
        chase: the set whose lines are reached one after the other, in no order, before and while it runs.
    """

    kind: Literal["none", "antagonist", "control", "ways"] = "none"
    ways: Annotated[Annotated[Whole, Field(ge=1, le=32)] | None, LATER] = None
    buffer: Annotated[Size, Field(ge=1 << 20, le=16 << 30)] = 64 << 20
    share: Annotated[float, BeforeValidator(refuse_bool), Field(gt=0, le=1), Unit("share of time")] = 0.5
    cpus: Cpus | None = None
    chase: Annotated[Size, Field(ge=64 << 10, le=1 << 30)] = 512 << 10

    @property
    def beside(self) -> bool:
        """Whether a process of ours runs beside the pair."""
        return self.kind in {"antagonist", "control"}

    @model_validator(mode="after")
    def _ways_are_said(self) -> HostCache:
        if (self.kind == "ways") != (self.ways is not None):
            raise ValueError("cache=ways and cache.ways=N, how many ways of the last cache are left, go together")
        return self
