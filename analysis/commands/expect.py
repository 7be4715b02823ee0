"""``python -m analysis expect --earlier RESULTS < PLAN``: how small an effect a plan will see, by the noise so far.

The plan comes as JSON on standard input and the answer goes as JSON to standard output: who asks is a dry run.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from analysis import stats
from analysis.errors import AnalysisError, NothingMeasuredError
from analysis.format.factors import ALONE, flatten
from analysis.runs.outcomes import used_pauses
from analysis.stats.sequential import look_level
from analysis.stored.load import load_campaign
from analysis.stored.records import Hypothesis, Record
from analysis.verdicts.designs import deviation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analysis.format.factors import Level
    from analysis.stored.load import Campaign, Run

_MOST_CAMPAIGNS = 3
"""Earlier campaigns that noise is taken from, the newest first: more would keep a person waiting."""

_PAUSES = {"pause", "pause_mean"}
"""Outcomes whose noise is looked at."""

_USAGE = 2


class Asked(Record):
    """What is planned.

    Attributes:
        cells: their configurations.
        hypotheses: as the plan declares them.
        accel: how the pairs will run: noise is taken from pairs that ran so.
        machine: of ``host.before`` in ``run.json``: what tells machines apart.
        blocks: after how many of them it is asked what will be seen.
        every: whether each block is looked at.
    """

    cells: tuple[dict[str, Any], ...]
    hypotheses: tuple[Hypothesis, ...]
    accel: str
    machine: dict[str, Any]
    blocks: tuple[int, ...]
    every: bool = False


def main(arguments: Sequence[str]) -> int:
    """Return 0 with the answer printed, 2 when the plan cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m analysis expect", description=__doc__)
    parser.add_argument("--earlier", type=Path, required=True, metavar="RESULTS", help="folder of earlier campaigns")
    options = parser.parse_args(arguments)
    try:
        asked = Asked.model_validate_json(sys.stdin.buffer.read())
    except ValidationError as error:
        sys.stderr.write(f"colo-bench: the plan cannot be read: {error.errors(include_url=False)[0]['msg']}\n")
        return _USAGE
    sys.stdout.write(json.dumps(expected(asked, options.earlier)) + "\n")
    return 0


def expected(asked: Asked, earlier: Path) -> dict[str, Any]:
    """Return ``campaigns`` whose noise is known, its ``sd`` (of logs, None without any), and what each trend ``sees``.

    Each of ``sees`` has an ``id``, a number of ``blocks`` and the ``smallest`` relative effect per doubling that is
    found with 80 % power: of trends of the pause under this accelerator, as of nothing else the noise is known.
    """
    transports = {flatten(cell).get("link.transport") for cell in asked.cells}
    names, found = [], []
    for campaign in _campaigns(earlier):
        runs = [run for run in campaign.runs if _alike(run, asked, transports)]
        try:
            found.append(_noise(runs))
        except NothingMeasuredError:
            continue
        names.append(campaign.plan.campaign)
        if len(names) == _MOST_CAMPAIGNS:
            break
    if not found:
        return {"campaigns": [], "sd": None, "sees": []}
    df = sum(own for _, own in found)
    sd = math.sqrt(sum(own * sd**2 for sd, own in found) / df)
    return {"campaigns": names, "sd": sd, "sees": list(_sees(asked, sd)) if sd else []}


def _campaigns(results: Path) -> Iterator[Campaign]:
    plans = sorted(results.glob("*/plan.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in plans:
        try:
            yield load_campaign(path.parent)
        except (AnalysisError, OSError):
            continue


def _alike(run: Run, asked: Asked, transports: set[Level]) -> bool:
    record = run.record
    same = all(record.host.before.get(name) == value for name, value in asked.machine.items())
    return same and record.accel == asked.accel and flatten(record.cell).get("link.transport") in transports


def _noise(runs: Sequence[Run]) -> tuple[float, int]:
    """Return the deviation of logs of mean pauses within cell and block, and its degrees of freedom.

    Raises:
        NothingMeasuredError: no cell has two runs.
    """
    logs = [math.log(float(used_pauses(run).mean())) for run in runs if len(used_pauses(run))]
    if not logs:
        raise NothingMeasuredError("no run has a checkpoint")
    kept = [run.record for run in runs if len(used_pauses(run))]
    shown = deviation(logs, [one.cell_id for one in kept], [one.block for one in kept])
    return shown.sd, shown.df


def _sees(asked: Asked, sd: float) -> Iterator[dict[str, Any]]:
    cells = [flatten(cell) for cell in asked.cells]
    for one in asked.hypotheses:
        if one.kind != "trend" or one.outcome not in _PAUSES or not _asks(one, asked.accel):
            continue
        family = sum(other.family == one.family for other in asked.hypotheses)
        sizes, combinations = _design(cells, one, asked.accel)
        for blocks in asked.blocks:
            alpha = look_level(range(1, blocks + 1), series=True) if asked.every else look_level([blocks])
            if not alpha or not combinations or blocks * combinations * len(sizes) <= len(sizes):
                continue
            seen = stats.detectable_effect(
                sd,
                blocks * combinations,
                np.log2(sizes),
                alpha=alpha / family,  # as Holm leaves an effect that is alone
                efficiency=stats.rank_efficiency(len(sizes), blocked=True),
            )
            yield {"id": one.id, "blocks": blocks, "smallest": math.expm1(seen.estimate)}


def _asks(one: Hypothesis, accel: str) -> bool:
    """Tell whether a hypothesis asks of pairs under this accelerator, by its name or for want of one."""
    return accel in one.where.get("accel", (accel,))


def _design(cells: Sequence[Mapping[str, Level]], one: Hypothesis, accel: str) -> tuple[list[float], int]:
    """Return the sizes that a trend is over, and at how many combinations of the other factors they are compared."""
    strata: dict[str, set[float]] = {}
    for cell in cells:
        if cell.get("scenario") == ALONE or cell.get("accel", accel) != accel:
            continue
        size = cell.get(str(one.factor))
        if isinstance(size, int | float) and all(cell.get(path) in levels for path, levels in one.where.items()):
            rest = repr(sorted((path, repr(level)) for path, level in cell.items() if path != one.factor))
            strata.setdefault(rest, set()).add(float(size))
    comparing = [sizes for sizes in strata.values() if len(sizes) > 1]
    most: set[float] = max(comparing, key=len, default=set())
    return sorted(most), len(comparing)
