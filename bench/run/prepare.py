"""Gets ready what every run of a campaign needs, and refuses before the first boot what cannot work."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from bench.config.links import Link
from bench.errors import HostError
from bench.host.topology import open_topology
from bench.plan.plan import hypotheses_sha256
from bench.provision.apps import build_apps
from bench.provision.bare import build_bare
from bench.provision.guest import build_guest
from bench.provision.kvm import cached_kvm, probe_kvm
from bench.provision.packages import GUEST, PROVISIONED_SUITE, fetch_trees, wanted_qemu
from bench.provision.programs import antagonist_program, nodelay_library
from bench.provision.qemu import PROVISIONED, find_qemu
from bench.provision.state import state_image
from bench.run.probe import LOCAL, Trial, probe_colo
from bench.scenario.progress import Assets
from bench.system.owner import scratch_folder
from bench.vm.features import known_events, probe_features
from bench.vm.placed import binary_on, ship
from bench.vm.preflight import machine_key, preflight
from bench.vm.saved import Maker, saved_machine
from bench.vm.spec import Second

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from pathlib import Path

    from bench.config.hosts import Host
    from bench.config.links import ClientLink
    from bench.config.load import Settings
    from bench.config.model import Cell
    from bench.provision.apps import Apps
    from bench.provision.kvm import Verdict
    from bench.provision.qemu import Binary
    from bench.vm.features import Features

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

    def assets_of(self, cell: Cell) -> Assets:
        """Return what a cell's runs are made with."""
        return _assets_of(cell, self.assets)


def _assets_of(cell: Cell, assets: Mapping[str, Assets]) -> Assets:
    one = assets[cell.qemu]
    if cell.qemu_secondary in (None, cell.qemu):
        return one
    other = assets[cell.qemu_secondary]
    return replace(one, second=Second(other.binary, other.features))


def prepare(settings: Settings, cells: Sequence[Cell], campaign: str, say: Say) -> Prepared:
    """Return what the campaign runs with, after fetching, building and probing what is not there yet.

    Raises:
        ProvisionError: QEMU, the guest or the library could not be had.
        HostError: this machine or this QEMU cannot do what a cell asks for.
    """
    apart = ((cell.host, cell.link, cell.client_link) for cell in cells if cell.host.kind != "local")
    for host, link, client_link in dict.fromkeys(apart):
        asyncio.run(_try_hosts(host, link, client_link, say))
    assets = dict(fetch(settings, cells, campaign, say).assets)
    accels = {
        key: _accelerator(cell, assets[cell.qemu], say) for key, cell in {_boots(cell): cell for cell in cells}.items()
    }
    resolved = tuple(cell.model_copy(update={"accel": accels[_boots(cell)]}) for cell in cells)
    assets = _require_machines(resolved, assets, say)
    pairs = [cell for cell in resolved if cell.paired]
    for cell in {(_boots(cell), cell.qemu_secondary, bool(cell.migration.multifd)): cell for cell in pairs}.values():
        for name in cell.binaries:
            _require_parts(assets[name])
        one = _assets_of(cell, assets)
        trial = Trial(one.binary, one.guest_of(cell), cell.accel, one.second, cell.migration.multifd, _asked(cell))
        _require_colo(trial, say)
    return Prepared(resolved, {name: _with_saved(name, assets, resolved, say) for name in assets})


def fetch(settings: Settings, cells: Sequence[Cell], campaign: str, say: Say) -> Prepared:
    """Return what a plan is made from, after fetching and building what is not there yet; no VM is started.

    Raises:
        ProvisionError: QEMU, the guest or the library could not be had.
        HostError: a QEMU lacks a trace event that a cell asks for.
    """
    kinds, names = {cell.guest for cell in cells}, dict.fromkeys(name for cell in cells for name in cell.binaries)
    if PROVISIONED in names and "linux" in kinds:
        fetch_trees((wanted_qemu(PROVISIONED_SUITE), GUEST), say)
    binaries = {name: find_qemu(name, say) for name in names}
    bare = build_bare(say) if "bare" in kinds else None
    apps = build_apps(say) if "apps" in kinds else None
    for program in dict.fromkeys(cell.workload.client_program() for cell in cells if apps):
        (apps or build_apps(say)).require_client(program)
    other = apps.guest if apps and not bare else bare
    guest = build_guest(say) if other is None or "linux" in kinds else other
    nodelay = nodelay_library(say) if any(cell.link.transport == "nodelay" for cell in cells) else None
    antagonist = antagonist_program(say) if any(cell.cache.beside for cell in cells) else None
    states = _states(cells, apps, next(iter(binaries.values())), say) if apps else {}
    declared = hypotheses_sha256(settings.hypotheses)
    assets = {
        name: Assets(
            binary,
            guest,
            asyncio.run(_features(binary, [cell.host for cell in cells if name in cell.binaries])),
            campaign,
            nodelay,
            settings.watched,
            declared,
            bare=bare,
            antagonist=antagonist,
            apps=apps,
            states=states,
        )
        for name, binary in binaries.items()
    }
    for cell in cells:
        known_events(cell.traced, _assets_of(cell, assets).side_features)
        _require_tls(cell, _assets_of(cell, assets))
    return Prepared(tuple(cells), assets)


def _with_saved(name: str, assets: Mapping[str, Assets], cells: Sequence[Cell], say: Say) -> Assets:
    """Have each machine that a run is to begin as booted and saved, once."""
    asked = [cell for cell in cells if cell.qemu == name and cell.start == "restored"]
    saved = {cell: saved_machine(_maker(cell, _assets_of(cell, assets)), say) for cell in asked}
    return replace(assets[name], saved=saved) if saved else assets[name]


