"""Where the variation comes from: components of variance of runs and checkpoints (Kalibera & Jones 2013)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.stats.checks import as_table, as_vector
from analysis.stats.groups import half_width

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Variance between runs and within them, in squared units of ``y``.

    Attributes:
        run_variance: component of the runs, 0 when the estimate was negative; ``checkpoint_variance``: within a run.
        clipped: whether the run component was negative.
        icc: share of the run component in the total, 0 when there is no variation at all.
    """

    run_variance: float
    checkpoint_variance: float
    clipped: bool
    icc: float


def variance_components(y: ArrayLike) -> VarianceComponents:
    """Split the variance of runs of equally many checkpoints.

    ``T_1^2 = S_1^2`` within runs and ``T_2^2 = S_2^2 - S_1^2 / N`` between them, from the variance ``S_2^2`` of the
    means of runs: Kalibera & Jones, *Rigorous Benchmarking in Reasonable Time*, ISMM 2013, with the correction of the
    formula printed there.

    Args:
        y: (R, N) runs by checkpoints, in any unit.

    Raises:
        ValueError: not two axes of two or more entries, NaN or infinite values.
    """
    values = as_table(y, "y")
    within = float(values.var(axis=1, ddof=1).mean())
    between = float(values.mean(axis=1).var(ddof=1)) - within / values.shape[1]
    own = max(between, 0.0)
    return VarianceComponents(own, within, between < 0, own / (own + within) if own + within > 0 else 0.0)


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
