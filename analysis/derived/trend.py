"""The effect of one factor within strata: its estimate, its tests, its verdict. Arrays in, values out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.derived.finding import Effect
from analysis.derived.outcomes import TIMES
from analysis.stored.factors import unit

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from analysis.stored.records import Hypothesis

_SECONDS = {*TIMES, "period", "colo_start"}
_SHARES = {"paused_share", "slow_share", "mismatch_share", "joined_share"}
_SUPPORT = "SUPPORTED"
_REFUTE = "REFUTED"
_UNDECIDED = "INCONCLUSIVE"


@dataclass(frozen=True)
class Sample:
    """Runs with a factor and an outcome.

    Attributes:
        x: (n,) the factor on the scale of the effect: log2 of a size, or 0 and 1.
        raw: (n,) the factor in its own unit, for the effect in milliseconds.
        y: (n,) the outcome, positive; a failed run is ``+inf``.
        strata: (n,) block and other factors.
        absolute_unit: such as ``ms per GiB``.
        in_seconds: whether the outcome is a time.
    """

    x: NDArray[np.float64]
    raw: NDArray[np.float64]
    y: NDArray[np.float64]
    strata: tuple[Hashable, ...]
    absolute_unit: str
    in_seconds: bool

    @classmethod
    def of(
        cls,
        hypothesis: Hypothesis,
        x: NDArray[np.float64],
        raw: NDArray[np.float64],
        y: NDArray[np.float64],
        strata: Sequence[Hashable],
    ) -> Sample:
        """Return the sample of a hypothesis, ``raw`` in its factor's unit."""
        scale, name = unit(str(hypothesis.factor)) if hypothesis.kind == "trend" else (1.0, "")
        seconds = hypothesis.outcome in _SECONDS
        shown = "ms" if seconds else "share" if hypothesis.outcome in _SHARES else hypothesis.outcome.replace("_", " ")
        per = f"{shown} per {name}" if name else shown
        return cls(x, raw / scale, y, tuple(strata), per, seconds)

    def absolute(self) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[Hashable, ...]]:
        """Return factor, outcome (ms where it is a time) and strata for the effect in units."""
        return self.raw, self.y * (1e3 if self.in_seconds else 1.0), self.strata

    def with_failures(self, x: NDArray[np.float64], strata: Sequence[Hashable]) -> Sample:
        """Return the sample with failed runs, which rank worst."""
        return replace(
            self,
            x=np.concatenate([self.x, x]),
            raw=np.concatenate([self.raw, x]),
            y=np.concatenate([self.y, np.full(len(x), np.inf)]),
            strata=(*self.strata, *strata),
        )


@dataclass(frozen=True)
class SmallestEffect:
    """The smallest effect of interest, relative and per unit of x: per doubling (trend) or of the base (contrast).

    Attributes:
        judged_by: the largest of what was declared and the noise floor of equals.
        declared: the larger of the declared relative effect and the declared milliseconds over the median outcome.
        rests_on: which of them it is: ``sesoi``, ``sesoi_ms`` or ``noise_floor``.
    """

    judged_by: float
    declared: float
    rests_on: str


def smallest_effect(hypothesis: Hypothesis, sample: Sample, floor: float) -> SmallestEffect:
    """Return the smallest effect that a hypothesis is judged by.

    Args:
        hypothesis: with ``sesoi``, relative per unit of x, and ``sesoi_ms``.
        sample: what it is judged from.
        floor: relative, between two cells (:func:`analysis.derived.hypotheses.noise_floor`). Equals can differ by
            so much from one end of the factor to the other; per unit of x that is its logarithm over the span of x.
    """
    by_time = hypothesis.sesoi_ms / 1e3 / float(np.median(sample.y)) if sample.in_seconds else 0.0
    by_floor = float(np.expm1(np.log1p(floor) / np.ptp(sample.x)))
    sizes = {"sesoi": hypothesis.sesoi, "sesoi_ms": by_time, "noise_floor": by_floor}
    largest = max(sizes, key=lambda name: sizes[name])
    return SmallestEffect(sizes[largest], max(hypothesis.sesoi, by_time), largest)


@dataclass(frozen=True)
class Tests:
    """One-sided p-values: what the claim of an effect in its direction finds for and against it."""

    supports: float
    refutes: float


def estimate(
    data: tuple[NDArray[np.float64], NDArray[np.float64], tuple[Hashable, ...]], confidence: float = 0.90
) -> Effect:
    """Return the stratified Theil-Sen slope of ``(x, y, strata)`` with its interval."""
    slope = stats.stratified_theil_sen(*data, confidence=confidence)
    return Effect(slope.estimate, slope.low, slope.high)


def tests(sample: Sample, direction: str, sesoi: float) -> Tests:
    """Return the exact p-values for a claim: against no effect, and against an effect of at least ``sesoi``.

    For ``none`` the claim is that the effect lies within ``sesoi`` on either side (two one-sided tests).
    """
    edge = float(np.log1p(sesoi))
    if direction == "none":
        within = max(_pvalue(sample, -edge, "increasing"), _pvalue(sample, edge, "decreasing"))
        beyond = min(_pvalue(sample, edge, "increasing"), _pvalue(sample, -edge, "decreasing"))
        return Tests(supports=within, refutes=min(1.0, 2 * beyond))
    if direction == "decreasing":
        return Tests(supports=_pvalue(sample, 0.0, "decreasing"), refutes=_pvalue(sample, -edge, "increasing"))
    return Tests(supports=_pvalue(sample, 0.0, "increasing"), refutes=_pvalue(sample, edge, "decreasing"))


def _pvalue(sample: Sample, slope: float, alternative: str) -> float:
    """Return the exact p-value of the log outcome growing by more (or less) than ``slope`` per unit of x."""
    rest = np.log(sample.y) - slope * sample.x
    return stats.blocked_jonckheere(sample.x, rest, sample.strata, alternative=alternative, allow_infinite=True).pvalue


def judged(sample: Sample, direction: str, sesoi: float) -> tuple[Effect, str, str, float]:
    """Return effect (relative), word, label, and the one-sided p-value of the side that the word rests on."""
    logs = estimate((sample.x, np.log(sample.y), sample.strata))
    effect = Effect(*(float(np.expm1(end)) for end in (logs.estimate, logs.low, logs.high)))
    pvalues = tests(sample, direction, sesoi)
    word, label = _word(logs, direction, float(np.log1p(sesoi)))
    pvalue = {_SUPPORT: pvalues.supports, _REFUTE: pvalues.refutes}.get(word, min(pvalues.supports, pvalues.refutes))
    if word != _UNDECIDED and pvalue > 0.05:  # noqa: PLR2004 - the interval is asymptotic, the test exact
        word, label = _UNDECIDED, "too few strata for an exact test"
    return effect, word, label, pvalue


def _word(logs: Effect, direction: str, edge: float) -> tuple[str, str]:
    if direction == "none":
        if -edge < logs.low and logs.high < edge:
            return _SUPPORT, "equivalent"
        outside = logs.low >= edge or logs.high <= -edge
        return (_REFUTE, "a material difference") if outside else (_UNDECIDED, "undecided")
    low, high = (logs.low, logs.high) if direction == "increasing" else (-logs.high, -logs.low)
    said = stats.verdict(low, high, edge)
    return said.word.value, said.label
