"""The plan of a campaign: seeded randomised complete blocks, and the identity of every run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from bench.config.factors import identity, levels_left_out
from bench.config.hypotheses import Hypothesis  # noqa: TC001 - as above
from bench.config.model import Cell  # noqa: TC001 - as above
from bench.errors import ConfigError, StoreError
from bench.format.version import SCHEMA_VERSION, upgrade_document
from bench.guest.loading import KERNEL_ARGUMENTS
from bench.plan.label import labels
from bench.system.documents import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.provision.guest import Guest

_IDENTITY_VERSION = 1
"""Of what an id is made of, not of the files: a new stored format gives no run another id."""


@dataclass(frozen=True)
class QemuBuild:
    """A QEMU binary, by content."""

    version: str
    sha256: str
    source: str


@dataclass(frozen=True)
class GuestBuild:
    """The Linux guest's kernel and initramfs, by content; empty where no cell runs it."""

    kernel_version: str
    kernel_sha256: str
    initramfs_sha256: str


def guest_build(guest: Guest | None) -> GuestBuild:
    """Return the Linux guest as plans name it."""
    return GuestBuild(guest.kernel_version, guest.kernel_sha256, guest.initramfs_sha256) if guest else _NO_LINUX


_NO_LINUX = GuestBuild(kernel_version="", kernel_sha256="", initramfs_sha256="")


@dataclass(frozen=True)
class PlannedCell:
    """One cell of the campaign: a configuration, with its accelerator resolved."""

    cell_id: str
    label: str
    cell: Cell


@dataclass(frozen=True)
class PlannedRun:
    """One launch of one pair.

    Attributes:
        run_id: 12 hexadecimal digits of the hash of everything that defines it.
        campaign: the campaign it belongs to.
        cell_id: the configuration it measures.
        label: that configuration for a person.
        block: 0-based; every block holds every cell once.
        order: 0-based position in the campaign.
        attempt: 0-based; the plan holds 0, the loop counts on.
    """

    run_id: str
    campaign: str
    cell_id: str
    label: str
    block: int
    order: int
    attempt: int = 0


@dataclass(frozen=True)
class Rules:
    """By what a command goes on, stops and tries again: nothing of it is in an id, and all of it is to be disclosed.

    ``repeats`` is None for ``auto``, and then ``budget_s`` and ``max_blocks`` hold; ``on_error`` is as it is typed.
    """

    repeats: int | None
    budget_s: float
    max_blocks: int
    on_error: str


@dataclass(frozen=True)
class Plan:
    """Everything that a campaign will measure, and with what.

    ``qemu`` maps what the configuration calls a QEMU (``provisioned``, ``system``, a path) to the binary it was.
    ``looks`` says after how many blocks the verdicts were asked for, the same number again where runs of them were
    measured in between: who looks again and again finds more that is not there, and the analysis allows for it.
    ``until_known`` says that a look follows every block, from the first one on: then the first is no single look.
    ``rules`` holds those of each command that had others than the one before it.
    What a ``plan.json`` has to hold is read off here, type by type.
    """

    campaign: str
    command: str
    experiment: str | None
    seed: int
    repeats: int
    cells: tuple[PlannedCell, ...]
    runs: tuple[PlannedRun, ...]
    qemu: Mapping[str, QemuBuild]
    guest: GuestBuild
    nodelay_sha256: str | None
    hypotheses: tuple[Hypothesis, ...] = ()
    looks: tuple[Annotated[int, Field(ge=1)], ...] = ()
    until_known: bool = False
    bare_sha256: str | None = None
    apps_sha256: str | None = None
    rules: tuple[Rules, ...] = ()

    def cell(self, run: PlannedRun) -> Cell:
        """Return the configuration that a run measures."""
        return next(planned.cell for planned in self.cells if planned.cell_id == run.cell_id)


