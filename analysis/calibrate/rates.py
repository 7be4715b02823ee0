"""What every question is made of: what it is asked of, what a method claims, and how often that happened.

A question is a function of an :class:`Asked`: it simulates campaigns, judges each by the code of the report, and yields
a :class:`Rate` for everything that it counts, beside the :class:`Claim` that the rate is held to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from analysis.calibrate.layouts import Layouts, assumed, told_apart
from analysis.calibrate.simulate import Model, simulate_checkpoints, simulate_runs
from analysis.verdicts.claims import ALPHA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray

FEWEST_STUDIES = 50
_BAND_STUDIES, _BAND_ERRORS = 2_000, 3.0
_CHUNK_VALUES = 2_000_000
SLACK = 0.015


@dataclass(frozen=True, slots=True)
class Claim:
    """What a method says of a rate, and the least and the largest rate at which that is believed."""

    nominal: float
    low: float = 0.0
    high: float = 1.0


AT_MOST = Claim(ALPHA, 0.0, 0.065)
NOMINAL = Claim(ALPHA, 0.035, 0.065)
COVER_95 = Claim(0.95, 0.935, 0.98)
NONE = Claim(math.nan)
"""Of a rate that is told and promised by nobody."""


def around(level: float, slack: float = SLACK) -> Claim:
    """Return the claim of a rate that is just so."""
    return Claim(level, max(level - slack, 0.0), min(level + slack, 1.0))


def at_least(level: float) -> Claim:
    """Return the claim of a rate that cannot be too large."""
    return Claim(level, level - SLACK)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened in simulated campaigns.

    Attributes:
        method: in words; ``rate``: the share of ``studies``.
        level: ``pooled`` where the method takes a checkpoint for a measurement, ``run`` where a run.
        recommended: whether this project draws conclusions with it; the others are here to be compared, and are held
            to the same.
        question: that it answers.
    """

    method: str
    rate: float
    studies: int
    claim: Claim
    level: str = "run"
    recommended: bool = True
    question: str = ""

    @property
    def band(self) -> tuple[float, float]:
        """Return the band of the claim: that of 2,000 studies, three standard errors wider where they are fewer."""
        low, nominal, high = self.claim.low, self.claim.nominal, self.claim.high
        if math.isnan(nominal) or self.studies >= _BAND_STUDIES:
            return low, high
        wider = _BAND_ERRORS * math.sqrt(nominal * (1 - nominal)) * (self.studies**-0.5 - _BAND_STUDIES**-0.5)
        return max(low - wider, 0.0), min(high + wider, 1.0)

    @property
    def ok(self) -> bool:
        """Tell whether the rate is acceptable."""
        low, high = self.band
        return low <= self.rate <= high

    @property
    def standard_error(self) -> float:
        """Return the Monte Carlo standard error of the rate."""
        return math.sqrt(self.rate * (1 - self.rate) / self.studies)


def as_rate(method: str, hits: ArrayLike, claim: Claim, *, level: str = "run", recommended: bool = True) -> Rate:
    """Return the mean of ``hits``, one per study (whether it happened, or a share), as a rate."""
    found = np.asarray(hits, dtype=np.float64)
    return Rate(method, float(found.mean()), len(found), claim, level, recommended)


class _Interval(Protocol):
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def held(found: Iterable[_Interval], truth: float) -> list[bool]:
    """Tell of each interval whether it holds the truth."""
    return [bool(one.low <= truth <= one.high) for one in found]


@dataclass(frozen=True)
class Asked:
    """What a question is asked of.

    Attributes:
        model: of the campaigns.
        studies: how many are simulated, by a generator of ``seed``.
        plan: which runs answer which hypothesis; None for one trend within the model's blocks, and families made up.
    """

    model: Model
    studies: int
    seed: int = 1
    plan: Layouts | None = None

    @property
    def layouts(self) -> Layouts:
        """Return the plan, or its stand-in."""
        return self.plan or assumed(self.model)

    @property
    def designs(self) -> list[tuple[str, Model]]:
        """Return the model of every design of a trend, each with what tells it from the others."""
        if self.plan is None:
            return [("", self.model)]
        return [
            (
                f", {len(sizes)} levels in {self.model.blocks * combinations} strata{apart}",
                replace(self.model, sizes=sizes, combinations=combinations),
            )
            for (sizes, combinations), apart in told_apart(self.plan.trends).items()
        ]

    @property
    def rng(self) -> np.random.Generator:
        """Return a new generator."""
        return np.random.default_rng(self.seed)

    def fewer(self, part: int) -> Asked:
        """Return the same with a part of the studies, yet enough to tell something."""
        return replace(self, studies=max(self.studies // part, FEWEST_STUDIES))

    def runs(self, model: Model) -> FloatArray:
        """Return logs of run medians, shape (studies, blocks, sizes)."""
        return simulate_runs(model, self.rng, self.studies)

    def checkpoints(self, model: Model, at_once: int = _CHUNK_VALUES) -> Iterator[FloatArray]:
        """Yield the pauses of the studies in parts that fit into memory: of about so many values each."""
        rng, step = self.rng, max(1, at_once // model.all_checkpoints)
        for start in range(0, self.studies, step):
            yield simulate_checkpoints(model, rng, min(step, self.studies - start))
