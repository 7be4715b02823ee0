"""The shape of the link between real hosts: ``tc`` on the interfaces that an inventory names, until their agents go."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bench.errors import HostError
from bench.host.interface import interface_of
from bench.host.netns import shape

if TYPE_CHECKING:
    from bench.config.hosts import FarHost
    from bench.config.links import Link
    from bench.host.remote import Remote

_OF_SOMEBODY = re.compile(r"^qdisc \S+ (?!0: )\S+ root", re.MULTILINE)
"""A queueing discipline that was set: the kernel's own ones, which come back by themselves, have no number."""


async def shape_far(remote: Remote, far: FarHost, link: Link) -> None:
    """Shape all that a host sends on its interface; its agent puts it back, however it ends.

    Raises:
        HostError: it cannot be shaped, or not be put back.
    """
    interface = await require_shapeable(remote, far)
    await remote.at_end(("tc", "qdisc", "del", "dev", interface, "root", "handle", "1:"))
    await shape(remote, link, interface)


async def require_shapeable(remote: Remote, far: FarHost) -> str:
    """Return the interface of a host that ``link`` may shape, once it is known that it can be, and be put back.

    Raises:
        HostError: none is named, it is not the one of the address, its user may not, or it is shaped already.
    """
    key, where = f"host.{remote.name}.interface", f"the {remote.name}'s host {remote.reach.title}"
    has = await interface_of(remote, far.address)
    if far.interface is None or has != far.interface:
        hint = f"{key}={has}" if has else "address: one that `ip -o -4 addr` shows there, of another interface than lo"
        words = f"link.* shapes the interface of {far.address}, which on {where} is {has or 'none'}"
        raise HostError(f"{words}; {key}={far.interface or 'null'}", hint=hint, cause="far-address")
    if (await remote.run(("id", "-u"))).strip() != "0":
        hint = f"host.{remote.name}.ssh=root@HOST, or leave link.* out"
        words = f"link.* shapes {has} of {where}, which needs root there"
        raise HostError(words, hint=hint, cause="privilege-missing")
    shown = await remote.run(("tc", "qdisc", "show", "dev", has))
    if _OF_SOMEBODY.search(shown):
        raise HostError(
            f"{has} of {where} is shaped already, and what we put in its place could not be put back",
            hint=f"there: tc qdisc del dev {has} root; or leave link.* out",
            cause="tune-refused",
            evidence=tuple(shown.splitlines()),
        )
    return has
