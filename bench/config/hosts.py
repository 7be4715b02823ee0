"""Where the processes of the pair run: on this machine, in namespaces of it, or on the hosts of an inventory."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from bench.config.forms import written_as
from bench.format.hosts import BRIDGED, FAR, HostKind
from bench.system.frozen import LATER, Frozen

_SSH = "an alias of ~/.ssh/config, HOST, USER@HOST or USER@HOST:PORT"
_FAR_PATH = "a path from the root there, or one that begins with ~/"
_NAMES = r"[A-Za-z0-9_./+@-]+"


class FarHost(Frozen):
    """A host of an inventory: how it is reached, and what is where on it.

    Attributes:
        ssh: what OpenSSH's client is given; its own configuration holds.
        transport: any other command that gives standard input and output there, such as ``srun --overlap -w NODE``.
        address: where its node listens for the others, migration, NBD, mirror and compare: never elsewhere.
        workdir: what is shipped and the runs' folders lie in it.
        python: an interpreter, 3.9 or newer.
        interface: the one of ``address``, which ``link`` may shape by ``tc`` where it is named.
        qemu: its own ``qemu-system-x86_64``, with a ``qemu-img`` beside it; None: ours is shipped.
    """

    ssh: Annotated[str, written_as(r"[A-Za-z0-9_.\[][A-Za-z0-9_.@:%\[\]+-]*", _SSH)] | None = None
    transport: tuple[str, ...] = ()
    address: Annotated[str, written_as(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", "an IPv4 address of that host")]
    workdir: Annotated[str, written_as(rf"(~/|/){_NAMES}", _FAR_PATH)] = "~/.colo-bench"
    python: Annotated[str, written_as(rf"/{_NAMES}", "an interpreter's path from the root")] = "/usr/bin/python3"
    qemu: Annotated[str, written_as(rf"/{_NAMES}", "a binary's path from the root")] | None = None
    interface: Annotated[str, written_as(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}", "a network interface")] | None = None

    @property
    def title(self) -> str:
        """Return what messages and records call it."""
        return self.ssh or " ".join(self.transport)

    @property
    def destination(self) -> tuple[str, int | None]:
        """Return what ssh is given, and the port where one is named."""
        place, _, port = (self.ssh or "").rpartition(":")
        one = place and port.isdecimal() and (":" not in place or place.endswith("]"))
        return (place.replace("[", "").replace("]", ""), int(port)) if one else (self.ssh or "", None)

    @model_validator(mode="after")
    def _reached_one_way(self) -> FarHost:
        if bool(self.ssh) == bool(self.transport):
            raise ValueError("a host is reached by ssh=ALIAS or by transport=[COMMAND,...], by one of the two")
        return self


def _given(value: object) -> object:
    """Return what was filled in of a form; None where nothing was."""
    if not isinstance(value, dict):
        return value
    return {key: one for key, one in value.items() if one is not None} or None


HostEntry = Annotated[FarHost | None, BeforeValidator(_given), LATER, Field(exclude=True)]
"""A host of an inventory, which is where a run happens and no part of what it measures: it is in no id."""


class Host(Frozen):
    """Where the processes of the pair run; under ``ssh`` on the hosts of an inventory, a file or these fields."""

    kind: HostKind = "local"
    inventory: Annotated[str | None, LATER, Field(exclude=True)] = None
    primary: HostEntry = None
    secondary: HostEntry = None
    client: HostEntry = None

    @property
    def far(self) -> bool:
        """Whether the pair runs on other machines than this one."""
        return self.kind in FAR

    @property
    def bridged(self) -> bool:
        """Whether a switch leads the client to the guests' own cards."""
        return self.kind in BRIDGED

    @property
    def shapeable(self) -> bool:
        """Whether ``link`` may shape an interface of each side, as far as the sides are known: a record has none."""
        return self.far and all(one is None or one.interface is not None for one in (self.primary, self.secondary))

    @model_validator(mode="after")
    def _hosts_are_reached(self) -> Host:
        if self.client and self.client.interface:
            raise ValueError("host.client.interface: link shapes what joins the sides; name those of the sides")
        if not self.far and (self.inventory or self.primary or self.secondary or self.client):
            raise ValueError("host.inventory, primary, secondary and client are those of host=ssh")
        return self
