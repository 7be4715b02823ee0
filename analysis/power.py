"""``python -m analysis power CAMPAIGN...``: what a design can see, and what it would take to see more.

Variation is split between runs and within them by Kalibera & Jones (ISMM 2013, corrected formula), on the log of the
pause and in milliseconds. What a run costs, and what a checkpoint costs, come from the stages that ``run.json``
records: the measuring stage is paid per checkpoint, every other stage and the warm-up once per run.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

from analysis import stats
from analysis.errors import NothingMeasuredError
from analysis.factors import factor_text, flatten, level_text
from analysis.outcomes import used_pauses
from analysis.study import load_study
from analysis.terminal import console, print_table, reported, share
from analysis.text import MISSING, accel_text, ms_text, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from rich.console import Console

    from analysis.factors import Level
    from analysis.load import Campaign, Run

    Floats = NDArray[np.float64]

POWER, ALPHA, ASSURANCE = 0.80, 0.05, 0.80
CONFIDENCE = 1 - 2 * ALPHA
_FEWEST_RUNS = 2
_FEWEST_CHECKPOINTS = 4
_BATCHES = 10
_MOST_BLOCKS = 10_000
_MANY_BLOCKS = 1_000
_NO_VARIANCE = 1e-18
_RANK_SUM_EFFICIENCY = 3 / math.pi
_CELL_HEADINGS = (
    "cell",
    "R",
    "N",
    "between",
    "within",
    "ICC",
    "lag 1",
    "long-run",
    "CV",
    "launch",
    "checkpoint",
    "best N",
)
_NOT_SIZES = {"checkpoint.count", "checkpoint.warmup", "checkpoint.interval", "link.loss_percent"}


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
class Reach:
    """What the design sees of one question, and the blocks that it would take to see the effect asked for.

    Attributes:
        question: such as ``RAM, 256 MiB to 4 GiB, at one combination of the others``.
        per: ``per doubling``, or ``of the base``.
        blocks: at present.
        smallest: relative effect found with 80 % power at a one-sided 5 %.
        blocks_to_see: in all, for the effect asked for at that power; None when beyond reason.
        blocks_to_decide: in all, for an interval narrower than the effect, which then cannot hold both it and none.
        more_s: seconds of measuring for the larger of the two, beyond the blocks there are; NaN where there is none.
    """

    question: str
    per: str
    blocks: int
    smallest: float
    blocks_to_see: int | None
    blocks_to_decide: int | None
    more_s: float


@dataclass(frozen=True)
class Power:
    """Variation per cell and over all of them, and what the design can see.

    Attributes:
        sd_log: deviation of the logs of run medians within cells, blocks taken out, pooled; ``df``: of it.
        sd_upper: its upper 80 % bound, which plans are made with.
        block_s: seconds that one block takes.
    """

    campaign: str
    accel: tuple[str, ...]
    effect: float
    blocks: int
    sd_log: float
    sd_upper: float
    df: int
    block_s: float
    launch_s: float
    checkpoint_s: float
    best_checkpoints: int | None
    cells: tuple[CellPower, ...]
    reaches: tuple[Reach, ...]
    notes: tuple[str, ...]


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
        if run.record.quality.ok:
            by_cell.setdefault(run.record.cell_id, []).append(run)
    planned = [cell.cell_id for cell in campaign.plan.cells] or list(by_cell)
    order = [cell_id for cell_id in planned if len(by_cell.get(cell_id, ())) >= _FEWEST_RUNS]
    if not order:
        raise NothingMeasuredError(f"{campaign.plan.campaign}: no cell has two runs, so nothing tells how runs differ")
    cells = tuple(cell_power(by_cell[cell_id]) for cell_id in order)
    blocks = len({run.record.block for run in campaign.runs})
    sd, df = pooled_sd([run for cell_id in order for run in by_cell[cell_id]])
    upper = sd * math.sqrt(df / float(chi2.ppf(1 - ASSURANCE, df)))
    known = {cell_id: run_costs(runs) for cell_id, runs in by_cell.items()}
    mean_run_s = float(np.mean([costs.run_s for costs in known.values()]))
    block_s = sum(known[cell_id].run_s if cell_id in known else mean_run_s for cell_id in planned)
    asked = designs(by_cell[cell_id][0] for cell_id in order)
    return Power(
        campaign=campaign.plan.campaign,
        accel=tuple(sorted({run.record.accel for run in campaign.runs})),
        effect=effect,
        blocks=blocks,
        sd_log=sd,
        sd_upper=upper,
        df=df,
        block_s=block_s,
        launch_s=float(np.mean([costs.launch_s for costs in known.values()])),
        checkpoint_s=float(np.mean([costs.checkpoint_s for costs in known.values()])),
        best_checkpoints=_best_overall(cells),
        cells=cells,
        reaches=tuple(reach(design, sd, upper, df, blocks, effect, block_s) for design in asked) if sd > 0 else (),
        notes=tuple(_notes(campaign, cells, len(planned) - len(order), sd)),
    )


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
        asked = run.checkpoints["t_request"].to_numpy()
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
        stats.autocorrelation(one, lags=1).values[0]
        for one in pauses
        if len(one) >= _FEWEST_CHECKPOINTS and np.ptp(one) > 0
    ]
    return float(np.mean(found)) if found else math.nan


def pooled_sd(runs: Sequence[Run]) -> tuple[float, int]:
    """Return the deviation of the logs of run medians within cells, blocks taken out, and its degrees of freedom.

    Least squares of cell plus block; cell alone where that leaves no degree of freedom.
    """
    logs = np.log([float(np.median(used_pauses(run))) for run in runs])
    cells = np.unique([run.record.cell_id for run in runs], return_inverse=True)[1]
    blocks = np.unique([run.record.block for run in runs], return_inverse=True)[1]
    indicators = np.eye(cells.max() + 1)[cells], np.eye(blocks.max() + 1)[blocks]
    for design in (np.hstack(indicators), indicators[0]):
        _, _, rank, _ = np.linalg.lstsq(design, logs, rcond=None)
        df = len(logs) - int(rank)
        if df > 0:
            rest = logs - design @ np.linalg.lstsq(design, logs, rcond=None)[0]
            variance = float(rest @ rest) / df
            return (math.sqrt(variance) if variance > _NO_VARIANCE else 0.0), df
    raise NothingMeasuredError("no cell has two runs, so nothing tells how runs differ")


@dataclass(frozen=True)
class Design:
    """A question: levels on the scale of its effect, how many combinations of other factors answer it, and by what."""

    question: str
    per: str
    x: tuple[float, ...]
    combinations: int
    efficiency: float


def designs(runs: Iterable[Run]) -> list[Design]:
    """Return the trends over every size with two or more levels, and the comparison of two cells; one run per cell."""
    cells = [flatten(run.record.cell) for run in runs]
    found = []
    for path in dict.fromkeys(path for cell in cells for path in cell):
        if path not in _NOT_SIZES and all(_is_size(cell[path]) for cell in cells if path in cell):
            found += _trends(path, [cell for cell in cells if path in cell])
    return [*found, Design("two cells", "of the base", (0.0, 1.0), 1, _RANK_SUM_EFFICIENCY)]


def _is_size(level: Level) -> bool:
    return isinstance(level, int | float) and not isinstance(level, bool) and level > 0


def _trends(path: str, cells: Sequence[Mapping[str, Level]]) -> list[Design]:
    """Return the trend over one factor at one combination of the others, and over all that have two sizes or more."""
    strata: dict[tuple[tuple[str, str], ...], set[float]] = {}
    for cell in cells:
        others = tuple(sorted((other, repr(level)) for other, level in cell.items() if other != path))
        strata.setdefault(others, set()).add(float(cell[path] or 0))
    comparing = [sizes for sizes in strata.values() if len(sizes) > 1]
    if not comparing:
        return []
    sizes = max((sorted(levels) for levels in comparing), key=len)
    x = tuple(float(np.log2(size)) for size in sizes)
    low, high = (level_text(path, int(size) if size.is_integer() else size) for size in (sizes[0], sizes[-1]))
    name = f"{factor_text(path)} {low} to {high} in {len(x)} sizes"
    one = Design(f"{name}, other factors fixed", "per doubling", x, 1, stats.rank_efficiency(len(x), blocked=True))
    if len(comparing) == 1:
        return [one]
    return [one, replace(one, question=f"{name}, over {len(comparing)} combinations", combinations=len(comparing))]


def reach(design: Design, sd: float, upper: float, df: int, blocks: int, effect: float, block_s: float) -> Reach:
    """Return what a design sees with ``blocks`` blocks, and the blocks for ``effect``, planned with ``upper``."""
    target = math.log1p(effect)
    seen = _detectable(design, sd, blocks)
    see = next((b for b in range(2, _MOST_BLOCKS) if _detectable(design, upper, b) <= target), None)
    decided = stats.needed_blocks(
        sd / math.sqrt(design.efficiency * design.combinations),
        df,
        target / 2,
        x=design.x,
        confidence=CONFIDENCE,
        assurance=ASSURANCE,
        most=_MANY_BLOCKS,
    )
    known = [needed for needed in (see, decided.blocks) if needed is not None]
    more = max(max(known) - blocks, 0) * block_s if len(known) == 2 else math.nan  # noqa: PLR2004 - both are known
    return Reach(design.question, design.per, blocks, math.expm1(seen), see, decided.blocks, more)


def _detectable(design: Design, sd: float, blocks: int) -> float:
    """Return the smallest log effect seen; infinite where a slope leaves no degree of freedom."""
    if len(design.x) * blocks * design.combinations <= len(design.x):
        return math.inf
    return stats.detectable_effect(
        sd, blocks * design.combinations, design.x, alpha=ALPHA, power=POWER, efficiency=design.efficiency
    ).estimate


def _best_overall(cells: Sequence[CellPower]) -> int | None:
    """Return the best number for one length of all runs: variances and costs averaged over cells before the formula."""
    known = [cell for cell in cells if math.isfinite(cell.long_run_sd_log)]
    if not known:
        return None
    within = float(np.mean([cell.long_run_sd_log**2 for cell in known]))
    between = float(np.mean([cell.median_sd_log**2 - cell.long_run_sd_log**2 / cell.checkpoints for cell in known]))
    price = float(np.mean([c.costs.launch_s for c in known]) / np.mean([c.costs.checkpoint_s for c in known]))
    return max(round(math.sqrt(price * within / between)), 1) if between > 0 and price > 0 else None


def _notes(campaign: Campaign, cells: Sequence[CellPower], left_out: int, sd: float) -> list[str]:
    notes = [f"{cell.cell}: no best N, {cell.note}" for cell in cells if cell.note]
    if left_out:
        notes.append(f"{plural(left_out, 'cell')} of the plan with fewer than two runs left out")
    excluded = sum(not run.record.quality.ok for run in campaign.runs)
    if excluded:
        notes.append(f"{plural(excluded, 'run')} left out, their own quality check failed")
    clipped = sum(cell.clipped for cell in cells)
    if clipped:
        notes.append(f"in {plural(clipped, 'cell')} runs differ less than their checkpoints explain: taken as 0")
    if sd == 0:
        notes.append("run medians do not differ at all: no effect is too small to see, or the data is no measurement")
    return notes


def show(result: Power, out: Console) -> None:
    """Print what a design can see."""
    out.print(f"{result.campaign}: {accel_text(result.accel)}, {plural(result.blocks, 'block')}")
    out.print()
    print_table(out, _CELL_HEADINGS, [_cell_row(cell) for cell in result.cells])
    out.print()
    out.print(
        "R: runs. N: checkpoints of the shortest run. Between, within: deviation of the log pause between runs, beyond "
        "what checkpoints explain, and within a run. ICC: share between runs. Lag 1: correlation of a checkpoint with "
        "the one before. Long-run: deviation within a run, autocorrelation included. CV: of run medians. Best N: "
        "checkpoints per run for the most precision in the time."
    )
    out.print()
    best = MISSING if result.best_checkpoints is None else str(result.best_checkpoints)
    out.print(
        f"All cells: run medians differ by {_percent(result.sd_log)} within cell and block ({result.df} df, at most "
        f"{_percent(result.sd_upper)} at 80 %); {result.launch_s:.1f} s per launch, {result.checkpoint_s:.2f} s per "
        f"checkpoint; best N {best}."
    )
    out.print()
    effect = f"{100 * result.effect:g} %"
    seen = f"seen at {plural(result.blocks, 'block')}"
    headings = ("question", seen, f"blocks to see {effect}", f"blocks to decide {effect}", "more time")
    print_table(out, headings, [_reach_row(one) for one in result.reaches])
    out.print()
    out.print(
        f"One block takes {_duration(result.block_s)}. Seen: with 80 % power at a one-sided 5 %. Decided: the 90 % "
        "interval is narrower than the effect, so that it cannot hold both it and none. Plans use the upper 80 % bound "
        "of the deviation, and what rank tests lose to least squares."
    )
    for note in result.notes:
        out.print(f"note: {note}")


def _cell_row(cell: CellPower) -> tuple[str, ...]:
    return (
        cell.cell,
        str(cell.runs),
        str(cell.checkpoints),
        f"{_percent(cell.run_sd_log)} ({ms_text(1e3 * cell.run_sd_s)} ms)",
        f"{_percent(cell.checkpoint_sd_log)} ({ms_text(1e3 * cell.checkpoint_sd_s)} ms)",
        _percent(cell.icc),
        MISSING if math.isnan(cell.lag1) else f"{cell.lag1:.2f}",
        _percent(cell.long_run_sd_log),
        _percent(cell.cv),
        f"{cell.costs.launch_s:.1f} s",
        f"{cell.costs.checkpoint_s:.2f} s",
        str(cell.best_checkpoints) if cell.best_checkpoints is not None else MISSING,
    )


def _reach_row(one: Reach) -> tuple[str, ...]:
    return (
        one.question,
        f"{_percent(one.smallest)} {one.per}",
        _blocks(one.blocks_to_see, one.blocks),
        _blocks(one.blocks_to_decide, one.blocks),
        MISSING if math.isnan(one.more_s) else _duration(one.more_s) if one.more_s else "none",
    )


def _blocks(needed: int | None, present: int) -> str:
    if needed is None:
        return "beyond reason"
    return f"{needed} ({needed - present} more)" if needed > present else f"{needed} (enough)"


def _percent(value: float) -> str:
    return MISSING if math.isnan(value) else f"{100 * value:.1f} %"


def _duration(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004 - two hours


def main(arguments: Sequence[str]) -> int:
    """Return 0, 1 when no cell has two runs, 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis power",
        description="Say what a design can see, how long its runs should be, and how many more blocks are needed.",
    )
    parser.add_argument("campaign", type=Path, nargs="+", help="a campaign folder, or several of one plan")
    parser.add_argument("--effect", type=share, default=0.05, help="the effect that should be seen (default: 5%%)")
    options = parser.parse_args(arguments)
    return reported(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    show(power(load_study(options.campaign), effect=options.effect), console())
    return 0
