"""The analyses not to use, which take every checkpoint for a measurement of its own: here to be seen failing.

Each works on many simulated campaigns at once, pauses of shape (studies, blocks, sizes, checkpoints).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import f as f_distribution
from scipy.stats import rankdata, ttest_ind
from scipy.stats import t as t_distribution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.stats.checks import FloatArray

_LINE = 2
_RESAMPLES, _ENDS = 300, ((1 - 0.95) / 2, (1 + 0.95) / 2)


def pooled_spearman(pauses: FloatArray, sizes: Sequence[float]) -> FloatArray:
    """Return two-sided p-values, one per study, of Spearman's correlation of all checkpoints with size."""
    x = rankdata(np.broadcast_to(np.asarray(sizes)[None, :, None], pauses.shape[1:]))
    y = rankdata(pauses.reshape(len(pauses), -1), axis=1)
    dy, dx = y - y.mean(axis=1, keepdims=True), x - x.mean()
    correlation = dy @ dx / np.sqrt((dy * dy).sum(axis=1) * (dx @ dx))
    df = y.shape[1] - _LINE
    pvalues: FloatArray = 2 * t_distribution.sf(np.abs(correlation * np.sqrt(df / (1 - correlation**2))), df)
    return pvalues


def pooled_anova(pauses: FloatArray, _: Sequence[float]) -> FloatArray:
    """Return p-values, one per study, of equal means of all sizes over all checkpoints."""
    studies, blocks, count, checkpoints = pauses.shape
    grouped = np.moveaxis(pauses, 2, 1).reshape(studies, count, -1)
    per_size = blocks * checkpoints
    between = per_size * grouped.mean(axis=2).var(axis=1, ddof=1)
    within = grouped.var(axis=2, ddof=1).mean(axis=1)
    pvalues: FloatArray = f_distribution.sf(between / within, count - 1, count * (per_size - 1))
    return pvalues


def pooled_welch(pauses: FloatArray, _: Sequence[float]) -> FloatArray:
    """Return two-sided p-values, one per study, of Welch's t test between all checkpoints of the extreme sizes."""
    studies = len(pauses)
    first, last = (pauses[:, :, place].reshape(studies, -1) for place in (0, -1))
    pvalues: FloatArray = np.asarray(ttest_ind(first, last, axis=1, equal_var=False).pvalue, dtype=np.float64)
    return pvalues


def pooled_bootstrap(pauses: FloatArray, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return the ends of 95 % percentile intervals, one per study, of the median of a cell's checkpoints, all together.

    Args:
        pauses: (studies, blocks, checkpoints) of a single cell.
        seed: of the generator.
    """
    rng = np.random.default_rng(seed)
    together = pauses.reshape(len(pauses), -1)
    size = together.shape[1]
    found = [
        np.quantile(np.median(study[rng.integers(0, size, (_RESAMPLES, size))], axis=1), _ENDS) for study in together
    ]
    low, high = np.array(found).T
    return low, high


TESTS = {
    "Spearman": pooled_spearman,
    "one-way ANOVA": pooled_anova,
    "Welch's t, largest against smallest": pooled_welch,
}
"""Of pauses and sizes: p-values, one per study."""
