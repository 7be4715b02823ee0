"""The two-level bootstrap: runs are drawn again, and within each drawn run its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from analysis.stats.checks import as_runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray

_CONFIDENCE = 0.95


class Statistic(Protocol):
    """A summary along an axis, such as ``numpy.median`` or ``numpy.mean``."""

    def __call__(self, values: FloatArray, /, *, axis: int) -> Any:
        """Return the summary of ``values`` along ``axis``."""


@dataclass(frozen=True, slots=True)
class BootstrapResult:
    """A percentile interval from the two-level bootstrap.

    Attributes:
        low: lower percentile, of 95 % in all; ``high``: upper one.
        standard_error: standard deviation of the resampled statistic.
    """

    low: float
    high: float
    standard_error: float


def hierarchical_bootstrap(
    runs: Iterable[ArrayLike],
    *,
    statistic: Statistic = np.median,
    resamples: int = 2_000,
    seed: int = 1,
) -> BootstrapResult:
    """Return the percentile interval of a summary of runs, with replacement at both levels.

    Kalibera & Jones (TR 4-12, 2012). For comparison only: at five runs such an interval of a mean at 95 % covers 84 to
    88 %, since the spread of five runs is too small on average.

    Args:
        runs: checkpoints per run, an (R, N) array or runs of unequal length.
        statistic: summary of one run, and of the runs' summaries, along an axis.
        resamples: how many.
        seed: of the generator.

    Raises:
        ValueError: fewer than two runs, a run of fewer than two checkpoints, NaN, infinite, or an option out of range.
    """
    arrays = as_runs(runs, "runs")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1 and is {resamples}")
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(arrays), (resamples, len(arrays)))
    summaries = np.empty(drawn.shape)
    for place, run in enumerate(arrays):
        chosen = drawn == place
        again = rng.integers(0, len(run), (int(chosen.sum()), len(run)))
        summaries[chosen] = statistic(run[again], axis=-1)
    values = np.asarray(statistic(summaries, axis=-1), dtype=np.float64)
    low, high = np.quantile(values, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return BootstrapResult(float(low), float(high), float(values.std(ddof=1)) if resamples > 1 else 0.0)
