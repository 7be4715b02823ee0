"""Modes of a distribution: a description of where they are, and a count in the band of a delayed acknowledgement."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import argrelmax, fftconvolve

from analysis.stats.checks import as_positive, as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from analysis.stats.checks import FloatArray

DELAYED_ACK_S = (0.035, 0.050)
"""Where one delayed acknowledgement lands above a pause without any: Linux waits 40 ms at least."""

_FEWEST_FOR_KDE = 10
_FEWEST_OF_MODE = 3
_GRID = 512
_FINER, _KERNEL_REACH, _NOTHING = 8, 6.0, 1e-7
_REACH = 3.0
_SILVERMAN = 0.9
_DEPTH = 0.5
_IQR_OF_NORMAL = 1.349
_FLAGGED = 3
_WIDEST_SD_S = 0.010
_LONGEST_OVERLAP_S = 0.010
_MAD_TO_SD = 1.4826


@dataclass(frozen=True, slots=True)
class SlowModeShare:
    """Pauses that are longer than others by one or more delayed acknowledgements.

    Attributes:
        counts: values in the band of one stall, and of two.
        share: of all values, that lie in either.
        flagged: three or more do, and the count is usable.
        usable: whether the pauses below the bands spread little enough for a band to mean something.
    """

    counts: tuple[int, ...]
    share: float
    flagged: bool
    usable: bool


def modes(values: ArrayLike) -> tuple[float, ...]:
    """Return where the kernel density of the logs of positive values peaks. A description, not a test.

    Two peaks are two modes when the density between them falls below half of the lower peak and each has three values
    on its side: fewer are outliers.

    Args:
        values: (n,) ten or more positive values, in any unit.

    Raises:
        ValueError: too few, NaN, infinite, or not positive.
    """
    array = as_vector(values, "values", least=_FEWEST_FOR_KDE)
    if array.min() <= 0:
        raise ValueError(f"values must be positive for their logs and hold {array.min()}")
    logs = np.log(array)
    bandwidth = _bandwidth(logs)
    if bandwidth == 0:
        return (float(np.median(array)),)
    reach = _REACH * bandwidth
    grid = np.linspace(logs.min() - reach, logs.max() + reach, _GRID)
    density = _density(logs, grid, bandwidth)
    peaks, valleys = _separate(density)
    while len(peaks) > 1 and min(_counts(logs, grid[valleys])) < _FEWEST_OF_MODE:
        peaks.pop(int(np.argmin(_counts(logs, grid[valleys]))))
        valleys = _valleys(density, peaks)
    return tuple(float(np.exp(place)) for place in grid[peaks])


def slow_mode_share(values: ArrayLike, *, base_s: float | None = None) -> SlowModeShare:
    """Count the pauses of one run in the bands of one and of two delayed acknowledgements above a base.

    Without ``base_s`` the bands are measured from the run's own median. Then a run whose usual pause is itself stalled
    looks clean, so give the pause of a transport without acknowledgements (a unix socket) as the base where known. As
    up to 10 ms of a given base may pass during a stall, the bands begin that much earlier.

    Args:
        values: (n,) pauses of one run in seconds.
        base_s: the pause without a stall, in seconds; None for the median.

    Raises:
        ValueError: empty, NaN, infinite, or a base that is not positive.
    """
    array = as_vector(values, "values")
    base = float(np.median(array)) if base_s is None else as_positive(base_s, "base_s")
    overlap_s = 0.0 if base_s is None else min(base, _LONGEST_OVERLAP_S)
    edges = np.array([[1], [2]]) * np.array(DELAYED_ACK_S) - np.array([overlap_s, 0.0])
    above = array - base
    inside = (above > edges[:, :1]) & (above < edges[:, 1:])
    counts = tuple(int(count) for count in inside.sum(axis=1))
    below = above[above <= edges[0, 0]]
    spread = _MAD_TO_SD * float(np.median(np.abs(below - np.median(below)))) if len(below) else 0.0
    usable = spread <= _WIDEST_SD_S
    return SlowModeShare(counts, sum(counts) / len(array), usable and sum(counts) >= _FLAGGED, usable)


def _bandwidth(logs: FloatArray) -> float:
    """Return Silverman's bandwidth, from the narrower of SD and IQR so that distant modes do not blur each other."""
    spread = float(logs.std(ddof=1))
    quartiles = np.quantile(logs, [0.25, 0.75])
    middle = float(quartiles[1] - quartiles[0]) / _IQR_OF_NORMAL
    narrow = min(spread, middle) or spread
    return _SILVERMAN * narrow * float(len(logs) ** -0.2)


def _density(logs: FloatArray, grid: FloatArray, bandwidth: float) -> FloatArray:
    """Return the Gaussian kernel density at each point of an even grid that reaches beyond the values.

    Each value is shared between the two nearest of ``_FINER`` times as many points (linear binning, Wand & Jones,
    *Kernel Smoothing*, 1995, D.2), so that one convolution takes the place of a kernel per value.
    """
    step = float(grid[1] - grid[0]) / _FINER
    places = (logs - grid[0]) / step
    below = np.floor(places).astype(np.int64)
    above, size = places - below, (len(grid) - 1) * _FINER + 1
    weights = np.bincount(below, 1 - above, size) + np.bincount(below + 1, above, size)
    reach = int(np.ceil(_KERNEL_REACH * bandwidth / step))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / bandwidth) ** 2)
    summed: FloatArray = fftconvolve(weights, kernel)[reach : reach + size : _FINER]
    # The transform leaves rounding where there is nothing: far below what a single value adds.
    density: FloatArray = np.where(summed > _NOTHING, summed, 0.0) / (len(logs) * bandwidth * np.sqrt(2 * np.pi))
    return density


def _separate(density: FloatArray) -> tuple[list[int], list[int]]:
    """Return peaks and the valleys between them, merging neighbours whose valley is too shallow."""
    peaks = [int(place) for place in argrelmax(density)[0]] or [int(np.argmax(density))]
    while True:
        valleys = _valleys(density, peaks)
        lower = [min(density[a], density[b]) for a, b in pairwise(peaks)]
        ratios = [density[valley] / peak for valley, peak in zip(valleys, lower, strict=True)]
        if not ratios or max(ratios) < _DEPTH:
            return peaks, valleys
        shallow = int(np.argmax(ratios))
        peaks.pop(shallow if density[peaks[shallow]] < density[peaks[shallow + 1]] else shallow + 1)


def _valleys(density: FloatArray, peaks: list[int]) -> list[int]:
    return [a + int(np.argmin(density[a:b])) for a, b in pairwise(peaks)]


def _counts(values: FloatArray, edges: FloatArray) -> NDArray[np.int64]:
    return np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
