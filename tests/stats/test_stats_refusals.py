"""Every public statistic refuses what cannot be analysed, by name: nothing at all, and what is not a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from analysis import stats

if TYPE_CHECKING:
    from collections.abc import Callable

NAN = float("nan")
SOME = [1.0, 2.0, 3.0, 4.0]
KNOWN = [1.0, 2.0, NAN, 4.0]
BLOCKS = [0, 0, 1, 1]
LONG = [float(value % 7) for value in range(40)]

CALLS: dict[str, list[Callable[[], object]]] = {
    "autocorrelation": [lambda: stats.autocorrelation([]), lambda: stats.autocorrelation(KNOWN, lags=1)],
    "benjamini_hochberg": [lambda: stats.benjamini_hochberg([]), lambda: stats.benjamini_hochberg([NAN])],
    "blocked_jonckheere": [
        lambda: stats.blocked_jonckheere([], [], []),
        lambda: stats.blocked_jonckheere(SOME, KNOWN, BLOCKS),
        lambda: stats.blocked_jonckheere(SOME, SOME, BLOCKS, resamples=0),
    ],
    "clopper_pearson": [
        lambda: stats.clopper_pearson(0, 0),
        lambda: stats.clopper_pearson(NAN, 3),  # type: ignore[arg-type]
        lambda: stats.clopper_pearson(1, 3, confidence=NAN),
    ],
    "detectable_effect": [
        lambda: stats.detectable_effect(0.1, 6, []),
        lambda: stats.detectable_effect(NAN, 6, SOME),
        lambda: stats.detectable_effect(0.1, NAN, SOME),  # type: ignore[arg-type]
        lambda: stats.detectable_effect(0.1, 6, KNOWN),
        lambda: stats.detectable_effect(0.1, 6, SOME, power=NAN),
        lambda: stats.detectable_effect(0.1, 6, SOME, efficiency=NAN),
    ],
    "equivalence": [
        lambda: stats.equivalence([], [], -1, 1),
        lambda: stats.equivalence(SOME, KNOWN, -1, 1),
        lambda: stats.equivalence(SOME, SOME, NAN, 1),
    ],
    "hierarchical_bootstrap": [
        lambda: stats.hierarchical_bootstrap([]),
        lambda: stats.hierarchical_bootstrap([SOME, KNOWN]),
    ],
    "hodges_lehmann": [lambda: stats.hodges_lehmann([], []), lambda: stats.hodges_lehmann(SOME, KNOWN)],
    "holm": [lambda: stats.holm([]), lambda: stats.holm([NAN])],
    "interaction": [
        lambda: stats.interaction([], [], []),
        lambda: stats.interaction(LONG, [*LONG[:-1], NAN], [0, 1] * 20),
    ],
    "jonckheere": [
        lambda: stats.jonckheere([]),
        lambda: stats.jonckheere([SOME, []]),
        lambda: stats.jonckheere([SOME, KNOWN]),
    ],
    "lack_of_fit": [
        lambda: stats.lack_of_fit([], []),
        lambda: stats.lack_of_fit([1, 1, 2, 2, 3, 3], [1, 2, 3, 4, 5, NAN]),
    ],
    "least_squares": [
        lambda: stats.least_squares([], []),
        lambda: stats.least_squares(SOME, KNOWN),
        lambda: stats.least_squares(SOME, SOME, BLOCKS[:2]),
    ],
    "log_mean_interval": [lambda: stats.log_mean_interval([]), lambda: stats.log_mean_interval(KNOWN)],
    "mean_slope": [
        lambda: stats.mean_slope([], [], []),
        lambda: stats.mean_slope(LONG, [*LONG[:-1], NAN], [0, 1] * 20),
    ],
    "median_interval": [
        lambda: stats.median_interval([]),
        lambda: stats.median_interval(KNOWN),
        lambda: stats.median_interval(SOME, NAN),
    ],
    "modes": [lambda: stats.modes([]), lambda: stats.modes([*LONG, NAN])],
    "mser5": [lambda: stats.mser5([]), lambda: stats.mser5([*LONG, NAN])],
    "needed_blocks": [
        lambda: stats.needed_blocks(NAN, 5, 0.05),
        lambda: stats.needed_blocks(0.1, NAN, 0.05),  # type: ignore[arg-type]
        lambda: stats.needed_blocks(0.1, 5, NAN),
        lambda: stats.needed_blocks(0.1, 5, 0.05, x=[]),
        lambda: stats.needed_blocks(0.1, 5, 0.05, x=KNOWN),
        lambda: stats.needed_blocks(0.1, 5, 0.05, assurance=NAN),
        lambda: stats.needed_blocks(0.1, 5, 0.05, most=1),
    ],
    "optimal_repetitions": [
        lambda: stats.optimal_repetitions([], run_cost=1, checkpoint_cost=1),
        lambda: stats.optimal_repetitions([LONG, [*LONG, NAN]], run_cost=1, checkpoint_cost=1),
        lambda: stats.optimal_repetitions([LONG, LONG], run_cost=NAN, checkpoint_cost=1),
        lambda: stats.optimal_repetitions([LONG, LONG], run_cost=1, checkpoint_cost=1, batches=NAN),  # type: ignore[arg-type]
    ],
    "outliers": [lambda: stats.outliers([]), lambda: stats.outliers(KNOWN)],
    "per_page_cost": [
        lambda: stats.per_page_cost([], []),
        lambda: stats.per_page_cost([SOME, KNOWN], [SOME, SOME]),
    ],
    "quantile_allowed": [
        lambda: stats.quantile_allowed(NAN, 0.5),  # type: ignore[arg-type]
        lambda: stats.quantile_allowed(10, NAN),
    ],
    "rank_efficiency": [lambda: stats.rank_efficiency(NAN, blocked=True)],  # type: ignore[arg-type]
    "slow_mode_share": [
        lambda: stats.slow_mode_share([]),
        lambda: stats.slow_mode_share(KNOWN),
        lambda: stats.slow_mode_share(SOME, base_s=NAN),
    ],
    "steadiness_of": [lambda: stats.steadiness_of([[]]), lambda: stats.steadiness_of([[*LONG, NAN]])],
    "stratified_theil_sen": [
        lambda: stats.stratified_theil_sen([], [], []),
        lambda: stats.stratified_theil_sen(SOME, KNOWN, BLOCKS),
        lambda: stats.stratified_theil_sen(SOME, SOME, BLOCKS, NAN),
    ],
    "variance_components": [lambda: stats.variance_components([]), lambda: stats.variance_components([SOME, KNOWN])],
}


def test_every_public_function_is_among_them() -> None:
    functions = {name for name in stats.__all__ if callable(getattr(stats, name)) and name.islower()}
    assert set(CALLS) == functions


@pytest.mark.parametrize(
    "call",
    [pytest.param(call, id=f"{name}-{place}") for name, calls in CALLS.items() for place, call in enumerate(calls)],
)
def test_nothing_and_what_is_no_number_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        call()


def test_no_runs_have_no_class() -> None:
    assert stats.steadiness_of([]) == ()


def test_arguments_that_are_often_given_may_be_given_by_place() -> None:
    up = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert stats.jonckheere(up, "decreasing", "exact").pvalue == pytest.approx(1.0)
    assert np.isfinite(stats.stratified_theil_sen([1, 2, 3], [1, 2, 4], [0] * 3, 0.5).low)
    assert stats.median_interval(np.arange(5.0), 0.9).rank == 1
    assert stats.holm(p=[0.01, 0.04]).tolist() == [0.02, 0.04]
