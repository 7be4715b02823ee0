"""How often what is said of a trend is wrong: its tests, its interval, its words, judged within strata."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t as t_distribution

from analysis.calibrate.rates import AT_MOST, NOMINAL, SLACK, Claim, around, as_rate, held
from analysis.calibrate.simulate import simulate_strata
from analysis.stats import kendall
from analysis.stats.linear import least_squares
from analysis.stats.planning import detectable_effect, rank_efficiency
from analysis.stats.slopes import critical_score, stratified_theil_sen
from analysis.stats.tost import equivalence
from analysis.stats.trend import blocked_jonckheere, jonckheere
from analysis.verdicts.claims import ALPHA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from analysis.calibrate.rates import Asked, Rate
    from analysis.calibrate.simulate import Model
    from analysis.stats.checks import FloatArray
    from analysis.stats.planning import DetectableEffect

SESOI = 0.05
_POWER_SLACK = 0.06
_BOUND = 0.10
"""Of equivalence, in logs."""

_LINE, _RANKS = "least squares on logs", "Jonckheere-Terpstra"
_BLOCKED, _SLOPE = "blocked Jonckheere-Terpstra", "stratified Theil-Sen"
_WITHIN_STRATA = (_BLOCKED, _SLOPE)
"""Methods in use; tests over all runs at once are no part of any verdict: a drifting host takes their power."""


def type_one_error(asked: Asked) -> Iterator[Rate]:
    """Yield how often run-level methods find growth that is not there, at 5 %, one-sided.

    The Theil-Sen slope finds growth where its 90 % interval lies above 0, which is as discrete as the exact test. Both
    are held to the level that their ranks attain; a word needs both.
    """
    for model, method, named, hits in _detections(asked, lambda _: 0.0):
        level = attained_level(model)
        in_use = method in _WITHIN_STRATA
        yield as_rate(named, hits, Claim(level, 0.0, level + SLACK) if in_use else NOMINAL, recommended=in_use)


def power(asked: Asked) -> Iterator[Rate]:
    """Yield how often run-level tests find the growth that planning calls detectable at 80 % by least squares.

    Rank tests find it less often; what each claims follows from its efficiency, and from the level that it attains.
    """
    for model, method, named, hits in _detections(asked, lambda model: _planned(model).estimate):
        planned, in_use = _planned(model), method in _WITHIN_STRATA
        efficiency = 1.0 if method == _LINE else rank_efficiency(len(model.sizes), blocked=in_use)
        critical = t_distribution.ppf(1 - (attained_level(model) if in_use else ALPHA), planned.df)
        noncentral = planned.estimate / planned.standard_error * math.sqrt(efficiency)
        claimed = float(t_distribution.cdf(noncentral - critical, planned.df))
        yield as_rate(named, hits, around(claimed, _POWER_SLACK), recommended=in_use)


def _planned(model: Model) -> DetectableEffect:
    return detectable_effect(model.median_sd, model.strata, model.sizes)


def coverage(asked: Asked) -> Iterator[Rate]:
    """Yield how often the interval of a slope holds it; nothing where the strata admit no interval."""
    for design, model in asked.designs:
        slopes = [stratified_theil_sen(*table) for table in _tables(asked, model)]
        known = [found for found in slopes if not np.isnan(found.low)]
        if known:
            claim = around(1 - 2 * attained_level(model))
            yield as_rate(_SLOPE + design, held(known, model.slope), claim)


def verdicts(asked: Asked) -> Iterator[Rate]:
    """Yield how often a verdict is false where it is hardest: SUPPORTED at no growth, REFUTED where it matters."""
    for design, model in asked.designs:
        still, grown = (
            [stratified_theil_sen(*table) for table in _tables(asked, replace(model, slope=slope))]
            for slope in (0.0, SESOI)
        )
        yield as_rate(f"SUPPORTED without growth{design}", [one.low > 0 for one in still], AT_MOST)
        refuted = [one.high < SESOI for one in grown]
        yield as_rate(f"REFUTED at the smallest effect of interest{design}", refuted, AT_MOST)


def equivalent(asked: Asked) -> Iterator[Rate]:
    """Yield how often two cells that differ by exactly the bound of equivalence are called equivalent."""
    logs = asked.runs(replace(asked.model.complete, sizes=(0.0, 1.0), slope=_BOUND))
    hits = [equivalence(study[:, 1], study[:, 0], -_BOUND, _BOUND).equivalent for study in logs]
    yield as_rate("two one-sided t tests at the bound", hits, AT_MOST)


def attained_level(model: Model) -> float:
    """Return the chance that the exact one-sided test, or the interval, finds growth over complete strata without any.

    Few ranks cannot meet the level of 5 % exactly.
    """
    ones = (1,) * len(model.sizes)
    mass = kendall.summed_mass((((ones, ones), model.strata),))
    critical = critical_score(mass, ALPHA)
    return 0.0 if critical is None else float(mass[critical + len(mass) // 2 :].sum())


def _detections(asked: Asked, slope: Callable[[Model], float]) -> Iterator[tuple[Model, str, str, list[bool]]]:
    """Yield design, method, its name there, and whether a one-sided test at 5 %, or the 90 % interval, found growth.

    Of every design for methods in use, of the first one for the others.
    """
    for place, (design, model) in enumerate(asked.designs):
        found: dict[str, list[bool]] = defaultdict(list)
        for x, y, stratum in _tables(asked, replace(model, slope=slope(model))):
            if place == 0:
                line = least_squares(x, y)
                found[_LINE].append(line.pvalue / 2 <= ALPHA and line.estimate > 0)
                found[_RANKS].append(jonckheere([y[x == size] for size in np.unique(x)]).pvalue <= ALPHA)
            found[_BLOCKED].append(blocked_jonckheere(x, y, stratum).pvalue <= ALPHA)
            found[_SLOPE].append(stratified_theil_sen(x, y, stratum).low > 0)
        for method, hits in found.items():
            yield model, method, method + design * (method in _WITHIN_STRATA), hits


def _tables(asked: Asked, model: Model) -> Iterator[tuple[FloatArray, FloatArray, list[int]]]:
    """Yield size, log of run median and stratum of every run that was not lost, per study."""
    x = np.tile(np.array(model.sizes), model.strata)
    stratum = np.repeat(np.arange(model.strata), len(model.sizes))
    for study in simulate_strata(model, asked.rng, asked.studies).reshape(asked.studies, -1):
        kept = ~np.isnan(study)
        yield x[kept], study[kept], stratum[kept].tolist()
