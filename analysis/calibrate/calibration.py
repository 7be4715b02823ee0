"""How often every method is wrong, where the truth is known.

The campaigns are simulated with the sizes, blocks and checkpoints of the given one and with the variation it showed
(between runs, within them, from one checkpoint to the next, stalls, drift, lost runs), or with the constants that the
method assumes. Each rate stands beside what the method claims and beside the band in which that claim is believed.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import t as t_distribution

from analysis import stats
from analysis.calibrate import (
    compare_rates,
    effect_rates,
    family_rates,
    looking_rates,
    naive,
    promise_rates,
    run_rates,
    shape_rates,
)
from analysis.calibrate import rates as known_rates
from analysis.calibrate.layouts import assumed, told_apart
from analysis.calibrate.model import model_of
from analysis.calibrate.rates import COVER_95, NOMINAL_BAND, SLACK, Rate, as_rate, in_parts
from analysis.calibrate.simulate import Model
from analysis.errors import NothingMeasuredError
from analysis.runs.cell_table import t_interval
from analysis.stats import kendall
from analysis.stats.slopes import critical_score
from analysis.verdicts.claims import ALPHA

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.calibrate.layouts import Layouts
    from analysis.verdicts.results import Results

    Floats = NDArray[np.float64]

STUDIES = 2_000
"""Simulated campaigns per question, unless asked otherwise."""

QUESTIONS = (
    *("type I error", "power", "coverage", "verdict", "equivalence", "comparison", "looking"),
    *("families", "promise", "shape", "interaction", "value", "noise floor", "RAM split", "page cost", "drift"),
    *("failures", "modes"),
)
"""What is asked of the methods; ``quantity`` in the table."""

SESOI = 0.05
_CHUNK_VALUES, _MOST_VALUES = 2_000_000, 12_000_000
FEWEST_STUDIES = 50
_POWER_SLACK = 0.06
_WITHIN_BLOCKS = ("blocked Jonckheere-Terpstra", "stratified Theil-Sen")
_FEWER, _FEW = 4, 10
_BAND_STUDIES, _BAND_ERRORS = 2_000, 3.0


def calibration(
    results: Results | None, studies: int = STUDIES, seed: int = 1, *, questions: Collection[str] = QUESTIONS
) -> pd.DataFrame:
    """Return how often each method is wrong, for the design of a campaign or for the constants that the method assumes.

    A trend is judged here within blocks alone, and families are made up; :func:`rates` takes the strata and the
    families of a plan besides.

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
    return table(rates(own_model(results) or Model(), studies=studies, seed=seed, questions=questions))


def own_model(results: Results | None) -> Model | None:
    """Return the model of a campaign; None where no cell has two runs long enough to tell how they vary."""
    try:
        return None if results is None else model_of(results.campaign)
    except NothingMeasuredError:
        return None


def rates(
    model: Model,
    *,
    studies: int,
    seed: int,
    questions: Collection[str] = QUESTIONS,
    layouts: Layouts | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Rate]:
    """Return the rates of every method for one model of a campaign.

    Args:
        model: the campaign.
        studies: simulated campaigns per question; slow and naive methods take fewer.
        seed: of the generators.
        questions: which of ``QUESTIONS``.
        layouts: which runs answer which hypothesis; None for one trend within the model's blocks, and families made up.
        say: told which question is being asked.
    """
    asked: dict[str, Callable[[], Iterable[Rate]]] = {
        "type I error": lambda: (
            *_trends(known_rates.type_one_error, model, layouts, studies, seed),
            *pooled_and_by_run(model, studies=studies, seed=seed),
        ),
        "power": lambda: _trends(known_rates.power, model, layouts, studies, seed),
        "coverage": lambda: (
            *_trends(known_rates.coverage, model, layouts, studies, seed),
            *phase_means(model, studies=studies, seed=seed),
            *known_rates.slow_coverage(model, studies=_slow_studies(model, studies), seed=seed),
            *run_rates.tails(model, studies=_slow_studies(model, studies), seed=seed),
        ),
        "verdict": lambda: _trends(partial(known_rates.verdict_errors, sesoi=SESOI), model, layouts, studies, seed),
        "equivalence": lambda: (known_rates.equivalence_error(model, studies=studies, seed=seed),),
        **_beside_trends(model, layouts or assumed(model), studies, seed),
    }
    found: list[Rate] = []
    chosen = [question for question in QUESTIONS if question in questions]
    for place, question in enumerate(chosen, start=1):
        say(f"simulating campaigns: {question}, {place} of {len(chosen)}")
        found += asked[question]()
    return found


