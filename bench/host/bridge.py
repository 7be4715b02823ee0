"""The client's network of ``host=bridged``: a switch at the client, a bridge with the guest's tap on each host.

Both guests have one address, as both have one card: the switch knows one of them at a time, the primary's until the
secondary takes over.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import HostError
from bench.host.links import GATEWAY, PRIMARY, SIDES, TAP
from bench.host.netns import shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.config.links import ClientLink
    from bench.host.host import Host

_SWITCH, _BRIDGE, _UPLINK = "switch0", "br0", "uplink0"
_TUN = Path("/dev/net/tun")


def port_of(side: str) -> str:
    """Return the switch's port to a side."""
    return f"to-{side}"


def require_taps() -> None:
    """Check that a guest's card can be a tap here.

    Raises:
        HostError: the kernel offers none.
    """
    if not _TUN.exists():
        raise HostError(
            f"host=bridged needs {_TUN}: each guest's card is a tap",
            cause="tun-missing",
            hint="modprobe tun; in a container it has to be given that device; host=netns needs none",
        )


async def bridge(client: Host, hosts: Mapping[str, Host], pids: Mapping[str, int], link: ClientLink | None) -> None:
    """Join the client to both sides' guests, and let the primary's be the one that it reaches.

    Args:
        client: where the switch is.
        hosts: the sides.
        pids: the processes that hold the sides' namespaces open.
        link: the shape of the way between the client and each guest, in both directions, if it has one.
    """
    await client.run(("ip", "link", "set", "lo", "up"))
    await client.run(("ip", "link", "add", _SWITCH, "type", "bridge"))
    await client.run(("ip", "addr", "add", f"{GATEWAY}/24", "dev", _SWITCH))
    await client.run(("ip", "link", "set", _SWITCH, "up"))
    for side in SIDES:
        host, port = hosts[side], port_of(side)
        peer = ("peer", "name", _UPLINK, "netns", str(pids[side]))
        await client.run(("ip", "link", "add", port, "type", "veth", *peer))
        await client.run(("ip", "link", "set", port, "master", _SWITCH))
        await host.run(("ip", "link", "add", _BRIDGE, "type", "bridge"))
        await host.run(("ip", "tuntap", "add", "dev", TAP, "mode", "tap"))
        for end in (TAP, _UPLINK):
            await host.run(("ip", "link", "set", end, "master", _BRIDGE, "up"))
        await host.run(("ip", "link", "set", _BRIDGE, "up"))
        if link:
            await shape(host, link, _UPLINK)
            await shape(client, link, port)
    await serve_from(client, PRIMARY)


async def serve_from(client: Host, side: str) -> None:
    """Let the client reach the guest of one side, and not the other's."""
    for one in SIDES:
        await client.run(("ip", "link", "set", port_of(one), "up" if one == side else "down"))
