"""How much to measure: checkpoints per run, effects within reach, blocks still needed."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2
from scipy.stats import t as t_distribution

from analysis.stats.checks import as_positive, as_runs, as_share, as_vector, at_least

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray

_FEWEST_PER_BATCH = 2
_FIRST_R = 2


@dataclass(frozen=True, slots=True)
class OptimalRepetitions:
    """The number of checkpoints per run that buys the most precision for the time.

    Attributes:
        checkpoints: the optimum, at least 1; None when runs show no variation of their own.
        long_run_variance: ``N`` times the variance of a run's median that its own checkpoints cause; it contains
            their autocorrelation.
        note: says so when there is no optimum.
    """

    checkpoints: int | None
    long_run_variance: float
    note: str


@dataclass(frozen=True, slots=True)
class DetectableEffect:
    """The smallest slope that a design finds with the given power.

    Attributes:
        estimate: slope in units of ``y`` per unit of ``x`` (log per doubling).
        standard_error: of the slope, larger for a less efficient test; ``df``: degrees of freedom.
    """

    estimate: float
    standard_error: float
    df: int


def optimal_repetitions(
    runs: Iterable[ArrayLike], *, run_cost: float, checkpoint_cost: float, batches: int = 5
) -> OptimalRepetitions:
    """Return the best number of checkpoints per run when a run is summarised by its median.

    ``N = sqrt(c_run / c_checkpoint * V_w / T^2)``. ``V_w`` comes from batches of consecutive checkpoints: the
    variance of batch medians times the length of a batch, so that checkpoints which resemble their neighbours count
    for less. ``T^2`` is the variance of the run medians less ``V_w / N``.

    Args:
        runs: checkpoints of each run in the order measured, warm-up left out; use logs for relative variation.
        run_cost: what another run costs besides its checkpoints.
        checkpoint_cost: what one checkpoint costs, in the same unit, such as seconds.
        batches: into how many parts a run is split.

    Raises:
        ValueError: fewer than two runs, a run with fewer than two checkpoints per batch, a cost that is not positive.
    """
    price = as_positive(run_cost, "run_cost") / as_positive(checkpoint_cost, "checkpoint_cost")
    at_least(batches, "batches", _FEWEST_PER_BATCH)
    arrays = as_runs(runs, "runs", least=_FEWEST_PER_BATCH * batches)
    within = float(np.mean([_long_run_variance(run, batches) for run in arrays]))
    explained = float(np.mean([within / len(run) for run in arrays]))
    observed = float(np.var([np.median(run) for run in arrays], ddof=1))
    between = max(observed - explained, 0.0)
    checkpoints = max(round(sqrt(price * within / between)), 1) if between > 0 else None
    alike = "runs differ no more than their checkpoints explain: lengthen runs, not their number"
    return OptimalRepetitions(checkpoints, within, "" if checkpoints else alike)


def rank_efficiency(sizes: int, *, blocked: bool) -> float:
    """Return how many runs of a least-squares slope one run of a rank test is worth, for normal logs.

    ``3 / pi`` over all runs, times ``K / (K + 1)`` when only runs of the same block of ``K`` sizes are compared
    (Hollander & Sethuraman 1978, of Page's test): the price of not caring what differs between blocks.

    Raises:
        ValueError: fewer than two sizes.
    """
    at_least(sizes, "sizes", _FIRST_R)
    return 3 / pi * (sizes / (sizes + 1) if blocked else 1.0)


def detectable_effect(
    sd: float, blocks: int, x: ArrayLike, *, alpha: float = 0.05, power: float = 0.80, efficiency: float = 1.0
) -> DetectableEffect:
    """Return the smallest slope found with ``power`` at one-sided ``alpha``.

    ``(t_{1-alpha} + t_{power}) * sd / sqrt(blocks * Sxx * efficiency)`` with ``K * blocks - 2`` degrees of freedom.

    Args:
        sd: standard deviation between runs of one cell (of logs, for relative effects).
        blocks: runs per size.
        x: (K,) the sizes on the scale of the slope, usually log2.
        alpha: one-sided error rate.
        power: chance to find the effect.
        efficiency: of the test, such as ``rank_efficiency``; 1 for least squares.

    Raises:
        ValueError: fewer than two different sizes, too few runs for a slope, or a number out of range.
    """
    sizes = as_vector(x, "x", least=2)
    at_least(blocks, "blocks", 1)
    deviation, df = as_positive(sd, "sd"), len(sizes) * blocks - 2
    spread = float(((sizes - sizes.mean()) ** 2).sum())
    if df < 1 or spread == 0:
        raise ValueError(f"a slope needs two different sizes and three runs, not {blocks} blocks of {sizes.tolist()}")
    error = deviation / sqrt(blocks * spread * as_positive(efficiency, "efficiency"))
    quantiles = t_distribution.ppf([1 - as_share(alpha, "alpha"), as_share(power, "power")], df)
    estimate = float(quantiles.sum()) * error
    return DetectableEffect(estimate, error, df)


def needed_blocks(
    sd: float,
    df: int,
    target: float,
    *,
    x: ArrayLike | None = None,
    confidence: float = 0.90,
    assurance: float = 0.80,
    most: int = 1_000,
) -> int | None:
    """Return the fewest blocks whose interval is no wider than ``target`` on either side; None beyond ``most``.

    Plans with the upper bound ``sd * sqrt(df / chi2_{1-assurance, df})`` of the deviation, because planning with the
    estimate itself falls short more than half of the time.

    Args:
        sd: standard deviation between runs of one cell, from ``df`` degrees of freedom.
        df: of ``sd``.
        target: wanted half-width, in units of ``y`` (per unit of ``x`` for a slope).
        x: (K,) sizes on the scale of the slope; None for the mean of one cell.
        confidence: of the two-sided interval.
        assurance: chance that the plan suffices.
        most: where to stop searching.

    Raises:
        ValueError: a number out of range, or ``x`` without two different sizes.
    """
    at_least(df, "df", 1)
    upper = as_positive(sd, "sd") * sqrt(df / float(chi2.ppf(1 - as_share(assurance, "assurance"), df)))
    as_positive(target, "target")
    at_least(most, "most", _FIRST_R)
    sizes: FloatArray = np.zeros(1) if x is None else as_vector(x, "x", least=2)
    spread = 1.0 if x is None else float(((sizes - sizes.mean()) ** 2).sum())
    if spread == 0:
        raise ValueError("x needs two different sizes")
    blocks = np.arange(_FIRST_R, most + 1)
    degrees = blocks - 1 if x is None else len(sizes) * blocks - 2
    widths = (
        t_distribution.ppf((1 + as_share(confidence, "confidence")) / 2, degrees) * upper / np.sqrt(blocks * spread)
    )
    enough = np.flatnonzero(widths <= target)
    return int(blocks[enough[0]]) if len(enough) else None


def _long_run_variance(run: FloatArray, batches: int) -> float:
    length = len(run) // batches
    medians = np.median(run[: length * batches].reshape(batches, length), axis=1)
    return length * float(medians.var(ddof=1))
