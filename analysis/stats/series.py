"""The checkpoints of a run as a series: how long it warms up, how it resembles itself, what stands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.stats.checks import as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray

_MILD, _SEVERE = 1.5, 3.0
_MODIFIED_Z = 14.826
_MAD_TO_SD = 1.4826
_FEWEST_BATCHES = 4
_BATCH = 5


@dataclass(frozen=True, slots=True)
class OutlierCounts:
    """Values that stand out, by rule; nothing is removed.

    Attributes:
        mild: between 1.5 and 3 interquartile ranges beyond the quartiles; ``severe``: more than 3.
        modified_z: more than 14.826 median absolute deviations (scaled) from the median, either side.
    """

    mild: int
    severe: int
    modified_z: int


def mser5(values: ArrayLike) -> int:
    """Return how many checkpoints to leave out as warm-up: MSER-5 of White, Cobb & Spratt (2000).

    Batches of five are cut from the start while that lowers ``sum((z - mean)^2) / (n - d)^2`` of the rest, up to half.

    Args:
        values: (n,) pauses of one run in the order measured; at least four batches.

    Raises:
        ValueError: too few, NaN, or infinite.
    """
    array = as_vector(values, "values", least=_FEWEST_BATCHES * _BATCH)
    count = len(array) // _BATCH
    means = array[: count * _BATCH].reshape(count, _BATCH).mean(axis=1)
    limit = count // 2
    means -= means[0]
    left = np.arange(count, count - limit - 1, -1)
    centres = means[::-1].cumsum()[::-1][: limit + 1] / left
    apart = np.triu(means - centres[:, None])
    errors = (apart * apart).sum(axis=1) / left / left
    return int(np.argmin(errors)) * _BATCH


def autocorrelation(values: ArrayLike, *, lags: int = 20) -> tuple[float, ...]:
    """Return the sample autocorrelation at the lags 1 to ``lags`` (Box & Jenkins; divisor ``n`` at every lag).

    Args:
        values: (n,) pauses of one run in the order measured.
        lags: the largest lag.

    Raises:
        ValueError: not more values than lags, NaN, infinite, or constant.
    """
    if lags < 1:
        raise ValueError(f"lags must be at least 1 and is {lags}")
    array = as_vector(values, "values", least=lags + 1)
    centred = array - array.mean()
    power = float(centred @ centred)
    if power == 0:
        raise ValueError("values are constant: they have no autocorrelation")
    return tuple(float(centred[lag:] @ centred[:-lag]) / power for lag in range(1, lags + 1))


def outliers(values: ArrayLike) -> OutlierCounts:
    """Classify what stands out, after Tukey's fences and the modified Z score; classify only, never remove.

    Args:
        values: (n,) in any unit.

    Raises:
        ValueError: empty, NaN or infinite.
    """
    array = as_vector(values, "values")
    first, third = np.quantile(array, [0.25, 0.75])
    width = third - first
    beyond = np.maximum(first - array, array - third)
    mild = (beyond > _MILD * width) & (beyond <= _SEVERE * width)
    return OutlierCounts(int(mild.sum()), int((beyond > _SEVERE * width).sum()), _modified_z(array))


def _modified_z(array: FloatArray) -> int:
    away = np.abs(array - np.median(array))
    scale = _MAD_TO_SD * float(np.median(away))
    return int((away > _MODIFIED_Z * scale).sum()) if scale > 0 else 0
