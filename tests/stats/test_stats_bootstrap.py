from __future__ import annotations

import numpy as np
import pytest

from analysis.stats import hierarchical_bootstrap

# Davies & Goldsmith (1972), six batches of dyestuff.
DYESTUFF = np.array(
    [
        [1545, 1440, 1440, 1520, 1580],
        [1540, 1555, 1490, 1560, 1495],
        [1595, 1550, 1605, 1510, 1560],
        [1445, 1440, 1595, 1465, 1545],
        [1595, 1630, 1515, 1635, 1625],
        [1520, 1455, 1450, 1480, 1445],
    ],
    dtype=float,
)


def test_the_variance_of_the_mean_is_the_analytic_one() -> None:
    means = DYESTUFF.mean(axis=1)
    analytic = np.sqrt((np.mean((means - means.mean()) ** 2) + np.mean(DYESTUFF.var(axis=1) / 5)) / 6)
    assert analytic == pytest.approx(19.45415, abs=5e-6)
    assert means.std() / np.sqrt(6) == pytest.approx(17.69455, abs=5e-6)
    result = hierarchical_bootstrap(DYESTUFF, statistic=np.mean, resamples=40_000)
    assert result.standard_error == pytest.approx(analytic, rel=0.015)
    assert result.low < 1527.5 < result.high


def test_runs_of_unequal_length_keep_their_analytic_variance() -> None:
    runs = [DYESTUFF[0], DYESTUFF[1, :3], DYESTUFF[2, :2], DYESTUFF[3]]
    means = np.array([run.mean() for run in runs])
    analytic = np.sqrt((means.var() + np.mean([run.var() / len(run) for run in runs])) / 4)
    result = hierarchical_bootstrap(runs, statistic=np.mean, resamples=40_000)
    assert result.standard_error == pytest.approx(analytic, rel=0.015)


def test_the_same_seed_gives_the_same_interval() -> None:
    first, again, other = (hierarchical_bootstrap(DYESTUFF, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_what_cannot_be_drawn_again_is_refused() -> None:
    with pytest.raises(ValueError, match="runs needs at least 2 runs"):
        hierarchical_bootstrap(DYESTUFF[:1])
    with pytest.raises(ValueError, match=r"runs\[1\] needs at least 2 values"):
        hierarchical_bootstrap([[1.0, 2.0], [1.0]])
    with pytest.raises(ValueError, match=r"runs\[0\] holds NaN"):
        hierarchical_bootstrap([[1.0, float("nan")], [1.0, 2.0]])
    with pytest.raises(ValueError, match="resamples must be"):
        hierarchical_bootstrap(DYESTUFF, resamples=0)
