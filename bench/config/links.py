"""What joins the sides and their client: the stream, the shape of the links, what compares packets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bench.config.quantities import Duration, Loss, Rate, Whole
from bench.system.frozen import LATER, Frozen
from bench.system.units import refuse_bool


class Link(Frozen):
    """The migration's transport, whether it and the disk's copy are encrypted, and the shape of the sides' link.

    That is the cable of ``host=netns`` and ``bridged``, or interfaces that the inventory of ``host=ssh`` names.
    """

    transport: Literal["tcp", "unix", "nodelay"] = "tcp"
    bandwidth: Rate | None = None
    delay: Duration | None = None
    loss_percent: Loss | None = None
    quickack: bool = False
    tls: Annotated[bool, LATER] = False

    @property
    def shaped(self) -> bool:
        """Whether the link differs from what the kernel gives by itself."""
        return bool(self.bandwidth or self.delay or self.loss_percent or self.quickack)


class ClientLink(Frozen):
    """The shape of the link between the client and the guest under ``host=bridged``, the same in both directions."""

    bandwidth: Rate | None = None
    delay: Duration | None = None
    loss_percent: Loss | None = None


def _off(value: object) -> object:
    return 0 if value in ("off", None) or value is False else refuse_bool(value)


class Migration(Frozen):
    """How the stream from primary to secondary is carried.

    Attributes:
        multifd: how many connections carry pages beside the one that carries everything else; 0 (``off``): none.
    """

    multifd: Annotated[int, BeforeValidator(_off), Field(ge=0, le=255)] = 0


class Compare(Frozen):
    """What of colo-compare is set; ``None`` leaves it at QEMU's own.

    Attributes:
        timeout: how long a packet of the primary waits for the secondary's before a checkpoint is asked for (3 s).
        expired_scan_cycle: how often packets are looked through for such (3 s).
        max_queue_size: how many packets of a connection are kept on a side (1024); what comes on top is dropped.
        vnet_hdr: whether a tap gives packets the header of a virtio network card, and all filters are told so.
    """

    timeout: Annotated[Duration, Field(ge=0.001, le=3600)] | None = None
    expired_scan_cycle: Annotated[Duration, Field(ge=0.001, le=3600)] | None = None
    max_queue_size: Annotated[Whole, Field(ge=1, le=1 << 20)] | None = None
    vnet_hdr: bool = False
