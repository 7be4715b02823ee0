"""How often each analysis is wrong on simulated campaigns, against how often it claims to be."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t as t_distribution

from analysis.calibrate import naive
from analysis.calibrate.simulate import Model, simulate_checkpoints, simulate_runs, simulate_strata
from analysis.stats.bootstrap import hierarchical_bootstrap
from analysis.stats.intervals import median_interval
from analysis.stats.linear import least_squares
from analysis.stats.planning import detectable_effect, rank_efficiency
from analysis.stats.slopes import stratified_theil_sen
from analysis.stats.tost import equivalence
from analysis.stats.trend import blocked_jonckheere, jonckheere
from analysis.stats.variance import log_mean_interval
from analysis.verdicts.claims import ALPHA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike

    from analysis.stats.bootstrap import Statistic
    from analysis.stats.checks import FloatArray
    from analysis.stats.planning import DetectableEffect

_BANDS = {
    "least squares on logs": (0.035, 0.065),
    "Jonckheere-Terpstra": (0.035, 0.065),
    "blocked Jonckheere-Terpstra": (0.0, 0.065),
    "stratified Theil-Sen": (0.0, 0.065),
}
"""Acceptable errors of the first kind at 5 %, the method's. The Theil-Sen slope finds growth where its 90 % interval
lies above 0, which is as discrete as the exact test; a word needs both."""
NOMINAL_BAND = (0.035, 0.065)
AT_MOST = (0.0, 0.065)
_POWER_SLACK = 0.06
COVER_95, _COVER_90 = (0.935, 0.98), (0.885, 0.94)
SLACK = 0.015
_CHUNK_VALUES = 2_500_000
_RUNS_OF_TRUTH = 200_001
_BOUND = 0.10
"""Of equivalence, in logs."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened in simulated campaigns.

    Attributes:
        question: ``type I error``, ``power``, ``coverage``, ``verdict`` or ``equivalence``.
        method: in words.
        unit: what the method takes for a measurement: ``run`` or ``checkpoint``.
        recommended: whether this project draws conclusions with it; the others are here to be compared.
        rate: the share of studies.
        nominal: what the method claims.
        low: least acceptable rate; ``high``: the largest. Methods that are not recommended are held to the same.
        studies: simulated campaigns.
    """

    question: str
    method: str
    unit: str
    rate: float
    nominal: float
    low: float
    high: float
    studies: int
    recommended: bool

    @property
    def ok(self) -> bool:
        """Tell whether the rate is acceptable."""
        return self.low <= self.rate <= self.high

    @property
    def standard_error(self) -> float:
        """Return the Monte Carlo standard error of the rate."""
        return float(np.sqrt(self.rate * (1 - self.rate) / self.studies))


def type_one_error(model: Model, *, studies: int = 2_000, seed: int = 1) -> tuple[Rate, ...]:
    """Return how often run-level methods find growth that is not there, at 5 %, one-sided.

    Args:
        model: the campaign; its slope is taken as 0.
        studies: how many campaigns.
        seed: of the generator.
    """
    found = _detections(replace(model, slope=0.0), studies, seed)
    return tuple(as_rate("type I error", method, hits, ALPHA, _BANDS[method]) for method, hits in found.items())


def power(model: Model, *, studies: int = 2_000, seed: int = 1) -> tuple[Rate, ...]:
    """Return how often run-level tests find the growth that planning calls detectable at 80 % by least squares.

    Rank tests find it less often; what each claims follows from its efficiency.

    Args:
        model: the campaign; its slope is replaced by the detectable one.
        studies: how many campaigns.
        seed: of the generator.
    """
    planned = detectable_effect(model.median_sd, model.blocks * model.combinations, model.sizes)
    found = _detections(replace(model, slope=planned.estimate), studies, seed)
    rates = []
    for method, hits in found.items():
        claimed = _claimed_power(planned, _efficiency(method, len(model.sizes)))
        rates.append(
            as_rate("power", method, hits, claimed, (claimed - _POWER_SLACK, min(claimed + _POWER_SLACK, 1.0)))
        )
    return tuple(rates)


def coverage(model: Model, *, studies: int = 2_000, seed: int = 1) -> tuple[Rate, ...]:
    """Return how often run-level intervals hold the truth: for the median run of one cell, and for the slope.

    Intervals are left out where the strata or the blocks admit none: a study without one says nothing of the truth.

    Args:
        model: the campaign.
        studies: how many campaigns.
        seed: of the generator.
    """
    cell = replace(model.complete, drift=0.0, wander=0.0)
    truth = _median_run(cell, seed)
    medians = np.exp(simulate_runs(cell, np.random.default_rng(seed), studies)[:, :, 0])
    intervals = [median_interval(runs) for runs in medians]
    ends = [(found.low, found.high) for found in intervals if found.rank]
    attained = intervals[0].coverage
    rates = []
    if ends:
        band = (attained - SLACK, min(attained + SLACK, 1.0))
        rates.append(as_rate("coverage", "order statistics of run medians", _holds(ends, truth), attained, band))
    if model.blocks > 1:
        ends = [(found.low, found.high) for found in map(log_mean_interval, medians)]
        held = _holds(ends, truth)
        rates.append(as_rate("coverage", "t on logs of run medians", held, 0.95, COVER_95, recommended=False))
    slopes = [stratified_theil_sen(*table) for table in _tables(model, studies, seed)]
    ends = [(found.low, found.high) for found in slopes if not np.isnan(found.low)]
    if ends:
        rates.append(as_rate("coverage", "stratified Theil-Sen", _holds(ends, model.slope), 0.90, _COVER_90))
    return tuple(rates)


def slow_coverage(model: Model, *, studies: int = 200, seed: int = 1) -> tuple[Rate, ...]:
    """Return how often bootstrap intervals of one cell hold its median run.

    Args:
        model: the campaign, of which the smallest size is looked at.
        studies: how many campaigns; each takes milliseconds.
        seed: of the generator.
    """
    cell = replace(model.complete, drift=0.0, wander=0.0, sizes=model.sizes[:2])
    truth = _median_run(cell, seed)
    pauses = np.concatenate([part[:, :, 0] for part in in_parts(cell, studies, seed)])
    ends = list(zip(*naive.pooled_bootstrap(pauses, seed), strict=True))
    pooled = as_rate(
        "coverage",
        "bootstrap of pooled checkpoints",
        _holds(ends, truth),
        0.95,
        COVER_95,
        unit="checkpoint",
        recommended=False,
    )
    rates = [pooled, _nested("two-level bootstrap of medians", pauses, np.median, truth, seed)]
    if model.stuck_share == model.slow_share == 0:
        logs = np.log(pauses)
        rates.append(_nested("two-level bootstrap of mean logs", logs, np.mean, float(np.log(truth)), seed))
    return tuple(rates)


def verdict_errors(model: Model, *, sesoi: float = 0.05, studies: int = 2_000, seed: int = 1) -> tuple[Rate, ...]:
    """Return how often a verdict is false where it is hardest: SUPPORTED at no growth, REFUTED at growth of ``sesoi``.

    Args:
        model: the campaign; its slope is replaced.
        sesoi: smallest effect of interest, log per doubling.
        studies: how many campaigns.
        seed: of the generator.
    """
    cases = ((0.0, "SUPPORTED without growth"), (sesoi, "REFUTED at the smallest effect of interest"))
    rates = []
    for slope, wrong in cases:
        slopes = [stratified_theil_sen(*table) for table in _tables(replace(model, slope=slope), studies, seed)]
        hits = [found.high < sesoi if slope else found.low > 0 for found in slopes]
        rates.append(as_rate("verdict", wrong, hits, ALPHA, _BANDS["stratified Theil-Sen"]))
    return tuple(rates)


def equivalence_error(model: Model, *, studies: int = 2_000, seed: int = 1) -> Rate:
    """Return how often two cells that differ by exactly the bound of equivalence are called equivalent.

    Args:
        model: the campaign, of which two cells are looked at.
        studies: how many campaigns.
        seed: of the generator.

    Raises:
        ValueError: fewer than two blocks.
    """
    cell = replace(model.complete, sizes=(0.0, 1.0), slope=_BOUND)
    logs = simulate_runs(cell, np.random.default_rng(seed), studies)
    hits = [equivalence(study[:, 1], study[:, 0], -_BOUND, _BOUND).equivalent for study in logs]
    return as_rate("equivalence", "two one-sided t tests at the bound", hits, ALPHA, AT_MOST)


def _efficiency(method: str, sizes: int) -> float:
    if method == "least squares on logs":
        return 1.0
    return rank_efficiency(sizes, blocked=method != "Jonckheere-Terpstra")


def _claimed_power(planned: DetectableEffect, efficiency: float) -> float:
    critical = float(t_distribution.ppf(1 - planned.alpha, planned.df))
    return float(t_distribution.cdf(planned.estimate / planned.standard_error * efficiency**0.5 - critical, planned.df))


def _detections(model: Model, studies: int, seed: int) -> dict[str, list[bool]]:
    """Return, per method and study, whether a one-sided test at 5 %, or the 90 % interval, found growth."""
    found: dict[str, list[bool]] = defaultdict(list)
    for x, y, block in _tables(model, studies, seed):
        line = least_squares(x, y)
        found["least squares on logs"].append(line.pvalue / 2 <= ALPHA and line.estimate > 0)
        groups = [y[x == size] for size in np.unique(x)]
        found["Jonckheere-Terpstra"].append(jonckheere(groups).pvalue <= ALPHA)
        found["blocked Jonckheere-Terpstra"].append(blocked_jonckheere(x, y, block).pvalue <= ALPHA)
        found["stratified Theil-Sen"].append(stratified_theil_sen(x, y, block).low > 0)
    return found


def _tables(model: Model, studies: int, seed: int) -> Iterator[tuple[FloatArray, FloatArray, list[int]]]:
    """Yield size, log of run median and stratum of every run that was not lost, per study."""
    logs = simulate_strata(model, np.random.default_rng(seed), studies).reshape(studies, -1)
    strata = model.blocks * model.combinations
    x = np.tile(np.array(model.sizes), strata)
    stratum = np.repeat(np.arange(strata), len(model.sizes))
    for study in logs:
        kept = ~np.isnan(study)
        yield x[kept], study[kept], stratum[kept].tolist()


def in_parts(model: Model, studies: int, seed: int, at_once: int = _CHUNK_VALUES) -> Iterator[FloatArray]:
    """Yield the checkpoints of the studies in parts that fit into memory: of about so many values each."""
    rng = np.random.default_rng(seed)
    step = max(1, at_once // model.all_checkpoints)
    for start in range(0, studies, step):
        yield simulate_checkpoints(model, rng, min(step, studies - start))


def _median_run(model: Model, seed: int) -> float:
    """Return the median over runs of the run median of the smallest size, in seconds."""
    if model.stuck_share == 0:
        return model.base_s
    many = simulate_runs(replace(model, blocks=1), np.random.default_rng(seed), _RUNS_OF_TRUTH)
    return float(np.exp(np.median(many[:, 0, 0])))


def _nested(method: str, data: FloatArray, statistic: Statistic, truth: float, seed: int) -> Rate:
    found = [hierarchical_bootstrap(runs, statistic=statistic, resamples=400, seed=seed) for runs in data]
    ends = [(result.low, result.high) for result in found]
    return as_rate("coverage", method, _holds(ends, truth), 0.95, COVER_95, recommended=False)


def _holds(ends: Sequence[tuple[float, float]], truth: float) -> list[bool]:
    return [bool(low <= truth <= high) for low, high in ends]


def as_rate(
    question: str,
    method: str,
    hits: ArrayLike,
    nominal: float,
    band: tuple[float, float],
    *,
    unit: str = "run",
    recommended: bool = True,
) -> Rate:
    """Return the mean of ``hits``, one per study (whether it happened, or a share), as a rate."""
    found = np.asarray(hits, dtype=np.float64)
    return Rate(question, method, unit, float(found.mean()), nominal, *band, len(found), recommended)
