"""The model of a campaign: its design and the variation that its runs show, to simulate others like it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import linregress

from analysis import stats
from analysis.calibrate.simulate import Model
from analysis.errors import MORE_BLOCKS, NothingMeasuredError
from analysis.format.factors import flatten
from analysis.runs.counting import counts
from analysis.runs.outcomes import used_pauses
from analysis.runs.stalls import TCP
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.designs import designs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.stored.campaign import Campaign, Run

    Floats = NDArray[np.float64]

_FEWEST_RUNS, _FEWEST_CHECKPOINTS = 2, 10
_STEADIEST, _MOST_ALIKE, _RARE = 0.98, 0.99, 1e-7


def model_of(campaign: Campaign) -> Model:
    """Return the model of a campaign: its sizes, blocks and checkpoints, and the variation that its runs show.

    The sizes are those of the factor with most of them, at one combination of the other factors. Stalls of delayed
    acknowledgements are looked for over TCP, left out of the rest of the variation, and put back as what they are. One
    that every run of a cell has in every checkpoint varies nothing: it is part of that cell's pause. A run with a pause
    of 0, which has no logarithm, is left out. Blocks are those with runs that count, as hypotheses are judged from.

    Raises:
        NothingMeasuredError: no cell has two runs with ten checkpoints.
    """
    by_cell: dict[str, list[Run]] = {}
    sound = [run for run in campaign.runs if counts(run)]
    for run in sound:
        pauses = used_pauses(run)
        if len(pauses) >= _FEWEST_CHECKPOINTS and (pauses > 0).all():
            by_cell.setdefault(run.record.cell_id, []).append(run)
    usable = [runs for runs in by_cell.values() if len(runs) >= _FEWEST_RUNS]
    if not usable:
        raise NothingMeasuredError(
            f"{campaign.plan.campaign}: no cell has two runs of {_FEWEST_CHECKPOINTS} checkpoints, "
            "so nothing tells how they vary",
            fix=MORE_BLOCKS,
        )
    cells = [_cell(runs) for runs in usable]
    trends = [design for design in designs(runs[0] for runs in usable) if design.per == "per doubling"]
    sizes = max(trends, key=lambda design: len(design.x)).x if trends else (0.0, 1.0)
    lengths = [len(used_pauses(run)) for runs in usable for run in runs]
    like = Model(sizes=sizes, blocks=len({run.record.block for run in sound}))
    varying = [cell.rest for cell in cells if len(cell.free) >= _FEWEST_RUNS]
    return _with_stalls(
        replace(
            fitted(varying or [[used_pauses(run) for run in runs] for runs in usable], like),
            checkpoints=round(float(np.mean(lengths))),
            drift=_drift(usable),
            missing=_missing(campaign, like),
        ),
        cells,
    )


def fitted(cells: Sequence[Sequence[Floats]], like: Model) -> Model:
    """Return ``like`` with the deviations and the correlation that real runs showed.

    Args:
        cells: for each cell its runs, each a vector of pauses in seconds after the warm-up, in the order measured.
        like: what the other parameters are taken from.
    """
    logs = [[np.log(run) for run in runs] for runs in cells]
    rests = [log - log.mean() for own in logs for log in own]
    variance = float(np.mean([rest @ rest / (len(rest) - 1) for rest in rests]))
    lagged = float(np.mean([rest[1:] @ rest[:-1] / (len(rest) - 1) for rest in rests]))
    between = float(np.mean([np.var([np.median(log) for log in own], ddof=1) for own in logs]))
    model = replace(
        like,
        base_s=min(float(np.median([np.median(run) for run in runs])) for runs in cells),
        checkpoint_sd=float(np.sqrt(variance)),
        phi=float(np.clip(lagged / variance, 0.0, _MOST_ALIKE)) if variance > 0 else 0.0,
        run_sd=0.0,
        checkpoints=round(float(np.mean([len(rest) for rest in rests]))),
    )
    return replace(model, run_sd=float(np.sqrt(max(between - model.median_sd**2, 0.0))))


def _missing(campaign: Campaign, like: Model) -> float:
    """Return the share of runs that failed; 0 where campaigns that lost as many might have nothing left to compare."""
    share = len(campaign.failures) / (len(campaign.runs) + len(campaign.failures))
    sizes = len(like.sizes)
    useless = share**sizes + sizes * share ** (sizes - 1) * (1 - share)
    return share if useless**like.blocks < _RARE else 0.0


@dataclass(frozen=True)
class _Cell:
    """The pauses of a cell's runs but for those stuck with a stall in every checkpoint, and which of them stall."""

    free: tuple[Floats, ...]
    stalled: tuple[NDArray[np.bool_], ...]
    stuck: int

    @property
    def rest(self) -> list[Floats]:
        """Return the runs that are not stuck, without their single stalls."""
        return [one[~slow] for one, slow in zip(self.free, self.stalled, strict=True)]


def _cell(runs: Sequence[Run]) -> _Cell:
    pauses = tuple(used_pauses(run) for run in runs)
    if flatten(runs[0].record.cell).get("link.transport") not in TCP:
        return _Cell(pauses, tuple(np.zeros(len(one), dtype=np.bool_) for one in pauses), 0)
    levels = np.array([np.median(one) for one in pauses])
    free = tuple(one for one, stuck in zip(pauses, _in_band(levels - levels.min()), strict=True) if not stuck)
    return _Cell(free, tuple(_in_band(one - np.median(one)) for one in free), len(pauses) - len(free))


def _in_band(above: Floats) -> NDArray[np.bool_]:
    low, high = stats.DELAYED_ACK_S
    inside: NDArray[np.bool_] = (above > low) & (above < high)
    return inside


def _with_stalls(model: Model, cells: Sequence[_Cell]) -> Model:
    free = [one for cell in cells for one in cell.free]
    stalled = [one for cell in cells for one in cell.stalled]
    stuck, slow = sum(cell.stuck for cell in cells), sum(int(one.sum()) for one in stalled)
    model = replace(model, stuck_share=stuck / (stuck + len(free)))
    if not slow:
        return model
    extra_s = sum(float((one[slows] - np.median(one)).sum()) for one, slows in zip(free, stalled, strict=True))
    stays = sum(int((one[:-1] & one[1:]).sum()) for one in stalled)
    followed = sum(int(one[:-1].sum()) for one in stalled)
    return replace(
        model,
        slow_share=slow / sum(map(len, free)),
        slow_extra_s=extra_s / slow,
        slow_stay=min(stays / followed, _STEADIEST) if followed else 0.0,
    )


def _drift(cells: Sequence[Sequence[Run]]) -> float:
    """Return the change of the log pause over the campaign, a straight line in time; 0 where it may well be noise."""
    started = np.array([run.record.started_at for runs in cells for run in runs], dtype=np.float64)
    started -= started.min()
    logs = [np.log([np.median(used_pauses(run)) for run in runs]) for runs in cells]
    rest = np.concatenate([own - np.median(own) for own in logs])
    if np.ptp(started) == 0:
        return 0.0
    line = linregress(started, rest)
    return float(line.slope) * float(np.ptp(started)) if line.pvalue <= ALPHA else 0.0