def digest(value: object, digits: int) -> str:
    """Return the first hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    return _hash(_canonical(value), digits)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def blocks(cells: int, repeats: int, seed: int) -> list[list[int]]:
    """Return ``repeats`` blocks, each a fresh permutation of ``range(cells)``, drawn from one seeded generator."""
    generator = np.random.default_rng(seed)
    return [[int(index) for index in generator.permutation(cells)] for _ in range(repeats)]


def make_plan(
    campaign: str,
    cells: Sequence[Cell],
    *,
    repeats: int,
    seed: int,
    qemu: Mapping[str, QemuBuild],
    guest: GuestBuild,
    nodelay_sha256: str | None = None,
    bare_sha256: str | None = None,
    apps_sha256: str | None = None,
    command: str = "",
    experiment: str | None = None,
    hypotheses: Sequence[Hypothesis] = (),
    rules: Sequence[Rules] = (),
) -> Plan:
    """Return the plan: the same input gives the same plan, run ids included.

    Raises:
        ConfigError: two cells are the same configuration.
    """
    planned = plan_cells(cells)
    identities = _Identities(seed, guest, nodelay_sha256, {"bare": bare_sha256, "apps": apps_sha256})
    run_ids = [identities.of_cell(one.cell, qemu) for one in planned]
    order = [(block, index) for block, row in enumerate(blocks(len(planned), repeats, seed)) for index in row]
    runs = tuple(
        PlannedRun(
            run_id=run_ids[index](block),
            campaign=campaign,
            cell_id=planned[index].cell_id,
            label=planned[index].label,
            block=block,
            order=position,
        )
        for position, (block, index) in enumerate(order)
    )
    return Plan(
        campaign,
        command,
        experiment,
        seed,
        repeats,
        planned,
        runs,
        dict(qemu),
        guest,
        nodelay_sha256,
        tuple(hypotheses),
        bare_sha256=bare_sha256,
        apps_sha256=apps_sha256,
        rules=tuple(rules),
    )


def plan_cells(cells: Sequence[Cell]) -> tuple[PlannedCell, ...]:
    """Return the cells with their ids and labels.

    Raises:
        ConfigError: two of them are the same configuration.
    """
    planned = tuple(
        PlannedCell(digest(identity(cell), 8), label, cell) for cell, label in zip(cells, labels(cells), strict=True)
    )
    seen: dict[str, int] = {}
    for position, one in enumerate(planned, start=1):
        if one.cell_id in seen:
            raise ConfigError(
                f"cells {seen[one.cell_id]} and {position} of the sweep are the same one: {one.label}",
                hint="name each value once; repeats=N measures every cell N times",
            )
        seen[one.cell_id] = position
    return planned


class _Identities:
    """Gives the runs of a plan their ids: the digests of all that defines them.

    A cell is written out once, not once for every block: that is most of a long plan's time.
    """

    def __init__(
        self, seed: int, guest: GuestBuild, nodelay_sha256: str | None, others: Mapping[str, str | None]
    ) -> None:
        self._shared = {"schema_version": _IDENTITY_VERSION, "seed": seed}
        linux = {
            "kernel_sha256": guest.kernel_sha256,
            "initramfs_sha256": guest.initramfs_sha256,
            "kernel_arguments": list(KERNEL_ARGUMENTS),
        }
        apps = {"apps_sha256": others["apps"], "kernel_arguments": list(KERNEL_ARGUMENTS)}
        bare = {"kernel_sha256": others["bare"]}
        self._guests: dict[str, dict[str, Any]] = {"linux": linux, "bare": bare, "apps": apps}
        self._nodelay_sha256 = nodelay_sha256

    def of_cell(self, cell: Cell, qemu: Mapping[str, QemuBuild]) -> Callable[[int], str]:
        """Return a function from a block to the id of this cell's run in it."""
        defining = self._shared | self._guests[cell.guest]
        defining |= {"cell": identity(cell), "qemu_sha256": qemu[cell.qemu].sha256}
        if cell.qemu_secondary:
            defining["qemu_secondary_sha256"] = qemu[cell.qemu_secondary].sha256
        if cell.link.transport == "nodelay":
            defining["nodelay_sha256"] = self._nodelay_sha256
        # "block" sorts before every other key.
        rest = _canonical(defining).removeprefix("{")
        return lambda block: _hash(f'{{"block":{block},{rest}', 12)


