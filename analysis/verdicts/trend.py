"""The effect of one factor within strata: its estimate, and the exact tests of what may be said of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.verdicts.claims import ALPHA, Claims, Effect, Stage, weakest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.format.factors import Level
    from analysis.stored.records import Hypothesis

WITHIN_EQUALS = "within what equal cells differ by"
HANGS_ON_FAILURES = "depends on the failed runs"
HANGS_ON_CHECKS = "depends on the runs that their own check left out"
HANGS_ON_BOTH = "depends on the runs that failed or that their own check left out"
ON_FAILURES = frozenset((HANGS_ON_FAILURES, HANGS_ON_BOTH))
HANGING = ON_FAILURES | {HANGS_ON_CHECKS}
"""What is said where the runs without a value take a word away; of those that failed, to measure these again helps."""

UNDECIDED = "undecided"
TOO_FEW = "too few blocks for an interval"


_DIGITS = 12
_MOST_FALL = 0.999999


@dataclass(frozen=True)
class Sample:
    """Runs with a factor and an outcome.

    Attributes:
        x: (n,) the factor on the scale of the effect: log2 of a size, or 0 and 1.
        raw: (n,) the factor in its own unit, for the effect in units.
        y: (n,) the outcome, positive.
        strata: (n,) block, then the other factors, as typed values.
        lost_x: (m,) the factor of the runs that have no value: they failed, or did not pass their own check;
            ``lost_strata``: (m,) theirs; ``hangs``: what is said where a word is lost by them.
        more_is_worse: whether such a run ranks above every other; else below.
        scale: from the outcome's unit to the one it is shown in; ``unit``: that one, such as ``ms per GiB``.
    """

    x: NDArray[np.float64]
    raw: NDArray[np.float64]
    y: NDArray[np.float64]
    strata: tuple[tuple[Level, ...], ...]
    lost_x: NDArray[np.float64]
    lost_strata: tuple[tuple[Level, ...], ...] = ()
    hangs: str = HANGS_ON_FAILURES
    more_is_worse: bool = True
    scale: float = 1.0
    unit: str = ""

    @property
    def logs(self) -> NDArray[np.float64]:
        """Return the logs of the outcome."""
        return np.log(self.y)

    @cached_property
    def spans(self) -> dict[tuple[Level, ...], float]:
        """Return what lies between the ends of the factor in each stratum that compares anything."""
        ends: dict[tuple[Level, ...], list[float]] = {}
        for x, stratum in zip(self.x.tolist(), self.strata, strict=True):
            ends.setdefault(stratum, []).append(x)
        return {stratum: max(x) - min(x) for stratum, x in ends.items() if max(x) > min(x)}

    @property
    def span(self) -> float:
        """Return what lies between the ends of the factor, in the middle one of these: doublings, 1 for a contrast."""
        return float(np.median(list(self.spans.values())))

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Return which runs are compared with any."""
        return np.array([stratum in self.spans for stratum in self.strata], dtype=bool)

    @property
    def typical(self) -> float:
        """Return the median outcome among the runs that are compared with any."""
        return float(np.median(self.y[self.compared]))

    def above(self, slope: float, *, lost: bool) -> float:
        """Return the exact p-value of log outcomes growing by more than ``slope`` per unit of x."""
        return self._pvalue(slope, 1.0, lost=lost)

    def below(self, slope: float, *, lost: bool) -> float:
        """Return the exact p-value of log outcomes growing by less than ``slope`` per unit of x."""
        return self._pvalue(slope, -1.0, lost=lost)

    @cached_property
    def _pvalues(self) -> dict[tuple[float, float, bool], float]:
        """What was asked before: claims share their edges."""
        return {}

    def _pvalue(self, slope: float, sign: float, *, lost: bool) -> float:
        asked = (slope, sign, lost and len(self.lost_x) > 0)
        if asked not in self._pvalues:
            self._pvalues[asked] = self._computed(*asked)
        return self._pvalues[asked]

    def _computed(self, slope: float, sign: float, lost: bool) -> float:  # noqa: FBT001 - a key of what was asked
        # Rounded: at the edge itself equal runs are equal, whatever the last bit of their logs.
        rest, x, strata = np.round(self.logs - slope * self.x, _DIGITS), self.x, self.strata
        # Runs without a value rank above all: where less is worse everything is mirrored, the direction with it.
        if not self.more_is_worse:
            rest, sign = -rest, -sign
        if lost:
            rest = np.concatenate([rest, np.full(len(self.lost_x), np.inf)])
            x, strata = np.concatenate([x, self.lost_x]), (*strata, *self.lost_strata)
        alternative = "increasing" if sign > 0 else "decreasing"
        return stats.blocked_jonckheere(x, rest, strata, alternative=alternative, allow_infinite=True).pvalue

    def where(self, keep: NDArray[np.bool_], lost: NDArray[np.bool_]) -> Sample:
        """Return some of the runs, and of those without a value."""
        return replace(
            self,
            x=self.x[keep],
            raw=self.raw[keep],
            y=self.y[keep],
            strata=tuple(one for one, kept in zip(self.strata, keep, strict=True) if kept),
            lost_x=self.lost_x[lost],
            lost_strata=tuple(one for one, kept in zip(self.lost_strata, lost, strict=True) if kept),
        )

    @property
    def compares(self) -> bool:
        """Tell whether any stratum holds two levels of the factor."""
        return bool(self.spans)


def hangs_on(failed: int, left_out: int) -> str:
    """Return on what a word depends that is lost by the runs without a value."""
    return HANGS_ON_FAILURES if not left_out else HANGS_ON_BOTH if failed else HANGS_ON_CHECKS