def _maker(cell: Cell, assets: Assets) -> Maker:
    guest, base = assets.guest_of(cell), assets.state_of(cell)
    return Maker(cell, assets.binary, guest, assets.features, base, assets.second)


def _states(cells: Sequence[Cell], apps: Apps, binary: Binary, say: Say) -> dict[str, Path]:
    """Return what the disks of the applications' guest begin with, by what its workloads ask for."""
    asked = dict.fromkeys(cell.workload.guest_state() for cell in cells if cell.guest == "apps")
    return {state: state_image(apps, binary, state, say) for state in asked}


async def _try_hosts(host: Host, link: Link, client_link: ClientLink, say: Say) -> None:
    with scratch_folder("hosts") as folder:
        async with open_topology(host, link, folder, client_link) as topology:
            for name, remote in topology.far.items():
                for line in remote.left:
                    say(f"removed on the {name}'s host what a killed agent had left: {line}")


def _boots(cell: Cell) -> tuple[str, str, str, Host]:
    """Return what of a cell decides whether an accelerator runs it."""
    return cell.qemu, cell.guest, cell.accel, _asked(cell)


def _asked(cell: Cell) -> Host:
    """Return which hosts a probe's answer is asked of: this machine, in a namespace or not, or an inventory's."""
    return cell.host if cell.host.far else LOCAL


def _accelerator(cell: Cell, assets: Assets, say: Say) -> Literal["kvm", "tcg"]:
    far = cell.host.far
    if cell.accel == "tcg":
        return "tcg"
    if far and cell.accel == "kvm" and not cell.paired:
        return "kvm"
    verdict = _tried_kvm(cell, assets, say)
    if verdict.ok:
        return "kvm"
    words = f"KVM does not run the {cell.guest} guest {'on these hosts' if far else 'here'}: {verdict.reason}"
    if cell.accel == "kvm":
        other = "" if far or cell.guest == "bare" else ", or guest=bare, which asks less of a CPU"
        raise HostError(words, hint=f"use accel=auto or accel=tcg{other}", cause="kvm")
    say(f"emulation (TCG), because {words}")
    return "tcg"


def _tried_kvm(cell: Cell, assets: Assets, say: Say) -> Verdict:
    """Return whether KVM runs the guest: of the hosts of an inventory, a pair of theirs says so."""
    guest = assets.guest_of(cell)
    if cell.host.far:
        return probe_colo(Trial(assets.binary, guest, "kvm", assets.second, host=cell.host), say)
    if cached_kvm(assets.binary, guest) is None:
        say(f"trying KVM: the {cell.guest} guest must boot to its ready line")
    return probe_kvm(assets.binary, guest)


async def _features(binary: Binary, hosts: Sequence[Host]) -> Features:
    """Return what the QEMU of a name understands: that of a host of an inventory where it is one of its own."""
    own = next((host for host in hosts if host.primary and host.primary.qemu), None)
    if own is None:
        return await probe_features(binary)
    with scratch_folder("hosts") as folder:
        async with open_topology(own, Link(), folder) as topology:
            return await probe_features(await binary_on(topology.primary, binary), topology.primary.host)


async def _built(cell: Cell, assets: Assets) -> tuple[str, ...]:
    """Return what QEMU warns of when it builds a cell's machine where that will run."""
    guest = assets.guest_of(cell)
    if not cell.host.far:
        return await preflight(cell, assets.binary, guest, assets.features)
    with scratch_folder("hosts") as folder:
        async with open_topology(cell.host, cell.link, folder) as topology:
            node = topology.primary
            binary = await binary_on(node, assets.binary)
            programs = tuple(filter(None, (assets.nodelay, assets.antagonist)))
            for host in topology.hosts:
                await ship(host, binary, guest, programs)
            return await preflight(cell, binary, guest, assets.features, node.host)


def _require_machines(cells: Sequence[Cell], assets: Mapping[str, Assets], say: Say) -> dict[str, Assets]:
    """Have each distinct machine built once; return the assets with what QEMU warned of: an option it drops, say."""
    warnings: dict[str, dict[Hashable, tuple[str, ...]]] = {name: {} for name in assets}
    for cell in cells:
        one, known = assets[cell.qemu], warnings[cell.qemu]
        if machine_key(cell) not in known:
            known[machine_key(cell)] = asyncio.run(_built(cell, one))
    said = dict.fromkeys(line for known in warnings.values() for lines in known.values() for line in lines)
    if said:
        say(f"QEMU warned of {len(said)} thing{'s' * (len(said) > 1)}: under quality.notes of each run.json")
    return {name: replace(one, warnings=warnings[name]) for name, one in assets.items()}


def _require_tls(cell: Cell, assets: Assets) -> None:
    """Return when both binaries can encrypt what goes between them, if that is asked for.

    Raises:
        HostError: one cannot.
    """
    both = (
        (assets.binary, assets.features),
        *(((assets.second.binary, assets.second.features),) if assets.second else ()),
    )
    unable = [binary.version for binary, features in both if not features.tls]
    if cell.link.tls and unable:
        raise HostError(
            f"link.tls: {unable[0]} was built without TLS",
            hint="use link.tls=false, or a QEMU that has the object tls-creds-psk",
            cause="tls-missing",
        )


def _require_parts(assets: Assets) -> None:
    missing = assets.features.missing
    if "block driver replication" in missing:
        words = f"{assets.binary.version} was built without {', '.join(missing)}"
        raise HostError(words, cause="replication-missing")


def _require_colo(trial: Trial, say: Say) -> None:
    verdict = probe_colo(trial, say)
    if not verdict.ok:
        how = f"under {trial.accel}" + (" with multifd" if trial.channels else "")
        raise HostError(
            f"{trial.qemu} cannot do COLO here {how}: {verdict.reason}", cause=verdict.cause or "colo-probe"
        )
