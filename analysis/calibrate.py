"""``python -m analysis calibrate [--from CAMPAIGN]``: how often every method is wrong, where the truth is known.

The campaigns are simulated with the sizes, blocks and checkpoints of the given one and with the variation it showed
(between runs, within them, from one checkpoint to the next, stalls, drift, lost runs), or with the constants that the
method assumes. Each rate stands beside what the method claims and beside the band in which that claim is believed.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import linregress, norm
from scipy.stats import t as t_distribution

from analysis import stats
from analysis.errors import NothingMeasuredError
from analysis.factors import flatten
from analysis.outcomes import used_pauses
from analysis.power import designs
from analysis.stats import calibrate as known_rates
from analysis.stats import kendall, naive
from analysis.stats.calibrate import Rate
from analysis.stats.simulate import Model, fitted, simulate_checkpoints, simulate_runs
from analysis.study import load_study
from analysis.terminal import console, print_table, reported

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from numpy.typing import NDArray
    from rich.console import Console

    from analysis.load import Campaign, Run
    from analysis.results import Results

    Floats = NDArray[np.float64]

STUDIES = 2_000
"""Simulated campaigns per question, unless asked otherwise."""

QUESTIONS = ("type I error", "power", "coverage", "verdict", "equivalence", "comparison")
"""What is asked of the methods; ``quantity`` in the table."""

ALPHA, SESOI, THRESHOLD = 0.05, 0.05, 0.05
_TCP = ("tcp", "nodelay")
_FEWEST_RUNS, _FEWEST_CHECKPOINTS = 2, 10
_CHUNK_VALUES, _MOST_VALUES = 2_000_000, 12_000_000
_FEWEST_STUDIES = 50
_STEADIEST, _RARE = 0.98, 1e-7
_NOMINAL, _AT_MOST, _ANY = (0.035, 0.065), (0.0, 0.065), (0.0, 1.0)
_SLACK, _POWER_SLACK = 0.015, 0.06
_EXACT = "blocked Jonckheere-Terpstra"
_WITHIN_BLOCKS = (_EXACT, "stratified Theil-Sen")
_BAND_STUDIES, _BAND_ERRORS = 2_000, 3.0


def calibration(
    results: Results | None, studies: int = STUDIES, seed: int = 1, *, questions: Collection[str] = QUESTIONS
) -> pd.DataFrame:
    """Return how often each method is wrong, for the design of a campaign or for the constants that the method assumes.

    Columns: ``method``; ``level``: ``pooled`` where a checkpoint counts as a measurement, ``run`` where a run does;
    ``quantity``: one of ``QUESTIONS``; ``estimate``: the rate, with ``low`` and ``high``, the exact 95 % interval that
    the number of simulated studies gives it, and ``standard_error`` of the same; ``nominal``: what the method claims;
    ``band_low``, ``band_high``: the rates that are acceptable, ``ok``: whether this one is; ``recommended``: whether
    conclusions are drawn with it here; ``studies``.

    Args:
        results: of the campaign to simulate; None for the method's own constants, which also stand in where no cell has
            two runs long enough to tell how they vary.
        studies: simulated campaigns per question; slow and naive methods take fewer.
        seed: of the generators.
        questions: which of ``QUESTIONS``; ``("type I error",)`` is all that a picture of pooling needs.
    """
    return table(rates(_model(results), studies=studies, seed=seed, questions=questions))


def _model(results: Results | None) -> Model:
    try:
        return Model() if results is None else model_of(results.campaign)
    except NothingMeasuredError:
        return Model()


def rates(model: Model, *, studies: int, seed: int, questions: Collection[str] = QUESTIONS) -> list[Rate]:
    """Return the rates of every method for one model of a campaign."""
    asked: dict[str, Callable[[], Sequence[Rate]]] = {
        "type I error": lambda: (
            *(_at_own_level(rate, model) for rate in known_rates.type_one_error(model, studies=studies, seed=seed)),
            *pooled_and_by_run(model, studies=studies, seed=seed),
        ),
        "power": lambda: [_at_own_level(one, model) for one in known_rates.power(model, studies=studies, seed=seed)],
        "coverage": lambda: (
            *known_rates.coverage(model, studies=studies, seed=seed),
            *known_rates.slow_coverage(model, studies=_slow_studies(model, studies), seed=seed),
        ),
        "verdict": lambda: known_rates.verdict_errors(model, sesoi=SESOI, studies=studies, seed=seed),
        "equivalence": lambda: (known_rates.equivalence_error(model, studies=studies, seed=seed),),
        "comparison": lambda: comparison(model, studies=studies, seed=seed),
    }
    return [rate for question in QUESTIONS if question in questions for rate in asked[question]()]


def _at_own_level(rate: Rate, model: Model) -> Rate:
    """Return the rate of a rank test within blocks held to the level that it attains: with few ranks, less than 5 %.

    Tests over all runs at once are no part of any verdict here: a drifting host takes their power.
    """
    if rate.method not in _WITHIN_BLOCKS:
        return replace(rate, recommended=False)
    level = attained_level(len(model.sizes), model.blocks, exact=rate.method == _EXACT)
    if rate.question == "type I error":
        return replace(rate, nominal=level, low=0.0)
    planned = stats.detectable_effect(model.median_sd, model.blocks, model.sizes)
    noncentral = planned.estimate / planned.standard_error
    noncentral *= math.sqrt(stats.rank_efficiency(len(model.sizes), blocked=True))
    claimed = float(t_distribution.cdf(noncentral - t_distribution.ppf(1 - level, planned.df), planned.df))
    return replace(rate, nominal=claimed, low=max(claimed - _POWER_SLACK, 0.0), high=min(claimed + _POWER_SLACK, 1.0))


def attained_level(sizes: int, blocks: int, *, exact: bool) -> float:
    """Return the chance, without a trend, that a one-sided 5 % test of Kendall's S over complete blocks finds one.

    Args:
        sizes: per block.
        blocks: how many.
        exact: whether its p-value is exact, or normal without continuity correction.
    """
    ones = (1,) * sizes
    mass = np.ones(1)
    for _ in range(blocks):
        mass = np.convolve(mass, kendall.null_mass(ones, ones))
    beyond = mass[::-1].cumsum()[::-1]
    scores = np.arange(len(mass)) - len(mass) // 2
    pvalues = beyond if exact else norm.sf(scores / math.sqrt(blocks * kendall.variance(ones, ones)))
    return float(beyond[pvalues <= ALPHA].max(initial=0.0))


def _slow_studies(model: Model, studies: int) -> int:
    affordable = _MOST_VALUES // (10 * model.blocks * model.checkpoints)
    return max(min(studies // 10, affordable), _FEWEST_STUDIES)


def pooled_and_by_run(model: Model, *, studies: int, seed: int) -> list[Rate]:
    """Return how often the same tests find an effect that is not there, on pooled checkpoints and on run medians.

    Both look at the same simulated campaigns, two-sided at 5 %, of which there are fewer where campaigns are long.

    Args:
        model: the campaign; its slope is taken as 0, and no run goes missing.
        studies: how many campaigns at most.
        seed: of the generator.
    """
    found: dict[tuple[str, str], list[Floats]] = {}
    for pauses in _checkpoints(replace(model, slope=0.0, missing=0.0), studies, seed):
        for level, values in (("checkpoint", pauses), ("run", np.median(pauses, axis=-1, keepdims=True))):
            tests = {
                "Spearman": naive.pooled_spearman(values, model.sizes),
                "one-way ANOVA": naive.pooled_anova(values),
                "Welch's t, largest against smallest": naive.pooled_welch(values),
            }
            for method, pvalues in tests.items():
                found.setdefault((method, level), []).append(pvalues)
    return [
        _rate("type I error", method, np.concatenate(parts) <= ALPHA, ALPHA, _NOMINAL, unit=level, recommended=False)
        for (method, level), parts in found.items()
    ]


def _checkpoints(model: Model, studies: int, seed: int) -> Iterator[Floats]:
    """Yield simulated campaigns in parts that fit into memory, no more of them than take a few seconds."""
    rng = np.random.default_rng(seed)
    per_study = model.blocks * len(model.sizes) * model.checkpoints
    wanted = max(min(studies, _MOST_VALUES // per_study), _FEWEST_STUDIES)
    step = max(1, _CHUNK_VALUES // per_study)
    for start in range(0, wanted, step):
        yield simulate_checkpoints(model, rng, min(step, wanted - start))


def comparison(model: Model, *, studies: int, seed: int, threshold: float = THRESHOLD) -> list[Rate]:
    """Return how good ``compare`` is: coverage of its ratio, its false words where they are hardest, its true ones.

    Empty where the number of blocks admits no interval.

    Args:
        model: the campaign, of which one cell is measured twice; host drift and lost runs are left out.
        studies: how many comparisons.
        seed: of the generator.
        threshold: growth that matters.
    """
    edge = math.log1p(threshold)
    two = replace(model, sizes=(0.0, 1.0), drift=0.0, wander=0.0, missing=0.0)
    same, at_edge, twice = (_ratio_ends(replace(two, slope=slope), studies, seed) for slope in (0.0, edge, 2 * edge))
    if same is None or at_edge is None or twice is None:
        return []
    covered = (same.low <= 0) & (same.high >= 0)
    band = (same.coverage - _SLACK, min(same.coverage + _SLACK, 1.0))
    shown = f"{100 * threshold:g} %"
    return [
        _rate("comparison", "ratio interval: coverage", covered, same.coverage, band),
        _rate("comparison", "regressed without a difference", same.regressed(edge), ALPHA, _AT_MOST),
        _rate("comparison", f"not regressed at {shown} slower", at_edge.high < edge, ALPHA, _AT_MOST),
        _rate("comparison", f"regressed at {_percent(2 * edge)} slower", twice.regressed(edge), math.nan, _ANY),
        _rate("comparison", "not regressed without a difference", same.high < edge, math.nan, _ANY),
    ]


@dataclass(frozen=True)
class _Ends:
    """Ends of the intervals of log ratios, one per study, and the coverage that their ranks attain."""

    low: Floats
    high: Floats
    coverage: float

    def regressed(self, edge: float) -> NDArray[np.bool_]:
        return (self.low > 0) & (self.high >= edge)


def _ratio_ends(model: Model, studies: int, seed: int) -> _Ends | None:
    """Return what ``stats.ratio_of_medians`` gives, for all studies at once: its ranks depend on the counts only."""
    logs = simulate_runs(model, np.random.default_rng(seed), studies)
    probe = stats.ratio_of_medians(np.exp(logs[0, :, 1]), np.exp(logs[0, :, 0]), confidence=0.90)
    if not probe.rank:
        return None
    shifts = np.sort((logs[:, :, None, 1] - logs[:, None, :, 0]).reshape(studies, -1), axis=1)
    return _Ends(shifts[:, probe.rank - 1], shifts[:, -probe.rank], probe.coverage)


def _percent(log: float) -> str:
    return f"{100 * math.expm1(log):.3g} %"


def _rate(
    question: str,
    method: str,
    hits: NDArray[np.bool_],
    nominal: float,
    band: tuple[float, float],
    *,
    unit: str = "run",
    recommended: bool = True,
) -> Rate:
    return Rate(question, method, unit, float(hits.mean()), nominal, *band, len(hits), recommended)


def table(found: Sequence[Rate]) -> pd.DataFrame:
    """Return rates as the table that :func:`calibration` describes."""
    rows = []
    for rate in found:
        interval = stats.clopper_pearson(round(rate.rate * rate.studies), rate.studies)
        low, high = _band(rate)
        rows.append(
            {
                "method": rate.method,
                "level": "pooled" if rate.unit == "checkpoint" else "run",
                "quantity": rate.question,
                "estimate": rate.rate,
                "low": interval.low,
                "high": interval.high,
                "standard_error": rate.standard_error,
                "nominal": rate.nominal,
                "band_low": low,
                "band_high": high,
                "ok": low <= rate.rate <= high,
                "recommended": rate.recommended,
                "studies": rate.studies,
            }
        )
    return pd.DataFrame(rows)


def _band(rate: Rate) -> tuple[float, float]:
    """Return the band of a rate; that of 2,000 studies, three standard errors wider where they are fewer."""
    if math.isnan(rate.nominal) or rate.studies >= _BAND_STUDIES:
        return rate.low, rate.high
    spread = math.sqrt(rate.nominal * (1 - rate.nominal))
    wider = _BAND_ERRORS * spread * (rate.studies**-0.5 - _BAND_STUDIES**-0.5)
    return max(rate.low - wider, 0.0), min(rate.high + wider, 1.0)


def model_of(campaign: Campaign) -> Model:
    """Return the model of a campaign: its sizes, blocks and checkpoints, and the variation that its runs show.

    The sizes are those of the factor with most of them, at one combination of the other factors. Stalls of delayed
    acknowledgements are looked for over TCP, left out of the rest of the variation, and put back as what they are.

    Raises:
        NothingMeasuredError: no cell has two runs with ten checkpoints.
    """
    by_cell: dict[str, list[Run]] = {}
    for run in campaign.runs:
        if run.record.quality.ok and len(used_pauses(run)) >= _FEWEST_CHECKPOINTS:
            by_cell.setdefault(run.record.cell_id, []).append(run)
    usable = [runs for runs in by_cell.values() if len(runs) >= _FEWEST_RUNS]
    if not usable:
        raise NothingMeasuredError(
            f"{campaign.plan.campaign}: no cell has two runs of {_FEWEST_CHECKPOINTS} checkpoints, "
            "so nothing tells how they vary"
        )
    cells = [_stalls_of(runs) for runs in usable]
    trends = [design for design in designs(runs[0] for runs in usable) if design.per == "per doubling"]
    sizes = max(trends, key=lambda design: len(design.x)).x if trends else (0.0, 1.0)
    lengths = [len(used_pauses(run)) for runs in usable for run in runs]
    like = Model(sizes=sizes, blocks=len({run.record.block for runs in usable for run in runs}))
    varying = [cell.rest for cell in cells if len(cell.rest) >= _FEWEST_RUNS]
    return _with_shares(
        replace(
            fitted(varying or [[used_pauses(run) for run in runs] for runs in usable], like),
            checkpoints=round(float(np.mean(lengths))),
            drift=_drift(usable),
            missing=_missing(campaign, like),
        ),
        cells,
        sum(lengths),
    )


def _missing(campaign: Campaign, like: Model) -> float:
    """Return the share of runs that failed; 0 where campaigns that lost as many might have nothing left to compare."""
    share = len(campaign.failures) / (len(campaign.runs) + len(campaign.failures))
    sizes = len(like.sizes)
    useless = share**sizes + sizes * share ** (sizes - 1) * (1 - share)
    return share if useless**like.blocks < _RARE else 0.0


@dataclass(frozen=True)
class _Stalls:
    """What of a cell is stalls, and what is not.

    Attributes:
        rest: the runs that are not stuck with a stall in every checkpoint, without their single stalls.
        slow: stalls in those runs; ``extra_s``: what they add, in all; ``stays``, ``leaves``: whether another follows.
        stuck: runs that are; ``runs``: all runs.
    """

    rest: tuple[Floats, ...]
    slow: int
    extra_s: float
    stays: int
    leaves: int
    stuck: int
    runs: int


def _stalls_of(runs: Sequence[Run]) -> _Stalls:
    pauses = [used_pauses(run) for run in runs]
    if flatten(runs[0].record.cell).get("link.transport") not in _TCP:
        return _Stalls(tuple(pauses), 0, 0.0, 0, 0, 0, len(runs))
    levels = np.array([np.median(one) for one in pauses])
    free = [one for one, stuck in zip(pauses, _in_band(levels - levels.min()), strict=True) if not stuck]
    stalled = [_in_band(one - np.median(one)) for one in free]
    return _Stalls(
        rest=tuple(one[~slow] for one, slow in zip(free, stalled, strict=True)),
        slow=sum(int(slow.sum()) for slow in stalled),
        extra_s=sum(float((one[slow] - np.median(one)).sum()) for one, slow in zip(free, stalled, strict=True)),
        stays=sum(int((slow[:-1] & slow[1:]).sum()) for slow in stalled),
        leaves=sum(int((slow[:-1] & ~slow[1:]).sum()) for slow in stalled),
        stuck=len(pauses) - len(free),
        runs=len(pauses),
    )


def _in_band(above: Floats) -> NDArray[np.bool_]:
    low, high = stats.DELAYED_ACK_S
    inside: NDArray[np.bool_] = (above > low) & (above < high)
    return inside


def _with_shares(model: Model, cells: Sequence[_Stalls], checkpoints: int) -> Model:
    model = replace(model, stuck_share=sum(cell.stuck for cell in cells) / sum(cell.runs for cell in cells))
    slow, stays = sum(cell.slow for cell in cells), sum(cell.stays for cell in cells)
    if not slow:
        return model
    followed = stays + sum(cell.leaves for cell in cells)
    return replace(
        model,
        slow_share=slow / checkpoints,
        slow_extra_s=sum(cell.extra_s for cell in cells) / slow,
        slow_stay=min(stays / followed, _STEADIEST) if followed else 0.0,
    )


def _drift(cells: Sequence[Sequence[Run]]) -> float:
    """Return the change of the log pause over the campaign by a straight line; 0 where that may well be noise."""
    order = np.array([run.record.order for runs in cells for run in runs], dtype=np.float64)
    rest = np.concatenate([_centred(np.log([np.median(used_pauses(run)) for run in runs])) for runs in cells])
    if np.ptp(order) == 0:
        return 0.0
    line = linregress(order, rest)
    return float(line.slope) * float(np.ptp(order)) if line.pvalue <= ALPHA else 0.0


def _centred(values: Floats) -> Floats:
    centred: Floats = values - np.median(values)
    return centred


def show(model: Model, found: pd.DataFrame, out: Console) -> None:
    """Print the model and every rate."""
    out.print(
        f"{len(model.sizes)} sizes x {model.blocks} blocks x {model.checkpoints} checkpoints; between runs "
        f"{100 * model.run_sd:.1f} %, within a run {100 * model.checkpoint_sd:.1f} %, correlation of neighbours "
        f"{model.phi:.2f}, stalled {100 * model.slow_share:.1f} % of checkpoints and {100 * model.stuck_share:.1f} % "
        f"of runs, drift {100 * model.drift:+.1f} %, lost {100 * model.missing:.1f} % of runs"
    )
    out.print()
    headings = ("quantity", "method", "level", "rate", "standard error", "claimed", "band", "studies", "inside")
    print_table(out, headings, [_row(row) for row in found.to_dict("records")], words=3)
    out.print()
    outside = found[found["recommended"] & ~found["ok"]]
    if len(outside):
        named = (
            f"{row.quantity} of {row.method} ({'above' if row.estimate > row.band_high else 'below'})"
            for row in outside.itertuples()
        )
        out.print(f"Outside their band: {'; '.join(named)}.")
    else:
        out.print("Every method that conclusions are drawn with is inside its band.")


def _row(row: dict[str, object]) -> tuple[str, ...]:
    estimate, error, nominal, low, high = (
        float(str(row[name])) for name in ("estimate", "standard_error", "nominal", "band_low", "band_high")
    )
    informative = math.isnan(nominal)
    verdict = "" if informative else "yes" if row["ok"] else "NO"
    return (
        str(row["quantity"]),
        str(row["method"]),
        str(row["level"]),
        f"{100 * estimate:.1f} %",
        f"{100 * error:.1f}",
        "" if informative else f"{100 * nominal:.1f} %",
        "" if informative else f"{100 * low:.1f} to {100 * high:.1f} %",
        str(row["studies"]),
        verdict if row["recommended"] or informative else f"{verdict} (not used)",
    )


def main(arguments: Sequence[str]) -> int:
    """Return 0, 1 when the campaign tells nothing of how runs vary, 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis calibrate",
        description="Simulate a design and print how often every method is wrong: type I error, coverage, power.",
    )
    parser.add_argument(
        "--from", dest="campaign", type=Path, nargs="+", metavar="CAMPAIGN", help="whose design and variation to take"
    )
    parser.add_argument("--studies", type=_studies, default=STUDIES, help=f"per question (default: {STUDIES})")
    parser.add_argument("--seed", type=int, default=1, help="of the generators (default: 1)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write the table there")
    options = parser.parse_args(arguments)
    return reported(lambda: _run(options))


def _studies(text: str) -> int:
    if not text.isdecimal() or int(text) < _FEWEST_STUDIES:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of at least {_FEWEST_STUDIES}")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    model = Model() if options.campaign is None else model_of(load_study(options.campaign))
    found = table(rates(model, studies=options.studies, seed=options.seed))
    show(model, found, console())
    if options.csv is not None:
        text: str = found.to_csv(index=False, float_format="%.6f", lineterminator="\n")
        options.csv.write_text(text, encoding="utf-8")
    return 0
