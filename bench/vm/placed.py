"""What a pair is made with, on the hosts that it runs on: shipped from our cache, or a host's own QEMU."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import HostError
from bench.host.host import Here
from bench.host.links import PRIMARY, SECONDARY
from bench.provision.cache import cache_folder
from bench.provision.qemu import VERSION, VERSION_DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bench.host.host import Host
    from bench.host.topology import Node
    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary
    from bench.vm.spec import PairSpec

_OWN = (
    "give that host's own in the inventory, qemu: /usr/bin/qemu-system-x86_64, or use qemu=provisioned, which is sent"
)


async def ship(host: Host, binary: Binary, guest: Guest | None, others: Iterable[Path] = ()) -> None:
    """See to it that what a binary, a guest and other programs of our cache need is on a host.

    Raises:
        HostError: it cannot be put there.
    """
    images = (guest.kernel, *filter(None, (guest.initramfs,))) if guest else ()
    words = (*binary.argv, *binary.img_argv, *(value for _, value in binary.env), *map(str, (*images, *others)))
    await host.provide(cache_entries(words))


def cache_entries(words: Iterable[str]) -> tuple[Path, ...]:
    """Return the entries of our cache that words name."""
    cache = cache_folder()
    form = re.compile(rf"{re.escape(str(cache))}/([^/,:]+)")
    return tuple(cache / name for name in dict.fromkeys(match[1] for word in words for match in form.finditer(word)))


async def binary_on(node: Node, binary: Binary) -> Binary:
    """Return the binary as a node runs it: its host's own where the inventory names one.

    Raises:
        HostError: that is no QEMU, or one of this machine alone was asked for.
    """
    if isinstance(node.host, Here):
        return binary
    if not node.qemu:
        if not cache_entries(binary.argv):
            words = f"qemu={binary.path} is this machine's: it is not on the {node.name}'s host"
            raise HostError(words, hint=_OWN, cause="far-qemu")
        return binary
    try:
        said = await node.host.run((node.qemu, "--version"), VERSION_DEADLINE_S)
        summed = await node.host.run(("sha256sum", "--", node.qemu), VERSION_DEADLINE_S)
    except HostError as error:
        if error.cause != "command-failed":
            raise
        words = f"the {node.name}'s host has no QEMU that runs at {node.qemu}"
        raise HostError(words, cause="far-qemu", evidence=(error.message, *error.evidence)) from error
    match = VERSION.search(said)
    if match is None:
        words = f"{node.qemu} on the {node.name}'s host does not say its version as a QEMU does"
        raise HostError(words, cause="far-qemu", evidence=tuple(said.splitlines()[:4]))
    path = Path(node.qemu)
    return replace(
        binary,
        argv=(node.qemu,),
        img_argv=(str(path.with_name("qemu-img")),),
        env=_preloaded(binary),
        path=path,
        sha256=summed.partition(" ")[0],
        version=match["version"],
        source="path",
    )


def _preloaded(binary: Binary) -> tuple[tuple[str, str], ...]:
    """Return the variable that preloads into any QEMU what this one preloads."""
    at = binary.argv.index("--preload") + 1 if "--preload" in binary.argv else 0
    library = binary.argv[at] if at else dict(binary.env).get("LD_PRELOAD", "")
    return (("LD_PRELOAD", library),) if library else ()


def require_equal(binaries: Mapping[str, Binary], *, asked_apart: bool) -> None:
    """Return when both sides' QEMUs say the same version, or two were asked for.

    Raises:
        HostError: they do not.
    """
    if asked_apart or SECONDARY not in binaries:
        return
    ours, theirs = binaries[PRIMARY], binaries[SECONDARY]
    if ours.version != theirs.version:
        words = f"the primary's QEMU is {ours.version} ({ours.path}), the secondary's {theirs.version} ({theirs.path})"
        raise HostError(words, cause="far-qemu-differs")


def with_binary(spec: PairSpec, side: str, binary: Binary) -> PairSpec:
    """Return the spec by which a side's command line is made, with the QEMU that it runs."""
    if spec.second and side == SECONDARY:
        return replace(spec, second=replace(spec.second, binary=binary))
    return replace(spec, qemu=binary.argv)
