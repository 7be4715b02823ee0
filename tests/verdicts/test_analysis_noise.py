"""What noise may do to a word, by simulation: make a support harder, and never refute."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from fixtures.simulated import GIB, Truth, cell, declared, judged

from analysis import stats
from analysis.verdicts.claims import word_of
from analysis.verdicts.hypotheses import MEAN_OPEN
from analysis.verdicts.trend import Edges, Sample, stages

STUDIES, SIZES, SPREAD, SESOI = 300, np.log2([1.0, 2.0, 4.0, 8.0]), 0.10, 0.05


def words(slope: float, blocks: int, *, sizes: np.ndarray, floor_of: str, direction: str = "increasing") -> list[str]:
    """Return the words on a true relative growth per doubling, with an A/A pair in every block."""
    rng = np.random.default_rng(20_260_101)
    x, strata = np.tile(sizes, blocks), tuple((block,) for block in np.repeat(np.arange(blocks), len(sizes)).tolist())
    found = []
    for _ in range(STUDIES):
        equal = np.expm1(floor(rng.normal(0, SPREAD * np.sqrt(2), blocks), floor_of))
        logs = np.log1p(slope) * x + rng.normal(0, SPREAD, len(x))
        edges = Edges(SESOI, "sesoi", float(np.expm1(np.log1p(equal) / np.ptp(sizes))))
        sample = Sample(x, x, np.exp(logs), strata, np.empty(0))
        found.append(word_of(stages(sample, edges, direction)[-1].claims, direction, 0.05)[0])
    return found


def floor(equals: np.ndarray, which: str) -> float:
    if which == "none":
        return 0.0
    if which == "spread":
        return float(np.quantile(np.abs(equals), 0.95))
    shift = stats.hodges_lehmann(equals, np.zeros(len(equals)))
    ends = [abs(end) for end in (shift.low, shift.high) if np.isfinite(end)]
    return max(ends) if ends else float(np.abs(equals).max())


@pytest.mark.parametrize("blocks", [6, 24])
def test_without_an_effect_few_are_called_supported(blocks: int) -> None:
    assert words(0.0, blocks, sizes=SIZES, floor_of="interval").count("SUPPORTED") <= 0.065 * STUDIES


def test_with_enough_blocks_an_effect_is_seen_below_the_spread_of_single_runs() -> None:
    assert words(0.12, 24, sizes=SIZES, floor_of="interval").count("SUPPORTED") >= 0.8 * STUDIES
    assert words(0.12, 24, sizes=SIZES, floor_of="spread").count("SUPPORTED") <= 0.8 * STUDIES


@pytest.mark.parametrize("floor_of", ["none", "interval"])
@pytest.mark.parametrize("blocks", [3, 6, 12])
@pytest.mark.parametrize("sizes", [SIZES, np.array([0.0, 1.0])], ids=["four sizes", "two levels"])
@pytest.mark.parametrize(("direction", "slope"), [("increasing", SESOI), ("decreasing", -SESOI), ("none", SESOI)])
def test_an_effect_of_the_declared_size_is_seldom_refuted_however_noisy(
    blocks: int, sizes: np.ndarray, floor_of: str, direction: str, slope: float
) -> None:
    found = words(slope, blocks, sizes=sizes, floor_of=floor_of, direction=direction)
    false = "SUPPORTED" if direction == "none" else "REFUTED"
    # Of exactly the declared size: no claim of less, and for "none" neither one of more.
    assert found.count(false) <= 0.075 * STUDIES
    if direction == "none":
        assert found.count("REFUTED") <= 0.075 * STUDIES


@pytest.mark.parametrize(
    ("growth", "direction", "word"),
    [(0.0, "increasing", "INCONCLUSIVE"), (0.0, "none", "INCONCLUSIVE"), (0.5, "none", "REFUTED")],
)
def test_where_equals_differ_by_more_than_matters_no_effect_is_ruled_out_but_one_beyond_both_is_there(
    growth: float, direction: str, word: str
) -> None:
    blocks = 12
    x, strata = np.tile([0.0, 1.0], blocks), tuple((block,) for block in np.repeat(np.arange(blocks), 2).tolist())
    sample = Sample(x, x, np.exp(np.log1p(growth) * x), strata, np.empty(0))
    edges = Edges(SESOI, "sesoi", 2 * SESOI)
    assert word_of(stages(sample, edges, direction)[-1].claims, direction, 0.05)[0] == word
    of_less = Edges(SESOI, "sesoi", SESOI / 2)
    assert word_of(stages(sample, of_less, direction)[-1].claims, direction, 0.05)[0] != "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("direction", "sign", "there"), [("increasing", 1, "positive"), ("decreasing", -1, "negative")]
)
def test_no_case_of_a_word_says_that_there_is_an_effect_within_what_equals_differ_by(
    direction: str, sign: int, there: str
) -> None:
    """An effect of 1 % that is sure by itself, of which 2 % may be what equal cells differ by, and 5 % matters."""
    x = np.tile(SIZES, 8)
    strata = tuple((block,) for block in np.repeat(np.arange(8), len(SIZES)).tolist())

    def case(slope: float, floor: float) -> tuple[str, str]:
        sample = Sample(x, x, np.exp(slope * x), strata, np.empty(0))
        return word_of(stages(sample, Edges(SESOI, "sesoi", floor), direction)[-1].claims, direction, 0.05)

    assert case(sign * 0.01, 0.0) == ("REFUTED", f"trivially {there}")
    assert case(-sign * 0.01, 0.0) == ("REFUTED", "opposite sign")
    assert case(sign * 0.01, 0.02) == case(-sign * 0.01, 0.02) == ("REFUTED", "equivalent to none")
    assert case(sign * 0.03, 0.02) == ("REFUTED", f"trivially {there}")
    assert case(-sign * 0.03, 0.02) == ("REFUTED", "opposite sign")


def test_a_level_whose_runs_vary_little_refutes_nothing_for_those_that_vary_more() -> None:
    # Over unix there is no growth, over tcp twice what matters: on average as much as matters, to the last digit.
    growth, deviations, studies = (1 + SESOI) ** 2 - 1, {"unix": 0.06, "tcp": 0.30}, 60
    cells = [cell(mem, 1, link=link) for mem in (GIB // 4, GIB, 4 * GIB) for link in deviations]
    asked = [declared(id="RAM", claim="It grows with RAM.", factor="mem")]
    found = Counter[str]()
    for seed in range(studies):
        rng = np.random.default_rng(seed)

        def effect(own: dict[str, Any], rng: np.random.Generator = rng) -> float:
            transport = own["link"]["transport"]
            grown = np.log1p(growth) * np.log2(own["mem"] / GIB) if transport == "tcp" else 0.0
            return float(grown + rng.normal(0, deviations[transport]))

        [one] = judged(Truth(cells, effect, asked, blocks=6, run_sd=0.0, checkpoint_sd=0.01), seed)
        found[one.word] += 1
        found[one.label] += 1
    assert found["REFUTED"] <= 0.15 * studies
    assert found[MEAN_OPEN] >= 0.1 * studies


def test_sizes_that_hardly_differ_are_judged_without_a_mean_over_levels() -> None:
    cells = [cell(mem, 1, link=link) for mem in (16 * GIB, 16 * GIB + (1 << 20)) for link in ("unix", "tcp")]
    asked = [declared(id="RAM", claim="It grows with RAM.", factor="mem")]
    [one] = judged(Truth(cells, lambda _: 0.0, asked, blocks=6, run_sd=0.001, checkpoint_sd=0.001), 1)
    assert one.word == "INCONCLUSIVE"
