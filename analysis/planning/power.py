"""Where the variation of a campaign comes from, and what its design can see with it.

Variation is split between runs and within them by Kalibera & Jones (ISMM 2013, corrected formula), on the log of the
pause and in milliseconds. What a run costs, and what a checkpoint costs, come from the stages that ``run.json``
records: the measuring stage is paid per checkpoint, every other stage and the warm-up once per run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.errors import MORE_BLOCKS, NothingMeasuredError
from analysis.format.factors import flatten
from analysis.format.scenarios import BASELINES
from analysis.runs.counting import counts, left_out_text
from analysis.runs.outcomes import used_pauses
from analysis.runs.stalls import always_note
from analysis.stored.records import under_text
from analysis.text import plural
from analysis.verdicts.declared import declared
from analysis.verdicts.designs import Deviation, Reach, designs, deviation, reach
from analysis.verdicts.promises import promises

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from analysis.stored.campaign import Campaign, Run
    from analysis.verdicts.promises import Promise

    Floats = NDArray[np.float64]

_FEWEST_RUNS = 2
_FEWEST_CHECKPOINTS = 4
_BATCHES = 10


@dataclass(frozen=True)
class Costs:
    """Seconds that a run costs whatever its length, that one more checkpoint costs, and of a whole run as measured."""

    launch_s: float
    checkpoint_s: float
    run_s: float


@dataclass(frozen=True)
class CellPower:
    """Where one cell's variation comes from. Deviations ``*_log`` are of the log pause: 0.05 is about 5 %.

    Attributes:
        runs: that count; ``checkpoints``: of the shortest of them, after the warm-up.
        run_sd_log: between runs, beyond what their checkpoints explain; ``run_sd_s``: the same in seconds.
        checkpoint_sd_log: of checkpoints within a run; ``checkpoint_sd_s``: in seconds.
        icc: share of the variation that lies between runs, of logs.
        clipped: whether runs differ less than their checkpoints explain, so that the estimate is taken as 0.
        lag1: mean correlation of a checkpoint with the one before.
        long_run_sd_log: deviation that checkpoints give a run's median, times the root of their number: autocorrelation
            included. NaN for runs too short to tell.
        median_sd_log: observed, of the logs of run medians.
        cv: coefficient of variation of the run medians.
        costs: measured.
        best_checkpoints: per run, for the most precision in the time; None when runs show no variation of their own,
            or are too short to tell.
        note: why not.
    """

    cell: str
    runs: int
    checkpoints: int
    run_sd_log: float
    run_sd_s: float
    checkpoint_sd_log: float
    checkpoint_sd_s: float
    icc: float
    clipped: bool
    lag1: float
    long_run_sd_log: float
    median_sd_log: float
    cv: float
    costs: Costs
    best_checkpoints: int | None
    note: str


@dataclass(frozen=True)
class Power:
    """Variation per cell and over all of them, and what the design can see.

    Attributes:
        under: what the pairs ran under, in words: which KVM, too.
        blocks: at present, those that hold runs that count.
        overall: deviation of the logs of run medians within cell and block, pooled over all cells: a description.
            What a design can see follows from the runs of its own cells alone.
        block_s: seconds that one block takes.
        reaches: of every factor that varies, by itself; ``promises``: of the declared hypotheses, as they are judged.
    """

    campaign: str
    accel: tuple[str, ...]
    under: str
    effect: float
    blocks: int
    overall: Deviation
    block_s: float
    launch_s: float
    checkpoint_s: float
    best_checkpoints: int | None
    cells: tuple[CellPower, ...]
    reaches: tuple[Reach, ...]
    notes: tuple[str, ...]
    promises: tuple[Promise, ...] = ()


def power(campaign: Campaign, *, effect: float = 0.05) -> Power:
    """Return what a campaign's variation and costs allow to see.

    Args:
        campaign: one, or several of one plan joined.
        effect: the relative effect that should be seen, 0.05 for 5 %.

    Raises:
        NothingMeasuredError: no cell has two runs that count, so that nothing is known of how runs differ.
    """
    by_cell: dict[str, list[Run]] = {}
    for run in campaign.runs:
        if counts(run) and (used_pauses(run) > 0).all():
            by_cell.setdefault(run.record.cell_id, []).append(run)
    planned = [cell.cell_id for cell in campaign.plan.cells] or list(by_cell)
    baselines = {cell.cell_id for cell in campaign.plan.cells if flatten(cell.cell).get("scenario") in BASELINES}
    taking = [cell_id for cell_id in planned if cell_id not in baselines]
    order = [cell_id for cell_id in taking if len(by_cell.get(cell_id, ())) >= _FEWEST_RUNS]
    if not order:
        raise NothingMeasuredError(
            f"{campaign.plan.campaign}: no cell has two runs that count, so nothing tells how runs differ",
            fix=MORE_BLOCKS,
        )
    cells = tuple(cell_power(by_cell[cell_id]) for cell_id in order)
    blocks = len({run.record.block for runs in by_cell.values() for run in runs})
    known = {cell_id: run_costs(runs) for cell_id, runs in by_cell.items()}
    lasted = {cell_id: costs.run_s for cell_id, costs in known.items()} | _lasted(campaign.without)
    mean_run_s = float(np.mean(list(lasted.values())))
    block_s = sum(lasted.get(cell_id, mean_run_s) for cell_id in planned)
    asked = [
        (design, pooled(run for cell_id in design.cells for run in by_cell[cell_id]))
        for design in designs(by_cell[cell_id][0] for cell_id in order)
    ]
    alike = [design.question for design, own in asked if own.sd == 0]
    hypotheses = declared(campaign)
    promised = tuple(promises(campaign, hypotheses, effect))
    unplanned = [one.id for one in hypotheses if one.id not in {each.hypothesis for each in promised}]
    return Power(
        campaign=campaign.plan.campaign,
        accel=tuple(sorted({run.record.accel for run in campaign.runs})),
        under=under_text(run.record for run in campaign.runs),
        effect=effect,
        blocks=blocks,
        overall=pooled(run for cell_id in order for run in by_cell[cell_id]),
        block_s=block_s,
        launch_s=float(np.mean([costs.launch_s for costs in known.values()])),
        checkpoint_s=float(np.mean([costs.checkpoint_s for costs in known.values()])),
        best_checkpoints=_best_overall(cells),
        cells=cells,
        reaches=tuple(reach(design, own, blocks, effect, block_s) for design, own in asked if own.sd > 0),
        notes=tuple(_notes(campaign, cells, len(taking) - len(order), alike, unplanned)),
        promises=promised,
    )


def _lasted(runs: Iterable[Run]) -> dict[str, float]:
    """Return how many seconds a run of each cell took, on average."""
    spans: dict[str, list[float]] = {}
    for run in runs:
        spans.setdefault(run.record.cell_id, []).append(run.record.finished_at - run.record.started_at)
    return {cell_id: float(np.mean(own)) for cell_id, own in spans.items()}


def cell_power(runs: Sequence[Run]) -> CellPower:
    """Return where the variation of one cell's runs, two or more, comes from."""
    pauses = [used_pauses(run) for run in runs]
    shortest = min(len(one) for one in pauses)
    medians = np.array([np.median(one) for one in pauses])
    costs = run_costs(runs)
    logs = [np.log(one) for one in pauses]
    best, long_run, note = _best(logs, costs)
    log_run = log_checkpoint = s_run = s_checkpoint = icc = math.nan
    clipped = False
    if shortest > 1:
        of_logs = stats.variance_components(np.array([one[:shortest] for one in logs]))
        of_times = stats.variance_components(np.array([one[:shortest] for one in pauses]))
        log_run, log_checkpoint = math.sqrt(of_logs.run_variance), math.sqrt(of_logs.checkpoint_variance)
        s_run, s_checkpoint = math.sqrt(of_times.run_variance), math.sqrt(of_times.checkpoint_variance)
        icc, clipped = of_logs.icc, of_logs.clipped
    return CellPower(
        cell=runs[0].record.label,
        runs=len(runs),
        checkpoints=shortest,
        run_sd_log=log_run,
        run_sd_s=s_run,
        checkpoint_sd_log=log_checkpoint,
        checkpoint_sd_s=s_checkpoint,
        icc=icc,
        clipped=clipped,
        lag1=_lag1(pauses),
        long_run_sd_log=math.sqrt(long_run),
        median_sd_log=float(np.log(medians).std(ddof=1)),
        cv=float(medians.std(ddof=1) / medians.mean()),
        costs=costs,
        best_checkpoints=best,
        note=note,
    )


