"""P-values of several hypotheses, adjusted so that they may be read one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import false_discovery_control

from analysis.stats.checks import as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray


def holm(p: ArrayLike) -> FloatArray:
    """Return p-values adjusted by Holm (1979): the chance of any false finding stays at the level.

    Args:
        p: (m,) one per hypothesis of the family.

    Returns:
        (m,) adjusted p-values in the same order.

    Raises:
        ValueError: empty, NaN, or outside [0, 1].
    """
    raw = _pvalues(p)
    order = np.argsort(raw, kind="stable")
    stepped = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> FloatArray:
    """Return p-values adjusted by Benjamini & Hochberg (1995): of what is found, a bounded share is false.

    Args:
        p: (m,) one per hypothesis.

    Returns:
        (m,) adjusted p-values in the same order.

    Raises:
        ValueError: empty, NaN, or outside [0, 1].
    """
    adjusted: FloatArray = np.asarray(false_discovery_control(_pvalues(p), method="bh"), dtype=np.float64)
    return adjusted


def _pvalues(p: ArrayLike) -> FloatArray:
    raw = as_vector(p, "p")
    if raw.min() < 0 or raw.max() > 1:
        raise ValueError("p must lie between 0 and 1")
    return raw
