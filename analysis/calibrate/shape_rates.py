"""How often what is said of the shape of an effect is wrong: of a line, of a step at one size, of a hump."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.calibrate.rates import AT_MOST, Rate, as_rate
from analysis.calibrate.simulate import simulate_runs
from analysis.stored.records import Hypothesis
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.hypotheses import judge
from analysis.verdicts.question import Question

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.calibrate.simulate import Model
    from analysis.verdicts.finding import Finding

    Floats = NDArray[np.float64]

_FEWEST_SIZES = 3
_LARGE = float(np.log(1.25))
_GIB = 1 << 30


def shapes(model: Model, *, studies: int, seed: int) -> list[Rate]:
    """Return how often a line is called none, and how often a step of 25 % passes for no effect.

    Empty where there are fewer than three sizes, of which every line is one.

    Args:
        model: the campaign, of one combination of the other factors; lost runs are left out.
        studies: how many campaigns.
        seed: of the generator.
    """
    count = len(model.sizes)
    if count < _FEWEST_SIZES:
        return []
    grows = {"id": "shape", "claim": "The pause grows with RAM.", "factor": "mem"}
    # In a pause of a millisecond the milliseconds that matter are more than the step.
    asked = Hypothesis.model_validate(grows | {"sesoi_ms": 0.0})
    none = replace(model.complete, slope=0.0, combinations=1)
    logs = simulate_runs(none, np.random.default_rng(seed), studies)
    sizes = np.array(model.sizes)
    line = np.log1p(asked.sesoi) * (sizes - sizes[0])
    last, middle = (_LARGE * (np.arange(count) == place) for place in (count - 1, count // 2))
    bent = [_judged(asked, sizes, study + line) for study in logs]
    rates = [as_rate("shape", "a line is said to be none", [_bends(one) for one in bent], ALPHA, AT_MOST)]
    for said, added in (("the last step", last), ("a hump at one size", middle)):
        found = [_judged(asked, sizes, study + added) for study in logs]
        equal, refuted = [_equivalent(one) for one in found], [one.word == "REFUTED" for one in found]
        rates.append(as_rate("shape", f"equivalent said of {said}, 25 %", equal, ALPHA, AT_MOST))
        # A hump is no growth from end to end: how often it is called so is told, and no level claimed for it.
        claimed = (ALPHA, AT_MOST) if added is last else (math.nan, (0.0, 1.0))
        rates.append(as_rate("shape", f"growth REFUTED with {said}, 25 %", refuted, *claimed))
    return rates


def _judged(asked: Hypothesis, sizes: Floats, logs: Floats) -> Finding:
    blocks, count = logs.shape
    mem = np.tile(np.round(_GIB * 2.0**sizes), blocks)
    runs = pd.DataFrame({"mem": mem, "block": np.repeat(np.arange(blocks), count), asked.outcome: np.exp(logs).ravel()})
    return judge(Question(asked, runs, (), (), (), 0.0))


def _bends(found: Finding) -> bool:
    return found.shape is not None and found.shape.pvalue <= ALPHA


def _equivalent(found: Finding) -> bool:
    return "equivalent" in found.label
