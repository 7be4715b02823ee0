"""``python -m analysis expect --earlier RESULTS < PLAN``: how small an effect a plan will see, by the noise so far.

The plan comes as JSON on standard input and the answer goes as JSON to standard output: who asks is a dry run.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from analysis.errors import AnalysisError, NothingMeasuredError, path_of
from analysis.format.factors import flatten
from analysis.format.scenarios import BASELINES
from analysis.planning.undecidable import asks, strata_of, undecidable
from analysis.process.words import Parser
from analysis.runs.counting import counts
from analysis.runs.outcomes import used_pauses
from analysis.stats.exact_power import smallest_slope
from analysis.stats.sequential import look_level
from analysis.stored.factors import effective
from analysis.stored.load import load_campaign
from analysis.stored.records import Hypothesis, Record
from analysis.verdicts.designs import deviation
from analysis.verdicts.looks import shared_among
from analysis.verdicts.trend import relative

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from analysis.format.factors import Level
    from analysis.planning.undecidable import Short
    from analysis.stored.campaign import Campaign, Run

_MOST_CAMPAIGNS = 3
"""Earlier campaigns that noise is taken from, the newest first: more would keep a person waiting."""

_PAUSES = {"pause", "pause_mean"}
"""Outcomes whose noise is looked at."""

_USAGE = 2


class Asked(Record):
    """What is planned.

    Attributes:
        cells: their configurations, or the factors of each by dotted path.
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
    parser = Parser(prog="python -m analysis expect", description=__doc__)
    parser.add_argument("--earlier", type=path_of, required=True, metavar="RESULTS", help="folder of earlier campaigns")
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
    found with 80 % power, None where the exact test of so many blocks can find none: of trends of the pause under this
    accelerator, as of nothing else the noise is known, that claim an effect. ``short`` are the hypotheses that the
    planned blocks cannot decide whatever they show, with how many ``blocks`` can, of a ``family`` of so many.
    """
    kinds = {_kind(flatten(cell)) for cell in asked.cells}
    names, found = [], []
    for campaign in _campaigns(earlier):
        runs = [run for run in campaign.runs if _alike(run, asked, kinds)]
        try:
            found.append(_noise(runs))
        except NothingMeasuredError:
            continue
        names.append(campaign.plan.campaign)
        if len(names) == _MOST_CAMPAIGNS:
            break
    short = [asdict(one) for one in _short(asked)]
    if not found:
        return {"campaigns": [], "sd": None, "sees": [], "short": short}
    df = sum(own for _, own in found)
    sd = math.sqrt(sum(own * sd**2 for sd, own in found) / df)
    return {"campaigns": names, "sd": sd, "sees": list(_sees(asked, sd)) if sd else [], "short": short}


def _short(asked: Asked) -> list[Short]:
    """Return what cannot be decided; with a look after every block there are as many as it takes."""
    cells = [flatten(cell) for cell in asked.cells]
    return [] if asked.every else undecidable(cells, asked.hypotheses, asked.accel, min(asked.blocks))


def _campaigns(results: Path) -> Iterator[Campaign]:
    plans = sorted(results.glob("*/plan.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in plans:
        try:
            yield load_campaign(path.parent)
        except (AnalysisError, OSError):
            continue


def _alike(run: Run, asked: Asked, kinds: set[tuple[Level, ...]]) -> bool:
    record = run.record
    same = all(record.host.before.get(name) == value for name, value in asked.machine.items())
    return same and counts(run) and record.accel == asked.accel and _kind(flatten(record.cell)) in kinds


def _kind(cell: Mapping[str, Level]) -> tuple[Level, ...]:
    """Return what makes noise another one: the transport, the guest, what happens in a run."""
    return cell.get("link.transport"), cell.get("guest") or "linux", cell.get("scenario") or "colo"


def _noise(runs: Sequence[Run]) -> tuple[float, int]:
    """Return the deviation of logs of mean pauses within cell and block, and its degrees of freedom.

    Raises:
        NothingMeasuredError: no cell has two runs.
    """
    means = [(run.record, float(used_pauses(run).mean())) for run in runs if len(used_pauses(run))]
    kept = [(record, mean) for record, mean in means if mean > 0]  # 0 has no logarithm
    if not kept:
        raise NothingMeasuredError("no run has a checkpoint")
    logs = [math.log(mean) for _, mean in kept]
    shown = deviation(logs, [record.cell_id for record, _ in kept], [record.block for record, _ in kept])
    return shown.sd, shown.df


def _sees(asked: Asked, sd: float) -> Iterator[dict[str, Any]]:
    cells = [flatten(cell) for cell in asked.cells]
    pairs = _equals(cells)
    tests = shared_among([(one.family, one.kind) for one in asked.hypotheses], len(cells))
    for one in asked.hypotheses:
        if one.kind != "trend" or one.outcome not in _PAUSES or not asks(one, asked.accel):
            continue
        if one.direction == "none":  # which no effect supports
            continue
        family = sum(other.family == one.family for other in asked.hypotheses)
        strata = [np.log2(sizes) for sizes in strata_of(cells, one, asked.accel)]
        for blocks in asked.blocks if strata else ():
            looks = range(1, blocks + 1) if asked.every else [blocks]
            alpha = look_level(looks, series=asked.every, tests=tests)
            # The level that Holm leaves an effect that is alone; of the first looks it is none at all.
            slope = smallest_slope(strata, sd, blocks, alpha=alpha / family, pairs=pairs) if alpha else math.inf
            smallest = relative(slope, falls=one.direction == "decreasing") if math.isfinite(slope) else None
            yield {"id": one.id, "blocks": blocks, "smallest": smallest}


def _equals(cells: Sequence[Mapping[str, Level]]) -> int:
    """Return how many pairs of cells are the same machine: an effect has to be told from what these differ by."""
    taking = (cell for cell in cells if cell.get("scenario") not in BASELINES)
    alike = Counter(repr(sorted(effective(cell).items())) for cell in taking)
    return sum(count // 2 for count in alike.values())