def run_costs(runs: Sequence[Run]) -> Costs:
    """Return what the runs of a cell cost; where stages were not timed, the times of checkpoints themselves tell."""
    launches, checkpoints, wholes = zip(*(_costs(run) for run in runs), strict=True)
    return Costs(*(float(np.mean(part)) for part in (launches, checkpoints, wholes)))


def _costs(run: Run) -> tuple[float, float, float]:
    record, kept = run.record, len(used_pauses(run))
    whole = record.finished_at - record.started_at
    warmup = int(flatten(record.cell).get("checkpoint.warmup") or 0)
    measuring = record.timings.get("measure_s", math.nan)
    if measuring > 0:
        each = measuring / (kept + warmup)
    else:
        asked = run.rows["t_request"]
        each = float(np.median(np.diff(asked))) if len(asked) > 1 else whole / (kept + warmup)
    return max(whole - kept * each, 0.0), each, whole


def _best(logs: Sequence[Floats], costs: Costs) -> tuple[int | None, float, str]:
    """Return the best number of checkpoints per run, the long-run variance within runs, and why there is no number."""
    shortest = min(len(one) for one in logs)
    batches = min(_BATCHES, shortest // 2)
    if shortest < _FEWEST_CHECKPOINTS:
        return None, math.nan, "runs are too short to tell"
    timed = costs.launch_s > 0 and costs.checkpoint_s > 0
    launch_s, checkpoint_s = (costs.launch_s, costs.checkpoint_s) if timed else (1.0, 1.0)
    found = stats.optimal_repetitions(logs, run_cost=launch_s, checkpoint_cost=checkpoint_s, batches=batches)
    if not timed:
        return None, found.long_run_variance, "what a run and a checkpoint cost was not recorded"
    return found.checkpoints, found.long_run_variance, found.note


def _lag1(pauses: Sequence[Floats]) -> float:
    found = [
        stats.autocorrelation(one, lags=1)[0] for one in pauses if len(one) >= _FEWEST_CHECKPOINTS and np.ptp(one) > 0
    ]
    return float(np.mean(found)) if found else math.nan


def pooled(runs: Iterable[Run]) -> Deviation:
    """Return the deviation of the logs of run medians within cells, blocks taken out.

    Raises:
        NothingMeasuredError: no cell has two runs.
    """
    every = list(runs)
    logs = np.log([float(np.median(used_pauses(run))) for run in every])
    return deviation(logs, [run.record.cell_id for run in every], [run.record.block for run in every])


def _best_overall(cells: Sequence[CellPower]) -> int | None:
    """Return the best number for one length of all runs: variances and costs averaged over cells before the formula."""
    known = [cell for cell in cells if math.isfinite(cell.long_run_sd_log)]
    if not known:
        return None
    within = float(np.mean([cell.long_run_sd_log**2 for cell in known]))
    between = float(np.mean([cell.median_sd_log**2 - cell.long_run_sd_log**2 / cell.checkpoints for cell in known]))
    price = float(np.mean([c.costs.launch_s for c in known]) / np.mean([c.costs.checkpoint_s for c in known]))
    return max(round(math.sqrt(price * within / between)), 1) if between > 0 and price > 0 else None


def _notes(
    campaign: Campaign, cells: Sequence[CellPower], left_out: int, alike: Sequence[str], unplanned: Sequence[str]
) -> list[str]:
    notes = [f"{cell.cell}: no best N, {cell.note}" for cell in cells if cell.note]
    if unplanned:
        notes.append(
            f"not planned: {', '.join(unplanned)}: a range is judged by the sign test of each cell's runs, and of what "
            "cannot be compared, or does not differ, no number of blocks is told"
        )
    if left_out:
        notes.append(f"{plural(left_out, 'cell')} of the plan with fewer than two runs that count left out")
    excluded = [run.record.quality.ok for run in campaign.runs if not counts(run)]
    if excluded:
        notes.append(f"{plural(len(excluded), 'run')} {left_out_text(len(excluded), alone=any(excluded))}")
    if lost := len(campaign.lost):
        notes.append(
            f"{plural(lost, 'run')} failed or cannot be read: planned as if none did, which verdicts rank worst"
        )
    zeros = sum(counts(run) and not (used_pauses(run) > 0).all() for run in campaign.runs)
    if zeros:
        notes.append(f"{plural(zeros, 'run')} with a pause of 0 left out, of which no ratio can be told")
    clipped = sum(cell.clipped for cell in cells)
    if clipped:
        notes.append(f"in {plural(clipped, 'cell')} runs differ less than their checkpoints explain: taken as 0")
    notes += [
        f"{question}: run medians do not differ at all: no effect is too small to see, or the data is no measurement"
        for question in alike
    ]
    stalled = always_note(campaign.runs)
    notes += [stalled] if stalled else []
    return notes
