"""A part: what one submission of one block writes, in a folder of its own that no other process writes to.

::

    parts/block-0002-submission-1/
      order.json       what its job is asked to do
      plan.json        the block's runs, out of the campaign's plan
      job.sh           what Slurm starts;  slurm-JOB.log: what it said
      begun-0/         a campaign's folder in small: ledger.jsonl, runs/, failed/; begun-1/ once the job was requeued
        begun.json     where and when;  ended.json: how it ended, when it could still say so

A job that Slurm starts again after its node has died never writes to what the first start may still be writing to.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.config.hypotheses import Hypothesis
from bench.config.model import Cell
from bench.errors import StoreError
from bench.format.version import SCHEMA_VERSION
from bench.system.documents import parse_json, read_document
from bench.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bench.plan.plan import Plan

PARTS = "parts"
ORDER, BEGUN, ENDED, SCRIPT = "order.json", "begun.json", "ended.json", "job.sh"
_START = re.compile(r"begun-(?P<number>[0-9]{1,6})", re.ASCII)


def part_name(block: int, number: int) -> str:
    """Return the name of a part's folder; block and submission are counted from 0, shown from 1."""
    return f"block-{block + 1:04}-submission-{number + 1}"


def parts_folder(campaign: Path, workdir: Path | None) -> str:
    """Return the folder that a campaign's parts are written to, from the campaign's on; absolute in a shared folder.

    There it is named by more than the campaign: other users, and other folders of results, may have one of that name.
    """
    if workdir is None:
        return PARTS
    whose = os.fsencode(f"{os.geteuid()} {os.uname().nodename} {campaign}")
    return os.fspath(workdir / f"{campaign.name}-{hashlib.sha256(whose).hexdigest()[:8]}" / PARTS)


@dataclass(frozen=True)
class Order:
    """What a job is asked to do: to measure the runs of the part's plan as the command asked for it.

    Attributes:
        campaign: its name.
        block: 0-based.
        number: of the submission, 0-based.
        command: that submitted it.
        results: the folder of campaigns, for messages alone.
        limit_s: after so many seconds Slurm ends it.
        nodes: how many it gets.
        on_error: ``continue``, ``stop``, ``retry:N``.
        watch: which side gets a screen.
        cells: the configurations as the command has them, accelerators resolved.
        hypotheses: what the campaign is to decide, as the command has it.
        known: lines of the campaign's ledger on earlier attempts at these runs.
    """

    campaign: str
    block: int
    number: int
    command: str
    results: str
    limit_s: float
    nodes: int
    on_error: str
    watch: str | None
    cells: tuple[Cell, ...]
    hypotheses: tuple[Hypothesis, ...]
    known: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the content of ``order.json``."""
        tree = {name: getattr(self, name) for name in self.__dataclass_fields__}
        tree |= {
            "schema_version": SCHEMA_VERSION,
            "cells": [one.model_dump(mode="json") for one in self.cells],
            "hypotheses": [one.model_dump(mode="json") for one in self.hypotheses],
        }
        return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"


def read_order(part: Path) -> Order:
    """Return what a part's job is asked to do.

    Raises:
        StoreError: it cannot be read.
    """
    path = part / ORDER
    try:
        tree: Any = parse_json(path.read_bytes())
        fields = {name: tree[name] for name in Order.__dataclass_fields__}
        fields["cells"] = tuple(Cell.model_validate(one) for one in tree["cells"])
        fields["hypotheses"] = tuple(Hypothesis.model_validate(one) for one in tree["hypotheses"])
        fields["known"] = tuple(map(str, tree["known"]))
        return Order(**fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} cannot be read: {error}", cause="store-failed", logs=(path,)) from error


@dataclass(frozen=True)
class Begun:
    """Where and when a start of a job began.

    Attributes:
        t: Unix seconds, by the node's clock.
        job: its id.
        nodes: in the order of Slurm's list.
        known: how many lines of its ledger were there before: those of earlier attempts.
    """

    t: float
    job: str
    nodes: tuple[str, ...]
    known: int = 0


@dataclass(frozen=True)
class Ended:
    """How a start of a job ended, by itself.

    Attributes:
        t: Unix seconds, by the node's clock.
        status: its exit status.
        whole: whether nothing of its block is left that it could have gone on with.
        message: what went wrong before the first run; empty when nothing did.
        cause: of that.
        transient: whether that may pass.
    """

    t: float
    status: int
    whole: bool
    message: str = ""
    cause: str = ""
    transient: bool = False


@dataclass(frozen=True)
class Start:
    """One start of a part's job: the folder that it alone writes to."""

    path: Path

    @property
    def begun(self) -> Begun | None:
        """Where and when it began; None when it has not said so."""
        tree = read_document(self.path / BEGUN)
        try:
            nodes = tuple(map(str, tree["nodes"])) if tree else ()
            return Begun(float(tree["t"]), str(tree["job"]), nodes, int(tree["known"])) if tree else None
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def ended(self) -> Ended | None:
        """How it ended; None while it runs, and for ever when it was killed."""
        tree = read_document(self.path / ENDED)
        try:
            return Ended(**{name: tree[name] for name in Ended.__dataclass_fields__}) if tree else None
        except (KeyError, TypeError):
            return None

    def write(self, what: Begun | Ended) -> None:
        """Put one of the two on record."""
        name = BEGUN if isinstance(what, Begun) else ENDED
        tree = {"schema_version": SCHEMA_VERSION, **asdict(what)}
        write_atomic(self.path / name, json.dumps(tree, ensure_ascii=False) + "\n")


def starts(part: Path) -> tuple[Start, ...]:
    """Return the starts of a part's job, in their order."""
    found = (
        (int(match["number"]), path)
        for path in (part.iterdir() if part.is_dir() else ())
        if (match := _START.fullmatch(path.name))
    )
    return tuple(Start(path) for _, path in sorted(found))


def new_start(part: Path) -> Start:
    """Make the folder of one more start; no two processes ever get the same."""
    number = len(starts(part))
    while True:
        path = part / f"begun-{number}"
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            return Start(path)


def block_of(plan: Plan, block: int, left: Iterable[str]) -> Plan:
    """Return the plan of one block, as far as it is left to be measured; places in the campaign stay what they are."""
    wanted = frozenset(left)
    runs = tuple(run for run in plan.runs if run.block == block and run.run_id in wanted)
    cells = {run.cell_id for run in runs}
    return replace(plan, runs=runs, cells=tuple(one for one in plan.cells if one.cell_id in cells))