def extent(plan: Plan) -> str:
    """Return how large a plan is: ``8 cells x 2 blocks = 16 runs``."""
    held = len({run.block for run in plan.runs}) or plan.repeats  # of a plan of one block, that one
    counts = (len(plan.cells), "cell"), (held, "block"), (len(plan.runs), "run")
    cells, blocks_, runs = (f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)
    return f"{cells} x {blocks_} = {runs}"


def asks(hypotheses: Sequence[Hypothesis]) -> list[str]:
    """Return what is asked, for a person; one line for each hypothesis, none where nothing was declared."""
    return [f"asks: {one.id}: {one.claim.strip().removesuffix('.')}?" for one in hypotheses]


def declared(hypotheses: Sequence[Hypothesis]) -> list[dict[str, Any]]:
    """Return hypotheses as JSON."""
    return [one.model_dump(mode="json") for one in hypotheses]


def hypotheses_sha256(hypotheses: Sequence[Hypothesis]) -> str:
    """Return the hash by which the plan and every run say under which hypotheses they were made."""
    return digest(declared(hypotheses), 64)


def plan_json(plan: Plan) -> str:
    """Return the content of ``plan.json``."""
    tree = {
        "schema_version": SCHEMA_VERSION,
        "campaign": plan.campaign,
        "command": plan.command,
        "experiment": plan.experiment,
        "seed": plan.seed,
        "repeats": plan.repeats,
        **({"until_known": True} if plan.until_known else {}),
        **({"looks": list(plan.looks)} if plan.looks else {}),
        **({"rules": [asdict(one) for one in plan.rules]} if plan.rules else {}),
        "qemu": {name: asdict(build) for name, build in plan.qemu.items()},
        "guest": asdict(plan.guest),
        "nodelay_sha256": plan.nodelay_sha256,
        **({"bare_sha256": plan.bare_sha256} if plan.bare_sha256 else {}),
        **({"apps_sha256": plan.apps_sha256} if plan.apps_sha256 else {}),
        "hypotheses": declared(plan.hypotheses),
        "hypotheses_sha256": hypotheses_sha256(plan.hypotheses),
        "cells": [
            {"cell_id": one.cell_id, "label": one.label, "cell": one.cell.model_dump(mode="json")}
            | ({"at_default": out} if out else {})
            for one, out in zip(plan.cells, levels_left_out([one.cell for one in plan.cells]), strict=True)
        ],
        "runs": [
            {"order": run.order, "block": run.block, "run_id": run.run_id, "cell_id": run.cell_id, "label": run.label}
            for run in plan.runs
        ],
    }
    return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


_STORED = TypeAdapter(Plan)


def parse_plan(content: str | bytes, *, part: bool = False) -> Plan:
    """Return the plan that a ``plan.json`` holds; where ``part``, one of some of a campaign's runs.

    Raises:
        StoreError: the content is not a plan, or one of another schema.
    """
    try:
        tree = upgrade_document("plan", parse_json(content))
        runs = [{**run, "campaign": tree["campaign"]} for run in tree["runs"]]
        plan = _STORED.validate_python({**tree, "runs": runs})
        _require_whole(plan, part=part)
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"plan.json cannot be read: {_why(error)}",
            cause="plan-unreadable",
        ) from error
    return plan


def _require_whole(plan: Plan, *, part: bool) -> None:
    orders = [run.order for run in plan.runs]
    if orders != (sorted(set(orders)) if part else list(range(len(orders)))):
        raise ValueError("the runs are not in their order")
    if len({run.run_id for run in plan.runs}) != len(plan.runs):
        raise ValueError("two runs are the same one")
    if {run.cell_id for run in plan.runs} - {one.cell_id for one in plan.cells}:
        raise ValueError("a run is of no cell")


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
    return f"{type(error).__name__}: {error}"