@dataclass(frozen=True)
class Edges:
    """What an effect is held against, relative and per unit of x: per doubling (trend) or of the base (contrast).

    Attributes:
        sesoi: the smallest effect of interest: the larger of the declared relative effect and the declared
            milliseconds over the median outcome of the runs compared. It alone decides what effect is ruled out.
        rests_on: which of the two it is: ``sesoi`` or ``sesoi_ms``.
        floor: what equal cells differ by; it makes a support harder, and nothing easier.
    """

    sesoi: float
    rests_on: str
    floor: float

    @classmethod
    def of(cls, hypothesis: Hypothesis, sample: Sample, floor: float, *, in_ms: bool) -> Edges:
        """Return what a hypothesis is held against.

        Args:
            hypothesis: with ``sesoi``, relative per unit of x, and ``sesoi_ms``.
            sample: what it is judged from.
            floor: relative, between two cells (:func:`analysis.verdicts.equals.noise_floor`). Equals can differ by so
                much from one end of the factor to the other; per unit of x that is its logarithm over the span of x.
            in_ms: whether the outcome is a time of milliseconds or more.
        """
        by_time = hypothesis.sesoi_ms / 1e3 / sample.typical if in_ms else 0.0
        by_floor = float(np.expm1(np.log1p(floor) / sample.span))
        return cls(max(hypothesis.sesoi, by_time), "sesoi_ms" if by_time > hypothesis.sesoi else "sesoi", by_floor)

    @property
    def resolved(self) -> bool:
        """Tell whether equal cells differ by less than what matters: else no effect is ruled out."""
        return self.floor <= self.sesoi


def in_logs(effect: float, *, falls: bool) -> float:
    """Return how large a relative effect is in logs: a fall of a half is a ratio of 0.5, not of 1 / 1.5."""
    return -math.log1p(-min(effect, _MOST_FALL)) if falls else math.log1p(effect)


def relative(logs: float, *, falls: bool) -> float:
    """Return the relative effect of a size in logs; infinite where that is."""
    return -math.expm1(-logs) if falls and math.isfinite(logs) else math.expm1(logs)


def estimate(sample: Sample) -> tuple[Effect, int, int]:
    """Return the relative effect per unit of x and its 90 % interval, and how many runs and strata compare anything."""
    slope = stats.stratified_theil_sen(sample.x, sample.logs, sample.strata)
    return Effect(*(float(np.expm1(end)) for end in (slope.estimate, slope.low, slope.high))), slope.n, slope.strata


def absolute(sample: Sample) -> Effect:
    """Return the effect in the sample's unit, with its 90 % interval."""
    slope = stats.stratified_theil_sen(sample.raw, sample.y * sample.scale, sample.strata)
    return Effect(slope.estimate, slope.low, slope.high)


def stages(
    sample: Sample, edges: Edges, direction: str, undecided: str = UNDECIDED, *, ranked: Sample | None = None
) -> list[Stage]:
    """Return what can be said of an effect: by itself, against what equals differ by, with lost runs ranked worst.

    Lost are those that failed, and those that did not pass their own check: what disturbs a run may also be what makes
    its pauses long, so that leaving it out could flatter whatever disturbs.

    Args:
        sample: the runs.
        edges: what the effect is held against.
        direction: that the hypothesis claims.
        undecided: why there is no word where the runs alone give none.
        ranked: the runs with those that are lost ranked worst, where that is not done by adding these to the others.
    """
    bare = claims(sample, replace(edges, floor=0.0), direction, lost=False)
    held = bare if edges.floor == 0 else claims(sample, edges, direction, lost=False)
    found = [Stage(bare, undecided), Stage(weakest([bare, held]), WITHIN_EQUALS)]
    if ranked is not None or len(sample.lost_x):
        worst = claims(ranked or sample, edges, direction, lost=True)
        found.append(Stage(weakest([found[-1].claims, worst]), (ranked or sample).hangs))
    return found


def ruled_out(claims: Claims, mean: stats.MeanSlope, direction: str, sesoi: float) -> Claims:
    """Return the claims without those that the mean over the levels of other factors leaves open.

    Ranks within strata follow the levels whose runs vary least: what a noisy level may have would be hidden by them.
    """
    rises = mean.below(in_logs(sesoi, falls=False)) > ALPHA
    falls = mean.above(-in_logs(sesoi, falls=True)) > ALPHA
    either = rises or falls
    if direction == "none":
        return replace(claims, supports=1.0) if either else claims
    claimed = falls if direction == "decreasing" else rises
    return replace(
        claims,
        refutes=1.0 if claimed else claims.refutes,
        equivalent=1.0 if either else claims.equivalent,
    )


def claims(sample: Sample, edges: Edges, direction: str, *, lost: bool) -> Claims:
    """Return the exact p-values of what may be said of an effect, each against the edge that it names."""
    floor = float(np.log1p(edges.floor))
    rise, fall = (in_logs(edges.sesoi, falls=falls) for falls in (False, True))
    sesoi, against = (fall, rise) if direction == "decreasing" else (rise, fall)
    far = max(sesoi, floor)

    def more(edge: float) -> float:
        if direction == "decreasing":
            return sample.below(-edge, lost=lost)
        return sample.above(edge, lost=lost)

    def less(edge: float) -> float:
        if direction == "decreasing":
            return sample.above(-edge, lost=lost)
        return sample.below(edge, lost=lost)

    below = less(sesoi) if edges.resolved else 1.0
    within = max(below, more(-against)) if edges.resolved else 1.0
    if direction == "none":
        return Claims(supports=within, refutes=min(1.0, 2 * min(more(far), less(-max(against, floor)))))
    return Claims(
        supports=more(floor),
        refutes=below,
        material=more(far),
        equivalent=within,
        grows=min(1.0, 2 * more(floor)),
        shrinks=min(1.0, 2 * less(-floor)),
    )
