"""Gets ready what every run of a campaign needs, and refuses before the first boot what cannot work."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.errors import HostError
from bench.host.topology import open_topology
from bench.owner import scratch_folder
from bench.pair.features import known_events, probe_features
from bench.pair.preflight import machine_key, preflight
from bench.plan.plan import hypotheses_sha256
from bench.provision.guest import build_guest
from bench.provision.kvm import cached_kvm, probe_kvm
from bench.provision.nodelay import nodelay_library
from bench.provision.qemu import find_qemu
from bench.run.probe import probe_colo
from bench.run.progress import Assets

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from bench.config.load import Settings
    from bench.config.model import Cell, Host, Link
    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary

    Say = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """A campaign that can start.

    Attributes:
        cells: the configurations, accelerators resolved.
        assets: what to run them with, by what the configuration calls the QEMU.
    """

    cells: tuple[Cell, ...]
    assets: Mapping[str, Assets]


def prepare(settings: Settings, cells: Sequence[Cell], campaign: str, say: Say) -> Prepared:
    """Return what the campaign runs with, after fetching, building and probing what is not there yet.

    Raises:
        ProvisionError: QEMU, the guest or the library could not be had.
        HostError: this machine or this QEMU cannot do what a cell asks for.
    """
    for host, link in dict.fromkeys((cell.host, cell.link) for cell in cells if cell.host.kind == "netns"):
        asyncio.run(_try_hosts(host, link))
    binaries = {name: find_qemu(name, say) for name in dict.fromkeys(cell.qemu for cell in cells)}
    guest = build_guest(say)
    nodelay = nodelay_library(say) if any(cell.link.transport == "nodelay" for cell in cells) else None
    declared = hypotheses_sha256(settings.hypotheses)
    assets = {
        name: Assets(binary, guest, asyncio.run(probe_features(binary)), campaign, nodelay, settings.watched, declared)
        for name, binary in binaries.items()
    }
    for cell in cells:
        known_events(cell.trace, assets[cell.qemu].features)
    wanted = dict.fromkeys((cell.qemu, cell.accel) for cell in cells)
    accels = {(qemu, accel): _accelerator(accel, assets[qemu], say) for qemu, accel in wanted}
    resolved = tuple(cell.model_copy(update={"accel": accels[cell.qemu, cell.accel]}) for cell in cells)
    assets = _require_machines(resolved, assets, say)
    for qemu, accel in dict.fromkeys((cell.qemu, cell.accel) for cell in resolved):
        _require_parts(assets[qemu])
        _require_colo(assets[qemu].binary, guest, accel, say)
    return Prepared(resolved, assets)


async def _try_hosts(host: Host, link: Link) -> None:
    with scratch_folder("hosts") as folder:
        async with open_topology(host, link, folder):
            pass


def _accelerator(accel: str, assets: Assets, say: Say) -> str:
    if accel == "tcg":
        return accel
    if cached_kvm(assets.binary, assets.guest) is None:
        say("trying KVM: the guest must boot to its ready line")
    verdict = probe_kvm(assets.binary, assets.guest)
    if verdict.ok:
        return "kvm"
    if accel == "kvm":
        raise HostError(f"KVM does not work here: {verdict.reason}", hint="use accel=auto or accel=tcg", cause="kvm")
    say(f"emulation (TCG), because KVM does not work here: {verdict.reason}")
    return "tcg"


def _require_machines(cells: Sequence[Cell], assets: Mapping[str, Assets], say: Say) -> dict[str, Assets]:
    """Have each distinct machine built once; return the assets with what QEMU warned of: an option it drops, say."""
    warnings: dict[str, dict[Hashable, tuple[str, ...]]] = {name: {} for name in assets}
    for cell in cells:
        one, known = assets[cell.qemu], warnings[cell.qemu]
        if machine_key(cell) not in known:
            known[machine_key(cell)] = asyncio.run(preflight(cell, one.binary, one.guest, one.features))
    for line in dict.fromkeys(line for known in warnings.values() for lines in known.values() for line in lines):
        say(line)
    return {name: replace(one, warnings=warnings[name]) for name, one in assets.items()}


def _require_parts(assets: Assets) -> None:
    missing = assets.features.missing
    if "block driver replication" in missing:
        words = f"{assets.binary.version} was built without {', '.join(missing)}"
        raise HostError(words, cause="replication-missing")


def _require_colo(binary: Binary, guest: Guest, accel: str, say: Say) -> None:
    verdict = probe_colo(binary, guest, accel, say)
    if not verdict.ok:
        raise HostError(
            f"{binary.version} cannot do COLO here under {accel}: {verdict.reason}",
            cause=verdict.cause or "colo-probe",
        )
