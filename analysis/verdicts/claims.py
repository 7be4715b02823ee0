"""What may be said of an effect, each with its p-value; and the one word that follows once these are adjusted."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import ArrayLike

    from analysis.stats.checks import FloatArray

SUPPORTED, REFUTED, INCONCLUSIVE = "SUPPORTED", "REFUTED", "INCONCLUSIVE"
ALPHA = 0.05
"""The level of every test, after the adjustment over its family."""

NOT_YET = "not yet: "
"""How a case begins in which the level of this look is what takes a word away."""

VALUE = "value"
"""In the place of a direction, where a hypothesis is about a range."""


@dataclass(frozen=True)
class Effect:
    """An estimate between the ends of its interval; NaN ends where there is no interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Claims:
    """P-values, 1 for what cannot be said. An effect is one in the direction that the hypothesis claims.

    Attributes:
        supports: of the hypothesis: an effect above none and above what equal cells differ by; for ``none``, no effect
            of the smallest size of interest either way.
        refutes: of its opposite: no effect of the smallest size of interest; for ``none``, one that equal cells do not
            show either.
        material: an effect of the smallest size of interest or more, and above what equal cells differ by.
        equivalent: no effect of the smallest size of interest, either way.
        grows: an effect above what equal cells differ by, two-sided; ``shrinks``: one against the direction claimed.
        bends: sizes are on no line (F test); ``differs``: levels of other factors do not share one effect (F test).
    """

    supports: float = 1.0
    refutes: float = 1.0
    material: float = 1.0
    equivalent: float = 1.0
    grows: float = 1.0
    shrinks: float = 1.0
    bends: float = 1.0
    differs: float = 1.0

    @property
    def best(self) -> float:
        """Return the p-value of whichever word is nearer."""
        return min(self.supports, self.refutes)


NOTHING = Claims()


def weakest(every: Iterable[Claims]) -> Claims:
    """Return what can be said only where all of them say it: the largest p-value of each claim."""
    return Claims(*(max(pvalues) for pvalues in zip(*(astuple(one) for one in every), strict=True)))


def adjusted_over(every: Iterable[Claims], method: Callable[[ArrayLike], FloatArray]) -> list[Claims]:
    """Return the claims of each, every claim adjusted over all of them by a method such as Holm's."""
    columns = [method(pvalues) for pvalues in zip(*map(astuple, every), strict=True)]
    return [Claims(*map(float, own)) for own in zip(*columns, strict=True)]


@dataclass(frozen=True)
class Stage:
    """Claims after one more demand has been made on them, and why there is no word if it is lost here."""

    claims: Claims
    lost: str


def word_of(claims: Claims, direction: str, alpha: float) -> tuple[str, str]:
    """Return the word at level ``alpha`` and which case of it; a case is named only where its own claim holds."""
    if claims.refutes <= alpha:
        return REFUTED, _case(REFUTED, claims, direction, alpha)
    if claims.supports <= alpha:
        return SUPPORTED, _case(SUPPORTED, claims, direction, alpha)
    return INCONCLUSIVE, ""


def _case(word: str, claims: Claims, direction: str, alpha: float) -> str:
    cases, otherwise = _CASES.get((word, direction)) or _CASES[word, ""]
    return next((case for case, name in cases if getattr(claims, name) <= alpha), otherwise)


_CASES: dict[tuple[str, str], tuple[tuple[tuple[str, str], ...], str]] = {
    (SUPPORTED, ""): ((("material", "material"),), "direction certain, size uncertain"),
    (REFUTED, ""): (
        (("trivially positive", "grows"), ("opposite sign", "shrinks"), ("equivalent to none", "equivalent")),
        "no material growth",
    ),
    (REFUTED, "decreasing"): (
        (("trivially negative", "grows"), ("opposite sign", "shrinks"), ("equivalent to none", "equivalent")),
        "no material decline",
    ),
    (SUPPORTED, "none"): ((), "equivalent"),
    (REFUTED, "none"): ((), "a material difference"),
    (SUPPORTED, VALUE): ((), "within the range"),
    (REFUTED, VALUE): ((), "outside the range"),
}
"""Per word and direction: the cases, each with the claim that it makes, and what is said where none holds."""


def decide(stages: Sequence[Stage], direction: str, alpha: float) -> tuple[str, str]:
    """Return the word that is left after all stages with its case, or else INCONCLUSIVE and what took it.

    Args:
        stages: each at least as demanding as the one before.
        direction: that the hypothesis claims.
        alpha: the level; below :data:`ALPHA` where looks at fewer blocks came before.
    """
    word, case = word_of(stages[-1].claims, direction, alpha)
    if word != INCONCLUSIVE:
        return word, case
    lost = [stage.lost for stage in stages if word_of(stage.claims, direction, ALPHA)[0] == INCONCLUSIVE]
    earlier = f"{NOT_YET}all looks share the level, p {stages[-1].claims.best:.2g}"
    return word, lost[0] if lost else earlier
