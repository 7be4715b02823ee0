"""Where the variation comes from: components of variance of runs and checkpoints (Kalibera & Jones 2013)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import f as f_distribution

from analysis.stats.checks import as_table, as_vector
from analysis.stats.groups import half_width

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


_RUNS_AND_CHECKPOINTS = 2
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class NestedComponents:
    """Variance per level of a balanced nested experiment, innermost level first.

    Attributes:
        mean: grand mean.
        s_squared: biased estimators ``S_i^2``: variance of the means of level ``i``, averaged over the levels above.
        t_squared: unbiased estimators ``T_i^2`` of the component, as computed: they may be negative.
        components: the same with negative ones clipped to 0; ``clipped``: which were.
        standard_error: of the mean, from the outermost means only; ``df``: their number less one.
        low: lower end of the 95 % t interval of the mean; ``high``: upper end.
        counts: repetitions per level, innermost first.
        note: names the levels that were clipped; empty when none was.
    """

    mean: float
    s_squared: tuple[float, ...]
    t_squared: tuple[float, ...]
    components: tuple[float, ...]
    clipped: tuple[bool, ...]
    standard_error: float
    df: int
    low: float
    high: float
    counts: tuple[int, ...]
    note: str


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Variance between runs and within them, in squared units of ``y``.

    Attributes:
        mean: grand mean; ``low``, ``high``: its 95 % t interval over runs.
        run_variance: component of the runs, 0 when the estimate was negative; ``checkpoint_variance``: within a run.
        unclipped_run_variance: as computed.
        clipped: whether the run component was negative.
        icc: share of the run component in the total, 0 when there is no variation at all.
        statistic: F of no variation between runs; ``pvalue``: its tail.
        standard_error: of the mean, from run means.
        note: says so when the run component was clipped.
    """

    mean: float
    low: float
    high: float
    run_variance: float
    unclipped_run_variance: float
    checkpoint_variance: float
    clipped: bool
    icc: float
    statistic: float
    pvalue: float
    standard_error: float
    runs: int
    checkpoints: int
    note: str


def nested_components(y: ArrayLike) -> NestedComponents:
    """Split the variance of a balanced nested experiment by level.

    ``T_1^2 = S_1^2`` and ``T_i^2 = S_i^2 - S_{i-1}^2 / r_{i-1}``: Kalibera & Jones, *Rigorous Benchmarking in
    Reasonable Time*, ISMM 2013, with the correction of the formula printed there.

    Args:
        y: array with the outermost level (runs) as first axis and the innermost (checkpoints) as last.

    Raises:
        ValueError: fewer than two axes, an axis of one entry, NaN or infinite values.
    """
    values = as_table(y, "y")
    counts = values.shape[::-1]
    s_squared, means = [], values
    for _ in counts:
        s_squared.append(float(means.var(axis=-1, ddof=1).mean()))
        means = means.mean(axis=-1)
    above = zip(s_squared[1:], s_squared, counts, strict=False)
    t_squared = (s_squared[0], *(own - below / count for own, below, count in above))
    clipped = tuple(value < 0 for value in t_squared)
    names = ", ".join(str(level + 1) for level, negative in enumerate(clipped) if negative)
    error = float(np.sqrt(s_squared[-1] / counts[-1]))
    half = half_width(error, counts[-1] - 1, _CONFIDENCE)
    mean = float(values.mean())
    return NestedComponents(
        mean=mean,
        s_squared=tuple(s_squared),
        t_squared=t_squared,
        components=tuple(max(value, 0.0) for value in t_squared),
        clipped=clipped,
        standard_error=error,
        df=counts[-1] - 1,
        low=mean - half,
        high=mean + half,
        counts=counts,
        note=f"negative estimate taken as 0 at level {names} (1 is the innermost)" if names else "",
    )


def variance_components(y: ArrayLike) -> VarianceComponents:
    """Split the variance of runs of equally many checkpoints.

    The interval of the mean uses the means of runs only (Kalibera & Jones 2013), so it is as wide as the variation
    between runs makes it, however many checkpoints a run has.

    Args:
        y: (R, N) runs by checkpoints, in any unit.

    Raises:
        ValueError: not two axes of two or more entries, NaN or infinite values.
    """
    values = as_table(y, "y")
    if values.ndim != _RUNS_AND_CHECKPOINTS:
        raise ValueError(f"y must have the shape (runs, checkpoints), not {values.shape}")
    nested = nested_components(values)
    within, between = nested.s_squared
    runs, checkpoints = values.shape
    total = nested.components[0] + nested.components[1]
    statistic = checkpoints * between / within if within > 0 else float("inf" if between > 0 else "nan")
    return VarianceComponents(
        mean=nested.mean,
        low=nested.low,
        high=nested.high,
        run_variance=nested.components[1],
        unclipped_run_variance=nested.t_squared[1],
        checkpoint_variance=within,
        clipped=nested.clipped[1],
        icc=nested.components[1] / total if total > 0 else 0.0,
        statistic=statistic,
        pvalue=float(f_distribution.sf(statistic, runs - 1, runs * (checkpoints - 1))),
        standard_error=nested.standard_error,
        runs=runs,
        checkpoints=checkpoints,
        note="the estimate between runs was negative and is taken as 0" if nested.clipped[1] else "",
    )


@dataclass(frozen=True, slots=True)
class LogMeanInterval:
    """A geometric mean between the ends of its 95 % t interval on logs, in the unit of the values."""

    estimate: float
    low: float
    high: float


def log_mean_interval(values: ArrayLike) -> LogMeanInterval:
    """Return the geometric mean of positive run summaries with its t interval on logs.

    Raises:
        ValueError: fewer than two values, NaN, infinite or not positive.
    """
    array = as_vector(values, "values", least=2)
    if array.min() <= 0:
        raise ValueError(f"values must be positive for their logs and hold {array.min()}")
    logs = np.log(array)
    error = float(logs.std(ddof=1) / np.sqrt(len(logs)))
    half = half_width(error, len(logs) - 1, _CONFIDENCE)
    centre = float(logs.mean())
    low, estimate, high = np.exp([centre - half, centre, centre + half])
    return LogMeanInterval(float(estimate), float(low), float(high))
