"""Gets ready what every run of a campaign needs, and refuses before the first boot what cannot work."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from bench.errors import HostError
from bench.host.topology import open_topology
from bench.plan.plan import hypotheses_sha256
from bench.provision.bare import build_bare
from bench.provision.guest import build_guest
from bench.provision.kvm import cached_kvm, probe_kvm
from bench.provision.programs import antagonist_program, nodelay_library
from bench.provision.qemu import find_qemu
from bench.run.probe import pair_text, probe_colo
from bench.scenario.progress import Assets
from bench.scenario.registry import scenario_of
from bench.system.owner import scratch_folder
from bench.vm.features import known_events, probe_features
from bench.vm.preflight import machine_key, preflight
from bench.vm.spec import Second

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
    for host, link in dict.fromkeys((cell.host, cell.link) for cell in cells if cell.host.kind == "netns"):
        asyncio.run(_try_hosts(host, link))
    binaries = {name: find_qemu(name, say) for name in dict.fromkeys(name for cell in cells for name in cell.binaries)}
    kinds = {cell.guest for cell in cells}
    bare = build_bare(say) if "bare" in kinds else None
    guest = build_guest(say) if bare is None or "linux" in kinds else bare
    nodelay = nodelay_library(say) if any(cell.link.transport == "nodelay" for cell in cells) else None
    antagonist = antagonist_program(say) if any(cell.cache.kind != "none" for cell in cells) else None
    declared = hypotheses_sha256(settings.hypotheses)
    assets = {
        name: Assets(
            binary,
            guest,
            asyncio.run(probe_features(binary)),
            campaign,
            nodelay,
            settings.watched,
            declared,
            bare=bare,
            antagonist=antagonist,
        )
        for name, binary in binaries.items()
    }
    for cell in cells:
        known_events(cell.traced, _assets_of(cell, assets).side_features)
    accels = {
        key: _accelerator(cell, assets[cell.qemu], say) for key, cell in {_boots(cell): cell for cell in cells}.items()
    }
    resolved = tuple(cell.model_copy(update={"accel": accels[_boots(cell)]}) for cell in cells)
    assets = _require_machines(resolved, assets, say)
    pairs = [cell for cell in resolved if scenario_of(cell).under_colo]
    for cell in {(_boots(cell), cell.qemu_secondary, bool(cell.migration.multifd)): cell for cell in pairs}.values():
        for name in cell.binaries:
            _require_parts(assets[name])
        one = _assets_of(cell, assets)
        _require_colo(one.binary, one.guest_of(cell), cell.accel, say, one.second, cell.migration.multifd)
    return Prepared(resolved, assets)


async def _try_hosts(host: Host, link: Link) -> None:
    with scratch_folder("hosts") as folder:
        async with open_topology(host, link, folder):
            pass


def _boots(cell: Cell) -> tuple[str, str, str]:
    """Return what of a cell decides whether an accelerator runs it."""
    return cell.qemu, cell.guest, cell.accel


def _accelerator(cell: Cell, assets: Assets, say: Say) -> Literal["kvm", "tcg"]:
    if cell.accel == "tcg":
        return "tcg"
    guest = assets.guest_of(cell)
    if cached_kvm(assets.binary, guest) is None:
        say(f"trying KVM: the {cell.guest} guest must boot to its ready line")
    verdict = probe_kvm(assets.binary, guest)
    if verdict.ok:
        return "kvm"
    words = f"KVM does not run the {cell.guest} guest here: {verdict.reason}"
    if cell.accel == "kvm":
        other = ", or guest=bare, which asks less of a CPU" if cell.guest == "linux" else ""
        raise HostError(words, hint=f"use accel=auto or accel=tcg{other}", cause="kvm")
    say(f"emulation (TCG), because {words}")
    return "tcg"


def _require_machines(cells: Sequence[Cell], assets: Mapping[str, Assets], say: Say) -> dict[str, Assets]:
    """Have each distinct machine built once; return the assets with what QEMU warned of: an option it drops, say."""
    warnings: dict[str, dict[Hashable, tuple[str, ...]]] = {name: {} for name in assets}
    for cell in cells:
        one, known = assets[cell.qemu], warnings[cell.qemu]
        if machine_key(cell) not in known:
            known[machine_key(cell)] = asyncio.run(preflight(cell, one.binary, one.guest_of(cell), one.features))
    said = dict.fromkeys(line for known in warnings.values() for lines in known.values() for line in lines)
    if said:
        say(f"QEMU warned of {len(said)} thing{'s' * (len(said) > 1)}: under quality.notes of each run.json")
    return {name: replace(one, warnings=warnings[name]) for name, one in assets.items()}


def _require_parts(assets: Assets) -> None:
    missing = assets.features.missing
    if "block driver replication" in missing:
        words = f"{assets.binary.version} was built without {', '.join(missing)}"
        raise HostError(words, cause="replication-missing")


def _require_colo(
    binary: Binary, guest: Guest, accel: str, say: Say, second: Second | None = None, channels: int = 0
) -> None:
    verdict = probe_colo(binary, guest, accel, say, second, channels)
    if not verdict.ok:
        how = f"under {accel}" + (" with multifd" if channels else "")
        raise HostError(
            f"{pair_text(binary, second)} cannot do COLO here {how}: {verdict.reason}",
            cause=verdict.cause or "colo-probe",
        )
