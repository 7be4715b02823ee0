"""What a campaign is measured with, by its content, and the plan that it follows, agreed with the stored one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench.plan.binaries import binary_names, rename_cells, rename_hypotheses
from bench.plan.plan import QemuBuild, Rules, guest_build, hypotheses_sha256, make_plan
from bench.provision.cache import file_sha256
from bench.run.folder import agree_on_plan, stored_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from bench.config.load import Settings
    from bench.config.model import Cell
    from bench.plan.plan import Plan
    from bench.run.prepare import Prepared
    from bench.run.tools import Prepare
    from bench.scenario.progress import Assets

HYPOTHESES_CHANGED = (
    "the hypotheses are not those that this campaign was started with, which stand; "
    "whatever is measured from here on is on record as measured under others, and its verdicts are exploratory"
)


def declared(settings: Settings, folder: Path) -> Settings:
    """Return the settings with what the campaign was started with: it stands where nobody asked for others."""
    stored = stored_plan(folder) if settings.by_size else None
    return settings.model_copy(update={"hypotheses": stored.hypotheses}) if stored else settings


def agreed(
    settings: Settings, cells: Sequence[Cell], folder: Path, command: str, prepare: Prepare, console: Console
) -> tuple[Settings, Prepared, Plan]:
    """Have prepared what a campaign runs with; return all of it by its content, and the plan to follow."""
    stored = stored_plan(folder)
    prepared = prepare(settings, cells, folder.name, lambda text: console.print(text, soft_wrap=True))
    settings, prepared = by_content(settings, prepared, stored.qemu if stored else {})
    plan = agree_on_plan(folder, campaign_plan(settings, prepared, folder.name, command))
    if plan.hypotheses != settings.hypotheses:
        console.print(HYPOTHESES_CHANGED, soft_wrap=True)
    return settings, prepared, plan


def by_content(settings: Settings, prepared: Prepared, known: Mapping[str, QemuBuild]) -> tuple[Settings, Prepared]:
    """Return both with every binary called by what it is instead of by its path."""
    names = binary_names({name: _build(assets) for name, assets in prepared.assets.items()}, known)
    hypotheses = rename_hypotheses(settings.hypotheses, names)
    declared = hypotheses_sha256(hypotheses)
    assets = {names[name]: replace(one, hypotheses_sha256=declared) for name, one in prepared.assets.items()}
    return (
        settings.model_copy(update={"hypotheses": hypotheses}),
        replace(prepared, cells=rename_cells(prepared.cells, names), assets=assets),
    )


def _build(assets: Assets) -> QemuBuild:
    return QemuBuild(assets.binary.version, assets.binary.sha256, assets.binary.source)


def campaign_plan(settings: Settings, prepared: Prepared, name: str, command: str) -> Plan:
    """Return the plan of what was asked for, with what it is measured with."""
    first = next(iter(prepared.assets.values()))
    return make_plan(
        name,
        prepared.cells,
        repeats=settings.blocks,
        seed=settings.seed,
        qemu={name: _build(assets) for name, assets in prepared.assets.items()},
        guest=guest_build(first.guest if first.guest.kind == "linux" else None),
        bare_sha256=first.bare.kernel_sha256 if first.bare else None,
        apps_sha256=first.apps.guest.digest if first.apps else None,
        nodelay_sha256=file_sha256(first.nodelay) if first.nodelay else None,
        command=command,
        experiment=settings.experiment,
        hypotheses=settings.hypotheses,
        rules=(Rules(settings.repeats, settings.budget, settings.max_blocks, settings.on_error.typed),),
    )
