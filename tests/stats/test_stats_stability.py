from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from analysis.stats import steadiness_of


def _levels(*parts: tuple[float, int], sd: float = 0.001, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(mean, sd, count) for mean, count in parts])


def test_a_change_of_variance_is_a_change() -> None:
    rng = np.random.default_rng(1)
    (found,) = steadiness_of([np.concatenate([rng.normal(30, 12, 100), rng.normal(36, 1, 200)])])
    assert found.steady_from == pytest.approx(100, abs=6)


def test_values_that_resemble_their_neighbours_are_one_segment() -> None:
    rng = np.random.default_rng(2)
    runs = [np.exp(0.2 * lfilter([1], [1, -0.6], rng.normal(size=100))) for _ in range(60)]
    assert sum(found.kind != "flat" for found in steadiness_of(runs)) <= 2
    assert [found.kind for found in steadiness_of([np.round(0.02 * runs[0], 3), [1.0] * 40])] == ["flat"] * 2


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
        steadiness_of([np.arange(9.0)])
