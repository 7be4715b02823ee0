"""What came out of a hypothesis: the word, the effect with its interval, and the sentence for a person."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.text import plural

if TYPE_CHECKING:
    from analysis.stored.records import Hypothesis

ALPHA = 0.05

ADJUSTED_BY = {"primary": "Holm", "secondary": "Benjamini-Hochberg"}
"""By whom the p-values of each family are adjusted."""

NO_RATIO = "of which no ratio can be told"


def zeros_text(zeros: int, runs: int) -> str:
    """Return why runs are not compared: some of them measured 0, and leaving those out would be another question."""
    return f"{zeros} of {plural(runs, 'run')} {'is' if zeros == 1 else 'are'} 0, {NO_RATIO}"


@dataclass(frozen=True)
class Effect:
    """An estimate between the ends of its interval; NaN ends where there is no interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class LevelFinding:
    """The same question at one combination of the other factors.

    Attributes:
        level: the combination, in words.
        effect: relative, as in :class:`Finding`.
        word: the verdict there, unadjusted.
        label: which case of it.
        runs: how many runs entered.
    """

    level: str
    effect: Effect
    word: str
    label: str
    runs: int


@dataclass(frozen=True)
class Finding:
    """The verdict on one hypothesis.

    Attributes:
        hypothesis: as it was declared.
        word: SUPPORTED, REFUTED or INCONCLUSIVE.
        label: which case of it.
        sentence: the answer in one sentence, figures and word included.
        effect: relative: 0.05 is 5 % per doubling (trend) or of the base (contrast). For a value: the outcome itself.
        confidence: of the effect's interval, two-sided.
        absolute: the effect in ``absolute_unit``; NaN where it has none.
        absolute_unit: such as ``ms per GiB``.
        sesoi: the smallest relative effect of interest that was judged by: the largest of the declared relative one,
            the declared milliseconds, and the A/A noise floor over the span of the factor. 0 for a value.
        pvalue: one-sided, of the side that the word rests on; ``adjusted``: over its family, by ``ADJUSTED_BY``.
        runs: how many entered; ``excluded``: left out for their own failed quality check; ``failed``: never measured.
        strata: blocks times the levels of the other factors.
        levels: the same question at each combination of the other factors, where there are several.
        interaction_pvalue: of equal effects at all levels; NaN with one level.
        sesoi_declared: the larger of the two declared ones, relative; ``sesoi_rests_on``: which of the three was judged
            by: ``sesoi``, ``sesoi_ms`` or ``noise_floor``; empty for a value.
        span: of the factor among the runs judged: doublings for a trend, 1 for a contrast; NaN for a value.
        exploratory: whether the hypothesis was not, or not in this form, declared before the data.
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
    pvalue: float
    adjusted: float
    runs: int
    excluded: int
    failed: int
    strata: int
    levels: tuple[LevelFinding, ...] = ()
    interaction_pvalue: float = float("nan")
    sesoi_declared: float = 0.0
    sesoi_rests_on: str = ""
    span: float = float("nan")
    exploratory: bool = False
    notes: tuple[str, ...] = ()
    more_blocks: float | None = None

    @property
    def sesoi_declared_over_span(self) -> float:
        """What was declared to matter, from one end of the factor to the other: in the unit of the noise floor."""
        return math.expm1(math.log1p(self.sesoi_declared) * self.span)

    @property
    def levels_differ(self) -> bool:
        """Whether the effect differs between levels: by the F test, and by more than what was declared to matter."""
        effects = [level.effect.estimate for level in self.levels]
        if not effects or not self.interaction_pvalue < ALPHA:
            return False
        return max(effects) - min(effects) > self.sesoi_declared