def _beside_trends(model: Model, of: Layouts, studies: int, seed: int) -> dict[str, Callable[[], Iterable[Rate]]]:
    fewer, fewest = (max(studies // each, FEWEST_STUDIES) for each in (_FEWER, _FEW))
    return {
        "looking": lambda: looking_rates.looking(model, of, studies=fewer, seed=seed),
        "families": lambda: family_rates.families(model, of, studies=fewest, seed=seed),
        "comparison": lambda: compare_rates.comparisons(model, studies=fewest, seed=seed),
        "promise": lambda: promise_rates.promises(model, of, studies=fewest, seed=seed),
        "shape": lambda: shape_rates.shapes(model, studies=fewest, seed=seed),
        "interaction": lambda: family_rates.interactions(model, of, studies=studies, seed=seed),
        "value": lambda: family_rates.values(model, studies=studies, seed=seed),
        "noise floor": lambda: run_rates.equals(model, of.pairs, of.cells, studies=studies, seed=seed),
        "RAM split": lambda: effect_rates.split(model, studies=fewer, seed=seed),
        "page cost": lambda: effect_rates.page_cost(model, studies=fewer, seed=seed),
        "drift": lambda: effect_rates.host_drift(model, studies=fewer, seed=seed),
        "failures": lambda: run_rates.failures(model.blocks, studies=studies, seed=seed),
        "modes": lambda: run_rates.false_modes(model, studies=studies, seed=seed),
    }


def _trends(
    ask: Callable[..., Iterable[Rate]], model: Model, layouts: Layouts | None, studies: int, seed: int
) -> list[Rate]:
    """Return the rates of one question for every design of a trend; of all but the first, those of methods in use."""
    if layouts is None:
        return [_at_own_level(rate, model) for rate in ask(model, studies=studies, seed=seed)]
    found = []
    for place, (sizes, combinations) in enumerate(layouts.trends):
        own = replace(model, sizes=sizes, combinations=combinations)
        apart = told_apart(layouts.trends)[sizes, combinations]
        name = f"{len(sizes)} levels in {model.blocks * combinations} strata{apart}"
        for rate in ask(own, studies=studies, seed=seed):
            if rate.method in _WITHIN_BLOCKS or rate.question == "verdict":
                said = replace(_at_own_level(rate, own), method=f"{rate.method}, {name}")
            elif place == 0:
                said = _at_own_level(rate, own)
            else:
                continue
            found.append(said)
    return found


def _at_own_level(rate: Rate, model: Model) -> Rate:
    """Return the rate of a rank method within blocks held to what it attains: with few ranks, that is not 5 or 90 %.

    Tests over all runs at once are no part of any verdict here: a drifting host takes their power.
    """
    strata = model.blocks * model.combinations
    if rate.question == "coverage" and rate.method in _WITHIN_BLOCKS:
        covered = 1 - 2 * attained_level(len(model.sizes), strata)
        return replace(rate, nominal=covered, low=covered - SLACK, high=min(covered + SLACK, 1.0))
    if rate.question not in {"type I error", "power"}:
        return rate
    if rate.method not in _WITHIN_BLOCKS:
        return replace(rate, recommended=False)
    level = attained_level(len(model.sizes), strata)
    if rate.question == "type I error":
        return replace(rate, nominal=level, low=0.0, high=level + SLACK)
    planned = stats.detectable_effect(model.median_sd, strata, model.sizes)
    noncentral = planned.estimate / planned.standard_error
    noncentral *= math.sqrt(stats.rank_efficiency(len(model.sizes), blocked=True))
    claimed = float(t_distribution.cdf(noncentral - t_distribution.ppf(1 - level, planned.df), planned.df))
    return replace(rate, nominal=claimed, low=max(claimed - _POWER_SLACK, 0.0), high=min(claimed + _POWER_SLACK, 1.0))


def attained_level(sizes: int, strata: int) -> float:
    """Return the chance that the exact one-sided test, or the interval, finds growth over complete strata without any.

    Few ranks cannot meet the level of 5 % exactly.

    Args:
        sizes: per stratum.
        strata: how many.
    """
    ones = (1,) * sizes
    mass = kendall.summed_mass((((ones, ones), strata),))
    critical = critical_score(mass, ALPHA)
    return 0.0 if critical is None else float(mass[critical + len(mass) // 2 :].sum())


def _slow_studies(model: Model, studies: int) -> int:
    affordable = _MOST_VALUES // (10 * model.blocks * model.checkpoints)
    return max(min(studies // 10, affordable), FEWEST_STUDIES)


def pooled_and_by_run(model: Model, *, studies: int, seed: int) -> list[Rate]:
    """Return how often the same tests find an effect that is not there, on pooled checkpoints and on run medians.

    Both look at the same simulated campaigns, two-sided at 5 %, of which there are fewer where campaigns are long.

    Args:
        model: the campaign; its slope is taken as 0, and no run goes missing.
        studies: how many campaigns at most.
        seed: of the generator.
    """
    found: dict[tuple[str, str], list[Floats]] = {}
    for pauses in _checkpoints(replace(model.complete, slope=0.0), studies, seed):
        for level, values in (("checkpoint", pauses), ("run", np.median(pauses, axis=-1, keepdims=True))):
            tests = {
                "Spearman": naive.pooled_spearman(values, model.sizes),
                "one-way ANOVA": naive.pooled_anova(values),
                "Welch's t, largest against smallest": naive.pooled_welch(values),
            }
            for method, pvalues in tests.items():
                found.setdefault((method, level), []).append(pvalues)
    return [
        as_rate(
            "type I error", method, np.concatenate(parts) <= ALPHA, ALPHA, NOMINAL_BAND, unit=level, recommended=False
        )
        for (method, level), parts in found.items()
    ]


def _checkpoints(model: Model, studies: int, seed: int) -> Iterator[Floats]:
    """Return simulated campaigns in parts that fit into memory, no more of them than take a few seconds."""
    wanted = max(min(studies, _MOST_VALUES // model.all_checkpoints), FEWEST_STUDIES)
    return in_parts(model, wanted, seed, _CHUNK_VALUES)


def phase_means(model: Model, *, studies: int, seed: int) -> list[Rate]:
    """Return how often Student's interval of one cell, of the mean over runs of phase means, holds the true mean.

    The phase is the whole pause, the most skewed that the model has: its checkpoints are lognormal, and stall. Empty
    for one block.

    Args:
        model: the campaign, of which one cell is looked at; host drift and lost runs are left out.
        studies: how many cells at most, fewer where they are large.
        seed: of the generator.
    """
    if model.blocks == 1:
        return []
    cells = replace(model.complete, sizes=(0.0, 0.0), slope=0.0, drift=0.0, wander=0.0)
    stalled = 1 - (1 - cells.slow_share) * (1 - cells.stuck_share)
    truth = cells.base_s * cells.inflation + cells.slow_extra_s * stalled
    held = []
    for pauses in _checkpoints(cells, -(-studies // 2), seed):
        means = pauses.mean(axis=-1).swapaxes(1, 2).reshape(-1, cells.blocks)
        held += [low <= truth <= high for low, high in map(t_interval, means)]
    return [as_rate("coverage", "t interval of phase means", held[:studies], 0.95, COVER_95)]


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
