from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from analysis.stats import log_mean_interval, variance_components

# The worked example of Kalibera & Jones as libkalibera (softdevteam) tests it, with the corrected T^2.
KALIBERA = [[[9, 5], [8, 3]], [[10, 6], [7, 11]], [[1, 12], [2, 4]]]
# Davies & Goldsmith (1972), six batches of dyestuff; the estimates are those of lme4's documentation.
DYESTUFF = [
    [1545, 1440, 1440, 1520, 1580],
    [1540, 1555, 1490, 1560, 1495],
    [1595, 1550, 1605, 1510, 1560],
    [1445, 1440, 1595, 1465, 1545],
    [1595, 1630, 1515, 1635, 1625],
    [1520, 1455, 1450, 1480, 1445],
]
NIST = Path(scipy.stats.__file__).parent / "tests" / "data" / "nist_anova"


def test_kalibera_and_jones_two_levels() -> None:
    result = variance_components(np.reshape(KALIBERA, (3, 4)))
    assert result.checkpoint_variance == pytest.approx(12.72222, abs=5e-6)
    assert result.run_variance == pytest.approx(0.381944, abs=5e-6)


def test_dyestuff() -> None:
    result = variance_components(DYESTUFF)
    assert result.checkpoint_variance == pytest.approx(2451.25)
    assert result.run_variance == pytest.approx(1764.05)
    assert result.icc == pytest.approx(0.4185, abs=5e-5)


@pytest.mark.parametrize(
    ("name", "statistic", "relative"),
    [
        ("SiRstv", 1.18046237440255, 1e-9),
        ("AtmWtAg", 15.9467335677930, 1e-8),
        ("SmLs01", 21.0, 1e-12),
        ("SmLs02", 201.0, 1e-12),
        ("SmLs03", 2001.0, 1e-12),
        ("SmLs07", 21.0, 0.05),
        ("SmLs08", 201.0, 0.05),
        ("SmLs09", 2001.0, 0.05),
    ],
)
def test_certified_f_of_nist(name: str, statistic: float, relative: float) -> None:
    lines = (NIST / f"{name}.dat").read_text().splitlines()
    rows = [line.split() for line in lines[60:]]
    group, y = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    table = np.array([y[group == label] for label in np.unique(group)])
    result = variance_components(table)
    f_of_runs = 1 + table.shape[1] * result.run_variance / result.checkpoint_variance
    assert f_of_runs == pytest.approx(statistic, rel=relative)
    certified = next(float(line.split()[-1]) for line in lines if line.split()[:2] == ["Standard", "Deviation"])
    assert result.checkpoint_variance**0.5 == pytest.approx(certified, rel=relative)


def test_injected_components_are_recovered() -> None:
    rng = np.random.default_rng(1)
    y = 2.0 * rng.normal(size=(3000, 1)) + 3.0 * rng.normal(size=(3000, 20))
    result = variance_components(y)
    assert result.run_variance == pytest.approx(4.0, rel=0.10)
    assert result.checkpoint_variance == pytest.approx(9.0, rel=0.03)


def test_a_negative_component_is_zero_and_said() -> None:
    result = variance_components([[0, 10], [10, 0], [1, 9]])
    assert (result.run_variance, result.clipped, result.icc) == (0, True, 0)


def test_the_log_interval_is_symmetric_in_ratio() -> None:
    result = log_mean_interval([1.0, 2.0, 4.0])
    estimate, low, high = result.estimate, result.low, result.high
    assert estimate == pytest.approx(2.0)
    assert high / estimate == pytest.approx(estimate / low)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1.0, 2.0], "two axes"),
        ([[1.0, 2.0]], "two axes"),
        ([[1.0, float("nan")], [1.0, 2.0]], "NaN"),
        (KALIBERA, "two axes"),
    ],
)
def test_other_shapes_are_refused(y: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        variance_components(y)


def test_logs_need_positive_values() -> None:
    with pytest.raises(ValueError, match="positive"):
        log_mean_interval([1.0, 0.0])
