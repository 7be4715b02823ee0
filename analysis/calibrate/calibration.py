"""How often every method is wrong, where the truth is known.

The campaigns are simulated with the sizes, blocks and checkpoints of the given one and with the variation it showed
(between runs, within them, from one checkpoint to the next, stalls, drift, lost runs), or with the constants that the
method assumes. Each rate stands beside what the method claims and beside the band in which that claim is believed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from analysis import stats
from analysis.calibrate import cells, comparisons, effects, families, looking, trends
from analysis.calibrate.model import model_of
from analysis.calibrate.rates import Asked
from analysis.calibrate.simulate import Model
from analysis.errors import NothingMeasuredError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from analysis.calibrate.rates import Rate
    from analysis.verdicts.results import Results

    Ask = Callable[[Asked], Iterable[Rate]]

STUDIES = 2_000
"""Simulated campaigns per question, unless asked otherwise."""


def _fewer(ask: Ask, part: int) -> Ask:
    return lambda asked: ask(asked.fewer(part))


def _slow(ask: Ask) -> Ask:
    return lambda asked: ask(cells.slow(asked))


QUESTIONS: dict[str, tuple[Ask, ...]] = {
    "type I error": (trends.type_one_error, cells.pooled_and_by_run),
    "power": (trends.power,),
    "coverage": (cells.medians, trends.coverage, cells.phase_means, _slow(cells.bootstraps), _slow(cells.tails)),
    "verdict": (trends.verdicts,),
    "equivalence": (trends.equivalent,),
    "comparison": (_fewer(comparisons.comparisons, 10),),
    "looking": (_fewer(looking.looking, 4),),
    "families": (_fewer(families.families, 10),),
    "promise": (_fewer(families.promises, 10),),
    "shape": (_fewer(effects.shapes, 10),),
    "interaction": (families.interactions,),
    "value": (effects.values,),
    "noise floor": (cells.equals,),
    "RAM split": (_fewer(effects.split, 4),),
    "page cost": (_fewer(effects.page_cost, 4),),
    "drift": (_fewer(effects.host_drift, 4),),
    "failures": (cells.failures,),
    "modes": (cells.false_modes,),
}
"""What is asked of the methods, ``quantity`` in the table, and who answers it."""


def calibration(
    model: Model | None, studies: int = STUDIES, seed: int = 1, *, questions: Collection[str] = tuple(QUESTIONS)
) -> pd.DataFrame:
    """Return how often each method is wrong, for the design of a campaign or for the constants that the method assumes.

    A trend is judged here within blocks alone, and families are made up; :func:`rates` takes the strata and the
    families of a plan besides.

    Columns: ``method``; ``level``: ``pooled`` where a checkpoint counts as a measurement, ``run`` where a run does;
    ``quantity``: one of ``QUESTIONS``; ``estimate``: the rate, with ``low`` and ``high``, the exact 95 % interval that
    the number of simulated studies gives it, and ``standard_error`` of the same; ``nominal``: what the method claims;
    ``band_low``, ``band_high``: the rates that are acceptable, ``ok``: whether this one is; ``recommended``: whether
    conclusions are drawn with it here; ``studies``.

    Args:
        model: :func:`own_model` of the campaign to simulate; None for the method's own constants.
        studies: simulated campaigns per question; slow and naive methods take fewer.
        seed: of the generators.
        questions: which of ``QUESTIONS``; ``("type I error",)`` is all that a picture of pooling needs.
    """
    return table(rates(Asked(model or Model(), studies, seed), questions))


def own_model(results: Results | None) -> Model | None:
    """Return the model of a campaign; None where no cell has two runs long enough to tell how they vary."""
    try:
        return None if results is None else model_of(results.campaign)
    except NothingMeasuredError:
        return None


def rates(
    asked: Asked, questions: Collection[str] = tuple(QUESTIONS), say: Callable[[str], None] = lambda _: None
) -> list[Rate]:
    """Return the rates of every method; slow and naive ones take fewer studies.

    Args:
        asked: the model of the campaigns, and what is asked of them.
        questions: which of ``QUESTIONS``.
        say: told which question is being asked.
    """
    found: list[Rate] = []
    chosen = [question for question in QUESTIONS if question in questions]
    for place, question in enumerate(chosen, start=1):
        say(f"simulating campaigns: {question}, {place} of {len(chosen)}")
        found += (replace(rate, question=question) for ask in QUESTIONS[question] for rate in ask(asked))
    return found


def table(found: Sequence[Rate]) -> pd.DataFrame:
    """Return rates as the table that :func:`calibration` describes."""
    rows = []
    for rate in found:
        interval = stats.clopper_pearson(round(rate.rate * rate.studies), rate.studies)
        low, high = rate.band
        rows.append(
            {
                "method": rate.method,
                "level": rate.level,
                "quantity": rate.question,
                "estimate": rate.rate,
                "low": interval.low,
                "high": interval.high,
                "standard_error": rate.standard_error,
                "nominal": rate.claim.nominal,
                "band_low": low,
                "band_high": high,
                "ok": rate.ok,
                "recommended": rate.recommended,
                "studies": rate.studies,
            }
        )
    return pd.DataFrame(rows)
