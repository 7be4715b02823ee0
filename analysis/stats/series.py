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
_BAND = 1.96


@dataclass(frozen=True, slots=True)
class WarmupCut:
    """Where the steady part of a run begins.

    Attributes:
        cut: checkpoints to leave out from the start.
        statistic: the squared marginal standard error that the cut minimises.
    """

    cut: int
    statistic: float


@dataclass(frozen=True, slots=True)
class Autocorrelation:
    """How checkpoints resemble those before them.

    Attributes:
        lags: 1, 2, ...; ``values``: the correlation at each.
        band: beyond plus or minus this, a correlation of independent checkpoints is in one of twenty.
        effective_size: how many independent checkpoints would say as much of the mean, from the lags up to the first
            correlation that is not positive.
    """

    lags: tuple[int, ...]
    values: tuple[float, ...]
    band: float
    effective_size: float


@dataclass(frozen=True, slots=True)
class OutlierCounts:
    """Values that stand out, by rule; nothing is removed.

    Attributes:
        mild_low: between 1.5 and 3 interquartile ranges below the quartiles; ``mild_high``: above them.
        severe_low: more than 3 below; ``severe_high``: above.
        modified_z: more than 14.826 median absolute deviations (scaled) from the median, either side.
        n: values in all.
    """

    mild_low: int
    mild_high: int
    severe_low: int
    severe_high: int
    modified_z: int
    n: int

    @property
    def mild(self) -> int:
        """Return the mild ones on both sides."""
        return self.mild_low + self.mild_high

    @property
    def severe(self) -> int:
        """Return the severe ones on both sides."""
        return self.severe_low + self.severe_high


def mser5(values: ArrayLike, *, batch: int = 5) -> WarmupCut:
    """Return how many checkpoints to leave out as warm-up: MSER-5 of White, Cobb & Spratt (2000).

    Batches of five are cut from the start while that lowers ``sum((z - mean)^2) / (n - d)^2`` of the rest, up to half.

    Args:
        values: (n,) pauses of one run in the order measured; at least four batches.
        batch: checkpoints per batch.

    Raises:
        ValueError: too few, NaN, infinite, or a batch below 1.
    """
    if batch < 1:
        raise ValueError(f"batch must be at least 1 and is {batch}")
    array = as_vector(values, "values", least=_FEWEST_BATCHES * batch)
    count = len(array) // batch
    means = array[: count * batch].reshape(count, batch).mean(axis=1)
    limit = count // 2
    means -= means[0]
    left = np.arange(count, count - limit - 1, -1)
    centres = means[::-1].cumsum()[::-1][: limit + 1] / left
    apart = np.triu(means - centres[:, None])
    errors = (apart * apart).sum(axis=1) / left / left
    best = int(np.argmin(errors))
    return WarmupCut(best * batch, float(errors[best]))


def autocorrelation(values: ArrayLike, *, lags: int = 20) -> Autocorrelation:
    """Return the sample autocorrelation up to ``lags`` (Box & Jenkins; divisor ``n`` at every lag).

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
    found = np.array([float(centred[lag:] @ centred[:-lag]) / power for lag in range(1, lags + 1)])
    until = int(np.argmax(found <= 0)) if (found <= 0).any() else lags
    inflation = 1 + 2 * float(found[:until].sum())
    return Autocorrelation(
        lags=tuple(range(1, lags + 1)),
        values=tuple(float(value) for value in found),
        band=_BAND / float(np.sqrt(len(array))),
        effective_size=len(array) / inflation,
    )


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
    below, above = first - array, array - third
    return OutlierCounts(
        mild_low=_between(below, _MILD * width, _SEVERE * width),
        mild_high=_between(above, _MILD * width, _SEVERE * width),
        severe_low=_between(below, _SEVERE * width, np.inf),
        severe_high=_between(above, _SEVERE * width, np.inf),
        modified_z=_modified_z(array),
        n=len(array),
    )


def _between(distance: FloatArray, low: float, high: float) -> int:
    return int(((distance > low) & (distance <= high)).sum())


def _modified_z(array: FloatArray) -> int:
    away = np.abs(array - np.median(array))
    scale = _MAD_TO_SD * float(np.median(away))
    return int((away > _MODIFIED_Z * scale).sum()) if scale > 0 else 0
