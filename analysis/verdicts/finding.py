"""What came out of a hypothesis: the word, the effect with its interval, and the sentence for a person."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.format.outcomes import NO_RATIO
from analysis.text import plural
from analysis.verdicts.claims import ALPHA, INCONCLUSIVE, NOTHING, Claims, Effect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.stored.records import Hypothesis
    from analysis.verdicts.claims import Stage
    from analysis.verdicts.shape import Shape

ADJUSTED_BY = {"primary": "Holm", "secondary": "Benjamini-Hochberg"}
"""By whom the p-values of each family are adjusted."""

YES_OR_NO_TEXT = f"a yes or a no in each run, {NO_RATIO}: a range of their share can be declared (kind: value)"


def no_ratio(values: Sequence[float]) -> str:
    """Return why runs are not compared: some measured 0, or less, and leaving those out would be another question."""
    without = [value for value in values if value <= 0]
    if not without:
        return ""
    what = "0 or less" if min(without) < 0 else "0"
    return f"{len(without)} of {plural(len(values), 'run')} {'is' if len(without) == 1 else 'are'} {what}, {NO_RATIO}"


@dataclass(frozen=True)
class LevelFinding:
    """The same question at one combination of the other factors, or a range at one cell.

    Attributes:
        level: the combination, in words.
        effect: relative, as in :class:`Finding`.
        word: the verdict there, adjusted by Holm over the levels.
        label: which case of it.
        runs: how many runs compare anything there.
        claims: what may be said there, with failed runs ranked worst, not adjusted.
        sesoi: the smallest relative effect of interest there: milliseconds are another share at every level.
    """

    level: str
    effect: Effect
    word: str
    label: str
    runs: int
    claims: Claims = NOTHING
    sesoi: float = 0.0


@dataclass(frozen=True)
class Finding:
    """The verdict on one hypothesis.

    Attributes:
        hypothesis: as it was declared.
        word: SUPPORTED, REFUTED or INCONCLUSIVE.
        label: which case of it.
        sentence: the answer in one sentence, figures and word included.
        effect: relative: 0.05 is 5 % per doubling (trend) or of the base (contrast). For a value: the outcome itself,
            from the lowest end of any cell's interval to the highest. NaN ends where there is no interval.
        confidence: of the effect's interval, two-sided.
        absolute: the effect in ``absolute_unit``; NaN where it has none.
        absolute_unit: such as ``ms per GiB``.
        sesoi: the smallest relative effect of interest: the larger of the declared relative one and the declared
            milliseconds, and ``sesoi_rests_on`` says which: ``sesoi`` or ``sesoi_ms``. 0, and empty, for a value.
        floor: what equal cells differ by, per unit of the effect; it makes a support harder.
        span: of the factor, in the middle one of its strata: doublings for a trend, 1 for a contrast; NaN for a value.
        runs: in strata that compare anything; ``excluded``: left out by their own quality check, or as the pauses
            asked about are in doubt; ``failed``: never measured, not to be read, or with too few checkpoints.
        strata: blocks times the levels of the other factors, those that compare anything.
        levels: the same question at each combination of the other factors, where there are several.
        interaction_pvalue: of equal effects at all levels; NaN with one level.
        shape: whether the sizes lie on a line, and the steps between them; None with fewer than three.
        stages: what may be said, after each demand that is made; the last one is that of the family's adjustment.
        exploratory: whether the hypothesis was not, or not in this form, chosen before the data; or was, and is
            ``too_short``: its runs have too few checkpoints beyond the quantile that it is about.
        notes: what a reader should know.
        more_blocks: how many more would settle it, infinite for more than can be told; None where nothing tells.
    """

    hypothesis: Hypothesis
    word: str
    label: str
    sentence: str
    effect: Effect
    confidence: float
    absolute: Effect
    absolute_unit: str
    sesoi: float
    sesoi_rests_on: str
    floor: float
    span: float
    runs: int
    excluded: int
    failed: int
    strata: int
    levels: tuple[LevelFinding, ...] = ()
    interaction_pvalue: float = float("nan")
    shape: Shape | None = None
    stages: tuple[Stage, ...] = ()
    adjusted_claims: Claims = NOTHING
    exploratory: bool = False
    too_short: bool = False
    notes: tuple[str, ...] = ()
    more_blocks: float | None = None

    @property
    def claims(self) -> Claims:
        """What may be said by itself, not adjusted for the other hypotheses."""
        return self.stages[-1].claims if self.stages else NOTHING

    @property
    def pvalue(self) -> float:
        """Of the word, with failed runs ranked worst where that is larger; NaN where nothing was tested.

        One-sided, and twice that of a difference that refutes none, and of a range with two ends that is left.
        """
        return _of_word(self.claims, self.word) if self.stages else math.nan

    @property
    def adjusted(self) -> float:
        """The same after the adjustment over its family."""
        return _of_word(self.adjusted_claims, self.word) if self.stages else math.nan

    @property
    def sesoi_over_span(self) -> float:
        """The smallest effect of interest from one end of the factor to the other: in the unit of the noise floor."""
        if self.hypothesis.direction == "decreasing" and self.sesoi < 1:
            return -math.expm1(math.log1p(-self.sesoi) * self.span)
        return math.expm1(math.log1p(self.sesoi) * self.span)

    @property
    def levels_differ(self) -> bool:
        """Whether the effect differs between levels: by the F test, and by more than what was declared to matter."""
        effects = [level.effect.estimate for level in self.levels]
        if not effects or not self.interaction_pvalue < ALPHA:
            return False
        return max(effects) - min(effects) > self.sesoi


def _of_word(claims: Claims, word: str) -> float:
    return claims.best if word == INCONCLUSIVE else claims.supports if word == "SUPPORTED" else claims.refutes


def nothing(hypothesis: Hypothesis, excluded: int, failed: int, notes: tuple[str, ...]) -> Finding:
    """Return the finding of a hypothesis of which nothing is known yet."""
    none = Effect(math.nan, math.nan, math.nan)
    return Finding(
        hypothesis=hypothesis,
        word=INCONCLUSIVE,
        label="",
        sentence="",
        effect=none,
        confidence=0.90,
        absolute=none,
        absolute_unit="",
        sesoi=0.0,
        sesoi_rests_on="",
        floor=0.0,
        span=math.nan,
        runs=0,
        excluded=excluded,
        failed=failed,
        strata=0,
        notes=notes,
    )
