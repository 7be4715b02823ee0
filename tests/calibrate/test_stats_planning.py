from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2
from scipy.stats import t as t_distribution

from analysis.calibrate.simulate import Model, simulate_checkpoints
from analysis.stats import (
    detectable_effect,
    needed_blocks,
    optimal_repetitions,
    rank_efficiency,
)


def test_simulated_runs_lead_to_the_optimum_of_their_median() -> None:
    model = Model(blocks=300, sizes=(0.0, 1.0), checkpoints=200)
    runs = np.log(simulate_checkpoints(model, np.random.default_rng(0))[0, :, 0])
    result = optimal_repetitions(runs, run_cost=60, checkpoint_cost=1)
    long_run = (model.median_sd**2 - model.run_sd**2) * model.checkpoints
    assert result.long_run_variance == pytest.approx(long_run, rel=0.12)
    assert result.checkpoints == pytest.approx(np.sqrt(60 * long_run) / model.run_sd, rel=0.25)
    assert result.note == ""


def test_runs_that_do_not_differ_have_no_optimum() -> None:
    run = np.random.default_rng(1).normal(size=50)
    result = optimal_repetitions([run, run[::-1]], run_cost=60, checkpoint_cost=1)
    assert result.checkpoints is None
    assert result.note.startswith("runs differ no more than their checkpoints explain")


@pytest.mark.parametrize(
    ("sd", "percents"),
    [
        (0.03, (1.5, 1.1, 1.0, 0.8, 0.5)),
        (0.06, (2.9, 2.2, 2.0, 1.5, 1.1)),
        (0.12, (6.0, 4.5, 4.0, 3.1, 2.1)),
        (0.25, (12.8, 9.5, 8.6, 6.5, 4.5)),
    ],
)
def test_the_table_of_detectable_effects(sd: float, percents: tuple[float, ...]) -> None:
    found = [100 * np.expm1(detectable_effect(sd, blocks, range(5)).estimate) for blocks in (3, 5, 6, 10, 20)]
    assert found == pytest.approx(percents, abs=0.051)


def test_two_samples_find_half_a_deviation_from_the_64th_of_the_published_63_7656() -> None:
    at = {n: detectable_effect(1.0, n, [0, 1], alpha=0.025).estimate for n in (63, 64)}
    assert at[63] > 0.5 > at[64]
    assert 63 + (at[63] - 0.5) / (at[63] - at[64]) == pytest.approx(63.7656, abs=0.02)


def test_a_less_efficient_test_detects_less() -> None:
    efficiency = rank_efficiency(5, blocked=True)
    assert efficiency == pytest.approx(3 / np.pi * 5 / 6)
    assert rank_efficiency(5, blocked=False) == pytest.approx(3 / np.pi)
    plain, ranks = detectable_effect(0.06, 6, range(5)), detectable_effect(0.06, 6, range(5), efficiency=efficiency)
    assert ranks.estimate == pytest.approx(plain.estimate / np.sqrt(efficiency))


def test_needed_blocks_is_the_smallest_that_suffices() -> None:
    blocks = needed_blocks(0.06, 28, 0.02, x=range(5))
    assert blocks is not None
    upper = 0.06 * np.sqrt(28 / chi2.ppf(0.20, 28))
    fewer, enough = (t_distribution.ppf(0.95, 5 * n - 2) * upper / np.sqrt(10 * n) for n in (blocks - 1, blocks))
    assert enough <= 0.02 < fewer


def test_the_plan_suffices_after_four_of_five_pilots() -> None:
    rng = np.random.default_rng(2)
    pilots = rng.normal(0, 1.0, (1000, 6)).std(axis=1, ddof=1)
    planned = [needed_blocks(float(sd), 5, 0.3) for sd in pilots]
    enough = [t_distribution.ppf(0.95, blocks - 1) / np.sqrt(blocks) <= 0.3 for blocks in planned if blocks]
    assert np.mean(enough) == pytest.approx(0.80, abs=0.05)
    assert np.mean(pilots >= 1.0) < 0.45


def test_a_width_out_of_reach_is_said() -> None:
    assert needed_blocks(1.0, 5, 0.001, most=50) is None


def test_plans_without_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="sd must be a positive"):
        detectable_effect(0, 5, range(5))
    with pytest.raises(ValueError, match="two different sizes"):
        detectable_effect(0.1, 5, [1, 1])
    with pytest.raises(ValueError, match="two different sizes"):
        needed_blocks(0.1, 5, 0.1, x=[1, 1])
    with pytest.raises(ValueError, match="df must be"):
        needed_blocks(0.1, 0, 0.1)
    with pytest.raises(ValueError, match="needs at least 10 values"):
        optimal_repetitions([[1, 2, 3]] * 2, run_cost=1, checkpoint_cost=1)
    with pytest.raises(ValueError, match="batches must be"):
        optimal_repetitions([[1, 2, 3]] * 2, run_cost=1, checkpoint_cost=1, batches=1)
    with pytest.raises(ValueError, match="sizes must be at least 2"):
        rank_efficiency(1, blocked=True)
