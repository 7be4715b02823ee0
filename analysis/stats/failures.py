"""Failed runs are an outcome: how many of how many."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import binomtest

from analysis.stats.checks import as_share


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share of attempts with its exact interval."""

    estimate: float
    low: float
    high: float


def clopper_pearson(failures: int, attempts: int, *, confidence: float = 0.95) -> Proportion:
    """Return the share of attempts that failed, with the interval of Clopper & Pearson (1934).

    Raises:
        ValueError: no attempts, or more failures than attempts, or ``confidence`` outside (0, 1).
    """
    if attempts < 1 or not 0 <= failures <= attempts:
        raise ValueError(f"{failures} failures of {attempts} attempts is not a share")
    interval = binomtest(failures, attempts).proportion_ci(as_share(confidence, "confidence"), method="exact")
    return Proportion(failures / attempts, float(interval.low), float(interval.high))
