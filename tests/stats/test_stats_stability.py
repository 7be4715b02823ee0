from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from analysis.stats import changepoints, steadiness_of


def _levels(*parts: tuple[float, int], sd: float = 0.001, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(mean, sd, count) for mean, count in parts])


def test_changes_of_level_are_found_where_they_are() -> None:
    found = changepoints(_levels((0.03, 40), (0.02, 60), (0.05, 50)))
    assert found.starts == (40, 100)
    assert found.lengths == (40, 60, 50)
    assert found.means == pytest.approx((0.03, 0.02, 0.05), abs=0.001)
    assert found.penalty == pytest.approx(15 * np.log(150))


def test_a_change_of_variance_is_a_change() -> None:
    rng = np.random.default_rng(1)
    found = changepoints(np.concatenate([rng.normal(0, 1, 100), rng.normal(0, 12, 100)]))
    assert len(found.starts) == 1
    assert found.starts[0] == pytest.approx(100, abs=6)


def test_the_segments_are_the_cheapest_there_are() -> None:
    values = _levels((0, 9), (4, 7), sd=1.0)
    penalty = 3.0

    def cost(part: np.ndarray) -> float:
        return float(len(part) * (np.log(part.var()) + 1))

    costs = {(): cost(values)}
    costs |= {(a,): cost(values[:a]) + cost(values[a:]) + penalty for a in range(5, 12)}
    costs |= {
        (a, b): cost(values[:a]) + cost(values[a:b]) + cost(values[b:]) + 2 * penalty
        for a in range(5, 12)
        for b in range(a + 5, 12)
    }
    assert changepoints(values, penalty=penalty).starts == min(costs, key=lambda starts: costs[starts])


def test_values_that_resemble_their_neighbours_are_one_segment() -> None:
    rng = np.random.default_rng(2)
    runs = [np.exp(0.2 * lfilter([1], [1, -0.6], rng.normal(size=100))) for _ in range(60)]
    assert sum(len(changepoints(run).starts) > 0 for run in runs) <= 2
    assert changepoints(np.round(0.02 * runs[0], 3)).starts == ()
    assert changepoints([1.0] * 40).starts == ()


@pytest.mark.parametrize(
    ("parts", "kind", "steady_from"),
    [
        (((0.02, 100),), "flat", 0),
        (((0.03, 30), (0.02, 70)), "warmup", 30),
        (((0.02, 30), (0.03, 70)), "slowdown", 30),
        (((0.02, 85), (0.03, 15)), "no-steady", None),
        (((0.0200, 50), (0.0205, 50)), "flat", 0),
    ],
)
def test_runs_are_classified(parts: tuple[tuple[float, int], ...], kind: str, steady_from: int | None) -> None:
    (found,) = steadiness_of([_levels(*parts, sd=0.0003)])
    assert (found.kind, found.steady_from) == (kind, steady_from)


def test_a_single_extreme_value_is_no_segment() -> None:
    values = _levels((0.02, 300))
    values[250] = 5.0
    assert steadiness_of([values])[0].kind == "flat"


def test_series_too_short_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 10"):
        changepoints(np.arange(9.0))
    with pytest.raises(ValueError, match="shortest must be"):
        changepoints(np.arange(9.0), shortest=1)
