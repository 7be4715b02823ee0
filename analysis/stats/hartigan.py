"""Hartigan's dip: how far a sample is from every distribution with a single mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import isotonic_regression

from analysis.stats.checks import as_positive, as_vector
from analysis.stats.dip_table import PROBABILITIES, SCALED_DIPS, SIZES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from analysis.stats.checks import FloatArray

    Indices = NDArray[np.intp]

_FEWEST = 4
_TIED = 0.1
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class DipResult:
    """The dip test of one mode against more.

    Attributes:
        statistic: the dip, between ``1/(2n)`` and ``1/4``.
        pvalue: under the uniform, the worst case of one mode; between 0.001 and 1, the limits of the table.
        n: values; ``jittered``: whether noise of the resolution was added.
    """

    statistic: float
    pvalue: float
    n: int
    jittered: bool


def dip(values: ArrayLike, *, resolution: float | None = None, seed: int = 1) -> DipResult:
    """Test whether values have more than one mode (Hartigan & Hartigan, *Annals of Statistics* 13, 1985).

    Conservative for anything but the uniform, and meant for independent values: neighbouring checkpoints that resemble
    each other make it reject somewhat more often. The p-value comes from simulated uniform samples (``dip_table``).

    Args:
        values: (n,) four or more, in any unit.
        resolution: the tick of the clock that produced them, in the same unit: uniform noise of half a tick either way
            is added, because ticks themselves look like modes. None for none.
        seed: of that noise.

    Raises:
        ValueError: too few values, NaN, infinite, a resolution that is not positive, or values of which more than a
            tenth repeat others while no resolution is given.
    """
    array = as_vector(values, "values", least=_FEWEST)
    if resolution is not None:
        half = as_positive(resolution, "resolution") / 2
        array = array + np.random.default_rng(seed).uniform(-half, half, len(array))
    elif len(array) - len(np.unique(array)) > _TIED * len(array):
        raise ValueError("values repeat one another: give the resolution they were recorded with")
    statistic = dip_statistic(array)
    return DipResult(statistic, _pvalue(statistic, len(array)), len(array), resolution is not None)


def dip_statistic(values: ArrayLike) -> float:
    """Return the dip alone.

    Narrows the modal interval until the distance inside it no longer exceeds that outside: the greatest convex minorant
    bounds the distribution function left of the mode, the least concave majorant right of it.

    Raises:
        ValueError: empty, not one-dimensional, NaN or infinite.
    """
    x, counts = np.unique(as_vector(values, "values"), return_counts=True)
    n = int(counts.sum())
    above = np.cumsum(counts) / n
    below = above - counts / n
    first, last = 0, len(x) - 1
    distance = 1.0 / n
    while last > first:
        inside = slice(first, last + 1)
        convex, minorant = _hull(x[inside], below[inside], increasing=True)
        concave, majorant = _hull(x[inside], above[inside], increasing=False)
        gap = majorant - minorant
        at_convex, at_concave = int(np.argmax(gap[convex])), int(np.argmax(gap[concave]))
        widest = float(max(gap[convex[at_convex]], gap[concave[at_concave]]))
        if widest <= distance:
            break
        if gap[convex[at_convex]] > gap[concave[at_concave]]:
            left = int(convex[at_convex])
            right = int(concave[np.searchsorted(concave, left)])
        else:
            right = int(concave[at_concave])
            left = int(convex[np.searchsorted(convex, right, side="right") - 1])
        outside_left = float((above[inside] - minorant)[: left + 1].max())
        outside_right = float((majorant - below[inside])[right:].max())
        distance = max(distance, outside_left, outside_right)
        if left == 0 and right == last - first:
            break
        first, last = first + left, first + right
    return distance / 2


def simulated_quantiles(
    n: int, probabilities: Sequence[float], *, samples: int = 20_000, seed: int = 1985
) -> tuple[float, ...]:
    """Return quantiles of ``sqrt(n) * dip`` of uniform samples of ``n``: a row of ``dip_table``.

    Raises:
        ValueError: fewer than four values per sample.
    """
    if n < _FEWEST:
        raise ValueError(f"n must be at least {_FEWEST} and is {n}")
    rng = np.random.default_rng([seed, n])
    scaled = [np.sqrt(n) * dip_statistic(rng.random(n)) for _ in range(samples)]
    return tuple(round(float(value), 4) for value in np.quantile(scaled, probabilities))


def _hull(x: FloatArray, height: FloatArray, *, increasing: bool) -> tuple[Indices, FloatArray]:
    """Return the corners and the values of the convex minorant (slopes increase) or concave majorant of points."""
    width = np.diff(x)
    fit: Any = isotonic_regression(np.diff(height) / width, weights=width, increasing=increasing)
    corners: Indices = np.asarray(fit.blocks, dtype=np.intp)
    return corners, np.interp(x, x[corners], height[corners])


def _pvalue(statistic: float, n: int) -> float:
    """Interpolate ``sqrt(n) * dip`` in the table, over the probabilities and, between two sizes, over ``sqrt(n)``."""
    if statistic <= (1 + _SLACK) / (2 * n):
        return 1.0
    sizes, table = np.sqrt(SIZES), np.array(SCALED_DIPS)
    quantiles = [float(np.interp(np.sqrt(n), sizes, column)) for column in table.T]
    upper = 1.0 - np.array(PROBABILITIES)
    return float(np.interp(np.sqrt(n) * statistic, quantiles, upper, left=1.0))
